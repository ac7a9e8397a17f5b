"""What the user allows: the owner fallback, and other users' workspaces.

Two one-line-a-fact files in ``~/.rawr``, which the shell entry reads:

* ``global-owner-fallback``: its first non-empty line is ``enabled``, or the
  fallback is off. Disabling removes it.
* ``trusted-workspaces``: one real path a line; compared byte for byte.

Nothing but these files in the user's own home grants anything: no file inside
a workspace is asked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from rawr_install import atomic
from rawr_install.dispatch import messages
from rawr_install.dispatch.locate import absolute, find_workspace
from rawr_install.dispatch.trust import exchangers, trust, trust_remedy, unsafe_folder, writable_remedy
from rawr_install.dispatch.workspace import (
    FALLBACK_VARIABLE,
    POLICY_FILE_LIMIT,
    fallback_enabled,
    folders_up,
    is_workspace,
    read_owner,
)
from rawr_install.encoding import to_wire
from rawr_install.errors import RawrError, RefusedError, UsageError, os_error_code, os_error_hint, os_error_in_words
from rawr_install.files import free_name, is_owned_by_me, link_of_another, read_bytes, read_regular, real_path
from rawr_install.machine.lock import locked
from rawr_install.machine.messages import untrusted
from rawr_install.machine.ownership import require_own_places
from rawr_install.paths import Paths


class PolicyChange(NamedTuple):
    """What a command did, or with ``dry_run`` would do, to one policy file; ``path`` is the line that it is about."""

    changed: bool
    dry_run: bool
    file: str
    path: str = ""


class Fallback(NamedTuple):
    """Whether the owner's CLI may run outside workspaces, who says so, and whether it could."""

    enabled: bool
    enabled_by: tuple[str, ...]
    file: str
    owner_file_status: str
    owner_workspace_path: str | None


class Trusted(NamedTuple):
    """One line of the trust file, and what stands there now."""

    path: str
    exists: bool
    is_workspace: bool
    owned_by_you: bool


def fallback(paths: Paths) -> Fallback:
    """The fallback's state; reads only."""
    owner = read_owner(paths.owner_file)
    by_variable = fallback_enabled(os.devnull + "/none", paths.environ)
    by_file = fallback_enabled(paths.fallback_file, {})
    by = (*((FALLBACK_VARIABLE,) if by_variable else ()), *((paths.fallback_file,) if by_file else ()))
    return Fallback(bool(by), by, paths.fallback_file, owner.status, owner.path)


def set_fallback(paths: Paths, enabled: bool, dry_run: bool = False) -> PolicyChange:
    """Write or remove the policy file; writes nothing where it says so already."""
    with _exclusive(paths, dry_run):
        changed = fallback_enabled(paths.fallback_file, {}) != enabled
        if changed and not dry_run:
            _replace(paths, paths.fallback_file, ["enabled"] if enabled else None)
        return PolicyChange(changed, dry_run, paths.fallback_file)


def require_trust(root: str, environ: Mapping[str, str]) -> None:
    """To be asked before a command links, writes or starts anything for ``root`` (a real path).

    Raises RefusedError ``CWD_NOT_TRUSTED``, ``WORKSPACE_NOT_TRUSTED`` or ``WORKSPACE_WRITABLE``.
    """
    refusal = trust_refusal(root, environ)
    if refusal is not None:
        raise refusal
    require_own_folder(environ)


def require_own_folder(environ: Mapping[str, str]) -> None:
    """Raises RefusedError ``CWD_NOT_TRUSTED`` in a folder whose settings, which Bun loads, others may have written."""
    try:
        found = unsafe_folder(os.getcwd(), environ)
    except FileNotFoundError:
        return  # removed, so nothing is in it
    if found:
        raise messages.as_refused(messages.unsafe_folder(found[1]))


def trust_refusal(root: str, environ: Mapping[str, str]) -> RefusedError | None:
    """Why no command may change anything for ``root``: others own a part of it, or can write to it."""
    found = trust(root, environ)
    writable = found.writable()
    remedy = trust_remedy(root, environ) if found.obstacle else ("", writable_remedy(root, writable))
    return untrusted(root, found.obstacle, remedy, writable)


def require_own_state(root: str, environ: Mapping[str, str]) -> None:
    """To be asked before a command changes the state of ``root`` (a real path).

    Raises RefusedError ``WORKSPACE_NOT_TRUSTED``; and ``STATE_NOT_YOURS`` where a link on the way to ``state.json`` is
    another user's, who would choose what is replaced, or leads out of ``root`` to what is not the user's.
    """
    require_trust(root, environ)
    link = link_of_another(os.path.join(root, ".rawr", "state", "state.json"))
    if link:
        raise _not_your_state(link, "is a link that another user made")
    for parts in ((".rawr",), (".rawr", "state"), (".rawr", "state", "state.json")):
        path = os.path.join(root, *parts)
        real = os.path.realpath(path)
        if os.path.commonpath((real, root)) != root and os.path.lexists(real) and not is_owned_by_me(real):
            raise _not_your_state(path, f"leads out of the workspace to {real}, which is not yours")


