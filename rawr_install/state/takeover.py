"""Taking an abandoned ``state.lock`` away: that very one, and no successor of it.

Some proofs need a lease to stay as it is for a while: a :class:`Watch`
reads it over time. Between a proof and a removal by name, the name may have passed
to a living holder: the peers' own clean-up has this flaw. Here an old lease is
fenced first, a stale one is renamed and compared, and one caught by mistake is restored.
"""

from __future__ import annotations

import fcntl
import math
import os
import stat
import time

from rawr_install.atomic import discard
from rawr_install.state.directory import Directory, Identity
from rawr_install.state.failpoints import failpoint
from rawr_install.state.holder import GRACE_PERIOD, Holder, Observation, describe, is_open, read_lease, stale_reason
from rawr_install.state.system import time_at, uptime

OLD = 59.0  # seconds; the peers start to remove a lease at 60
SETTLE = 0.08  # seconds; longer than a peer takes from stat to unlink
_LOOK_EVERY = 0.05  # seconds
_BLINK = 0.5  # seconds between two looks that still count as watching
_MOST_AHEAD = 60.0  # seconds; a time stamp further in the future tells no age, and counts as old


class Watch:
    """The lease that stands in the way, over time. All times in seconds."""

    foreign_host = ""  # of a lease that is not of this kernel
    _same: tuple[object, ...] = ()
    _is_open: bool | None = None
    _looked = _steady = _age = 0.0
    _ahead: float | None = None

    def __init__(self, directory: Directory, stale_age: float = 60.0, grace_period: float = GRACE_PERIOD) -> None:
        self.directory = directory
        self.stale_age = stale_age
        self.grace_period = grace_period

    def read(self) -> Holder | None:
        """The lease that stands there now; the caller closes it."""
        holder = read_lease(self.directory.lock_path)
        if holder is None:
            self._same = ()
        else:
            self._note(holder)
        return holder

    def observe(self) -> None:
        """Read it, and remember."""
        holder = self.read()
        if holder is not None:
            holder.close()

    def _note(self, holder: Holder) -> None:
        same, now = (holder.identity, holder.raw, holder.info.st_mode), time.monotonic()
        answer = None if holder.ours else is_open(holder, self.directory.filesystem)
        if same != self._same:
            self._age = -math.inf
        if (same, answer) != (self._same, self._is_open):
            self._steady, self._looked = 0.0, now
        # Whoever was stopped between two looks has watched nothing, and the holder may have been stopped with it.
        self._steady += min(now - self._looked, _BLINK)
        self._same, self._is_open, self._looked = same, answer, now
        self._age = max(self._age, self._age_of(holder))
        self.foreign_host = holder.host or self.foreign_host
        if not holder.ours:
            self.directory.peers_seen = now

    def _age_of(self, holder: Holder) -> float:
        age = self._time_there() - holder.info.st_mtime
        return math.inf if age < -_MOST_AHEAD else age

    def _time_there(self) -> float:
        """By the clock of the directory, which is asked once."""
        if self._ahead is None:
            self._ahead = time_at(self.directory.path, self.directory.filesystem) - uptime()
        return uptime() + self._ahead

    def prove(self, patience: float) -> tuple[Holder | None, str]:
        """Watch the lease for ``patience`` seconds at most, and leave it there: what stands there, and the proof.

        Ends sooner with a proof, and where time would bring none. The caller closes what is returned.
        """
        deadline, hope = time.monotonic() + patience, 2  # one read may meet another process that asks the kernel
        while (holder := self.read()) is not None:
            proof = self.stale_reason(holder)
            hope = 2 if stale_reason(holder, self._observation(math.inf)) else hope - 1
            if proof or not hope or time.monotonic() >= deadline:
                return holder, proof
            holder.close()
            time.sleep(_LOOK_EVERY)
        return None, ""

    def probe(self) -> str:
        """Read the lease and, with a proof that its holder is gone, take it away; returns the proof."""
        holder = self.read()
        if holder is None:
            return ""
        try:
            return self.take(holder)
        finally:
            holder.close()

    def take(self, holder: Holder) -> str:
        """Take the lease away, with a proof; returns the proof, and nothing while it takes time."""
        if fence(self.directory.lock_path, holder.age):
            return ""
        proof = self.stale_reason(holder)
        if proof and self._is_fenced(holder) and break_lock(self.directory, holder):
            self.directory.sweep_temporary_files()
            return proof
        return ""

    def _is_fenced(self, holder: Holder) -> bool:
        """Whether no peer's removal can be under way: it begins at an old lease, which whoever touched it made young.

        That one may have died before such removals had the time to end.
        """
        young = holder.acquired < math.inf and self._time_there() - holder.acquired < OLD
        return young or self._steady >= SETTLE

    def stale_reason(self, holder: Holder) -> str:
        """The proof that the lease is abandoned, as far as it is known by now; empty while there is none."""
        return stale_reason(holder, self._observation(self._steady))

    def describe(self, holder: Holder, proof: str) -> dict[str, object]:
        """The holder, as :func:`holder.describe` does."""
        return describe(holder, self._observation(self._steady), proof)

    def _observation(self, steady: float) -> Observation:
        liveness = self.directory.liveness
        return Observation(self._is_open, steady, self._age, self.stale_age, self.grace_period, liveness)


