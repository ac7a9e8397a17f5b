"""The Python twin of ``shims/rawr``: the same decisions, and all of the messages.

The shell entry hands over whatever is not plain success. The twin can also do
everything alone. Rules, in order:

1. Toolkit verbs are the toolkit's; ``--`` (removed) sends the rest to the workspace CLI.
2. The workspace of the variables or of the current folder is used where there is one.
3. Outside: the owner, if the user has allowed it; else bare ``rawr``, ``--help``
   and ``--version`` say where you are; else an error.
4. A workspace runs only where nobody else decides what runs, or a grant of the user's covers it.
5. The CLI must be a file that can start, and not this entry.

What cannot be run is a DispatchError made by :mod:`rawr_install.dispatch.messages`.
Only light modules are imported at the start, the rest where it is needed.
"""

from __future__ import annotations

import os
import sys

from rawr_install.dispatch import messages as refusals
from rawr_install.dispatch.program import find, is_program, read_head, shebang, shell_entry_version
from rawr_install.dispatch.trust import trust
from rawr_install.dispatch.workspace import (
    Discovery,
    cli_path,
    discover,
    fallback_enabled,
    has_cli,
    home_file,
    read_owner,
)
from rawr_install.errors import RawrError, unexpected

VERBS = frozenset(("install", "uninstall", "activate", "deactivate", "rollback", "which", "doctor:global"))
GREETINGS = ((), ("--help",), ("--version",))
GUARD_VARIABLE = "RAWR_DISPATCH_GUARD"
TRACE_VARIABLE = "RAWR_TRACE"
GUARD_LIMIT = 8
PROTOCOL_VARIABLE = "RAWR_ENTRY_PROTOCOL"
PROTOCOLS = ("", "1")  # the first entries handed over without a number, and as those with the first

TYPE_CHECKING = False  # typing's own constant would cost importing typing, and collections.abc imports collections
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Say = Callable[[str], None]
    Words = tuple[str, ...]
    Toolkit = Callable[[Words], int]


class Decision:
    """What ``rawr`` is going to do.

    ``action`` is ``toolkit`` (run ``rawr-install`` with ``words``), ``greet``
    (say where you are) or ``run`` (exec ``cli`` with ``words``, after the line
    ``notice`` on stderr if there is one).
    """

    __slots__ = ("action", "cli", "notice", "words")

    def __init__(self, action: str, words: Words, cli: str = "", notice: str = "") -> None:
        self.action = action
        self.words = words
        self.cli = cli
        self.notice = notice


def main(argv: list[str], toolkit: Toolkit) -> int:
    """Decide and act; returns an exit code only where no workspace CLI took the process over.

    ``toolkit`` runs a command of the toolkit's own. No exception leaves it.
    """
    say = _trace if os.environ.get(TRACE_VARIABLE) == "1" else _silent
    protocol = os.environ.pop(PROTOCOL_VARIABLE, "")
    try:
        if protocol not in PROTOCOLS:
            raise refusals.newer_entry(protocol, PROTOCOLS[-1])
        return _act(decide(tuple(argv), _cwd(), os.environ, say), say, toolkit)
    except RawrError as error:
        say(f"refused: {error.code}, exit {error.exit_code}")
        return _explain(error)
    except Exception as error:
        told = unexpected(error)
        told.exit_code = 126
        return _explain(told)


def decide(argv: Words, cwd: str | None, environ: Mapping[str, str], say: Say = lambda _: None) -> Decision:
    """Look, and say what is to be done; ``cwd`` is a real path, or None where the folder is gone.

    Raises DispatchError. Nothing is changed or run.
    """
    if argv[:1] and (argv[0] in VERBS or argv[:2] == ("doctor", "global")):
        say(f"{argv[0]}: a command of the toolkit")
        return Decision("toolkit", argv)
    forced = argv[:1] == ("--",)
    words = argv[1:] if forced else argv
    found = _search(cwd, environ, say)
    if found.root is not None:
        return _usable(found.root, cwd, words, environ, say)
    if not fallback_enabled(home_file(environ, "global-owner-fallback"), environ):
        say("owner fallback: not enabled")
        if not forced and words in GREETINGS:
            say("no workspace: the toolkit says where you are")
            return Decision("greet", words)
        raise refusals.no_workspace(found, cwd or "")
    owner = _allowed_owner(environ, say)
    chosen = _usable(owner, cwd, words, environ, say)
    chosen.notice = f"rawr: no workspace here; running the owner's CLI (global-owner fallback): {owner}"
    return chosen


# -- which workspace -------------------------------------------------------------


def _search(cwd: str | None, environ: Mapping[str, str], say: Say) -> Discovery:
    found = discover(cwd or "", environ)
    if found.refused is not None:
        raise refusals.bad_variable(found, cwd or "")
    if cwd is None and found.source == "search":
        raise refusals.cwd_gone()
    if found.unseen:
        raise refusals.cannot_search(found.unseen)
    for folder in found.lookalikes:
        say(f"walked past {folder}: package.json and plugins/, no workspace CLI")
    say(f"workspace ({found.source}): {found.root or 'none'}")
    return found


