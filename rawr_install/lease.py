"""``state.lock``: the lease that every program takes, ours and the peers'.

The name is the lock: whoever creates it holds it (``link(2)`` and ``O_EXCL``
admit one), whoever removes it frees it. A lease of ours appears complete, in
one step, and its inode stays locked (``flock``) by its living holder: this
*beacon* goes out with the process, whatever kills it, so that "is the holder
alive" is a question to the kernel and not to a process table, where ids are
used again, containers hide each other, and clocks step.

A lease may be taken away only on proof that its holder is gone
(:func:`judge`), and then only the very inode that was judged
(:func:`take_away`). Never by age alone.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import time
from dataclasses import dataclass, field
from functools import lru_cache

from rawr_install import processes
from rawr_install.durable import discard, write_all
from rawr_install.forks import close_noted, open_noted
from rawr_install.hooks import reach

try:
    import fcntl
except ImportError:  # Windows: a native lock there would keep the peers from reading the lease
    fcntl = None  # type: ignore[assignment]

OLD = 59.0  # seconds; the peers start to remove a lease at 60
SETTLE = 0.08  # seconds; longer than a peer takes from stat to unlink
GRACE = 2.0  # seconds that a doubtful lease must stay unchanged
_LIMIT = 4096
_WINDOWS = os.name == "nt"
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_MAKE = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_UNSUPPORTED = {errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EPERM, errno.EMLINK, errno.EISDIR, errno.EINVAL}
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}

Identity = tuple[int, int]


@dataclass(slots=True)
class Place:
    """Where a lease goes, and what the file system there can do (found out by trying, remembered)."""

    folder: str
    beacon: bool = True
    unnamed: bool = hasattr(os, "O_TMPFILE")
    links: bool = True
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = os.path.join(self.folder, "state.lock")
        self.beacon = self.beacon and fcntl is not None


def iso(moment: float) -> str:
    """A time as the wire writes it: ISO 8601, UTC, milliseconds, ``Z``."""
    seconds, rest = divmod(int(moment * 1000), 1000)
    return f"{_to_the_second(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=1)
def _to_the_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


class Lease:
    """One lease of ours: prepared under no name, then published, then withdrawn.

    The process that prepared it owns it; in a child of a fork it does nothing.
    """

    __slots__ = ("_serial", "_temporary", "fd", "identity", "owner", "place")

    def __init__(self, place: Place, serial: int) -> None:
        self.place = place
        self.owner = os.getpid()
        self.fd = -1
        self.identity: Identity = (0, 0)
        self._temporary = ""
        self._serial = serial

    def prepare(self) -> None:
        """Write the record and light the beacon, outside every lock; raises OSError."""
        if not self.place.links:
            return  # nothing can be prepared: the file appears under its final name
        self.fd = self._open_unnamed() if self.place.unnamed else self._open_named()
        self._fill()

    def _open_unnamed(self) -> int:
        try:
            return open_noted(self.place.folder, _MAKE | os.O_TMPFILE, 0o644)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            self.place.unnamed = False
            return self._open_named()

    def _open_named(self) -> int:
        self._temporary = f"{self.place.name}.{self.owner}.{self._serial}.tmp"
        return open_noted(self._temporary, _MAKE | os.O_CREAT | os.O_EXCL, 0o644)

    def _fill(self) -> None:
        self._light_beacon()
        write_all(self.fd, record(self.owner, self._serial, self.place.beacon))
        info = os.fstat(self.fd)
        self.identity = (info.st_dev, info.st_ino)

    def _light_beacon(self) -> None:
        if self.place.beacon:
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                self.place.beacon = False

    def publish(self) -> bool:
        """Take the name in one step; False when it is taken already. Raises OSError."""
        try:
            if not self.place.links:
                self._create()
            elif self._temporary:
                self._link_named()
            else:
                self._link_unnamed()
        except FileExistsError:
            return False
        return True

    def _link_unnamed(self) -> None:
        # src_dir_fd makes Python call linkat(AT_SYMLINK_FOLLOW); plain link(2) would link the /proc entry itself.
        try:
            os.link(f"/proc/self/fd/{self.fd}", self.place.name, src_dir_fd=self.fd, follow_symlinks=True)
        except FileExistsError:
            raise
        except OSError:  # no /proc, no links, the folder gone: a named file tells which
            self.place.unnamed = False
            self._close()
            self.prepare()
            self._link_named()

    def _link_named(self) -> None:
        try:
            os.link(self._temporary, self.place.name)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            self._drop_temporary()
            self._close()
            self.place.links = False
            self._create()

    def _create(self) -> None:
        """Without hard links: create, then write. A crash in between leaves an unreadable lease."""
        self.fd = open_noted(self.place.name, _MAKE | os.O_CREAT | os.O_EXCL, 0o644)
        self._fill()

    def renew(self) -> None:
        """Set the record's time to now, after a wait and before publishing."""
        if self.fd >= 0:
            os.pwrite(self.fd, record(self.owner, self._serial, self.place.beacon), 0)

    def is_published(self) -> bool:
        """Whether the name is ours: it leads to the very inode that we prepared, which our descriptor pins."""
        try:
            info = os.lstat(self.place.name)
        except FileNotFoundError:
            return False
        return (info.st_dev, info.st_ino) == self.identity and self.fd >= 0 and os.getpid() == self.owner

    def withdraw(self) -> None:
        """Free the name if it is ours; raises OSError. The beacon burns on until :meth:`close`."""
        if self.is_published():
            if _WINDOWS:
                self._close()  # an open file keeps its name there
            os.unlink(self.place.name)

    def close(self) -> None:
        """Put the beacon out."""
        if os.getpid() == self.owner:
            self._drop_temporary()
            self._close()

    def _close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            close_noted(fd)

    def _drop_temporary(self) -> None:
        name, self._temporary = self._temporary, ""
        if name:
            discard(name)


