"""What the process table knows: is a process alive, does anyone hold a file open.

Answers are True, False, or None for "cannot be known from here"; nothing here
raises. Where there is no ``/proc`` only life and death are known.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache

_INITIAL_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO, fixed since Linux 3.8


@lru_cache(maxsize=1)
def boot_id() -> str:
    """A name for this boot of this kernel; empty where the system has none."""
    return _read("/proc/sys/kernel/random/boot_id").strip()


@lru_cache(maxsize=1)
def host() -> str:
    """The name of this machine."""
    return os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")


def start_ticks(pid: int) -> int:
    """When the process started, in clock ticks since boot; 0 where it cannot be known."""
    fields = _stat_fields(pid)
    return int(fields[19]) if len(fields) > 19 else 0


def is_dead(pid: int) -> bool:
    """Whether no process of this pid namespace has this pid; a zombie is dead."""
    if os.name == "nt":
        return _is_dead_windows(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    # A zombie leader whose threads live on is alive: they can still write.
    return _stat_fields(pid)[:1] in (["Z"], ["X"]) and len(_listed(f"/proc/{pid}/task")) <= 1


def _is_dead_windows(pid: int) -> bool:
    # os.kill(pid, 0) would send Ctrl+C there. OpenProcess fails with ERROR_INVALID_PARAMETER for an unknown id.
    import ctypes

    kernel = getattr(ctypes, "WinDLL")("kernel32", use_last_error=True)  # noqa: B009 - mypy runs on Linux
    handle = kernel.OpenProcess(0x100000, False, pid)  # SYNCHRONIZE
    if not handle:
        return bool(getattr(ctypes, "get_last_error")() == 87)  # noqa: B009
    ended = kernel.WaitForSingleObject(handle, 0) == 0
    kernel.CloseHandle(handle)
    return bool(ended)


def is_stopped(pid: int) -> bool:
    """Whether the process is suspended (SIGSTOP, a debugger)."""
    return _stat_fields(pid)[:1] in (["T"], ["t"])


def sees_all_processes() -> bool:
    """Whether every process of the machine is in our ``/proc``: the initial pid namespace, nothing hidden."""
    try:
        return os.readlink("/proc/self/ns/pid") == _INITIAL_PID_NAMESPACE and os.path.exists("/proc/1/status")
    except OSError:
        return False


def with_inner_pid(pid: int) -> list[int]:
    """The processes of nested pid namespaces that know themselves as ``pid``."""
    return [outer for outer in _all() if _inner(outer)[1:][-1:] == [str(pid)]]


def has_open(pid: int, identity: tuple[int, int], except_fd: int = -1) -> bool | None:
    """Whether the process has the file ``(st_dev, st_ino)`` open; ``except_fd`` is our own look at it."""
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except (FileNotFoundError, ProcessLookupError):
        return False if os.path.isdir("/proc/self/fd") else None
    except OSError:
        return None
    mine = str(except_fd) if pid == os.getpid() else ""
    return any(_identity(f"/proc/{pid}/fd/{name}") == identity for name in names if name != mine)


def anyone_has_open(info: os.stat_result, except_fd: int = -1) -> bool | None:
    """Whether any process has the file open.

    A process that may not be looked into leaves the answer open only if it
    runs as the file's owner: others did not create it.
    """
    if not sees_all_processes() and not os.path.isdir("/proc/self/fd"):
        return None
    identity, unknown = (info.st_dev, info.st_ino), False
    for pid in _all():
        answer = has_open(pid, identity, except_fd)
        if answer:
            return True
        unknown = unknown or (answer is None and str(info.st_uid) in _field(pid, "Uid:"))
    return None if unknown else False


def _identity(path: str) -> tuple[int, int] | None:
    try:
        info = os.stat(path)
    except OSError:
        return None
    return info.st_dev, info.st_ino


def _all() -> Iterator[int]:
    return (int(name) for name in _listed("/proc") if name.isdigit())


def _inner(pid: int) -> list[str]:
    return _field(pid, "NSpid:")


def _field(pid: int, name: str) -> list[str]:
    lines = (line for line in _read(f"/proc/{pid}/status").splitlines() if line.startswith(name))
    return next(lines, "").split()[1:]


def _stat_fields(pid: int) -> list[str]:
    """The fields of ``/proc/<pid>/stat`` from the state on (proc(5): the name before it may hold anything)."""
    return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
