"""``state.lock`` when it stands in the way: who holds it, and whether he is provably gone.

A pid, a boot id, a kernel lock and ``/proc`` speak of one kernel alone, and the
folder may be shared with others (a container, a VM, a network). What counts as proof:

* A lease of ours, of this kernel: its beacon is out, which the kernel does with
  its holder. Where there are no beacons: its process is dead, in our own pid namespace.
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

from rawr_install.state import processes
from rawr_install.state.filesystem import Volume
from rawr_install.state.forks import close_noted, open_noted
from rawr_install.state.lease import is_ours

GRACE = 2.0  # seconds that a doubtful lease must stay unchanged
_LIMIT = 4096
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


@dataclass(slots=True)
class Found:
    """What stands at ``state.lock``. ``fd`` pins the inode (-1 where it could not be opened)."""

    info: os.stat_result
    fd: int = -1
    raw: bytes = b""
    pid: int = 0  # 0: the record names none
    acquired_at: str = ""
    owner: dict[str, object] = field(default_factory=dict)

    @property
    def identity(self) -> tuple[int, int]:
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
        """The name of the machine that its holder is on, if that is another one, or another kernel by the same name."""
        here = not self.ours or _is_of_this_kernel(self) or _is_of_an_earlier_boot(self)
        return "" if here else str(self.owner.get("host") or "without a name")

    def describe(self) -> dict[str, object]:
        """The holder, for people and programs; ``host`` if it is not of this kernel."""
        if not self.pid:
            return {"pid": None, "kind": "unreadable" if self.regular else kind_of(self.info.st_mode)}
        kind = "python" if self.ours else "peer"
        described: dict[str, object] = {"pid": self.pid, "kind": kind, "acquiredAt": self.acquired_at}
        return {**described, "host": self.host} if self.host else described

    def close(self) -> None:
        if self.fd >= 0:
            close_noted(self.fd)
            self.fd = -1


def in_words(holder: Mapping[str, object]) -> str:
    """What is known of a holder as described, after "the lock is"."""
    pid, host, since = holder.get("pid"), holder.get("host"), f"since {holder.get('acquiredAt')}"
    if not pid:
        kind = holder.get("kind", "unreadable")
        return "unreadable" if kind == "unreadable" else f"unreadable (a {kind})"
    if holder.get("alive") is False:
        return f"left behind by process {pid}, which is gone"
    if host:
        where = "another host" if host != processes.host() else "another kernel by this host's name"
        return f"held on {where} ({host}) by process {pid} {since}, which cannot be judged from here"
    if holder.get("alive") is None:
        dead = processes.is_dead(int(str(pid)))
        return f"of process {pid}, which {'does not run here' if dead else 'cannot be judged from here'} ({since})"
    stopped = ", and it is stopped" if processes.state_of(int(str(pid))) in ("T", "t") else ""
    return f"held by process {pid} ({since}{stopped})"


def kind_of(mode: int) -> str:
    """What a mode says that a file is, as a noun."""
    kinds = {stat.S_IFDIR: "folder", stat.S_IFLNK: "symbolic link", stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket"}
    return kinds.get(stat.S_IFMT(mode), "file")


def look(path: str) -> Found | None:
    """Read the lease at ``path``; None when there is none. Never blocks, never follows a link; raises no OSError."""
    try:
        return _open(path)
    except OSError:
        pass
    try:
        return Found(os.lstat(path))
    except OSError:
        return None


def _open(path: str) -> Found:
    fd = open_noted(path, _READ)
    try:
        found = Found(os.fstat(fd), fd)
        if found.regular:
            found.raw = os.read(fd, _LIMIT + 1)
            _understand(found)
    except BaseException:
        close_noted(fd)
        raise
    return found


def _understand(found: Found) -> None:
    try:
        document = json.loads(found.raw.decode("utf-8")) if len(found.raw) <= _LIMIT else None
    except (ValueError, RecursionError):
        return
    if not isinstance(document, dict):
        return
    pid, owner = document.get("pid"), document.get("owner")
    # kill(2) gives 0 and negative numbers another meaning, and a bool is an int.
    if type(pid) is int and 0 < pid < 1 << 31:
        found.pid, found.acquired_at = pid, str(document.get("acquiredAt", ""))
        found.owner = owner if isinstance(owner, dict) else {}


def is_open(found: Found, volume: Volume) -> bool | None:
    """Whether a process of this kernel has the lease open for writing, as its maker has; None where nobody can tell.

    "Nobody has" counts on a local file system only: who opened the file behind a FUSE mount, or on another kernel, is
    not seen through it.
    """
    if found.fd < 0 or not found.regular:
        return None
    answer = processes.is_open_for_writing(found.fd) if volume.leases else None
    if answer is None and volume.local:
        answer = processes.anyone_has_open(found.info, found.fd, found.pid)
    return answer if answer or volume.local else None


def is_alight(found: Found) -> bool | None:
    """Whether the beacon burns; None when this lease has none that can be asked.

    Asking takes the lock of a dead holder; it is given back with ``found.close()``.
    """
    if found.owner.get("beacon") is not True or found.fd < 0:
        return None
    try:
        fcntl.flock(found.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


@dataclass(frozen=True, slots=True)
class Watched:
    """What one watcher has seen of a lease.

    ``is_open``: see :func:`is_open`. ``steady``: for how many seconds neither the lease nor that answer has changed.
    ``age``: the greatest age in seconds that it was seen to have: to touch a lease does not renew it.
    """

    is_open: bool | None = None
    steady: float = 0.0
    age: float = 0.0
    stale_age: float = 60.0

    @property
    def settled(self) -> bool:
        """Seen for long enough that a holder between two steps would have taken the next one."""
        return self.steady >= GRACE

    @property
    def old(self) -> bool:
        """So old that, in a second, the peers take it whatever else is known of it but a living pid."""
        return self.settled and self.age >= self.stale_age - 1


def lives(found: Found, watched: Watched, beacons: bool = True) -> bool:
    """Whether the holder is known to live: what is neither this nor proven gone cannot be judged from here."""
    if not found.ours:
        seen = found.pid and not processes.is_dead(found.pid) and not processes.began_after(found.pid, found.acquired)
        return bool(watched.is_open or seen)
    alight = is_alight(found) if beacons and _is_of_this_kernel(found) else None
    if alight is not None:
        return alight
    return _is_of_this_kernel(found) and _is_of_this_namespace(found) and not _judge_neighbour(found)


def judge(found: Found, watched: Watched, beacons: bool = True) -> str:
    """The proof that the holder is gone, as a phrase; empty while there is none.

    ``beacons``: whether kernel locks can be believed there.
    """
    if not found.regular or found.fd < 0:  # what we may not even read is another user's, who may be holding it
        return ""
    if found.ours:
        return _judge_ours(found, watched, beacons)
    if watched.is_open:
        return ""
    return _judge_peer(found, watched) if found.pid else _judge_unreadable(watched)


def _judge_ours(found: Found, watched: Watched, beacons: bool) -> str:
    if _is_of_this_kernel(found):
        alight = is_alight(found) if beacons else None
        if alight is not None:
            return "" if alight else "its beacon is out"
        if _is_of_this_namespace(found):
            return _judge_neighbour(found)
    elif _is_of_an_earlier_boot(found):
        return "left by an earlier boot of this machine"
    return "old, and its holder cannot be asked from here" if watched.old else ""


def _is_of_this_machine(found: Found) -> bool:
    return found.owner.get("host") == processes.host()


def _is_of_an_earlier_boot(found: Found) -> bool:
    return _is_of_this_machine(found) and found.acquired < processes.booted_at()


def _is_of_this_kernel(found: Found) -> bool:
    boot = processes.boot_id()
    return found.owner.get("boot") == boot and (bool(boot) or _is_of_this_machine(found))


def _is_of_this_namespace(found: Found) -> bool:
    return _is_of_this_machine(found) and found.owner.get("pidns") == processes.pid_namespace() != 0


def _judge_neighbour(found: Found) -> str:
    """By the pid of our own pid namespace: a process that is dead there is so for good."""
    if found.pid == os.getpid():  # an attempt given up, whose lease another taker's put-back gave its name again
        return "" if is_ours(found.owner.get("token")) else "left behind by this very process"
    if processes.is_dead(found.pid):
        return "its process is dead"
    began, then = processes.start_ticks(found.pid), found.owner.get("start")
    # Both: a clock that was set shifts the one, a time namespace the other.
    used_again = type(then) is int and 0 < then < began and processes.began_after(found.pid, found.acquired)
    return "its process id was used again" if used_again else ""


def _judge_peer(found: Found, watched: Watched) -> str:
    if not (watched.settled if watched.is_open is False else watched.old):
        return ""
    bearers = processes.bearers(found.pid)
    if all(processes.began_after(pid, found.acquired) for pid in bearers):
        if watched.is_open is None:
            return "stale: old, and its process is dead"
        return "its process id was used again" if bearers else "its process is dead"
    # A peer closes its file, then removes the name: only one that was stopped in between takes a minute for it.
    closed_for_good = watched.is_open is False and watched.old
    running = all(processes.state_of(pid) not in ("", "T", "t") for pid in bearers)
    return "old, and nobody has it open" if closed_for_good and running else ""


def _judge_unreadable(watched: Watched) -> str:
    if watched.is_open is False and watched.settled:
        return "unreadable, and nobody has it open"
    return "unreadable and old" if watched.old else ""
