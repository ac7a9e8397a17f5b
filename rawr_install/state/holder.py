"""``state.lock`` when it stands in the way: who holds it, and whether that process is provably gone.

A pid, a boot id, a kernel lock and ``/proc`` speak of one kernel alone, and the
directory may be shared with others (a container, a VM, a network). What counts as proof:

* A lease of ours, of this kernel: its liveness lock is free, which the kernel sees
  to. Where there is none: its process is dead, in our own pid namespace.
* A lease of ours, of an earlier boot: this machine's name, and a time before this boot.
* A peer's: its pid is dead here or was used again, *and* nobody on this kernel has
  it open for writing, *and* both stayed so for two seconds: the pid may be one of
  another namespace, and a peer closes its file just before it removes the name.
* An unreadable one: nobody has had it open for two seconds.
* What cannot be known is never "gone". Then only age is left, as for the peers,
  and never while a process that may be the holder lives.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from rawr_install.state.directory import Identity, close_noted, open_noted
from rawr_install.state.lease import is_ours
from rawr_install.state.system import (
    Filesystem,
    anyone_has_open,
    bearers,
    began_after,
    boot_id,
    booted_at,
    is_dead,
    is_open_for_writing,
    lock_holder,
    pid_namespace,
    start_ticks,
    state_of,
    this_host,
)

GRACE_PERIOD = 2.0  # seconds that a doubtful lease must stay unchanged
_LIMIT = 4096
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


@dataclass(slots=True)
class Holder:
    """What stands at ``state.lock``. ``fd`` pins the inode (-1 where it could not be opened)."""

    info: os.stat_result
    fd: int = -1
    raw: bytes = b""
    pid: int = 0  # 0: the record names none
    acquired_at: str = ""
    owner: dict[str, object] = field(default_factory=dict)

    @property
    def identity(self) -> Identity:
        return self.info.st_dev, self.info.st_ino

    @property
    def regular(self) -> bool:
        return stat.S_ISREG(self.info.st_mode)

    @property
    def ours(self) -> bool:
        """Whether a Python program wrote it (a claim, not a proof)."""
        return self.owner.get("kind") == "py"

    @property
    def age(self) -> float:
        """Seconds since it was written or touched, by this machine's clock; negative for a time to come."""
        return time.time() - self.info.st_mtime

    @property
    def acquired(self) -> float:
        """When it was acquired, by its own record, in seconds since the epoch; infinite where that says no time."""
        from datetime import datetime

        try:
            moment = datetime.fromisoformat(self.acquired_at)
        except ValueError:
            return math.inf
        return moment.timestamp() if moment.tzinfo else math.inf

    @property
    def host(self) -> str:
        """The name of the machine that it is on, if that is another one, or another kernel by the same name."""
        here = not self.ours or _is_of_this_kernel(self) or _is_of_an_earlier_boot(self)
        return "" if here else str(self.owner.get("host") or "without a name")

    def describe(self) -> dict[str, object]:
        """What the record says, for people and programs; ``host`` is there if it is not of this kernel."""
        if not self.pid:
            return {"pid": None, "kind": "unreadable" if self.regular else kind_of(self.info.st_mode)}
        kind = "python" if self.ours else "peer"
        said: dict[str, object] = {"pid": self.pid, "kind": kind, "acquiredAt": self.acquired_at}
        return {**said, "host": self.host} if self.host else said

    def close(self) -> None:
        if self.fd >= 0:
            close_noted(self.fd)
            self.fd = -1


def describe(holder: Holder, seen: Observation, stale: str = "") -> dict[str, object]:
    """The holder and what is known of it; ``stale`` is the proof that it is gone.

    ``alive`` is None where that cannot be judged from here. ``lockedBy`` is there if another process keeps the lease
    of a dead one alive (None: the system does not say which).
    """
    alive = False if stale else True if is_known_alive(holder, seen) else None
    said = {**holder.describe(), "alive": alive}
    if alive and holder.ours and _is_of_this_namespace(holder) and is_dead(holder.pid):
        said["lockedBy"] = lock_holder(holder.info)
    return said


