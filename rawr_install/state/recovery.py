"""Getting a workspace's state going again: a corrupt file set aside, an abandoned lock removed.

Nothing is thrown away: what stood at ``state.json`` is kept beside it as
``state.corrupt-<hash>.json``.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass

from rawr_install.atomic import write_file
from rawr_install.errors import RefusedError, StateCorruptError, StateError, StateVersionError
from rawr_install.state import lock
from rawr_install.state.directory import Folder, failed, folder_at
from rawr_install.state.document import RepoState, default_repo_state, dump, parse
from rawr_install.state.filesystem import volume_of
from rawr_install.state.guard import Unavailable
from rawr_install.state.holder import Found, in_words
from rawr_install.state.lease import Place
from rawr_install.state.snapshot import use, whole
from rawr_install.state.store import last_good_path, state_path
from rawr_install.state.takeover import set_aside, take_away
from rawr_install.state.watch import Watch

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
    aside = os.path.join(os.path.dirname(path), f"state.corrupt-{hashlib.sha256(data).hexdigest()[:12]}.json")
    return Recovery(path, "last-good" if good else "default", aside, good or default_repo_state())


def _last_good(root: Path) -> RepoState | None:
    path = last_good_path(root)
    try:
        return use(path, lambda data: None if data is None else parse(data, path))
    except StateError:
        return None


def unlock(root: Path, dry_run: bool = False, force: bool = False) -> Reclaimed:
    """Remove an abandoned ``state.lock``; raises RefusedError ``LOCK_HELD`` while its holder lives, or may.

    With ``force`` also one whose holder cannot be judged from here; one that is known to live never.
    Takes up to three seconds, because some proofs of death take two.
    """
    folder = os.path.dirname(state_path(root))
    if not os.path.lexists(os.path.join(folder, "state.lock")):
        return Reclaimed({}, "")
    made = reclaim(folder, dry_run=dry_run, force=force)
    if made.holder and not made.proof:
        raise _refused(f"{folder}/state.lock", made.holder)
    return made


def _refused(path: str, holder: dict[str, object]) -> RefusedError:
    unknown = holder["alive"] is None
    hint = f"look at it with: ps -fp {holder['pid']}" if holder.get("pid") else "try again later"
    if unknown:
        where = f"on {holder['host']}" if holder.get("host") else "in other containers and on other machines"
        hint = f"check {where} that nothing changes the state, then: rawr-install state unlock --force"
    return RefusedError(f"{path} is {in_words(holder)}.", code="LOCK_HELD", hint=hint, details={"holder": holder})


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """What stood at ``state.lock`` (empty: nothing), and the proof by which it was removed (empty: it was not)."""

    holder: dict[str, object]
    proof: str


FORCED = "forced: its holder cannot be judged from here"


def reclaim(path: str, patience: float = 3.0, dry_run: bool = False, force: bool = False) -> Reclaimed:
    """Remove the lease in the state folder ``path`` if its holder is provably gone; the living are left alone.

    Takes up to ``patience`` seconds, because some proofs need the lease to stay
    unchanged for two. What is no regular file can be nobody's lease and is moved
    aside, unread. With ``dry_run`` the proof is found, and the lease left. Raises StateError,
    and RefusedError ``LOCK_HELD`` where another process has the turn and does not move.
    """
    deadline = time.monotonic() + patience
    if dry_run:  # no turn, no sweep: those leave traces
        return _reclaim(Watch(Place(path, volume_of(path))), deadline, dry_run, force)
    folder = folder_at(path)
    with folder.mutex:
        try:
            watch = Watch(folder.place)
            _take_turn(folder, deadline, watch)
            return _reclaim(watch, deadline, dry_run, force)
        except OSError as error:
            raise failed(path, error) from None
        finally:
            folder.turnstile.leave()


def _take_turn(folder: Folder, deadline: float, watch: Watch) -> None:
    if not folder.place.volume.local:
        return
    try:
        turn = folder.turnstile.enter_at_once() or folder.turnstile.wait(deadline, watch.glance)
    except Unavailable:
        return
    if not turn:
        raise RefusedError(
            f"Another process is first in the queue at {folder.turnstile.path} and does not move.",
            code="LOCK_HELD",
            hint="change the state: a change passes it by, and takes an abandoned lock over",
        )


def _reclaim(watch: Watch, deadline: float, dry_run: bool, force: bool) -> Reclaimed:
    while True:
        found, proof = watch.prove(deadline - time.monotonic())
        if found is None:
            return Reclaimed({}, "")
        try:
            made = _remove(watch, found, proof, dry_run, force)
        finally:
            found.close()
        # An old one is fenced first, and another process may have been quicker.
        if made.proof or not proof or dry_run or time.monotonic() >= deadline:
            return made


def _remove(watch: Watch, found: Found, proof: str, dry_run: bool, force: bool) -> Reclaimed:
    holder = watch.describe(found, proof)
    if not found.regular:
        moved = dry_run or set_aside(watch.place)
        return Reclaimed(holder, "not a regular file" if moved else "")
    if not proof and force and holder["alive"] is None:
        taken = dry_run or take_away(watch.place, found)
        return Reclaimed(holder, FORCED if taken else "")
    return Reclaimed(holder, proof if dry_run or not proof else watch.take(found))
