"""The Python twin of ``shims/rawr``: the same decisions, and all of the messages.

The shell entry hands over whatever is not plain success. The twin can also do
everything alone, which is how Windows is served. Rules, in order:

1. Toolkit verbs are the toolkit's; ``--`` (removed) sends the rest to the workspace CLI.
2. The workspace of the variables or of the current folder is used where there is one.
3. Outside: bare ``rawr``, ``--help`` and ``--version`` say where you are; else
   the owner, if the user has allowed it; else an error.
4. Another user's workspace runs only when it is in the user's own trust list.
5. The CLI must be a file that can start, and not this entry.

Error codes: NO_WORKSPACE, BAD_WORKSPACE_VARIABLE, CWD_GONE, OWNER_<STATUS>,
OWNER_HAS_NO_CLI (127: nothing to run); WORKSPACE_NOT_TRUSTED, CLI_DANGLING,
CLI_IS_FOLDER, CLI_NOT_A_FILE, CLI_NOT_EXECUTABLE, CLI_NO_SHEBANG,
CLI_INTERPRETER_MISSING, CLI_EXEC_FAILED, SELF_EXEC, DISPATCH_LOOP (126: a CLI
that cannot be used).

Only ``os``, ``sys``, ``errors``, ``program`` and ``workspace`` are imported at the start;
the rest where it is needed, off the path to a workspace CLI.
"""

from __future__ import annotations

import os
import sys

from rawr_install.errors import DispatchError, RawrError
from rawr_install.program import find, is_program, on_windows, read_head, shebang
from rawr_install.workspace import (
    FALLBACK_VARIABLE,
    Discovery,
    cli_path,
    discover,
    fallback_enabled,
    folders_up,
    has_cli,
    is_trusted,
    read_owner,
)

VERBS = frozenset(("install", "uninstall", "activate", "deactivate", "rollback", "which", "doctor:global"))
GREETINGS = ((), ("--help",), ("--version",))
GUARD_VARIABLE = "RAWR_DISPATCH_GUARD"
TRACE_VARIABLE = "RAWR_TRACE"
GUARD_LIMIT = 8
SHIM_MARK = b"rawr-install shell entry"

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
    ``notice`` on stderr if there is one; ``program`` is the interpreter's name).
    """

    __slots__ = ("action", "cli", "notice", "program", "words")

    def __init__(self, action: str, words: Words, cli: str = "", notice: str = "", program: str = "") -> None:
        self.action = action
        self.words = words
        self.cli = cli
        self.notice = notice
        self.program = program


def main(argv: list[str], toolkit: Toolkit) -> int:
    """Decide and act; returns an exit code only where no workspace CLI took the process over.

    ``toolkit`` runs a command of the toolkit's own.
    """
    say = _trace if os.environ.get(TRACE_VARIABLE) == "1" else _silent
    try:
        return _act(decide(tuple(argv), _cwd(), os.environ, say), say, toolkit)
    except RawrError as error:
        say(f"refused: {error.code}, exit {error.exit_code}")
        return _explain(error)


def decide(argv: Words, cwd: str | None, environ: Mapping[str, str], say: Say = lambda _: None) -> Decision:
    """Look, and say what is to be done; ``cwd`` is a real path, or None where the folder is gone.

    Raises DispatchError with a code of the list above. Nothing is changed or run.
    """
    if argv[:1] and (argv[0] in VERBS or argv[:2] == ("doctor", "global")):
        say(f"{argv[0]}: a command of the toolkit")
        return Decision("toolkit", argv)
    forced = argv[:1] == ("--",)
    words = argv[1:] if forced else argv
    found = _search(cwd, environ, say)
    if found.root is not None:
        return _usable(found.root, words, environ, say)
    if not forced and words in GREETINGS:
        say("no workspace: the toolkit says where you are")
        return Decision("greet", words)
    owner = _allowed_owner(found, cwd or "", environ, say)
    chosen = _usable(owner, words, environ, say)
    chosen.notice = f"rawr: no workspace here; running the owner's CLI (global-owner fallback): {owner}"
    return chosen


# -- which workspace -------------------------------------------------------------


def _search(cwd: str | None, environ: Mapping[str, str], say: Say) -> Discovery:
    found = discover(cwd or "", environ)
    if found.refused is not None:
        raise _bad_variable(found, cwd)
    if cwd is None and found.source == "search":
        raise DispatchError(
            "The current folder no longer exists, so there is nowhere to search from.",
            code="CWD_GONE",
            hint="go to a folder that exists: cd ~",
        )
    for folder in found.lookalikes:
        say(f"walked past {folder}: package.json and plugins/, no workspace CLI")
    say(f"workspace ({found.source}): {found.root or 'none'}")
    return found


def _bad_variable(found: Discovery, cwd: str | None) -> DispatchError:
    root = os.path.join(cwd or "", found.refused or "")
    return DispatchError(
        f"{found.source} names no workspace: {found.refused} ({_lacking(root)}).",
        code="BAD_WORKSPACE_VARIABLE",
        hint=f"unset {found.source}\nor set it to a folder with package.json, plugins/ and apps/cli/bin/run.js",
    )


def _lacking(root: str) -> str:
    if not os.path.isdir(root):
        return "no such folder"
    if not os.path.isfile(os.path.join(root, "package.json")):
        return "no package.json file there"
    if not os.path.isdir(os.path.join(root, "plugins")):
        return "no plugins folder there"
    return f"no workspace CLI at {cli_path(root)}"


def _home_file(environ: Mapping[str, str], name: str) -> str:
    """A file of ``~/.rawr``; without a usable HOME, a name that does not exist."""
    home = environ.get("HOME") or (environ.get("USERPROFILE", "") if on_windows() else "")
    return os.path.join(home, ".rawr", name) if os.path.isabs(home) else os.devnull + "/none"


def _allowed_owner(found: Discovery, cwd: str, environ: Mapping[str, str], say: Say) -> str:
    """The owner's root, if the user has allowed the fallback and it can be used."""
    if not fallback_enabled(_home_file(environ, "global-owner-fallback"), environ):
        say("owner fallback: not enabled")
        raise _no_workspace(found, cwd)
    path = _home_file(environ, "global-rawr-owner-path")
    owner = read_owner(path)
    say(f"owner fallback: enabled; owner file {owner.status}: {path}")
    if owner.status != "valid" or owner.path is None:
        raise _bad_owner(owner.status, path, owner.raw)
    if not has_cli(owner.path):
        raise DispatchError(
            f"No workspace here, and the owner {owner.path} has no workspace CLI at {cli_path(owner.path)}.",
            code="OWNER_HAS_NO_CLI",
            hint="choose another owner: rawr-install activate PATH",
        )
    return owner.path


