"""How a check is written down: an id, a title, and a function of the facts."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rawr_install.machine.entry import SHIM
from rawr_install.machine.facts import Facts
from rawr_install.report import Finding, Remedy, to_run

Judge = Callable[[Facts], "Finding | None"]
Excuse = Callable[[Facts], str]


def never(_facts: Facts) -> str:
    """The excuse of a check that can always answer: none."""
    return ""


def without_instance(facts: Facts) -> str:
    """The excuse of a check about the workspace where there is none."""
    return "" if facts.instance else "there is no workspace to look at"


class Check(NamedTuple):
    """One check: ``title`` says what it looks for, ``judge`` answers None where it found nothing wrong.

    ``excuse`` then says why it could not have found anything ("" where it could): such a check is skipped, not ok.
    """

    id: str
    title: str
    judge: Judge
    excuse: Excuse = never


CHECKS: dict[str, Check] = {}


def check(check_id: str, title: str, excuse: Excuse = never) -> Callable[[Judge], Judge]:
    """Register a function as the check ``check_id``."""

    def register(judge: Judge) -> Judge:
        CHECKS[check_id] = Check(check_id, title, judge, excuse)
        return judge

    return register


def run(*words: str) -> tuple[str, ...]:
    """The argument vector of one of the toolkit's own commands."""
    return ("rawr-install", *words)


def set_up(facts: Facts, *options: str) -> Remedy:
    """The command that makes the entry run the current instance, and keeps its kind.

    For a link that is ``activate`` where another instance is the owner.
    """
    if keeps_owner(facts) or facts.instance is None:
        return install(facts, *options)
    return command("activate", facts.instance.root, *options)


def keeps_owner(facts: Facts) -> bool:
    """Whether :func:`set_up` leaves the owner alone; a transfer is the user's decision, never a fix."""
    ours = facts.instance is None or facts.owner.status != "valid" or facts.owner.real == facts.instance.root
    return facts.mode == SHIM or ours


def install(facts: Facts, *options: str) -> Remedy:
    """``install``, for the current instance where a link has to lead to one."""
    if facts.mode == SHIM:
        return command("install", *options)
    if facts.instance is None:
        return Remedy("cd into a workspace, then: rawr-install install")
    return command("install", "--workspace", facts.instance.root, *options)


def command(*words: str) -> Remedy:
    """One of the toolkit's commands as a remedy."""
    return to_run(*run(*words))


def move_aside(facts: Facts, path: str) -> Remedy:
    """Rename a file that stands in the way; nothing is deleted, nor what was moved before."""
    argv = ("mv", "-n", "--", path, facts.aside.get(path, path + ".set-aside"))
    return to_run(*argv)
