"""A workspace's state: read it, change it, recover it. The library that other programs import.

Readers take no lock and never see a torn file. Every change goes through the
lock (module ``lock``), is a pure function of the state before it, and is on the
disk when the call returns.
"""

from __future__ import annotations

import errno
import math
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from rawr_install.atomic import write_file
from rawr_install.ecmascript import now, trim
from rawr_install.errors import StateError, UsageError, os_error_reason
from rawr_install.files import spelled_on_disk
from rawr_install.state import lock
from rawr_install.state.diagnostics import Diagnostics
from rawr_install.state.document import (
    Malformed,
    PluginLists,
    RepoState,
    dated,
    default_repo_state,
    dump,
    fresh,
    normalised,
    one_list_each,
    parse,
    same,
)
from rawr_install.state.lock import Options as RepoStateMutationOptions
from rawr_install.state.snapshot import use
from rawr_install.state.status import Status as Inspection, read_status

__all__ = [
    "Inspection",
    "PluginLists",
    "RepoState",
    "RepoStateMutationOptions",
    "RepoStateMutationResult",
    "RepoStateMutator",
    "default_repo_state",
    "disable_plugin",
    "enable_plugin",
    "get_repo_state",
    "inspect",
    "mutate_repo_state_atomically",
    "preview",
    "set_repo_state",
    "state_lock_path",
    "state_path",
    "switch",
]

RepoStateMutator = Callable[[RepoState], RepoState | None]
# One copy in so many seconds, or ten beside other programs; one for each of a thousand changes would double their cost.
LAST_GOOD_EVERY, LAST_GOOD_BESIDE_OTHERS = 1.0, 10


@dataclass(frozen=True, slots=True)
class RepoStateMutationResult:
    """What a mutation came to.

    ``waited`` is in seconds; ``changed`` is False when nothing had to be written.
    Lock diagnostics: ``contended`` (had to wait for another process), ``takeover`` (the
    proof by which an abandoned lock was taken, else empty), ``previous_holder``
    (who stood in the way), ``durable`` (synced to the disk), ``degraded`` (what the
    file system could not give, in words).
    """

    state: RepoState
    state_path: str
    lock_path: str
    changed: bool
    attempts: int
    waited: float
    contended: bool
    takeover: str
    previous_holder: dict[str, object] | None
    durable: bool
    degraded: tuple[str, ...]


def state_path(repo_root: str | os.PathLike[str]) -> str:
    """Where the state of a workspace is, by its real path; raises UsageError for a root that does not exist."""
    return f"{_directory(repo_root)}{os.sep}state.json"


def state_lock_path(repo_root: str | os.PathLike[str]) -> str:
    """Where the lock of a workspace's state is; raises UsageError for a root that does not exist."""
    return f"{_directory(repo_root)}{os.sep}state.lock"


_known_roots: dict[str, tuple[tuple[int, int], str]] = {}