def _allowed_owner(environ: Mapping[str, str], say: Say) -> str:
    """The owner's root, where it can be used."""
    path = home_file(environ, "global-rawr-owner-path")
    owner = read_owner(path)
    say(f"owner fallback: enabled; owner file {owner.status}: {path}")
    if owner.status != "valid" or owner.path is None:
        raise refusals.bad_owner(owner, path)
    if not has_cli(owner.path):
        raise refusals.owner_has_no_cli(owner.path)
    return owner.path


# -- can its CLI run ---------------------------------------------------------------


def _usable(root: str, cwd: str | None, words: Words, environ: Mapping[str, str], say: Say) -> Decision:
    """The decision to run ``root``'s CLI; raises DispatchError (126) where it must not or cannot."""
    cli = cli_path(root)
    found = trust(root, environ, cwd)
    if found.obstacle:
        raise refusals.untrusted(root, found, environ)
    say(f"trusted: {root}" + (" (granted)" if found.granted else ""))
    program = _startable(cli, environ.get("PATH"))
    say(f"workspace CLI: {cli}" + (f" (started by {program})" if program else ""))
    if _guard(environ.get(GUARD_VARIABLE, "")) is None:
        raise refusals.loop(cli, GUARD_LIMIT)
    return Decision("run", words, cli)


def _startable(cli: str, path: str | None) -> str:
    """Check that ``cli`` can be started; the program that starts it, "" where the file itself does."""
    if not is_program(cli):
        raise refusals.bad_file(cli)
    head = read_head(cli) or b""
    if shell_entry_version(head) is not None:
        raise refusals.self_exec(cli)
    interpreter, program = shebang(head)
    if interpreter and not is_program(interpreter):
        raise refusals.no_interpreter(cli, interpreter)
    found = find(program, path) if program else interpreter
    if found is None:
        raise refusals.no_interpreter(cli, program)
    return found


def _guard(mark: str) -> str | None:
    """The recursion mark to pass on, or None when its limit is reached.

    exec keeps the process id and a child gets a new one: only a CLI that execs
    rawr again and again adds to the mark, nested calls start a new one. An ``x`` each
    time and no number, because sh arithmetic would evaluate what the variable holds.
    """
    mine = f"{os.getpid()}:"
    mark = mark if mark.startswith(mine) else mine
    return None if mark.startswith(mine + "x" * GUARD_LIMIT) else mark + "x"


# -- acting --------------------------------------------------------------------------


def _act(decision: Decision, say: Say, toolkit: Toolkit) -> int:
    if decision.action == "toolkit":
        return toolkit(decision.words)
    if decision.action == "greet":
        return _greet(decision.words)
    if decision.notice:
        _error_line(decision.notice)
    say(f"{GUARD_VARIABLE} marks process {os.getpid()}; exec")
    environ = _as_inherited() | {GUARD_VARIABLE: _guard(os.environ.get(GUARD_VARIABLE, "")) or ""}
    try:
        return _exec(decision, environ)
    except OSError as error:
        raise refusals.exec_failed(decision.cli, error) from None


def _as_inherited() -> dict[str, str]:
    """The environment without the LC_CTYPE that Python, started in the C locale, sets itself (PEP 538)."""
    environ = dict(os.environ)
    if "LC_CTYPE" in environ:
        # Only Linux keeps what execve(2) handed over; elsewhere the variable stays.
        initial = read_head("/proc/self/environ", 1 << 20)
        if initial is not None and b"\0LC_CTYPE=" not in b"\0" + initial:
            del environ["LC_CTYPE"]
    return environ


def _exec(decision: Decision, environ: dict[str, str]) -> int:
    import signal

    if signal.getsignal(signal.SIGINT) is not signal.SIG_DFL:  # else Ctrl-C came while this was loading
        # Python ignores these from its start, and an ignored signal stays ignored
        # through exec: `rawr ... | head` would never end.
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(ignored, signal.SIG_DFL)
        os.execve(decision.cli, [decision.cli, *decision.words], environ)
    return 128 + signal.SIGINT


def _greet(words: Words) -> int:
    from rawr_install import __version__

    version = words == ("--version",)
    greeting = f"rawr-install {__version__}" if version else _GREETING
    try:
        _write(1, greeting.format(version=__version__, cwd=_printable(_cwd() or "a folder that is gone")))
    except BrokenPipeError:
        return 128 + 13  # as SIGPIPE, which Python ignores, would have ended it: the reader went away
    except OSError as error:
        raise RawrError(f"The answer could not be written: {error.strerror}.", code="OUTPUT_FAILED") from None
    if version:
        _error_line("rawr: no workspace here, so this is the toolkit's version")
    return 0


_GREETING = """\
rawr (rawr-install {version}): you are in {cwd}, which is in no workspace.

Inside a workspace, `rawr ...` runs that workspace's own CLI.
What to do next:
  cd into a workspace                 then: rawr --help
  rawr-install fallback enable        let the owner's CLI run outside workspaces
  rawr-install activate PATH          make a workspace this machine's owner
  rawr doctor global                  see what rawr does here, and what is wrong
  rawr-install --help                 everything that the toolkit does"""


def _cwd() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None


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
