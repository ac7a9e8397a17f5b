"""The chain from a word typed to a program started: PATH, entry, links, workspace, CLI, interpreter.

For our shell entry the answer is the dispatcher's own decision
(:func:`rawr_install.dispatch.decide.decide`), so the two cannot disagree; a link runs
the CLI that it leads to, in whatever folder one stands. Reads only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from rawr_install.dispatch import messages
from rawr_install.dispatch.decide import OWNER, decide
from rawr_install.dispatch.program import examine
from rawr_install.errors import DispatchError, RawrError
from rawr_install.machine.entry import Entry, first_command, on_path

MOST_LINKS = 40  # as Linux follows (MAXSYMLINKS)


class Chain(NamedTuple):
    """What ``rawr WORDS`` does here.

    ``action``: ``run`` (a workspace CLI), ``toolkit``, ``greet``, ``foreign``
    (the entry is not ours) or ``none``. ``why`` says why this workspace;
    ``steps`` are the dispatcher's own words (as ``RAWR_TRACE=1`` prints them).
    """

    words: tuple[str, ...]
    entry: Entry | None
    links: tuple[str, ...] = ()
    action: str = "none"
    workspace: str | None = None
    why: str = ""
    cli: str | None = None
    shebang: str = ""
    interpreter: str | None = None
    steps: tuple[str, ...] = ()
    error: RawrError | None = None

    def to_json(self) -> dict[str, object]:
        """The chain for programs, in the order in which it is followed."""
        return {
            "words": list(self.words),
            "entry": {"path": self.entry.path, "kind": self.entry.kind, "real": self.entry.real}
            if self.entry
            else None,
            "links": list(self.links),
            "action": self.action,
            "workspace": self.workspace,
            "why": self.why or None,
            "cli": self.cli,
            "interpreter": {"wanted": self.shebang, "path": self.interpreter} if self.shebang else None,
            "steps": list(self.steps),
        }


def follow(words: tuple[str, ...], cwd: str | None, environ: Mapping[str, str]) -> Chain:
    """Follow the chain for a user in ``cwd`` (a real path; None when it is gone); never raises."""
    path = environ.get("PATH", "")
    found = first_command(on_path(path))
    if found is None:
        return Chain(words, None, error=_no_entry())
    chain = Chain(words, found, tuple(hops(found.path)))
    if found.kind == "shim":
        return _dispatched(chain, cwd, environ)
    program = examine(found.real or found.path, path)
    chain = chain._replace(shebang=program.wanted, interpreter=program.interpreter)
    if found.kind != "workspace-link":
        return chain._replace(action="foreign", error=_foreign(found))
    why = "the entry is a link to this workspace's CLI, whatever folder you stand in"
    error = messages.cannot_start(program) if program.reason else None
    return chain._replace(action="run", workspace=found.instance, why=why, cli=program.path, error=error)


def hops(path: str) -> Iterator[str]:
    """Each place that a symbolic link, and what it leads to, leads to in turn."""
    for _ in range(MOST_LINKS):
        try:
            target = os.readlink(path)
        except OSError:
            return
        path = os.path.normpath(os.path.join(os.path.dirname(path), target))
        yield path


def _dispatched(chain: Chain, cwd: str | None, environ: Mapping[str, str]) -> Chain:
    steps: list[str] = []
    try:
        decision = decide(chain.words, cwd, environ, steps.append)
    except DispatchError as error:
        return chain._replace(steps=tuple(steps), error=error)
    chain = chain._replace(action=decision.action, steps=tuple(steps))
    cli = decision.cli
    if cli is None:
        return chain
    why = _WHY.get(decision.source, f"named by {decision.source}")
    chain = chain._replace(workspace=decision.root, why=why)
    return chain._replace(cli=cli.path, shebang=cli.wanted, interpreter=cli.interpreter)


_WHY = {"search": "the nearest above the current folder", OWNER: "the owner, allowed as a fallback outside workspaces"}


def _no_entry() -> DispatchError:
    remedy = ("rawr-install", "install")
    return DispatchError("There is no executable rawr on PATH.", code="RAWR_NOT_ON_PATH", remedy=remedy)


def _foreign(found: Entry) -> RawrError:
    message = f"{found.path} is not an entry of the toolkit's ({found.kind}): what it does is its own affair."
    return RawrError(message, code="FOREIGN_ENTRY", remedy=("rawr-install", "doctor", "global"))


def tree(chain: Chain, ascii_only: bool = False) -> list[str]:
    """The chain as a tree of lines (unescaped)."""
    branch, last, deeper, arrow = ("|- ", "`- ", "|  ", "->") if ascii_only else ("├─ ", "└─ ", "│  ", "→")
    rows = list(_rows(chain))
    lines = [" ".join(("rawr", *chain.words))]
    for index, (label, value) in enumerate(rows):
        end = index == len(rows) - 1
        lines.append(f"{last if end else branch}{label:<12}{value}")
        if label == "entry":
            lines += [f"{'   ' if end else deeper}{arrow} {place}" for place in chain.links]
    return lines


def _rows(chain: Chain) -> Iterator[tuple[str, str]]:
    if chain.entry:
        yield "PATH", os.path.dirname(chain.entry.path) or "."
        yield "entry", f"{chain.entry.path} ({chain.entry.kind})"
    if chain.workspace:
        yield "workspace", f"{chain.workspace} ({chain.why})"
    if chain.cli:
        yield "CLI", chain.cli
    if chain.shebang:
        asked = "" if chain.interpreter == chain.shebang else f" ({chain.shebang})"
        yield "interpreter", f"{chain.interpreter or 'missing'}{asked}"
    if chain.action in ("toolkit", "greet"):
        yield "toolkit", "runs this itself" if chain.action == "toolkit" else "says where you are and what to do"