def record(pid: int, serial: int, beacon: bool) -> bytes:
    """The lease's content: the two keys of the wire, and who we are in terms that survive a reused pid."""
    start = f'{{"pid":{pid},"acquiredAt":"{iso(time.time())}","owner":{{"kind":"py","v":1,"token":"{pid}-{serial}",'
    return (start + _about_us(pid) + (',"beacon":true}}\n' if beacon else ',"beacon":false}}\n')).encode()


@lru_cache(maxsize=1)
def _about_us(pid: int) -> str:
    return f'"start":{processes.start_ticks(pid)},"boot":{json.dumps(processes.boot_id())},"host":{json.dumps(_host())}'


@lru_cache(maxsize=1)
def _host() -> str:
    return os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")


# -- looking at somebody else's ------------------------------------------------


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


def judge(found: Found, unchanged: float, beacons: bool = True, stale_age: float = 60.0) -> str:
    """The proof that the holder is gone, as a phrase; empty while there is none.

    ``unchanged`` is for how many seconds (monotonic) the lease has been seen
    as it is. Without ``beacons`` (no kernel locks here) only the peers' own rule is left:
    ``stale_age`` seconds old and the pid dead.
    """
    if not found.regular:
        return ""
    if not beacons:
        return _judge_by_the_peers_rule(found, unchanged, stale_age)
    if found.ours:
        return _judge_ours(found, unchanged)
    return _judge_peer(found, unchanged) if found.pid else _judge_unreadable(found, unchanged, stale_age)


def _judge_by_the_peers_rule(found: Found, unchanged: float, stale_age: float) -> str:
    elsewhere = found.owner.get("host", _host()) != _host()
    if unchanged < GRACE or found.age < stale_age or elsewhere:
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
    return "unreadable and old" if held is None and found.age >= stale_age else ""


def stand_back(path: str, age: float) -> bool:
    """Fence a lease that is old enough for the peers to remove; True when it was.

    Touched, it is young: no peer starts a removal. Those under way, which
    would remove whatever stands there next, get the time to finish.
    """
    if age < OLD:
        return False
    _touch(path)
    reach("hazard")
    time.sleep(SETTLE)
    return True


def _touch(path: str) -> None:
    try:
        os.utime(path, follow_symlinks=False)
    except (OSError, NotImplementedError):
        pass  # another user's lease: the time to settle must do


def take_away(path: str, found: Found) -> bool:
    """Remove the judged lease and no other; False when it had already gone. Raises OSError.

    Not ``unlink(path)``: between judgement and removal the name may have
    passed to a living holder. A rename shows what was caught, and a live one
    is put back.
    """
    reach("judged")
    _touch(path)
    reach("fenced")
    if not _names(path, found.identity):
        return False
    reach("matched")
    aside = f"{path}.stale.{os.getpid()}.{os.urandom(4).hex()}"
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        return False
    reach("aside")
    if _names(aside, found.identity):
        os.unlink(aside)
        reach("taken")
        return True
    put_back(aside, path)
    return False


def set_aside(path: str) -> None:
    """Move what is no regular file out of the way, keeping it; raises OSError."""
    os.rename(path, f"{path}.aside-{os.urandom(4).hex()}")


def put_back(aside: str, path: str) -> None:
    """Give a living holder its name again; if another took it meanwhile, the holder notices before it acknowledges."""
    try:
        os.link(aside, path, follow_symlinks=False)
    except OSError:
        pass
    discard(aside)


def _names(path: str, identity: Identity) -> bool:
    try:
        info = os.lstat(path)
    except OSError:
        return False
    return (info.st_dev, info.st_ino) == identity


_LITTER = re.compile(
    r"(?:state\.(?:json\.|lock\.|lock\.stale\.)?|\.state\.last-good\.json\.)(\d+)\.[0-9a-f.]+(?:\.tmp)?"
)


def sweep(folder: str) -> int:
    """Remove the temporary files of dead processes from the state folder; returns how many.

    Where processes of other namespaces cannot be seen, only after a minute.
    """
    swept = 0
    for name in os.listdir(folder):
        match = _LITTER.fullmatch(name)
        if match and processes.is_dead(int(match[1])) and _is_nobodys(os.path.join(folder, name), int(match[1])):
            discard(os.path.join(folder, name))
            swept += 1
    return swept


def _is_nobodys(path: str, pid: int) -> bool:
    if processes.sees_all_processes():
        return not processes.with_inner_pid(pid)
    try:
        return time.time() - os.lstat(path).st_mtime > OLD
    except OSError:
        return False