def _no_workspace(found: Discovery, cwd: str) -> DispatchError:
    parents = len(list(folders_up(cwd))) - 1
    text = f"No workspace in {cwd} or its {parents} parent folders (package.json, plugins/ and apps/cli/bin/run.js)"
    if found.lookalikes:
        text += "; these look like one but have no workspace CLI: " + ", ".join(found.lookalikes)
    return DispatchError(
        text + ".",
        code="NO_WORKSPACE",
        hint="cd into a workspace\nor let the owner's CLI run outside workspaces: rawr-install fallback enable",
    )


_OWNER_TROUBLE = {
    "missing": "no owner has been chosen: there is no {}",
    "empty": "the owner file is empty: {}",
    "unreadable": "the owner file cannot be read: {}",
    "invalid": "the owner file does not hold one absolute path: {}",
    "vanished": "the owner file {} names a folder that does not exist",
    "not-a-workspace": "the owner file {} names a folder that is no workspace",
}


def _bad_owner(status: str, path: str, raw: str) -> DispatchError:
    named = f" ({raw[:200]})" if raw else ""
    return DispatchError(
        f"No workspace here, and the owner fallback has nothing to run: {_OWNER_TROUBLE[status].format(path)}{named}.",
        code="OWNER_" + status.upper().replace("-", "_"),
        hint="choose an owner: rawr-install activate PATH\n"
        f"or stop asking for one: rawr-install fallback disable (and unset {FALLBACK_VARIABLE})",
    )


# -- can its CLI run ---------------------------------------------------------------


def _usable(root: str, words: Words, environ: Mapping[str, str], say: Say) -> Decision:
    """The decision to run ``root``'s CLI; raises DispatchError (126) where it must not or cannot."""
    cli = cli_path(root)
    if _guard(environ.get(GUARD_VARIABLE, "")) is None:
        raise _unusable(
            "DISPATCH_LOOP",
            f"{cli} has replaced itself by rawr {GUARD_LIMIT} times without starting a new process.",
            "call the program that was meant, not rawr, from the workspace CLI",
        )
    if not is_trusted(root, _home_file(environ, "trusted-workspaces")):
        raise _untrusted(root)
    say(f"trusted: {root}")
    program = _startable(cli, environ.get("PATH"))
    say(f"workspace CLI: {cli}" + (f" (started by {program})" if program else ""))
    return Decision("run", words, cli, program=program)


def _guard(mark: str) -> str | None:
    """The recursion mark to pass on, or None when its limit is reached.

    exec keeps the process id and a child gets a new one: only a CLI that execs
    rawr again and again adds to the mark, nested calls start a new one.
    """
    mine = f"{os.getpid()}:"
    mark = mark if mark.startswith(mine) else mine
    return None if mark.startswith(mine + "x" * GUARD_LIMIT) else mark + "x"


def _unusable(code: str, message: str, hint: str = "", remedy: Words = ()) -> DispatchError:
    return DispatchError(message, code=code, exit_code=126, hint=hint, remedy=remedy)


def _untrusted(root: str) -> DispatchError:
    real = os.path.realpath(root)
    return _unusable(
        "WORKSPACE_NOT_TRUSTED",
        f"The workspace {real}, or its CLI, belongs to another user, so its code is not run as you.",
        remedy=("rawr-install", "trust", "add", real),
    )


