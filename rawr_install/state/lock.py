"""The two-layer lock around a workspace's state file. This docstring is its manual.

Promise
-------
:func:`transact` changes one file, ``state.json``, so that among any mix of our
processes and threads and of peer programs no acknowledged change is lost, no
reader sees a torn file, and a crash at any instant leaves the old content or
the new. A dead holder of ours blocks nobody for longer than a moment, a dead
peer for three seconds; one that lives on this kernel is never evicted,
whatever its age. A holder on another kernel is judged by nothing of this one but
time (module ``holder`` has the rules). No wait is longer than the timeout.

The files in ``.rawr/state``
----------------------------
``state.json``             the content
``state.lock``             the lease; there while someone holds it (modules ``lease``, ``judgement``, ``takeover``)
``state.guard``            the turnstile, empty and permanent; ours alone (module ``turnstile``)
``state.last-good.json``   a recent content, for ``rawr-install state recover`` (module ``state``)
``state.<pid>.*.tmp``, ``state.lock.<pid>.*``   on their way; swept when their process is dead

What a peer may do
------------------
Create ``state.lock`` exclusively, poll for it, unlink it when done, unlink it
when it is 60 s old and its pid is dead; replace ``state.json`` by rename while
it holds. Its clean-up is not atomic and may remove a successor's lease: hence
the two checks of a commit.

Calling sequence (each step is a failpoint, see ``failpoints``)
---------------------------------------------------------------
1. *prepare*, outside every lock: write the lease under no name, light its beacon.
2. *turnstile*: queue with our own kind, with an eye on the lease. After 60 % of
   the timeout go on without: the head of the queue may be stopped.
3. *lease*: link it to its name. When that is taken, the one who has the turn
   polls, judges, and takes an abandoned lease away; an old lease is touched
   first and given time to settle, so that no peer's clean-up hits the successor.
   Takers exclude each other by a lock on the lease that they judged.
   A name that falls free after a wait is left free for a moment for the peers' sake.
4. leave the turnstile: the next in line wakes up while we work.
5. *read* ``state.json``, keep it open; *mutate*; *stage*: temporary file, fsync.
6. *check*: the lease is still ours, and ``state.json`` still the file that was read.
7. *rename*.
8. *check* again: if the name still leads to our inode, it did so since step 3,
   nobody acquired in between, and the change was atomic.
9. *release*: unlink the lease, if it is ours; put the beacon out.
10. *sync* the folder, then acknowledge.

A failed check means that a peer broke exclusion: nothing was acknowledged, and
everything is done again on the new content. So the change must be a pure
function, and may run more than once.

Degraded modes (said in the report)
-----------------------------------
Safety comes from the lease alone. Without a usable turnstile (a network file
system, no kernel locks, something else at ``state.guard``) order and speed are
lost, nothing else. On a file system that is not of this machine alone no kernel
lock is asked: what is not proven by a pid of our own kernel waits for a minute.
Where inode numbers tell nothing (sshfs), a lease is known by its token. Without
hard links the lease is created empty and then written.

Errors
------
``LockTimeoutError`` (names the holder), ``LeaseLostError`` (exclusion broken on
every attempt), ``NestedMutationError``, ``NotDurableError`` (the change is
visible, but syncing or releasing failed), ``StateError`` ``STATE_WRITE_FAILED``
(the old content stands). Whatever the change raises passes through.

Forks and threads
-----------------
One thread of a process at a time per folder. A child of a fork inherits no
lock and cannot release its parent's; a child forked inside the change gets an error.
"""

from __future__ import annotations

import errno
import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rawr_install.atomic import discard, sync_folder
from rawr_install.errors import (
    LeaseLostError,
    LockTimeoutError,
    NestedMutationError,
    NotDurableError,
    StateError,
)
from rawr_install.state import shared
from rawr_install.state.directory import failed, folder_at
from rawr_install.state.failpoints import reach
from rawr_install.state.guard import Unavailable
from rawr_install.state.holder import in_words
from rawr_install.state.lease import Lease
from rawr_install.state.snapshot import Snapshot, whole
from rawr_install.state.takeover import stand_back
from rawr_install.state.watch import Watch

ATTEMPTS = 5
QUEUE_SHARE = 0.6  # of the timeout, before going on without the turnstile
TELL_EVERY = 0.1  # seconds; a wait that long is told while it lasts, shorter ones no more often than that
_SPIN, _TICK, _TICK_ELSEWHERE = 0.0001, 0.00006, 0.005
_FIRST_PROBE, _PROBE_EVERY = 0.005, 0.05
_CEDE = 3  # times in a wait
_GAP, _GAP_WITH_PEERS, _GAP_MOST, _PEERS_FOR = 0.05, 0.35, 0.005, 10.0

