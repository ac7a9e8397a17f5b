"""What ``rawr`` is to do, decided again by the rules of ``shims/rawr``; nothing is run here.

1. Toolkit verbs are the toolkit's; ``--`` (removed) sends the rest to the workspace CLI.
2. The workspace of the variables or of the current folder is used where there is one.
3. Outside: the owner, if the user has allowed it; else bare ``rawr``, ``--help``
   and ``--version`` say where you are; else an error.
4. A workspace runs only where nobody else decides what runs, or a grant of the user's covers it.
5. The CLI must be a file that can start, and not this entry.

What cannot be run is a DispatchError made by :mod:`rawr_install.dispatch.messages`.
"""

from __future__ import annotations

import os

from rawr_install.dispatch import messages
from rawr_install.dispatch.program import examine
from rawr_install.dispatch.trust import is_granted, trust
from rawr_install.dispatch.workspace import (
    Discovery,
    cli_path,
    discover,
    fallback_enabled,
    has_cli,
    home_file,
    read_owner,
)

VERBS = frozenset(("install", "uninstall", "activate", "deactivate", "rollback", "which", "doctor:global"))
GREETINGS = ((), ("--help",), ("--version",))
GUARD_VARIABLE = "RAWR_DISPATCH_GUARD"
GUARD_LIMIT = 8
OWNER = "owner"

TYPE_CHECKING = False  # typing's own constant would cost importing typing, and collections.abc imports collections
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rawr_install.dispatch.program import Program

    Say = Callable[[str], None]
    Words = tuple[str, ...]


class Decision:
    """What ``rawr`` is going to do.

    ``action`` is ``toolkit`` (run ``rawr-install`` with ``words``), ``greet`` (say where you are) or ``run``: exec
    ``cli``, that of the workspace at ``root``, with ``words``. ``source`` says who named the root: a variable,
    ``search`` or :data:`OWNER`.
    """

    __slots__ = ("action", "cli", "root", "source", "words")

    def __init__(self, action: str, words: Words, cli: Program | None = None, root: str = "", source: str = "") -> None:
        self.action = action
        self.words = words
        self.cli = cli
        self.root = root
        self.source = source


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
    root, source = found.root, found.source
    if root is None:
        if not fallback_enabled(home_file(environ, "global-owner-fallback"), environ):
            say("owner fallback: not enabled")
            if not forced and words in GREETINGS:
                say("no workspace: the toolkit says where you are")
                return Decision("greet", words)
            raise messages.no_workspace(cwd or "", found.lookalikes)
        root, source = _allowed_owner(environ, say), OWNER
    return Decision("run", words, _usable_cli(root, cwd, environ, say), root, source)


def _search(cwd: str | None, environ: Mapping[str, str], say: Say) -> Discovery:
    found = discover(cwd or "", environ)
    if found.refused is not None:
        raise messages.bad_variable(found, cwd or "")
    if cwd is None and found.source == "search":
        raise messages.cwd_gone()
    if found.unseen:
        raise messages.cannot_search(found.unseen)
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
        raise messages.bad_owner(owner, path)
    if not has_cli(owner.path):
        raise messages.owner_has_no_cli(owner.path)
    return owner.path


def _usable_cli(root: str, cwd: str | None, environ: Mapping[str, str], say: Say) -> Program:
    """The CLI of ``root``; raises DispatchError (126) where it must not or cannot be run."""
    # A grant is for a real path: what runs is there, wherever a link in the path that was named leads a moment later.
    real = os.path.realpath(root)
    root = real if is_granted(real, environ) else root
    found = trust(root, environ, cwd)
    if found.obstacle:
        raise messages.untrusted(root, found, environ)
    say(f"trusted: {root}" + (" (granted)" if found.granted else ""))
    cli = examine(cli_path(root), environ.get("PATH"))
    if cli.reason:
        raise messages.cannot_start(cli)
    say(f"workspace CLI: {cli.path}" + (f" (started by {cli.interpreter})" if cli.interpreter else ""))
    if next_guard(environ.get(GUARD_VARIABLE, "")) is None:
        raise messages.loop(cli.path, GUARD_LIMIT)
    return cli


def next_guard(mark: str) -> str | None:
    """The recursion mark to pass on, or None when its limit is reached.

    exec keeps the process id and a child gets a new one: only a CLI that execs
    rawr again and again adds to the mark, nested calls start a new one.
    """
    mine = f"{os.getpid()}:"
    mark = mark if mark.startswith(mine) else mine
    return None if mark.startswith(mine + "x" * GUARD_LIMIT) else mark + "x"
