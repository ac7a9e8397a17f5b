"""Ctrl-C: noted while the program loads, raised while a command runs, held back while its answer is written.

The disposition of SIGINT is the whole state: ``SIG_IGN`` is the caller's and stays, ``SIG_DFL`` means that a first one
was noted, so that a second one ends the process whatever it does.
"""

from __future__ import annotations

import signal
import sys


def hold(_number: int = 0, _frame: object = None) -> None:
    """Note a Ctrl-C: the next one ends the process."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _raise(_number: int, _frame: object) -> None:
    signal.signal(signal.SIGINT, hold)  # whatever now puts things back is left in peace
    raise KeyboardInterrupt


def listen() -> None:
    """Let Ctrl-C raise KeyboardInterrupt from now on; raises it for one that was noted before."""
    sys.unraisablehook = _lost
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.SIG_DFL:
        _raise(0, None)
    if handler is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _raise)


def hold_back(kill: bool) -> None:
    """Raise no more: the command has ended. With ``kill`` a Ctrl-C ends the process, else it is noted."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL if kill else hold)


def _lost(_unraisable: object) -> None:
    """Python would print a stack trace of what a finalizer raised; if that was a Ctrl-C, the next one counts again."""
    if signal.getsignal(signal.SIGINT) is hold:
        signal.signal(signal.SIGINT, _raise)