def _startable(cli: str, path: str | None) -> str:
    """Check that ``cli`` can be started; the program that starts it, "" where the file itself does."""
    _check_file(cli)
    head = read_head(cli)
    if head is not None and SHIM_MARK in head:
        raise _unusable("SELF_EXEC", f"{cli} is rawr's own entry: it would run itself for ever.", _RESTORE)
    interpreter, program = shebang(head or b"")
    if on_windows():  # no kernel reads the line there: the program is looked up by its name
        interpreter, program = "", program or interpreter.rsplit("/", 1)[-1]
    if interpreter and not is_program(interpreter):
        raise _no_interpreter(cli, interpreter)
    found = find(program, path) if program else interpreter
    if found is None:
        raise _no_interpreter(cli, program)
    return found


_RESTORE = "restore the workspace CLI, for example: git checkout -- apps/cli/bin/run.js"


def _check_file(cli: str) -> None:
    if not os.path.exists(cli):
        raise _unusable("CLI_DANGLING", f"The workspace CLI {cli} is a link that leads nowhere.", _RESTORE)
    if os.path.isdir(cli):
        raise _unusable("CLI_IS_FOLDER", f"The workspace CLI {cli} is a folder.", _RESTORE)
    if not os.path.isfile(cli):
        raise _unusable("CLI_NOT_A_FILE", f"The workspace CLI {cli} is not a regular file.", _RESTORE)
    if not is_program(cli):
        raise _unusable(
            "CLI_NOT_EXECUTABLE", f"The workspace CLI {cli} is not executable.", remedy=("chmod", "+x", cli)
        )


def _no_interpreter(cli: str, program: str) -> DispatchError:
    hint = "the file has Windows line ends: convert it to LF" if program.endswith("\r") else f"install {program}"
    where = "is not there" if "/" in program else "is not on PATH"
    return _unusable(
        "CLI_INTERPRETER_MISSING",
        f"The workspace CLI {cli} is to be started by {program}, which {where}.",
        "install Bun: https://bun.sh" if program == "bun" else hint,
    )


# -- acting --------------------------------------------------------------------------


def _act(decision: Decision, say: Say, toolkit: Toolkit) -> int:
    if decision.action == "toolkit":
        return toolkit(decision.words)
    if decision.action == "greet":
        return _greet(decision.words)
    if decision.notice:
        _error_line(decision.notice)
    say(f"{GUARD_VARIABLE} marks process {os.getpid()}; exec")
    environ = {**os.environ, GUARD_VARIABLE: _guard(os.environ.get(GUARD_VARIABLE, "")) or ""}
    return _start(decision, environ)


def _start(decision: Decision, environ: dict[str, str]) -> int:
    if on_windows():
        return _start_child(decision, environ)
    import signal

    # Python ignores these from its start, and an ignored signal stays ignored
    # through exec: `rawr ... | head` would never end.
    for name in ("SIGPIPE", "SIGXFSZ"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        os.execve(decision.cli, [decision.cli, *decision.words], environ)
    except OSError as error:
        raise _exec_failed(decision.cli, error) from None


def _start_child(decision: Decision, environ: dict[str, str]) -> int:
    """Windows has no exec and no shebang: start the interpreter as a child and pass its exit code on."""
    import signal
    import subprocess

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the child by itself
    try:
        return subprocess.call(child_argv(decision), env=environ)
    except OSError as error:
        raise _exec_failed(decision.cli, error) from None


def child_argv(decision: Decision) -> list[str]:
    """The command line of the child that stands in for an exec where there is none."""
    return [*([decision.program] if decision.program else []), decision.cli, *decision.words]


def _exec_failed(cli: str, error: OSError) -> DispatchError:
    import errno

    name = errno.errorcode.get(error.errno or 0, "error")
    if name == "ENOEXEC":
        message = f"The workspace CLI {cli} is neither a program nor a script: its first line does not start with #!."
        return _unusable("CLI_NO_SHEBANG", message, "make its first line: #!/usr/bin/env bun")
    return _unusable("CLI_EXEC_FAILED", f"The workspace CLI {cli} cannot be started ({name}: {error.strerror}).")


def _greet(words: Words) -> int:
    from rawr_install import __version__

    if words == ("--version",):
        print(f"rawr-install {__version__}")
        _error_line("rawr: no workspace here, so this is the toolkit's version")
        return 0
    print(_GREETING.format(version=__version__, cwd=_printable(os.getcwd())))
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
    from rawr_install.report import remedy_text

    _error_line(f"rawr: {error.message} [{error.code}]")
    for line in remedy_text(error).split("\n"):
        _error_line(f"  try: {line}" if not line.startswith("or ") else f"   {line}")
    return error.exit_code


def _error_line(text: str) -> None:
    print(_printable(text), file=sys.stderr, flush=True)


def _printable(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    from rawr_install.report import printable

    return printable(text)
