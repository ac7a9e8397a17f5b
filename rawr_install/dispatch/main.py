"""The Python fallback of ``shims/rawr``: decide again, then act, with all of the messages.

Only light modules are imported at the start, the rest where it is needed.
"""

from __future__ import annotations

import os
import sys

from rawr_install.dispatch import messages
from rawr_install.dispatch.decide import GUARD_VARIABLE, OWNER, Decision, decide, next_guard
from rawr_install.dispatch.workspace import current_folder
from rawr_install.errors import RawrError, os_error_reason, unexpected
from rawr_install.files import read_bytes

_ENVIRON_LIMIT = 1 << 20
TRACE_VARIABLE = "RAWR_TRACE"
PROTOCOL_VARIABLE = "RAWR_ENTRY_PROTOCOL"
PROTOCOLS = ("", "1")  # the first entries handed over without a number, and as those with the first

TYPE_CHECKING = False  # typing's own constant would cost importing typing, and collections.abc imports collections
if TYPE_CHECKING:
    from collections.abc import Callable

    Say = Callable[[str], None]
    Words = tuple[str, ...]
    Toolkit = Callable[[Words], int]


def main(argv: list[str], toolkit: Toolkit) -> int:
    """Decide and act; returns an exit code only where no workspace CLI took the process over.

    ``toolkit`` runs a command of the toolkit's own. No exception leaves it.
    """
    say = _trace if os.environ.get(TRACE_VARIABLE) == "1" else _silent
    protocol = os.environ.pop(PROTOCOL_VARIABLE, "")
    try:
        if protocol not in PROTOCOLS:
            raise messages.newer_entry(protocol, PROTOCOLS[-1])
        return _act(decide(tuple(argv), current_folder(), os.environ, say), say, toolkit)
    except RawrError as error:
        say(f"refused: {error.code}, exit {error.exit_code}")
        return _explain(error)
    except Exception as error:
        told = unexpected(error)
        told.exit_code = 126
        return _explain(told)


def _act(decision: Decision, say: Say, toolkit: Toolkit) -> int:
    if decision.action == "toolkit":
        return toolkit(decision.words)
    if decision.cli is None:
        return _greet(decision.words)
    if decision.source == OWNER:
        _error_line(f"rawr: no workspace here; running the owner's CLI (global-owner fallback): {decision.root}")
    say(f"{GUARD_VARIABLE} marks process {os.getpid()}; exec")
    environ = _as_inherited() | {GUARD_VARIABLE: next_guard(os.environ.get(GUARD_VARIABLE, "")) or ""}
    try:
        return _exec(decision.cli.path, decision.words, environ)
    except OSError as error:
        raise messages.exec_failed(decision.cli.path, error) from None


def _as_inherited() -> dict[str, str]:
    """The environment without the LC_CTYPE that Python, started in the C locale, sets itself (PEP 538)."""
    environ = dict(os.environ)
    if "LC_CTYPE" in environ:
        # Only Linux keeps what execve(2) handed over; elsewhere the variable stays.
        initial = read_bytes("/proc/self/environ", _ENVIRON_LIMIT)
        if initial and b"\0LC_CTYPE=" not in b"\0" + initial:
            del environ["LC_CTYPE"]
    return environ


def _exec(cli: str, words: Words, environ: dict[str, str]) -> int:
    import signal

    if signal.getsignal(signal.SIGINT) is not signal.SIG_DFL:  # else Ctrl-C came while this was loading
        # Python ignores these from its start, and an ignored signal stays ignored
        # through exec: `rawr ... | head` would never end.
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(ignored, signal.SIG_DFL)
        os.execve(cli, [cli, *words], environ)
    return 128 + signal.SIGINT


def _greet(words: Words) -> int:
    from rawr_install import __version__

    version = words == ("--version",)
    greeting = f"rawr-install {__version__}" if version else _GREETING
    try:
        _write(1, greeting.format(version=__version__, cwd=_printable(current_folder() or "a folder that is gone")))
    except BrokenPipeError:
        return 128 + 13  # as SIGPIPE, which Python ignores, would have ended it: the reader went away
    except OSError as error:
        raise RawrError(f"The answer could not be written: {os_error_reason(error)}.", code="OUTPUT_FAILED") from None
    if version:
        _error_line("rawr: no workspace here, so this is the toolkit's version")
    return 0


_GREETING = """\
rawr (rawr-install {version}): you are in {cwd}, outside every workspace.

Inside a workspace, `rawr ...` runs that workspace's own CLI.
What to do next:
  cd into a workspace                 then: rawr --help
  rawr-install fallback enable        let the owner's CLI run outside workspaces
  rawr-install activate PATH          make a workspace this machine's owner
  rawr doctor global                  see what rawr does here, and what is wrong
  rawr-install --help                 everything that the toolkit does"""


def _silent(_text: str) -> None:
    """Not tracing."""


def _trace(text: str) -> None:
    _error_line(f"rawr: trace: {text}")


def _explain(error: RawrError) -> int:
    from rawr_install.report import command_line

    _error_line(f"rawr: {error.message} [{error.code}]")
    # A hint is ours and may hold alternatives; a command may hold a path, which is one line whatever stands in it.
    for line in error.hint.split("\n") if error.hint else filter(None, [command_line(error.remedy)]):
        _error_line(f"   {line}" if line.startswith("or ") else f"  try: {line}")
    return error.exit_code


def _error_line(text: str) -> None:
    try:
        _write(2, _printable(text))
    except OSError:
        pass  # nobody reads; what was to be done is done all the same


def _write(fd: int, text: str) -> None:
    """One ``write(2)``: what a stream cannot flush Python would try again at exit, and end with 120."""
    os.write(fd, f"{text}\n".encode((sys.stdout, sys.stderr)[fd - 1].encoding, "backslashreplace"))


def _printable(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    from rawr_install.report import printable

    return printable(text)
