"""How a check is written down: an id, a title, and a function of the facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from rawr_install.doctor.checks.remedies import Way
from rawr_install.machine.facts import Facts, Problem
from rawr_install.machine.requirements import MissingRequirement


class Found(NamedTuple):
    """What a check found; ``ways`` out of it, the best first: the first that would help is printed.

    ``follows`` is the id of a check whose finding, where there is one, is the cause of this one.
    """

    status: str
    summary: str
    evidence: Mapping[str, object] = MappingProxyType({})
    ways: tuple[Way, ...] = ()
    follows: str = ""


Judge = Callable[[Facts], "Found | None"]
SkipReason = Callable[[Facts], str]


def always_answers(_facts: Facts) -> str:
    """The skip reason of a check that needs nothing but the facts: none."""
    return ""


def without_instance(facts: Facts) -> str:
    """The skip reason of a check about the workspace where there is none."""
    return "" if facts.instance else "there is no workspace to look at"


class Check(NamedTuple):
    """One check: ``title`` says what it looks for, ``judge`` answers None where it found nothing wrong.

    ``skip_reason`` then says why it could not have found anything ("" where it could): such a check is skipped, not
    ok. ``explains``: it is asked only where the verdict names it, and what it finds is the reason of the verdict.
    """

    id: str
    title: str
    judge: Judge
    skip_reason: SkipReason = always_answers
    explains: bool = False


CHECKS: dict[str, Check] = {}


def check(
    check_id: str, title: str, skip_reason: SkipReason = always_answers, *, explains: bool = False
) -> Callable[[Judge], Judge]:
    """Register a function as the check ``check_id``."""

    def register(judge: Judge) -> Judge:
        CHECKS[check_id] = Check(check_id, title, judge, skip_reason, explains)
        return judge

    return register


def listed(
    titles: Mapping[str, str],
    items: Callable[[Facts], Iterable[MissingRequirement | Problem]],
    skip_reason: SkipReason = always_answers,
) -> None:
    """Register a check for each id of what a part of the look has put into words already."""
    for check_id, title in titles.items():

        def judge(facts: Facts, check_id: str = check_id) -> Found | None:
            item = next((item for item in items(facts) if item.id == check_id), None)
            if item is None:
                return None
            # What is missing is the workspace's, or a download; the records are the toolkit's own.
            fixable = isinstance(item, Problem) and bool(item.remedy.argv)
            return Found("warn", item.summary, {}, (Way(*item.remedy, fixable),) if item.remedy else ())

        check(check_id, title, skip_reason)(judge)