Change = Callable[[bytes | None], bytes | None]


@dataclass(frozen=True, slots=True)
class Options:
    """How a mutation waits. All times in seconds.

    ``lock_timeout`` covers every wait; ``retry_delay`` is the longest pause between
    two looks at a held lease; ``stale_age`` is the peers' rule, used only where nothing
    can prove a death; ``durable`` syncs file and folder before success.
    """

    lock_timeout: float = 5.0
    retry_delay: float = 0.025
    stale_age: float = 60.0
    durable: bool = True

    def __post_init__(self) -> None:
        if not (self.lock_timeout >= 0 and self.retry_delay > 0 and math.isfinite(self.stale_age)):
            raise ValueError("lock_timeout must be >= 0, retry_delay > 0 and stale_age finite (seconds)")


@dataclass(slots=True)
class Report:
    """What the lock went through: ``waited`` in seconds; ``takeover`` is the proof, empty if there was none."""

    attempts: int = 0
    waited: float = 0.0
    contended: bool = False
    takeover: str = ""
    previous_holder: dict[str, object] | None = None
    changed: bool = False
    durable: bool = False
    degraded: list[str] = field(default_factory=list)

    def degrade(self, reason: str) -> None:
        if reason not in self.degraded:
            self.degraded.append(reason)


def transact(path: str, change: Change, options: Options | None = None) -> Report:
    """Replace ``state.json`` in the state folder ``path`` by ``change(its bytes or None)``.

    ``change`` returns None for "leave it": then nothing is written. It must be
    pure and may run more than once. Returns when the new content is there (and on
    the disk, with ``durable``). Raises as the manual above says.
    """
    mutation = _Mutation(path, change, options or Options())
    mutation.run()
    return mutation.report


class _Lost(Exception):  # noqa: N818 - caught one level up
    """A commit check failed."""


