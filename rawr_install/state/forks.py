"""Descriptors that a child of ``fork(2)`` must not keep.

A kernel lock belongs to the open file, which a child shares: it would keep
its dead parent's beacon alight and its place in the turnstile taken.
``O_CLOEXEC`` closes them when a child execs; these are closed in one that does not.
"""

from __future__ import annotations

import os
import threading

_birth = threading.RLock()  # no fork between opening a descriptor and noting it
_noted: set[int] = set()


def open_noted(path: str, flags: int, mode: int = 0o666) -> int:
    """``os.open`` of a descriptor that no child inherits; raises OSError."""
    with _birth:
        fd = os.open(path, flags | os.O_CLOEXEC, mode)
        _noted.add(fd)
        return fd


def close_noted(fd: int) -> None:
    """Close such a descriptor."""
    with _birth:
        _noted.discard(fd)
        close_quietly(fd)


def close_quietly(fd: int) -> None:
    """Close a descriptor through which nothing was written that matters; it is free whatever ``close(2)`` says."""
    try:
        os.close(fd)
    except OSError:
        pass


def _in_child() -> None:
    global _birth
    _birth = threading.RLock()
    for fd in _noted:
        os.close(fd)
    _noted.clear()


os.register_at_fork(before=lambda: _birth.acquire(), after_in_parent=lambda: _birth.release(), after_in_child=_in_child)
