"""Getting a workspace's state going again: a corrupt file set aside, an abandoned lock removed.

Nothing is thrown away: what stood at ``state.json`` is kept beside it as
``state.corrupt-<hash>.json``.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass, replace

from rawr_install.atomic import write_file
from rawr_install.errors import RefusedError, StateCorruptError, StateError, StateVersionError
from rawr_install.state import lock
from rawr_install.state.directory import Directory, failed
from rawr_install.state.document import RepoState, default_repo_state, dump, parse
from rawr_install.state.guard import FairLock, Unavailable, guard_of
from rawr_install.state.holder import Holder, in_words
from rawr_install.state.snapshot import use, whole
from rawr_install.state.store import last_good_path, state_path
from rawr_install.state.system import lock_holder
from rawr_install.state.takeover import Watch, break_lock, move_away

Path = str | os.PathLike[str]

FORCED = "forced: its holder cannot be judged from here"
_PATIENCE = 3.0  # seconds


@dataclass(frozen=True, slots=True)
class Recovery:
    """A recovery, planned or done: ``source`` is ``last-good``, ``default``, or empty when nothing is wrong."""

    path: str
    source: str
    set_aside: str
    state: RepoState


def plan_recovery(root: Path, fresh: bool = False, force: bool = False) -> Recovery:
    """What :func:`recover` would do now; changes nothing. Raises as it does."""
    snapshot = whole(state_path(root))
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
        raise failed(os.path.dirname(path), error) from None


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
    backup = os.path.join(os.path.dirname(path), f"state.corrupt-{hashlib.sha256(data).hexdigest()[:12]}.json")
    return Recovery(path, "last-good" if good else "default", backup, good or default_repo_state())


def _last_good(root: Path) -> RepoState | None:
    path = last_good_path(root)
    try:
        return use(path, lambda data: None if data is None else parse(data, path))
    except StateError:
        return None


@dataclass(frozen=True, slots=True)
class Unlocked:
    """What stood at ``state.lock`` (empty: nothing), and the proof by which it was removed (empty: it was not)."""

    holder: dict[str, object]
    proof: str


def unlock(root: Path, dry_run: bool = False, force: bool = False) -> Unlocked:
    """Remove an abandoned ``state.lock``; what is not a regular file can be nobody's and is moved away, unread.

    With ``force`` also one whose holder cannot be judged from here; one that is known to live never. Takes up to
    three seconds, because some proofs take two. With ``dry_run`` the proof is found, and the lock left. Raises
    RefusedError ``LOCK_HELD`` while its holder lives or may, or another process has the turn and does not move.
    """
    path, deadline = os.path.dirname(state_path(root)), time.monotonic() + _PATIENCE
    if not os.path.lexists(f"{path}/state.lock"):
        return Unlocked({}, "")
    if dry_run:  # no turn, no sweep: those leave traces
        made = _unlock(Watch(Directory.at(path)), deadline, dry_run, force)
    else:
        made = _unlock_in_turn(guard_of(path), deadline, force)
    if made.holder and not made.proof:
        raise _refused(f"{path}/state.lock", made.holder)
    return made


def _unlock_in_turn(guard: FairLock, deadline: float, force: bool) -> Unlocked:
    with guard.mutex:
        try:
            watch = Watch(guard.directory)
            _take_turn(guard, deadline, watch)
            return _unlock(watch, deadline, False, force)
        except OSError as error:
            raise failed(guard.directory.path, error) from None
        finally:
            guard.leave()


def _take_turn(guard: FairLock, deadline: float, watch: Watch) -> None:
    try:
        if not guard.directory.filesystem.local or guard.enter_at_once() or guard.wait(deadline, watch.observe):
            return
    except Unavailable:
        return
    pid = lock_holder(os.stat(guard.path))
    raise RefusedError(
        f"{f'Process {pid}' if pid else 'Another process'} is first in the queue at {guard.path} and does not move.",
        code="LOCK_HELD",
        hint="change the state: a change passes it by, and takes an abandoned lock over",
    )


def _unlock(watch: Watch, deadline: float, dry_run: bool, force: bool) -> Unlocked:
    while True:
        holder, proof = watch.prove(deadline - time.monotonic())
        if holder is None:
            return Unlocked({}, "")
        try:
            made = Unlocked(watch.describe(holder, proof), "")
            made = replace(made, proof=_remove(watch, holder, proof, dry_run, force and made.holder["alive"] is None))
        finally:
            holder.close()
        # An old one is fenced first, and another process may have been quicker.
        if made.proof or not proof or dry_run or time.monotonic() >= deadline:
            return made


def _remove(watch: Watch, holder: Holder, proof: str, dry_run: bool, force: bool) -> str:
    if not holder.regular:
        return "not a regular file" if dry_run or move_away(watch.directory) else ""
    if force and not proof:
        return FORCED if dry_run or break_lock(watch.directory, holder) else ""
    return proof if dry_run or not proof else watch.take(holder)


def _refused(path: str, holder: dict[str, object]) -> RefusedError:
    hint = f"look at it with: ps -fp {holder['pid']}" if holder.get("pid") else "try again later"
    if holder["alive"] is None:
        where = f"on {holder['host']}" if holder.get("host") else "in other containers and on other machines"
        hint = f"check {where} that nothing changes the state, then: rawr-install state unlock --force"
    return RefusedError(f"{path} is {in_words(holder)}.", code="LOCK_HELD", hint=hint, details={"holder": holder})