def fence(path: str, age: float) -> bool:
    """Touch a lease that is old enough for the peers to remove; True when it was.

    Touched, it is young: no peer starts a removal. Those under way, which
    would remove whatever stands there next, get the time to finish.
    """
    if age < OLD:
        return False
    _touch(path)
    failpoint("fencing")
    time.sleep(SETTLE)
    return True


def _touch(path: str) -> None:
    try:
        os.utime(path, follow_symlinks=False)
    except (OSError, NotImplementedError):
        pass  # another user's lease: the time to settle must do


def break_lock(directory: Directory, stale: Holder) -> bool:
    """Remove this lease and no other; False when it had gone, or another process is at it. Raises OSError.

    Not ``unlink(path)``: between proof and removal the name may have passed to
    a living holder. A rename shows what was caught, and a live one is restored.
    That would give two holders if a second process's rename caught a successor
    meanwhile: so they exclude each other by a lock on the lease that they remove.
    """
    failpoint("proven")
    if directory.liveness and not _lock_exclusively(stale.fd):
        return False
    path = directory.lock_path
    _touch(path)
    failpoint("fenced")
    if not _names(path, stale.identity):
        return False
    failpoint("matched")
    caught = f"{path}.stale.{os.getpid()}.{os.urandom(4).hex()}"
    try:
        os.rename(path, caught)
    except FileNotFoundError:
        return False
    failpoint("renamed")
    if _names(caught, stale.identity):
        os.unlink(caught)
        failpoint("taken")
        return True
    restore(caught, directory)
    return False


def _lock_exclusively(fd: int) -> bool:
    """Lock the stale lease until its descriptor is closed; False when another process has."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # no kernel locks here after all
    return True


def move_away(directory: Directory) -> bool:
    """Move what is not a regular file out of the way, keeping it; False when it had become one. Raises OSError."""
    caught = f"{directory.lock_path}.aside-{os.urandom(4).hex()}"
    os.rename(directory.lock_path, caught)
    if not stat.S_ISREG(os.lstat(caught).st_mode):
        return True
    restore(caught, directory)
    return False


def restore(caught: str, directory: Directory) -> None:
    """Give a living holder its name again; if another took it meanwhile, the holder notices before it acknowledges.

    One that has given up in the meantime would never remove it: that lease is dropped.
    """
    holder = read_lease(caught)
    try:
        if holder is None or not stale_reason(holder, Observation(liveness=directory.liveness)):
            os.link(caught, directory.lock_path, follow_symlinks=False)
    except (OSError, NotImplementedError):
        pass
    finally:
        if holder is not None:
            holder.close()
    discard(caught)


def _names(path: str, identity: Identity) -> bool:
    try:
        info = os.lstat(path)
    except OSError:
        return False
    return (info.st_dev, info.st_ino) == identity
