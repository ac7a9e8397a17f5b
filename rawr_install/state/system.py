"""What the kernel knows of processes and file systems: who lives, since when, has what open or locked; what is local.

Answers are True, False, or None for "cannot be known from here", which is never
a no: ``/proc`` shows a process only what it may see (``hidepid``, containers), and
macOS has none. Nothing here raises.

A kernel lock on a network file system may be kept by a server, by nobody, or
not reach the other machines; proof of life through it would be no proof. Through
FUSE nobody sees who has the file behind it open.
"""

from __future__ import annotations

import errno
import fcntl
import math
import os
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

MOUNTINFO = "/proc/self/mountinfo"
_LOCAL = {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "tmpfs", "ramfs", "overlay", "f2fs", "bcachefs", "jfs"}
_LOCAL |= {"reiserfs", "nilfs2", "vfat", "exfat", "ntfs3", "apfs", "hfs", "ecryptfs", "ubifs", "fuse.fuse-overlayfs"}
# There fcntl(2) refuses a read lease with EAGAIN wherever the server has delegated nothing, whoever has the file open.
_SERVED = {"nfs4", "cifs", "smb3"}

_INITIAL_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO, fixed since Linux 3.8
_KERNEL_THREAD = 0x00200000  # PF_KTHREAD in proc(5)'s flags
_PS = "/bin/ps"
_PS_SECONDS = 0.5
_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # macOS counts sleep in CLOCK_MONOTONIC


@lru_cache(maxsize=1)
def boot_id() -> str:
    """A name for this boot of this kernel; empty where the system has none."""
    return _read("/proc/sys/kernel/random/boot_id").strip()


@lru_cache(maxsize=1)
def this_host() -> str:
    """The name of this machine."""
    return os.uname().nodename


def pid_namespace() -> int:
    """The inode that names this process's pid namespace; 0 where there is none."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


def uptime() -> float:
    """Seconds since the machine started, sleep included."""
    return time.clock_gettime(_BOOTTIME)


def booted_at() -> float:
    """When the machine started, in seconds since the epoch, by the clock as it is set now."""
    return time.time() - uptime()


def start_ticks(pid: int) -> int:
    """When the process started, in clock ticks since boot; 0 where it cannot be known."""
    fields = _stat_fields(pid)
    return int(fields[19]) if len(fields) > 19 else 0


def began_after(pid: int, moment: float) -> bool:
    """Whether the process that has this pid cannot be the one that had it at ``moment`` (seconds since the epoch).

    It started later, is a kernel thread, or (where ps(1) has to tell) a zombie. False where that cannot be known.
    """
    if not os.path.isdir("/proc/self"):
        state, began = _ask_ps(pid, int(time.monotonic()))
        return state.startswith("Z") or began > moment
    fields = _stat_fields(pid)
    if len(fields) < 20:
        return False
    # Not the "btime" of /proc/stat: that has whole seconds.
    return bool(int(fields[6]) & _KERNEL_THREAD) or booted_at() + int(fields[19]) / os.sysconf("SC_CLK_TCK") > moment


@lru_cache(maxsize=1)
def _ask_ps(pid: int, _second: int) -> tuple[str, float]:
    """The state of the process and the second in which it started, since the epoch; asked once a second at most."""
    import subprocess
    from calendar import timegm

    command, in_english = [_PS, "-o", "state=,lstart=", "-p", str(pid)], {"LC_ALL": "C", "TZ": "UTC0"}
    try:
        done = subprocess.run(
            command,
            cwd="/",
            env=in_english,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PS_SECONDS,
        )
        state, *began = done.stdout.split()
        return state, timegm(time.strptime(" ".join(began), "%a %b %d %H:%M:%S %Y"))
    except (OSError, ValueError, subprocess.SubprocessError):
        return "", -math.inf


def is_dead(pid: int) -> bool:
    """Whether no process of this pid namespace has this pid; a zombie is dead."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    # A zombie leader whose threads live on is alive: they can still write.
    return state_of(pid) in ("Z", "X") and len(_listed(f"/proc/{pid}/task")) <= 1


def state_of(pid: int) -> str:
    """The letter of proc(5) for what the process is doing, ``T`` or ``t`` for stopped; empty where nothing is shown."""
    return "".join(_stat_fields(pid)[:1])


def bearers(pid: int) -> list[int]:
    """The living processes that go by ``pid``: here, or in a container that can be seen from here."""
    inside = (outer for outer in _all() if _field(outer, "NSpid:")[1:][-1:] == [str(pid)])
    return [outer for outer in (pid, *inside) if not is_dead(outer)]


