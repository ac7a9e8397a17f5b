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

import errno
import os
import shlex
import stat
from collections.abc import Callable

from rawr_install import atomic
from rawr_install.errors import RawrError, RefusedError
from rawr_install.machine import lock as machine
from rawr_install.plugins import manifest
from rawr_install.plugins.assess import Assessment, LinkFacts, assess
from rawr_install.plugins.install_state import InstallState, RepairResult, report
from rawr_install.plugins.manifest import Manifest

TRIES = 5


class _OvertakenError(Exception):
    """The manifest changed between reading and writing."""


Read = Callable[[], LinkFacts]


def repair(read: Read, lock_file: str, dry_run: bool = False, wait: float = machine.WAIT) -> RepairResult:
    """Repair what ``read`` finds; it is called again under the lock and after the edit.

    A refusal or a failure to write is a ``failed`` repair with its error, not
    an exception; only the lock's errors are raised (``machine.locked``).
    """
    facts = read()
    planned = assess(facts)
    before = report(facts, planned)
    if refused := _refused(facts.manifest, before):
        return refused
    if not planned.actions:
        return RepairResult("skipped", before, before, "nothing to repair")
    if dry_run:
        return RepairResult("planned", before, before, "dry run")
    with machine.locked(lock_file, "plugins status --repair", wait):
        return _apply(read)


def _apply(read: Read) -> RepairResult:
    for _ in range(TRIES):
        facts = read()
        planned = assess(facts)
        before = report(facts, planned)
        if refused := _refused(facts.manifest, before):
            return refused
        if not planned.actions:
            return RepairResult("skipped", before, before, "another repair was first")
        try:
            backup = _rewrite(facts.manifest, planned)
        except _OvertakenError:
            continue
        except RawrError as error:
            return RepairResult("failed", before, before, "the edit did not complete", error=error)
        return _checked(before, read(), backup)
    return RepairResult("failed", before, before, "the manifest kept changing", error=_busy(facts.manifest))


def _refused(found: Manifest, before: InstallState) -> RepairResult | None:
    if not found.problem:
        return None
    return RepairResult("failed", before, before, "the manifest is corrupt", error=_corrupt(found))


def _checked(before: InstallState, found: LinkFacts, backup: str | None) -> RepairResult:
    after = report(found, assess(found))
    left = [issue for issue in after["issues"] if issue["autoFixable"]]
    if not left:
        return RepairResult("applied", before, after, backup=backup)
    error = RawrError(f"After the repair this is still so: {left[0]['message']}.", code="REPAIR_INCOMPLETE")
    return RepairResult("failed", before, after, "the second assessment still finds faults", backup, error)


def backup_path(path: str) -> str:
    """Where the manifest's bytes from before the last repair are kept."""
    return f"{path}.rawr-backup"


def _rewrite(found: Manifest, planned: Assessment) -> str | None:
    """Replace the manifest in one step; returns the backup's path, None where there was no manifest."""
    path = os.path.realpath(found.path)  # a link to the manifest survives
    try:
        data = manifest.edit(found, [action.step for action in planned.actions])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        mode = 0o644 if found.data is None else stat.S_IMODE(os.stat(path).st_mode)
        if found.data is not None:
            atomic.write_file(backup_path(path), found.data, mode)
        staged = atomic.stage_file(path, data, mode)
        if manifest.read(found.path).data != found.data:
            atomic.discard(staged)
            raise _OvertakenError
        atomic.commit(staged, path)
    except UnicodeError:
        raise _unwritable(path, "a plugin's path is not UTF-8, which JSON cannot hold") from None
    except (ValueError, RecursionError) as error:
        raise _unwritable(path, str(error)) from None
    except OSError as error:
        raise _unwritable(path, f"{errno.errorcode.get(error.errno or 0, '?')}, {error.strerror}") from None
    return None if found.data is None else backup_path(path)


def _unwritable(path: str, reason: str) -> RawrError:
    return RawrError(
        f"The plugin manager manifest {path} could not be replaced ({reason}).",
        code="MANIFEST_NOT_WRITTEN",
        hint=f"make {os.path.dirname(path)} writable for you, then repair again",
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
        + shlex.join(("mv", found.path, f"{found.path}.broken")),
    )