def _directory(repo_root: str | os.PathLike[str]) -> str:
    root = os.fspath(repo_root)
    try:
        info = os.stat(root)
        if not stat.S_ISDIR(info.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        known = _known_roots.get(root)
        if known is not None and known[0] == (info.st_dev, info.st_ino) and os.path.isabs(root):
            return known[1]
        real = spelled_on_disk(os.path.realpath(root, strict=True))
        directory = os.path.join(real, ".rawr", "state")
        if real == root:  # no link on the way that could come to lead elsewhere
            _known_roots[root] = ((info.st_dev, info.st_ino), directory)
        return directory
    except (OSError, ValueError) as error:
        reason = os_error_reason(error) if isinstance(error, OSError) else error
        raise UsageError(
            f"{root} is not a folder of a workspace ({reason}).",
            code="STATE_ROOT_MISSING",
            hint="name a workspace with --workspace PATH",
        ) from None


def get_repo_state(repo_root: str | os.PathLike[str]) -> RepoState:
    """The state, read without a lock; the default state where there is no file.

    Raises StateCorruptError, StateVersionError, StateUnreadableError; UsageError for a root that does not exist.
    """
    path = state_path(repo_root)
    found = use(path, lambda data: _parsed(data, path))
    return one_list_each(found, found)


def _parsed(data: bytes | None, path: str) -> RepoState:
    return default_repo_state() if data is None else parse(data, path)


def set_repo_state(repo_root: str | os.PathLike[str], state: RepoState) -> RepoState:
    """Replace the whole state, whatever it was (a corrupt file is refused); returns it as written."""
    # From a mutator, None means "leave it": here it is not a state, and refused as such.
    return mutate_repo_state_atomically(repo_root, lambda _before: state or cast(RepoState, {})).state


def enable_plugin(repo_root: str | os.PathLike[str], plugin_id: str) -> RepoState:
    """Put ``plugin_id`` on the list of enabled plugins, and off the other; returns the state."""
    return mutate_repo_state_atomically(repo_root, switch([plugin_id], on=True)).state


def disable_plugin(repo_root: str | os.PathLike[str], plugin_id: str) -> RepoState:
    """Put ``plugin_id`` on the list of disabled plugins, and off the other; returns the state."""
    return mutate_repo_state_atomically(repo_root, switch([plugin_id], on=False)).state


def switch(plugin_ids: list[str], on: bool) -> RepoStateMutator:
    """The mutator that enables or disables all of ``plugin_ids``; raises UsageError for an id that none can be."""
    wanted = {*map(trim, plugin_ids)}
    if "" in wanted:
        raise UsageError("A plugin id is empty.", code="PLUGIN_ID_EMPTY", hint="name the plugin")
    try:
        "".join(wanted).encode()
    except UnicodeEncodeError:
        raise UsageError("A plugin id is not UTF-8.", code="PLUGIN_ID_NOT_UTF8", hint="name it in UTF-8") from None

    def mutator(state: RepoState) -> RepoState:
        plugins = state["plugins"]
        enabled, disabled = set(plugins["enabled"]), set(plugins.get("disabled", ()))
        plugins["enabled"] = sorted(enabled | wanted if on else enabled - wanted)
        plugins["disabled"] = sorted(disabled - wanted if on else disabled | wanted)
        return state

    return mutator


def mutate_repo_state_atomically(
    repo_root: str | os.PathLike[str],
    mutator: RepoStateMutator,
    options: RepoStateMutationOptions | None = None,
) -> RepoStateMutationResult:
    """Change the state by ``mutator(state) -> state``, atomically among all programs that share the file.

    The mutator gets a state of its own to change and must be pure: it runs again
    when another program broke the lock. If it raises, or returns None, or
    what it got, nothing is written.

    Raises what the mutator raises; StateError ``NOT_A_STATE`` when it returns something else;
    the read errors of :func:`get_repo_state`, with the file untouched; the lock's errors (see ``lock``).
    """
    path = state_path(repo_root)
    directory = os.path.dirname(path)
    work = _Work(path, mutator)
    done = lock.transact(directory, work.change, options)
    if done.changed:
        _keep_last_good(directory, work, done)
    return RepoStateMutationResult(
        state=work.state,
        state_path=path,
        lock_path=f"{directory}{os.sep}state.lock",
        changed=done.changed,
        attempts=done.attempts,
        waited=done.waited,
        contended=done.contended,
        takeover=done.takeover,
        previous_holder=done.previous_holder,
        durable=done.durable,
        degraded=tuple(done.degraded),
    )


def preview(repo_root: str | os.PathLike[str], mutator: RepoStateMutator) -> tuple[RepoState, bool]:
    """What a mutation would leave now, and whether it would change anything; takes no lock, writes nothing."""
    path = state_path(repo_root)
    work = _Work(path, mutator)
    changed = use(path, work.change) is not None
    return work.state, changed


class _Work:
    """The mutator, wrapped into a function of bytes."""

    def __init__(self, path: str, mutator: RepoStateMutator) -> None:
        self.path = path
        self.mutator = mutator
        self.state: RepoState
        self.read: bytes | None = None
        self.written = b""

    def change(self, data: bytes | None) -> bytes | None:
        self.read = data
        before = _parsed(data, self.path)
        given = fresh(before)
        returned = self.mutator(given)
        try:
            after = one_list_each(self._checked(before, given, returned), before)
            if same(before, after):
                self.state = before
                return None
            self.state = dated(after, before, now())
            self.written = dump(self.state)
        except Malformed as reason:
            raise StateError(
                f"The mutator's state {reason}.", code="NOT_A_STATE", hint="return a state from the mutator"
            ) from None
        return self.written

    def _checked(self, before: RepoState, given: RepoState, returned: object) -> RepoState:
        if returned is None and not same(before, normalised(given)):
            raise Malformed("was changed in place, but not returned")
        return before if returned is None else normalised(returned)


# -- the last good copy ----------------------------------------------------------

_copied: dict[str, tuple[float, int]] = {}  # since when, how often
_written: dict[str, bytes] = {}  # what this process wrote last, to tell another program's write from it


def last_good_path(repo_root: str | os.PathLike[str]) -> str:
    """Where the copy for recovery is."""
    return os.path.join(_directory(repo_root), "state.last-good.json")


def _keep_last_good(directory: str, work: _Work, done: Diagnostics) -> None:
    """Keep a copy of what was just committed; a failure is not one of the mutation.

    A copy, since a hard link would share the fate of a file that an editor writes in place. Seldom, since one for
    every mutation would double its cost; oftener where it holds what another program has written, but not if that
    was a process of ours for which we waited: it keeps copies, too.
    """
    waited_for = (done.previous_holder or {"kind": "python"})["kind"] if done.contended else ""
    foreign = waited_for != "python" and work.read != _written.get(directory)
    _written[directory] = work.written
    now, (since, copies) = time.monotonic(), _copied.get(directory, (-math.inf, 0))
    if now - since >= LAST_GOOD_EVERY:
        since, copies = now, 0
    if copies >= (LAST_GOOD_BESIDE_OTHERS if foreign else 1):
        return
    _copied[directory] = since, copies + 1
    try:
        write_file(os.path.join(directory, "state.last-good.json"), work.written, 0o600, done.durable)
    except OSError:
        pass


def inspect(repo_root: str | os.PathLike[str]) -> Inspection:
    """The status of state file and lock; raises UsageError for a root that does not exist."""
    return read_status(state_path(repo_root))