def is_open_for_writing(fd: int) -> bool | None:
    """Whether a process of this kernel, of whatever pid namespace, has the file open for writing.

    ``fd`` must be open for reading only, or it finds itself. Asks for a read lease, which
    fcntl(2) refuses with EAGAIN while the file is open for writing, and gives it back at once.
    """
    if not hasattr(fcntl, "F_SETLEASE"):  # macOS
        return None
    from signal import SIGURG

    try:
        # Whoever opens the file before we have given the lease back makes the kernel send SIGIO, which kills; F_UNLCK
        # forgets the choice of another signal.
        fcntl.fcntl(fd, fcntl.F_SETSIG, SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:  # EACCES: another user's file; EINVAL: no leases here
        return True if error.errno == errno.EAGAIN else None
    return False


def lock_holder(info: os.stat_result) -> int | None:
    """The process that holds a flock on the file, by Linux's /proc/locks (proc(5)).

    None elsewhere, for one of another container, and for file systems that report another device there (btrfs).
    """
    file = f"{os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}:{info.st_ino}"
    held = (line.split() for line in _read("/proc/locks").splitlines())
    return next((int(words[4]) for words in held if words[1:2] == ["FLOCK"] and words[5:6] == [file]), 0) or None


def anyone_has_open(info: os.stat_result, except_fd: int = -1, first: int = 0) -> bool | None:
    """Whether any process has the file open, by ``/proc`` where it shows all of them; ``except_fd`` is ours.

    A process that may not be looked into leaves the answer open only if it runs as the file's owner: others did not
    create it. ``first`` is the likeliest: if it is not known to have it closed, nobody else is asked.
    """
    if not _sees_all():
        return None
    identity, unknown = (info.st_dev, info.st_ino), False
    for pid in (*([first] if first and not is_dead(first) else []), *_all()):
        answer = _has_open(pid, identity, except_fd)
        if answer or (answer is None and pid == first):
            return answer
        unknown = unknown or (answer is None and str(info.st_uid) in _field(pid, "Uid:"))
    return None if unknown else False


def _sees_all() -> bool:
    """Whether every process of the machine is in our ``/proc``: the initial pid namespace, nothing hidden."""
    try:
        return os.readlink("/proc/self/ns/pid") == _INITIAL_PID_NAMESPACE and os.path.exists("/proc/1/status")
    except OSError:
        return False


def _has_open(pid: int, identity: tuple[int, int], except_fd: int) -> bool | None:
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return False if is_dead(pid) else None  # ENOENT while it lives: hidepid, ProtectProc
    own = str(except_fd) if pid == os.getpid() else ""
    return any(_identity(f"/proc/{pid}/fd/{name}") == identity for name in names if name != own)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        info = os.stat(path)
    except OSError:
        return None
    return info.st_dev, info.st_ino


def _all() -> Iterator[int]:
    return (int(name) for name in _listed("/proc") if name.isdigit())


def _field(pid: int, name: str) -> list[str]:
    lines = (line for line in _read(f"/proc/{pid}/status").splitlines() if line.startswith(name))
    return next(lines, "").split()[1:]


def _stat_fields(pid: int) -> list[str]:
    """The fields of ``/proc/<pid>/stat`` from the state on (proc(5): the name before it may hold anything)."""
    return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def _listed(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


# -- file systems ------------------------------------------------------------------


class Filesystem(NamedTuple):
    """``local``: of this machine alone. ``leases``: the kernel refuses a read lease only while the file is open."""

    local: bool = True
    leases: bool = True


def filesystem_of(directory: str) -> Filesystem:
    """What the file system of the real path ``directory`` can be believed; local where the system does not tell."""
    try:
        with open(MOUNTINFO, encoding="utf-8", errors="surrogateescape") as file:
            name = filesystem_type(directory, file.read())
        # In a chroot no mount leads there: a block device is of this machine, what has none may be anybody's.
        local = name in _LOCAL or (not name and os.major(os.stat(directory).st_dev) != 0)
        return Filesystem(local, leases=name not in _SERVED)
    except OSError:
        return Filesystem()


def time_at(directory: str, filesystem: Filesystem) -> float:
    """The time in the directory, in seconds since the epoch, by the clock that stamps its files.

    On another machine that clock may go otherwise than ours: there it is the time stamp of a file made to ask for it.
    """
    if filesystem.local:
        return time.time()
    try:
        return _mtime_of_a_new_file(f"{directory}/state.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    except OSError:  # then nothing can be taken there, either
        return time.time()


def _mtime_of_a_new_file(name: str) -> float:
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        return os.fstat(fd).st_mtime
    finally:
        os.close(fd)
        os.unlink(name)


def filesystem_type(directory: str, mountinfo: str) -> str:
    """The file system type of the last mount on the way to ``directory`` (proc(5), mountinfo)."""
    best, name = -1, ""
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        point = _unescape(fields[4]) if len(fields) > 4 else ""
        # Later mounts on the same point cover earlier ones.
        if point and len(point) >= best and _is_under(directory, point):
            best, name = len(point), right.split(" ")[0]
    return name


def _is_under(path: str, point: str) -> bool:
    return path == point or path.startswith(point.rstrip(os.sep) + os.sep)


def _unescape(text: str) -> str:
    for code in ("\\040", "\\011", "\\012", "\\134"):
        text = text.replace(code, chr(int(code[1:], 8)))
    return text
