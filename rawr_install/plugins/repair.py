"""Mend the plugin links: the steps that the assessment plans, as one atomic edit of the manifest, then assess again.

The plan is made without the lock first; a dry run ends there, and so does a
manifest that needs nothing. Otherwise the machine lock is taken and the plan
is made again from a second look, since another repair may have been first:
repairs that run at the same time converge. The bytes that were read are kept
beside the manifest (:func:`backup_path`) before it is replaced.

The plugin manager writes its manifest without a lock. A manifest that changed
since it was read is looked at again; what remains is the moment between that
comparison and the rename.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence

from rawr_install import atomic
from rawr_install.dispatch.trust import foreign_on_the_way, is_granted
from rawr_install.errors import RawrError, RefusedError, os_error_in_words
from rawr_install.files import free_name
from rawr_install.machine.lock import WAIT, locked
from rawr_install.plugins import manifest
from rawr_install.plugins.assess import LinkFacts, assess
from rawr_install.plugins.install_state import RepairResult, report
from rawr_install.plugins.manifest import Manifest, Step
from rawr_install.report import command_line

TRIES = 5


class _OvertakenError(Exception):
    """The manifest changed between reading and writing."""


class _Look:
    """What one look at the links found, and how a repair ends that comes no further."""

    def __init__(self, facts: LinkFacts) -> None:
        found = assess(facts)
        self.manifest, self.steps, self.report = facts.manifest, found.actions, report(facts, found)

    def end(self, action: str, reason: str, error: RawrError | None = None) -> RepairResult:
        return RepairResult(action, self.report, self.report, reason, error=error)

    def nothing_to_do(self, reason: str) -> RepairResult | None:
        if self.manifest.problem:
            return self.end("failed", "the manifest is corrupt", _corrupt(self.manifest))
        return None if self.steps else self.end("skipped", reason)


def repair(read: Callable[[], LinkFacts], lock_file: str, dry_run: bool = False, wait: float = WAIT) -> RepairResult:
    """Repair what ``read`` finds; it is called again under the lock and after the edit.

    A refusal or a failure to write is a ``failed`` repair with its error, not
    an exception; only the lock's errors are raised (``machine.lock.locked``).
    """
    look = _Look(read())
    if ended := look.nothing_to_do("nothing to repair"):
        return ended
    if dry_run:
        return look.end("planned", "dry run")
    with locked(lock_file, "plugins status --repair", wait):
        for _ in range(TRIES):
            look = _Look(read())
            if ended := look.nothing_to_do("another repair was first"):
                return ended
            try:
                backup = _rewrite(look.manifest, look.steps)
            except _OvertakenError:
                continue
            except RawrError as error:
                return look.end("failed", "the edit did not complete", error)
            return _checked(look, _Look(read()), backup)
    return look.end("failed", "the manifest kept changing", _busy(look.manifest))


def require_own_manifest(path: str, environ: Mapping[str, str]) -> None:
    """To be asked before a repair: whoever owns a folder or a link on the way to ``path`` chooses what is replaced.

    Raises RefusedError ``MANIFEST_NOT_YOURS``.
    """
    found = None if is_granted(os.path.realpath(path), environ) else foreign_on_the_way(path, environ)
    if found:
        raise RefusedError(
            f"The plugin manager manifest {path} is not yours alone: {found[1]}; nothing was changed.",
            code="MANIFEST_NOT_YOURS",
            hint="run it without sudo" if os.geteuid() == 0 and environ.get("SUDO_UID") else "",
            remedy=("ls", "-ld", found[0]),
        )


def _checked(before: _Look, after: _Look, backup: str | None) -> RepairResult:
    left = [issue for issue in after.report["issues"] if issue["autoFixable"]]
    if not left:
        return RepairResult("applied", before.report, after.report, backup=backup)
    error = RawrError(f"After the repair this is still so: {left[0]['message']}.", code="REPAIR_INCOMPLETE")
    reason = "the second assessment still finds faults"
    return RepairResult("failed", before.report, after.report, reason, backup, error)


def backup_path(path: str) -> str:
    """Where the manifest's bytes from before the last repair are kept."""
    return f"{path}.rawr-backup"


def _rewrite(found: Manifest, steps: Sequence[Step]) -> str | None:
    """Replace the manifest in one step; returns the backup's path, None where there was no manifest."""
    path = os.path.realpath(found.path)  # a link to the manifest survives
    try:
        data = manifest.edit(found, steps)
        atomic.make_folder(os.path.dirname(path))
        mode = 0o644 if found.data is None else stat.S_IMODE(os.stat(path).st_mode)
        if found.data is not None:
            atomic.write_file(backup_path(path), found.data, mode)
        staged = atomic.stage_file(path, data, mode)
        if manifest.read(found.path).data != found.data:
            atomic.discard(staged)
            raise _OvertakenError
        atomic.commit(staged, path)
    except (OSError, ValueError, RecursionError) as error:
        raise _not_written(path, error) from None
    return None if found.data is None else backup_path(path)


def _not_written(path: str, error: Exception) -> RawrError:
    reason = os_error_in_words(error) if isinstance(error, OSError) else str(error)
    if isinstance(error, UnicodeError):
        reason = "a plugin's path is not UTF-8, which JSON cannot hold"
    return RawrError(
        f"The plugin manager manifest {path} could not be replaced ({reason}).",
        code="MANIFEST_NOT_WRITTEN",
        hint=f"make {command_line((os.path.dirname(path),))} writable for you, then repair again",
    )


def _busy(found: Manifest) -> RefusedError:
    return RefusedError(
        f"The plugin manager manifest {found.path} changed on each of {TRIES} attempts to edit it.",
        code="MANIFEST_BUSY",
        remedy=("rawr-install", "plugins", "status", "--checks", "install", "--repair"),
    )


def _corrupt(found: Manifest) -> RefusedError:
    return RefusedError(
        f"The plugin manager manifest {found.path} is not usable ({found.problem}); it was left untouched.",
        code="MANIFEST_CORRUPT",
        hint="mend the file, or move it away and repair again: "
        + command_line(("mv", found.path, free_name(found.path, "broken"))),
    )
