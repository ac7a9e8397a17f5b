"""``state.lock`` when it stands in the way: who holds it, and whether he is provably gone.

Never by age alone. A lease of ours is judged by its beacon, which the kernel
puts out with its holder; a peer's by its process, and by whether that process
has the file open, as a holding peer has; an unreadable one by whether anybody has.
"""

from __future__ import annotations

import json
import os
import stat
import time
from dataclasses import dataclass, field

from rawr_install.state import processes
from rawr_install.state.forks import close_noted, open_noted

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

GRACE = 2.0  # seconds that a doubtful lease must stay unchanged
_LIMIT = 4096
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


@dataclass(slots=True)
class Found:
    """What stands at ``state.lock``.

    ``fd`` pins the inode (-1 where it could not be opened). ``aged`` is the
    greatest age that a watcher has seen it have: to touch a lease does not renew it.
    """

    info: os.stat_result
    fd: int = -1
    raw: bytes = b""
    pid: int = 0  # 0: the record names none
    aged: float = 0.0
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
        """Seconds since it was written or touched, by the wall clock; negative for a time to come."""
        return time.time() - self.info.st_mtime

    def describe(self) -> dict[str, object]:
        """The holder, for people and programs."""
        if not self.pid:
            return {"pid": None, "kind": "unreadable" if self.regular else kind_of(self.info.st_mode)}
        return {"pid": self.pid, "kind": "python" if self.ours else "peer", "acquiredAt": self.acquired_at}

    def close(self) -> None:
        if self.fd >= 0:
            close_noted(self.fd)
            self.fd = -1


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


def is_alight(found: Found) -> bool | None:
    """Whether the beacon burns: True, False, or None when this lease has none that can be trusted.

    Asking takes the lock of a dead holder; it is given back with ``found.close()``.
    """
    trusted = found.ours and found.owner.get("beacon") is True and found.owner.get("boot") == processes.boot_id()
    if not trusted or found.fd < 0 or fcntl is None:
        return None
    try:
        fcntl.flock(found.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


def judge(found: Found, unchanged: float, beacons: bool = True, stale_age: float = 60.0, in_turn: bool = True) -> str:
    """The proof that the holder is gone, as a phrase; empty while there is none.

    ``unchanged`` is for how many seconds (monotonic) the lease has been seen
    as it is. Without ``beacons`` (no kernel locks here), or where there is no turn to have,
    only the peers' own rule is left: ``stale_age`` seconds old and the pid dead.
    """
    if not found.regular:
        return ""
    if not (beacons and in_turn):
        alight = beacons and is_alight(found)
        return "" if alight else _judge_by_the_peers_rule(found, unchanged, stale_age)
    if found.ours:
        return _judge_ours(found, unchanged)
    return _judge_peer(found, unchanged) if found.pid else _judge_unreadable(found, unchanged, stale_age)


def _judge_by_the_peers_rule(found: Found, unchanged: float, stale_age: float) -> str:
    elsewhere = found.owner.get("host", processes.host()) != processes.host()
    if unchanged < GRACE or max(found.age, found.aged) < stale_age or elsewhere:
        return ""
    return "stale: old, and its process is dead" if not found.pid or processes.is_dead(found.pid) else ""


def _judge_ours(found: Found, unchanged: float) -> str:
    boot = processes.boot_id()
    if boot and found.owner.get("boot") not in (None, "", boot):
        return "left by an earlier boot of this machine"
    alight = is_alight(found)
    if alight is None:
        return _judge_peer(found, unchanged)
    return "" if alight else "its beacon is out"


def _judge_peer(found: Found, unchanged: float) -> str:
    dead, all_seen = processes.is_dead(found.pid), processes.sees_all_processes()
    if unchanged < GRACE and not (dead and all_seen):
        return ""
    if all_seen and _held_from_inside(found):
        return ""
    if dead:
        return "its process is dead"
    # A peer keeps its handle open while it holds; a living pid without it is another process.
    if processes.has_open(found.pid, found.identity, found.fd) is False:
        return "its process id was used again"
    return ""


def _held_from_inside(found: Found) -> bool:
    """Whether a process of a container, where it goes by the lease's pid, may hold the lease."""
    return any(processes.has_open(outer, found.identity) is not False for outer in processes.with_inner_pid(found.pid))


def _judge_unreadable(found: Found, unchanged: float, stale_age: float) -> str:
    if unchanged < GRACE:
        return ""
    held = processes.anyone_has_open(found.info, found.fd)
    if held is False:
        return "unreadable, and nobody has it open"
    # What we may not even read is another user's, who may be holding it.
    return "unreadable and old" if held is None and found.fd >= 0 and max(found.age, found.aged) >= stale_age else ""
