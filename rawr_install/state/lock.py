"""The two-layer lock around a workspace's state file. This docstring is its manual.

Promise
-------
:func:`transact` changes one file, ``state.json``, so that among any mix of our
processes and threads and of peer programs no acknowledged change is lost, no
reader sees a torn file, and a crash at any instant leaves the old content or
the new. A dead holder of ours blocks nobody for longer than a moment, a dead
peer for three seconds; one that lives on this kernel is never evicted,
whatever its age. Of a holder on another kernel nothing but time tells
anything (module ``holder`` has the rules). No wait is longer than the timeout.

The files in ``.rawr/state``
----------------------------
``state.json``             the content
``state.lock``             the lease; there while a process holds it (modules ``lease``, ``holder``, ``takeover``)
``state.guard``            the fair lock, empty and permanent; ours alone (module ``guard``)
``state.last-good.json``   a recent content, for ``rawr-install state recover`` (module ``store``)
``state.shared``           which other kernel was met at the lease (module ``status``)
``.state.json.<pid>.*.tmp``, ``state.lock.<pid>.*``   on their way; swept when their process is dead

What a peer may do
------------------
Create ``state.lock`` exclusively, poll for it, unlink it when done, unlink it
when it is 60 s old and its pid is dead; replace ``state.json`` by rename while
it holds. Its clean-up is not atomic and may remove a successor's lease: hence
the two checks of a commit.

Calling sequence (each step is a failpoint, see ``failpoints``)
---------------------------------------------------------------
1. *prepare*, outside every lock: write the lease under no name, take its liveness lock.
2. *queue* with our own kind, with an eye on the lease. After 60 % of the
   timeout go on without: the head of the queue may be stopped.
3. *lease*: link it to its name. When that is taken, the one who has the turn
   polls, and takes an abandoned lease away; an old lease is touched first and
   given time to settle, so that no peer's clean-up hits the successor. Who takes
   it away locks that lease, so that there is only one.
   A name that falls free after a wait is left free for a moment for the peers' sake.
4. leave the queue: the next in line wakes up while we work.
5. *read* ``state.json``, keep it open; *mutate*; *stage*: temporary file, fsync.
6. *check*: the lease is still ours, and ``state.json`` still the file that was read.
7. *rename*.
8. *check* again: if the name still leads to our inode, it did so since step 3,
   nobody acquired in between, and the change was atomic.
9. *release*: unlink the lease, if it is ours; free its liveness lock.
10. *sync* the directory, then acknowledge.

A failed check means that a peer broke exclusion: nothing was acknowledged, and
everything is done again on the new content. So the change must be a pure
function, and may run more than once.

Degraded modes (said in the diagnostics)
----------------------------------------
Safety comes from the lease alone. Without a usable fair lock (a network file
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
One thread of a process at a time per directory. A child of a fork inherits no
lock and cannot release its parent's; a child forked inside the change gets an error.
"""

from __future__ import annotations

import math
import os
import threading
import time
from dataclasses import dataclass

from rawr_install.errors import LeaseLostError, LockTimeoutError, NestedMutationError
from rawr_install.state.commit import Commit, LeaseLost, Update
from rawr_install.state.diagnostics import Diagnostics
from rawr_install.state.directory import failed
from rawr_install.state.failpoints import failpoint
from rawr_install.state.guard import Unavailable, guard_of
from rawr_install.state.holder import GRACE_PERIOD, in_words
from rawr_install.state.lease import Lease
from rawr_install.state.takeover import Watch, fence

ATTEMPTS = 5
QUEUE_SHARE = 0.6  # of the timeout, before going on out of order
_SPIN, _TICK, _TICK_ELSEWHERE = 0.0001, 0.00006, 0.005
_FIRST_PROBE, _PROBE_EVERY = 0.005, 0.05
_CEDE = 3  # times in a wait
_GAP, _GAP_WITH_PEERS, _GAP_MOST, _PEERS_FOR = 0.05, 0.35, 0.005, 10.0


@dataclass(frozen=True, slots=True)
class Options:
    """How a mutation waits. All times in seconds.

    ``lock_timeout`` covers every wait; ``retry_delay`` is the longest pause between
    two looks at a held lease; ``stale_age`` is the peers' rule, used only where nothing
    can prove a death; ``durable`` syncs file and directory before success; ``grace_period`` is how long a lease must
    stay unchanged where a proof takes that: shorter is for tests, where no holder is slow.
    """

    lock_timeout: float = 5.0
    retry_delay: float = 0.025
    stale_age: float = 60.0
    durable: bool = True
    grace_period: float = GRACE_PERIOD

    def __post_init__(self) -> None:
        if not (self.lock_timeout >= 0 and self.retry_delay > 0 and math.isfinite(self.stale_age)):
            raise ValueError("lock_timeout must be >= 0, retry_delay > 0 and stale_age finite (seconds)")