class _Mutation:
    """One call of :func:`transact`, attempt by attempt."""

    def __init__(self, path: str, change: Change, options: Options) -> None:
        self.folder = folder_at(path)
        self.change = change
        self.options = options
        self.report = Report()
        self.start = time.monotonic()
        self.deadline = self.start + options.lock_timeout
        self.snapshot: Snapshot | None = None
        self.acquired = False
        self.told = False

    # -- the frame -------------------------------------------------------------

    def run(self) -> None:
        try:
            while not self._in_this_process():
                self._tell("lock.lost")
                self._may_try_again()
                self.folder = folder_at(self.folder.path)  # which may have been removed, and made again
            self._sync()
        finally:
            self._tell_end()

    def _in_this_process(self) -> bool:
        """One attempt, with the folder to ourselves among the threads; False when exclusion was broken."""
        mutex = self.folder.mutex
        if _is_mine(mutex):
            raise NestedMutationError(f"A mutation of {self.folder.path} was started inside another one.")
        try:
            if not mutex.acquire(blocking=False):
                self.report.contended = True
                left = max(0.0, self.deadline - time.monotonic())
                if not mutex.acquire(timeout=min(left, threading.TIMEOUT_MAX)):
                    raise self._timed_out(None)
            reach("entered")
            self.report.attempts += 1
            self._attempt()
        except _Lost:
            return False
        finally:
            # Asking the mutex, not a flag: an interrupt may fall between taking it and noting that.
            if _is_mine(mutex):
                mutex.release()
            self._close_snapshot()
        return True

    def _may_try_again(self) -> None:
        if self.report.attempts < ATTEMPTS:
            return
        raise LeaseLostError(
            f"The lock of {self.folder.path} was taken away by another program on each of {ATTEMPTS} attempts.",
            remedy=("rawr-install", "state", "show"),
        )

    def _attempt(self) -> None:
        lease = Lease(self.folder.place)
        try:
            self._acquire(lease)
            reach("leased")
            data = self._changed(lease)
            if data is not None:
                self._commit(lease, data)
        except BaseException:
            self._release_quietly(lease)
            raise
        self._release(lease)
        reach("released")

    # -- acquiring -------------------------------------------------------------

    def _acquire(self, lease: Lease) -> None:
        try:
            lease.prepare()
            reach("prepared")
            watch = Watch(lease.place, self.options.stale_age)
            try:
                self._take_turn(watch)
                if not lease.publish():
                    self._wait(lease, watch)
            finally:
                self.folder.turnstile.leave()
                if watch.met:
                    shared.note(self.folder.path, watch.met)
        except FileNotFoundError:  # the folder was removed under us
            raise _Lost from None
        except OSError as error:
            raise failed(self.folder.path, error) from None
        self.acquired = True
        self.report.waited = time.monotonic() - self.start
        if not self.folder.place.links:
            self.report.degrade("no hard links: the lease is created, then written")

    def _take_turn(self, watch: Watch) -> None:
        """Pass the turnstile, or go on without it: then order is lost, nothing else."""
        if not watch.place.volume.local:
            self.report.degrade("not a local file system: no kernel locks are used")
            return
        try:
            if self._queue(watch):
                reach("turn")
            else:
                self.report.degrade("the head of the queue does not move")
        except Unavailable as reason:
            self.report.degrade(f"no turnstile: {reason}")

    def _queue(self, watch: Watch) -> bool:
        if self.folder.turnstile.enter_at_once():
            return True
        self.report.contended = True
        reach("queued")
        # The two seconds of watching that some proofs take must not begin when the queue has eaten three.
        return self.folder.turnstile.wait(self.start + QUEUE_SHARE * self.options.lock_timeout, watch.glance)

    def _wait(self, lease: Lease, watch: Watch) -> None:
        """Wait for the name to fall free, judging its holder now and then; raises LockTimeoutError."""
        path = lease.place.name
        begun = time.monotonic()
        self._meet(watch, path)
        reach("busy")
        probe_at = begun + _FIRST_PROBE
        standing, standing_since, ceded = _standing(path), begun, 0
        while True:
            now = time.monotonic()
            before, standing = standing, _standing(path)
            if standing != before:  # another holder: a short one again, as far as we know
                standing_since = now
            if standing is None and ceded < _CEDE:  # whoever mutates without a pause would take every gap
                self._leave_free(now - begun)
                ceded += 1
            # Elsewhere a cache may show for seconds a name that is gone.
            if (standing is None or not lease.place.volume.local) and lease.publish():
                return
            if now >= self.deadline:
                raise self._timed_out(watch)
            if now >= probe_at:
                self._probe(watch)
                probe_at = time.monotonic() + _PROBE_EVERY
            self._pause(now - standing_since)

    def _meet(self, watch: Watch, path: str) -> None:
        self.report.contended = True
        found = watch.look()
        if found is not None:
            found.close()
            self.report.previous_holder = found.describe()
            stand_back(path, found.age)

    def _probe(self, watch: Watch) -> None:
        proof = watch.probe()
        if proof:
            self.report.takeover = proof
            self._tell("lock.takeover", proof=proof)
        self._tell_contention()

    def _leave_free(self, waited: float) -> None:
        """Give pollers of the peers' kind, which sleep 25 ms at a time, a fair chance."""
        peers = time.monotonic() - self.folder.place.peers_seen < _PEERS_FOR
        gap = min(_GAP_MOST, waited * (_GAP_WITH_PEERS if peers else _GAP))
        if gap > _TICK:  # a shorter one has passed between two looks
            time.sleep(gap)

    def _pause(self, held: float) -> None:
        if held < _SPIN:
            return
        pause = _TICK if held < 0.01 else 0.001 if held < 0.1 else 0.004
        pause = pause if self.folder.place.volume.local else _TICK_ELSEWHERE
        time.sleep(max(0.0, min(pause, self.options.retry_delay, self.deadline - time.monotonic())))

    def _timed_out(self, watch: Watch | None) -> LockTimeoutError:
        """The error for a wait that was too long: for the lease that is watched, or, None, for another thread."""
        self.report.waited = time.monotonic() - self.start
        holder: dict[str, object] = {}
        found = watch.look() if watch else None
        if watch and found:
            holder = self.report.previous_holder = watch.describe(found, watch.judge(found))
            found.close()
        self._tell("lock.timeout")
        path, free = self.folder.place.name, "held by programs that came and went"
        said = (in_words(holder) if holder else free) if watch else "held by another thread of this process"
        verb = "show" if not watch or holder.get("pid") else "unlock"
        return LockTimeoutError(
            f"{path} was {said}, for the whole {self.options.lock_timeout:g} s.",
            remedy=("rawr-install", "state", verb, "--workspace", os.path.dirname(os.path.dirname(self.folder.path))),
            details={"path": path, "holder": holder, "waitedMs": round(self.report.waited * 1000)},
        )

    # -- committing ------------------------------------------------------------

    def _changed(self, lease: Lease) -> bytes | None:
        read = Snapshot if self.folder.place.volume.local else whole
        self.snapshot = read(self.folder.state_path)
        reach("read")
        data = self.change(self.snapshot.data)
        reach("mutated")
        if os.getpid() != lease.owner:
            raise StateError(
                "The change forked; its child has no lock and changes nothing.",
                code="FORKED_INSIDE_MUTATION",
                hint="leave the child with os._exit()",
            )
        return data

    def _commit(self, lease: Lease, data: bytes) -> None:
        assert self.snapshot is not None
        staged = ""
        try:
            staged = self.snapshot.stage(data, self.options.durable)
            reach("staged")
            self._check(lease, self.snapshot)
            reach("checked")
            self._replace(staged, self.snapshot)
            staged = ""
            reach("committed")
            self._confirm(lease)
            reach("confirmed")
        except FileNotFoundError:  # the folder, or the temporary file, was removed under us
            raise _Lost from None
        except OSError as error:
            raise failed(self.folder.path, error) from None
        finally:
            if staged:
                discard(staged)

    def _check(self, lease: Lease, snapshot: Snapshot) -> None:
        if not lease.is_published():
            raise _Lost
        if not snapshot.is_current():
            raise _Lost

    def _replace(self, staged: str, snapshot: Snapshot) -> None:
        os.replace(staged, snapshot.target)
        self.report.changed = True

    def _confirm(self, lease: Lease) -> None:
        try:
            if not lease.is_published():
                raise _Lost
        except OSError as error:  # past the rename: "nothing was changed" would be a lie
            raise self._not_durable("the lock could not be looked at afterwards", error) from None

    # -- releasing -------------------------------------------------------------

    def _release(self, lease: Lease) -> None:
        try:
            lease.withdraw()
        except FileNotFoundError:  # taken away between our look and its removal, or, on a network, long ago
            raise _Lost from None
        except OSError as error:
            if self.report.changed:
                raise self._not_durable("the lock could not be removed", error) from None
            raise failed(self.folder.path, error) from None
        except KeyboardInterrupt:
            lease.withdraw()
            raise
        finally:
            lease.close()

    def _release_quietly(self, lease: Lease) -> None:
        """After a failure: release what can be released, and let the failure be the one that is heard of."""
        try:
            lease.withdraw()
        except OSError:
            pass
        finally:
            lease.close()

    def _close_snapshot(self) -> None:
        snapshot, self.snapshot = self.snapshot, None
        if snapshot is not None:
            self.target = snapshot.target
            snapshot.close()

    def _sync(self) -> None:
        if not (self.report.changed and self.options.durable):
            return
        try:
            sync_folder(os.path.dirname(self.target))
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise self._not_durable("its folder could not be synced", error) from None
            self.report.degrade("folders cannot be synced here")
            return
        self.report.durable = True
        reach("synced")

    def _not_durable(self, what: str, error: OSError) -> NotDurableError:
        name = errno.errorcode.get(error.errno or 0, str(error))
        return NotDurableError(
            f"{self.folder.state_path} has its new content, but {what} ({name}).",
            hint="check the disk, then repeat the command",
            details={"path": self.folder.state_path, "errno": name},
        )

    # -- telling ---------------------------------------------------------------

    def _waited(self) -> float:
        """Seconds of waiting: until the lock was ours, or so far."""
        return self.report.waited if self.acquired else time.monotonic() - self.start

    def _tell_contention(self, short: bool = False) -> None:
        long = self._waited() >= TELL_EVERY
        if self.report.contended and not self.told and (long or (short and _gauge.admits())):
            self.told = True
            self._tell("lock.contended", untold=_gauge.take())

    def _tell_end(self) -> None:
        """Tell of the wait when the lock is free again: nobody queues behind an event."""
        if self.acquired:
            self._tell_contention(short=True)
            if self.told:
                self._tell("lock.released")

    def _tell(self, event: str, **more: object) -> None:
        from rawr_install.encoding import shown
        from rawr_install.events.log import emit

        emit(
            event,
            root=shown(os.path.dirname(os.path.dirname(self.folder.path))),
            holder=self.report.previous_holder or {},
            waitedMs=round(self._waited() * 1000),
            attempts=self.report.attempts,
            **more,
        )


class _Gauge:
    """Admits one short wait in :data:`TELL_EVERY` seconds to the log, and counts those in between.

    A busy workspace has thousands a second: an event for each would push everything else out of a bounded log.
    """

    def __init__(self) -> None:
        self._next = -math.inf
        self._untold = 0

    def admits(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            self._untold += 1
            return False
        self._next = now + TELL_EVERY
        return True

    def take(self) -> int:
        """How many contended locks of this process were not told since the last time."""
        untold, self._untold = self._untold, 0
        return untold


_gauge = _Gauge()


def _standing(path: str) -> tuple[int, int] | None:
    """Which lease stands there, as far as a glance tells; None when the name is free."""
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return None
    return info.st_ino, info.st_mtime_ns


def _is_mine(mutex: threading.RLock) -> bool:
    return bool(mutex._is_owned())  # type: ignore[attr-defined]
