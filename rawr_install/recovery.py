"""Getting a workspace's state going again: a corrupt file set aside, an abandoned lock removed.

Nothing is thrown away: what stood at ``state.json`` is kept beside it as
``state.corrupt-<hash>.json``.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

from rawr_install import lock
from rawr_install.durable import write_file
from rawr_install.errors import RefusedError, StateCorruptError, StateError, StateVersionError
from rawr_install.schema import RepoState, default_repo_state, dump, parse
from rawr_install.snapshot import Snapshot
from rawr_install.state import last_good_path, state_path

Path = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Recovery:
    """A recovery, planned or done: ``source`` is ``last-good``, ``default``, or empty when nothing is wrong."""

    path: str
    source: str
    set_aside: str
    state: RepoState


def plan_recovery(root: Path, fresh: bool = False, force: bool = False) -> Recovery:
    """What :func:`recover` would do now; changes nothing. Raises as it does."""
    snapshot = Snapshot(state_path(root))
    snapshot.close()
    return _planned(root, snapshot.data, fresh, force)


def recover(root: Path, fresh: bool = False, force: bool = False) -> Recovery:
    """Set a corrupt state file aside and start from the last good copy, or anew (``fresh``, or no good copy).

    A file of another version is refused unless ``force``: its program may still need it. Raises
    StateVersionError, StateUnreadableError, and the lock's errors; then nothing is changed.
    """
    done: list[Recovery] = []

    def change(data: bytes | None) -> bytes | None:
        plan = _planned(root, data, fresh, force)
        done[:] = [plan]
        if not plan.source or data is None:
            return None
        _keep(plan.set_aside, data)
        return dump(plan.state)

    lock.transact(os.path.dirname(state_path(root)), change)
    return done[0]


def _keep(path: str, data: bytes) -> None:
    try:
        write_file(path, data, 0o600)
    except OSError as error:
        raise lock.failed(os.path.dirname(path), error) from None


def _planned(root: Path, data: bytes | None, fresh: bool, force: bool) -> Recovery:
    path = state_path(root)
    if data is None:
        return Recovery(path, "", "", default_repo_state())
    try:
        return Recovery(path, "", "", parse(data, path))
    except StateCorruptError:
        pass
    except StateVersionError as error:
        if not force:
            error.remedy, error.hint = ("rawr-install", "state", "recover", "--force"), ""
            raise
    good = None if fresh else _last_good(root)
    aside = os.path.join(os.path.dirname(path), f"state.corrupt-{hashlib.sha256(data).hexdigest()[:12]}.json")
    return Recovery(path, "last-good" if good else "default", aside, good or default_repo_state())


def _last_good(root: Path) -> RepoState | None:
    path = last_good_path(root)
    try:
        snapshot = Snapshot(path)
        snapshot.close()
        return parse(snapshot.data, path) if snapshot.data is not None else None
    except StateError:
        return None


def unlock(root: Path, dry_run: bool = False) -> lock.Reclaimed:
    """Remove an abandoned ``state.lock``; raises RefusedError ``LOCK_HELD`` while its holder lives, or may.

    Takes up to three seconds, because some proofs of death take two.
    """
    folder = os.path.dirname(state_path(root))
    if not os.path.lexists(os.path.join(folder, "state.lock")):
        return lock.Reclaimed({}, "")
    made = lock.reclaim(folder, dry_run=dry_run)
    if made.holder and not made.proof:
        who = f"process {made.holder['pid']}" if made.holder.get("pid") else "a program that cannot be named"
        raise RefusedError(
            f"{folder}{os.sep}state.lock is held by {who}, and nothing proves that it is gone.",
            code="LOCK_HELD",
            hint=f"end it, then try again (ps -fp {made.holder['pid']})"
            if made.holder.get("pid")
            else "try again later",
            details={"holder": made.holder},
        )
    return made