def transact(path: str, update: Update, options: Options | None = None) -> Diagnostics:
    """Replace ``state.json`` in the state directory ``path`` by ``update(its bytes or None)``.

    ``update`` returns None for "leave it": then nothing is written. It must be
    pure and may run more than once. Returns when the new content is there (and on
    the disk, with ``durable``). Raises as the manual above says.
    """
    transaction = _Transaction(path, update, options or Options())
    transaction.run()
    return transaction.diagnostics


class _Transaction:
    """One call of :func:`transact`, attempt by attempt."""

    def __init__(self, path: str, update: Update, options: Options) -> None:
        self.guard = guard_of(path)
        self.directory = self.guard.directory
        self.update = update
        self.options = options
        self.diagnostics = Diagnostics(path)
        self.deadline = self.diagnostics.start + options.lock_timeout

    def run(self) -> None:
        try:
            while not (commit := self._in_this_process()):
                self.diagnostics.emit("lock.lost")
                if self.diagnostics.attempts >= ATTEMPTS:
                    raise LeaseLostError(
                        f"The lock of {self.directory.path} was taken away by another program on each of {ATTEMPTS} "
                        "attempts.",
                        remedy=("rawr-install", "state", "show"),
                    )
                self.guard = guard_of(self.directory.path)  # which may have been removed, and made again
                self.directory = self.guard.directory
            commit.sync()
        finally:
            self.diagnostics.emit_end()

    def _in_this_process(self) -> Commit | None:
        """One attempt, with the directory to ourselves among the threads; None when exclusion was broken."""
        mutex = self.guard.mutex
        if _is_owned_by_me(mutex):
            raise NestedMutationError(f"A mutation of {self.directory.path} was started inside another one.")
        commit = Commit(self.directory, self.update, self.options.durable, self.diagnostics)
        try:
            if not mutex.acquire(blocking=False):
                self.diagnostics.contended = True
                left = max(0.0, self.deadline - time.monotonic())
                if not mutex.acquire(timeout=min(left, threading.TIMEOUT_MAX)):
                    raise self._timed_out(None)
            failpoint("entered")
            self.diagnostics.attempts += 1
            self._attempt(commit)
        except LeaseLost:
            return None
        finally:
            # Asking the mutex, not a flag: an interrupt may fall between taking it and noting that.
            if _is_owned_by_me(mutex):
                mutex.release()
            commit.close()
        return commit

    def _attempt(self, commit: Commit) -> None:
        lease = Lease(self.directory)
        try:
            self._acquire(lease)
            failpoint("leased")
            commit.run(lease)
        except BaseException:
            _release_quietly(lease)
            raise
        self._release(lease, commit)
        failpoint("released")

    def _acquire(self, lease: Lease) -> None:
        try:
            lease.prepare()
            failpoint("prepared")
            watch = Watch(self.directory, self.options.stale_age, self.options.grace_period)
            try:
                self._take_turn(watch)
                if not lease.publish():
                    self._wait(lease, watch)
            finally:
                self.guard.leave()
                if watch.foreign_host:
                    from rawr_install.state.status import note_shared

                    note_shared(self.directory.path, watch.foreign_host)
        except FileNotFoundError:  # the directory was removed under us
            raise LeaseLost from None
        except OSError as error:
            raise failed(self.directory.path, error) from None
        self.diagnostics.acquired()
        if not self.directory.links:
            self.diagnostics.degrade("no hard links: the lease is created, then written")

    def _take_turn(self, watch: Watch) -> None:
        """Wait for our turn, or go on without it: then order is lost, nothing else."""
        if not self.directory.filesystem.local:
            self.diagnostics.degrade("not a local file system: no kernel locks are used")
            return
        try:
            if self._queue(watch):
                failpoint("turn")
            else:
                self.diagnostics.degrade("the head of the queue does not move")
        except Unavailable as reason:
            self.diagnostics.degrade(f"no fair lock: {reason}")

    def _queue(self, watch: Watch) -> bool:
        if self.guard.enter_at_once():
            return True
        self.diagnostics.contended = True
        failpoint("queued")
        # The two seconds of watching that some proofs take must not begin when the queue has eaten three.
        return self.guard.wait(self.diagnostics.start + QUEUE_SHARE * self.options.lock_timeout, watch.observe)

    def _wait(self, lease: Lease, watch: Watch) -> None:
        """Wait for the name to fall free, probing its holder now and then; raises LockTimeoutError."""
        begun = time.monotonic()
        self._inspect_holder(watch)
        failpoint("busy")
        path, probe_at = self.directory.lock_path, begun + _FIRST_PROBE
        current, current_since, ceded = _version(path), begun, 0
        while True:
            now = time.monotonic()
            before, current = current, _version(path)
            if current != before:  # another holder: a short one again, as far as we know
                current_since = now
            if current is None and ceded < _CEDE:  # whoever mutates without a pause would take every gap
                self._leave_free(now - begun)
                ceded += 1
            # Elsewhere a cache may show for seconds a name that is gone.
            if (current is None or not self.directory.filesystem.local) and lease.publish():
                return
            if now >= self.deadline:
                raise self._timed_out(watch)
            if now >= probe_at:
                self._probe(watch)
                probe_at = time.monotonic() + _PROBE_EVERY
            self._backoff(now - current_since)

    def _inspect_holder(self, watch: Watch) -> None:
        self.diagnostics.contended = True
        holder = watch.read()
        if holder is not None:
            holder.close()
            self.diagnostics.previous_holder = holder.describe()
            fence(self.directory.lock_path, holder.age)

    def _probe(self, watch: Watch) -> None:
        proof = watch.probe()
        if proof:
            self.diagnostics.takeover = proof
            self.diagnostics.emit("lock.takeover", proof=proof)
        self.diagnostics.emit_contention()

    def _leave_free(self, waited: float) -> None:
        """Give pollers of the peers' kind, which sleep 25 ms at a time, a fair chance."""
        peers = time.monotonic() - self.directory.peers_seen < _PEERS_FOR
        gap = min(_GAP_MOST, waited * (_GAP_WITH_PEERS if peers else _GAP))
        if gap > _TICK:  # a shorter one has passed between two looks
            time.sleep(gap)

    def _backoff(self, held: float) -> None:
        if held < _SPIN:
            return
        pause = _TICK if held < 0.01 else 0.001 if held < 0.1 else 0.004
        pause = pause if self.directory.filesystem.local else _TICK_ELSEWHERE
        time.sleep(max(0.0, min(pause, self.options.retry_delay, self.deadline - time.monotonic())))

    def _timed_out(self, watch: Watch | None) -> LockTimeoutError:
        """The error for a wait that was too long: for the lease that is watched, or, None, for another thread."""
        described: dict[str, object] = {}
        holder = watch.read() if watch else None
        if watch and holder:
            described = self.diagnostics.previous_holder = watch.describe(holder, watch.stale_reason(holder))
            holder.close()
        self.diagnostics.emit("lock.timeout")
        path, free = self.directory.lock_path, "held by programs that came and went"
        said = (in_words(described) if described else free) if watch else "held by another thread of this process"
        verb = "show" if not watch or described.get("pid") else "unlock"
        root = os.path.dirname(os.path.dirname(self.directory.path))
        return LockTimeoutError(
            f"{path} was {said}, for the whole {self.options.lock_timeout:g} s.",
            remedy=("rawr-install", "state", verb, "--workspace", root),
            details={"path": path, "holder": described, "waitedMs": round(self.diagnostics.waited * 1000)},
        )

    def _release(self, lease: Lease, commit: Commit) -> None:
        try:
            lease.withdraw()
        except FileNotFoundError:  # taken away between the check and its removal, or, on a network, long ago
            raise LeaseLost from None
        except OSError as error:
            if self.diagnostics.changed:
                raise commit.not_durable("the lock could not be removed", error) from None
            raise failed(self.directory.path, error) from None
        except KeyboardInterrupt:
            lease.withdraw()
            raise
        finally:
            lease.close()


def _release_quietly(lease: Lease) -> None:
    """After a failure: release what can be released, and let the failure be the one that is heard of."""
    try:
        lease.withdraw()
    except OSError:
        pass
    finally:
        lease.close()


def _version(path: str) -> tuple[int, int] | None:
    """Which lease stands there, as far as a glance tells; None when the name is free."""
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return None
    return info.st_ino, info.st_mtime_ns


def _is_owned_by_me(mutex: threading.RLock) -> bool:
    return bool(mutex._is_owned())  # type: ignore[attr-defined]