def _not_your_state(path: str, why: str) -> RefusedError:
    return RefusedError(f"{path} {why}; nothing was changed.", code="STATE_NOT_YOURS", remedy=("ls", "-ld", path))


def trusted(paths: Paths) -> list[Trusted]:
    """The trust list in its order; raises RawrError ``POLICY_UNREADABLE``."""
    return [
        Trusted(line, os.path.exists(line), is_workspace(line), _needs_no_trust(line))
        for line in _lines(paths.trusted_file)
    ]


def _needs_no_trust(root: str) -> bool:
    return os.path.exists(root) and not trust(root, {}).obstacle


def add_trust(paths: Paths, named: str | None, dry_run: bool = False, force: bool = False) -> PolicyChange:
    """Add a workspace (default: the one that a command here is about), or a folder above some, by its real path.

    Raises what ``find_workspace`` raises; RefusedError ``PLACE_NOT_SAFE`` where, without ``force``, another user
    could put something else there; UsageError ``PATH_NOT_STORABLE`` for a path that no line of a file can hold.
    """
    root = _granted(named, paths.environ)
    who = "; ".join(exchangers(root, paths.environ))
    if (who or root == os.sep) and not force:
        raise RefusedError(
            f"Something else could be put at {root}, and would be trusted: {who}."
            if who
            else "Every workspace on this machine would be trusted, whosever it is.",
            code="PLACE_NOT_SAFE",
            remedy=("rawr-install", "trust", "add", "--force", root),
        )
    try:
        storable = "\n" not in to_wire(root)
    except UnicodeError:
        storable = False
    if not storable:
        raise UsageError(
            f"The trust list holds one path a line, in UTF-8, which this workspace's path is not: {root}",
            code="PATH_NOT_STORABLE",
            hint="rename the folder",
        )
    return _edit(paths, root, (), (root,), dry_run)


def _granted(named: str | None, environ: Mapping[str, str]) -> str:
    """The real path that a grant is for: a workspace, or a named folder that is in none and so above some."""
    folder = real_path(absolute(named)) if named and "\0" not in named else ""
    if os.path.isdir(folder) and not any(map(is_workspace, folders_up(folder))):
        return folder
    return find_workspace(named, environ)


def remove_trust(paths: Paths, named: str | None, dry_run: bool = False) -> PolicyChange:
    """Remove a workspace from the list, by real path or as the list spells it; it need not exist any more."""
    root = absolute(named) if named else find_workspace(None, paths.environ)
    path = os.path.abspath(root)
    return _edit(paths, path, (root, path, os.path.realpath(root)), (), dry_run)


def _edit(paths: Paths, path: str, without: Sequence[str], added: Sequence[str], dry_run: bool) -> PolicyChange:
    with _exclusive(paths, dry_run):
        before = _lines(paths.trusted_file)
        after = [line for line in before if line not in without]
        after += [line for line in added if line not in after]
        if after != before and not dry_run:
            _replace(paths, paths.trusted_file, after)
        return PolicyChange(after != before, dry_run, paths.trusted_file, path)


def _lines(path: str) -> list[str]:
    """The non-empty lines; unlike the dispatcher's reading an unreadable file is an error, lest it be overwritten."""
    try:
        return [line for line in os.fsdecode(read_regular(path, POLICY_FILE_LIMIT)).split("\n") if line]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _refused("POLICY_UNREADABLE", "read", path, error) from None


@contextmanager
def _exclusive(paths: Paths, dry_run: bool) -> Iterator[None]:
    """The machine lock around read, change and write: of two `trust add` at once none is lost."""
    require_own_places(paths)
    if dry_run:
        yield
        return
    with locked(paths.machine_lock, "policy"):
        yield


def _replace(paths: Paths, path: str, lines: list[str] | None) -> None:
    data = None if lines is None else os.fsencode("".join(f"{line}\n" for line in lines))
    try:
        atomic.make_folder(paths.dot_rawr, 0o700)
        if data is None:
            os.unlink(path)
            atomic.sync_folder(paths.dot_rawr)
        else:
            atomic.write_file(path, data, mode=0o600)
    except OSError as error:
        # Past the rename only the folder's sync can fail, and "nothing was changed" would be a lie.
        done = not os.path.lexists(path) if data is None else read_bytes(path, len(data) + 1) == data
        if not done:
            raise _refused("POLICY_UNWRITABLE", "write", path, error) from None


def _refused(code: str, verb: str, path: str, error: OSError) -> RawrError:
    folder, of_disk = os.path.dirname(path), os_error_code(error, "") in ("DISK_FULL", "READ_ONLY_FILE_SYSTEM")
    said = f"Cannot {verb} {path} ({os_error_in_words(error)}); nothing was changed."
    if of_disk:
        return RawrError(said, code=os_error_code(error, code), hint=os_error_hint(error))
    if os.path.lexists(folder) and not os.path.isdir(folder):
        said = f"{folder} is not a folder, so the policy files have no place; nothing was changed."
        return RawrError(said, code=code, remedy=("mv", folder, free_name(folder, "set-aside")))
    return RawrError(said, code=code, remedy=("ls", "-la", folder))