def in_words(holder: Mapping[str, object]) -> str:
    """What is known of a holder as described, after "the lock is"."""
    pid, host, since = holder.get("pid"), holder.get("host"), f"since {holder.get('acquiredAt')}"
    if not pid:
        kind = holder.get("kind", "unreadable")
        return "unreadable" if kind == "unreadable" else f"unreadable (a {kind})"
    if holder.get("alive") is False:
        return f"left behind by process {pid}, which is gone"
    if "lockedBy" in holder:
        by = f"process {holder['lockedBy']}" if holder["lockedBy"] else "another process"
        return f"left behind by process {pid}, which is gone, but {by} holds a kernel lock on it"
    if host:
        where = "another host" if host != this_host() else "another kernel by this host's name"
        return f"held on {where} ({host}) by process {pid} {since}, which cannot be judged from here"
    if holder.get("alive") is None:
        dead = is_dead(int(str(pid)))
        return f"of process {pid}, which {'does not run here' if dead else 'cannot be judged from here'} ({since})"
    stopped = ", and it is stopped" if state_of(int(str(pid))) in ("T", "t") else ""
    return f"held by process {pid} ({since}{stopped})"


def kind_of(mode: int) -> str:
    """What a mode says that a file is, as a noun."""
    kinds = {stat.S_IFDIR: "folder", stat.S_IFLNK: "symbolic link", stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket"}
    return kinds.get(stat.S_IFMT(mode), "file")


def read_lease(path: str) -> Holder | None:
    """The lease at ``path``; None when there is none. Never blocks, never follows a link; raises no OSError."""
    try:
        return _open(path)
    except OSError:
        pass
    try:
        return Holder(os.lstat(path))
    except OSError:
        return None


def _open(path: str) -> Holder:
    fd = open_noted(path, _READ)
    try:
        holder = Holder(os.fstat(fd), fd)
        if holder.regular:
            holder.raw = os.read(fd, _LIMIT + 1)
            _parse(holder)
    except BaseException:
        close_noted(fd)
        raise
    return holder


def _parse(holder: Holder) -> None:
    try:
        document = json.loads(holder.raw.decode("utf-8")) if len(holder.raw) <= _LIMIT else None
    except (ValueError, RecursionError):
        return
    if not isinstance(document, dict):
        return
    pid, owner = document.get("pid"), document.get("owner")
    # kill(2) gives 0 and negative numbers another meaning, and a bool is an int.
    if type(pid) is int and 0 < pid < 1 << 31:
        holder.pid, holder.acquired_at = pid, str(document.get("acquiredAt", ""))
        holder.owner = owner if isinstance(owner, dict) else {}


# -- what is seen of it ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Observation:
    """What one watcher has seen of a lease.

    ``is_open``: see :func:`is_open`. ``steady``: for how many seconds neither the lease nor that answer has changed.
    ``age``: the greatest age in seconds that it was seen to have: to touch a lease does not renew it.
    ``liveness``: whether kernel locks can be believed there.
    """

    is_open: bool | None = None
    steady: float = 0.0
    age: float = 0.0
    stale_age: float = 60.0
    grace_period: float = GRACE_PERIOD
    liveness: bool = True

    @property
    def settled(self) -> bool:
        """Seen for long enough that a holder between two steps would have taken the next one."""
        return self.steady >= self.grace_period

    @property
    def old(self) -> bool:
        """So old that, in a second, the peers take it whatever else is known of it but a living pid."""
        return self.settled and self.age >= self.stale_age - 1


def is_open(holder: Holder, filesystem: Filesystem) -> bool | None:
    """Whether a process of this kernel has the lease open for writing, as its maker has; None where nobody can tell.

    "Nobody has" counts on a local file system only: who opened the file behind a FUSE mount, or on another kernel, is
    not seen through it.
    """
    if holder.fd < 0 or not holder.regular:
        return None
    answer = is_open_for_writing(holder.fd) if filesystem.leases else None
    if answer is None and filesystem.local:
        answer = anyone_has_open(holder.info, holder.fd, holder.pid)
    return answer if answer or filesystem.local else None


def is_alive(holder: Holder, liveness: bool = True) -> bool | None:
    """Whether its liveness lock is held; None when this lease has none that can be asked from here.

    Asking takes the lock of a dead holder; it is given back with ``holder.close()``.
    """
    if not (liveness and holder.owner.get("beacon") is True and holder.fd >= 0 and _is_of_this_kernel(holder)):
        return None
    try:
        fcntl.flock(holder.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


def is_known_alive(holder: Holder, seen: Observation) -> bool:
    """Whether the holder is known to live: what is neither this nor proven gone cannot be judged from here."""
    if not holder.ours:
        runs = holder.pid and not is_dead(holder.pid) and not began_after(holder.pid, holder.acquired)
        return bool(seen.is_open or runs)
    alive = is_alive(holder, seen.liveness)
    if alive is None:
        return _is_of_this_kernel(holder) and _is_of_this_namespace(holder) and not _neighbour_is_gone(holder)
    return alive


# -- proof that it is gone -----------------------------------------------------------


def stale_reason(holder: Holder, seen: Observation) -> str:
    """The proof that the holder is gone, as a phrase; empty while there is none."""
    if not holder.regular or holder.fd < 0:  # what we may not even read is another user's, who may be holding it
        return ""
    if holder.ours:
        return _ours_is_gone(holder, seen)
    if seen.is_open:
        return ""
    return _peer_is_gone(holder, seen) if holder.pid else _unreadable_is_gone(seen)


def _ours_is_gone(holder: Holder, seen: Observation) -> str:
    if _is_of_this_kernel(holder):
        alive = is_alive(holder, seen.liveness)
        if alive is not None:
            return "" if alive else "its liveness lock is free"
        if _is_of_this_namespace(holder):
            return _neighbour_is_gone(holder)
    elif _is_of_an_earlier_boot(holder):
        return "left by an earlier boot of this machine"
    return "old, and its holder cannot be asked from here" if seen.old else ""


def _is_of_this_machine(holder: Holder) -> bool:
    return holder.owner.get("host") == this_host()


def _is_of_an_earlier_boot(holder: Holder) -> bool:
    return _is_of_this_machine(holder) and holder.acquired < booted_at()


def _is_of_this_kernel(holder: Holder) -> bool:
    boot = boot_id()
    return holder.owner.get("boot") == boot and (bool(boot) or _is_of_this_machine(holder))


def _is_of_this_namespace(holder: Holder) -> bool:
    return _is_of_this_machine(holder) and holder.owner.get("pidns") == pid_namespace() != 0


def _neighbour_is_gone(holder: Holder) -> str:
    """By the pid of our own pid namespace: a process that is dead there is so for good."""
    if holder.pid == os.getpid():  # an attempt given up, whose lease another process has restored
        return "" if is_ours(holder.owner.get("token")) else "left behind by this very process"
    if is_dead(holder.pid):
        return "its process is dead"
    began, then = start_ticks(holder.pid), holder.owner.get("start")
    # Both: a clock that was set shifts the one, a time namespace the other.
    used_again = type(then) is int and 0 < then < began and began_after(holder.pid, holder.acquired)
    return "its process id was used again" if used_again else ""


def _peer_is_gone(holder: Holder, seen: Observation) -> str:
    if not (seen.settled if seen.is_open is False else seen.old):
        return ""
    living = bearers(holder.pid)
    if all(began_after(pid, holder.acquired) for pid in living):
        if seen.is_open is None:
            return "stale: old, and its process is dead"
        return "its process id was used again" if living else "its process is dead"
    # A peer closes its file, then removes the name: only one that was stopped in between takes a minute for it.
    closed_for_good = seen.is_open is False and seen.old
    running = all(state_of(pid) not in ("", "T", "t") for pid in living)
    return "old, and nobody has it open" if closed_for_good and running else ""


def _unreadable_is_gone(seen: Observation) -> str:
    if seen.is_open is False and seen.settled:
        return "unreadable, and nobody has it open"
    return "unreadable and old" if seen.old else ""
