"""Facts → report: the verdict, and the findings with a way out of each that would help on this machine. Pure.

A way out is asked before it is printed: the facts after it are judged again. What would be refused, would leave its
finding or bring another failure is passed over. Findings that one command mends have one cause, and show that command
once. A check that crashes becomes a finding of its own and hides no other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

from rawr_install.doctor.checks import CHECKS, Check
from rawr_install.doctor.checks.registry import Found
from rawr_install.doctor.checks.remedies import Way, both, steps
from rawr_install.doctor.verdict import reason
from rawr_install.errors import UsageError, os_error_in_words
from rawr_install.machine.entry import LINK
from rawr_install.machine.facts import Facts
from rawr_install.report import Finding, Remedy

LIST = ("rawr-install", "doctor", "global", "--list-checks")
QUIET = ("ok", "skip")
_RANK = {status: rank for rank, status in enumerate(("crash", "fail", "warn", "info", "skip", "ok"))}
_TOLD = ("crash", "fail", "warn")
_TRUST = ("workspace.untrusted", "workspace.writable")
_FOLDER = "project.untrusted"
_STOPS = ("home.not-writable", "receipt.unreadable", "history.unreadable")
# What stops commands that mend other things.
_FIRST = (*_TRUST, _FOLDER, *_STOPS)


class Report(NamedTuple):
    """A diagnosis. ``reason`` is the id of the check that explains an unhealthy verdict, empty for a healthy one.

    ``answers`` holds every check's finding, also of those that found nothing, in the order in which to mend them.
    """

    facts: Facts
    reason: str
    answers: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        return not self.reason

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found: the answers that are neither ok nor skipped."""
        return tuple(finding for finding in self.answers if finding.status not in QUIET)

    def only(self, ids: Collection[str]) -> Report:
        """The same verdict with the answers of some checks; all of them where none is named."""
        return self._replace(answers=tuple(each for each in self.answers if each.id in ids)) if ids else self

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(finding.summary for finding in self.answers if finding.status in ("warn", "crash"))


def known(ids: Collection[str]) -> None:
    """Raise UsageError ``UNKNOWN_CHECK`` where one of the ids is not a check's."""
    if unknown := sorted(set(ids) - set(CHECKS)):
        raise UsageError(f"No such check: {', '.join(unknown)}.", code="UNKNOWN_CHECK", remedy=LIST)


def diagnose(facts: Facts, look_closer: Callable[[Facts], Facts] = lambda facts: facts) -> Report:
    """Judge the facts; ``look_closer`` adds what plans need, and is asked only where there is something to mend."""
    verdict, found = _judged(facts)
    if any(each.ways for each in found.values()):
        facts = look_closer(facts)
        verdict, found = _judged(facts)
    ways = {check_id: _way_out(facts, check_id, found) for check_id in found}
    causes = dict(_causes(facts, found, ways))
    answers = [_answer(facts, check, found, ways, causes) for check in CHECKS.values()]
    order = {each.id: _urgency(each.id, each.status) for each in answers}
    answers.sort(key=lambda each: (*order[each.cause or each.id], bool(each.cause), *order[each.id]))
    return Report(facts, verdict, tuple(answers))


def _judged(facts: Facts) -> tuple[str, dict[str, Found]]:
    """The verdict, and what was found by the id of the check."""
    verdict = reason(facts)
    answers = {check.id: _ask(check, facts, verdict) for check in CHECKS.values()}
    return verdict, {check_id: found for check_id, found in answers.items() if found}


def _ask(check: Check, facts: Facts, verdict: str) -> Found | None:
    explains = check.id == verdict
    if check.explains and not explains:
        return None
    try:
        found = check.judge(facts)
    except Exception as error:
        why = os_error_in_words(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        return Found("crash", f"The check {check.id} could not be made: {why}")
    return found._replace(status="fail") if found and explains else found


def _way_out(facts: Facts, check_id: str, found: Mapping[str, Found]) -> Way | None:
    """The first way that would help; where something has to be done before any can be run, the words that say so."""
    try:
        ways = (_helps(facts, check_id, each, found) for each in _after_policy(check_id, found))
        way = next(filter(None, ways), None)
    except Exception as error:
        return Way(f"a bug in rawr-install: what would help could not be worked out ({type(error).__name__}: {error})")
    untrusted = next((each for each in _TRUST if each in found), None)
    # Others decide what stands there, also which Bun its package.json asks for: nothing of it is advised, not in words.
    theirs = check_id.startswith("bun.") or (facts.instance and way and facts.instance.root in way.text)
    if way and untrusted and theirs and check_id not in _TRUST:
        return Way(f"first see to {untrusted}")
    return way and way._replace(fixable=way.fixable and not untrusted and _FOLDER not in found)


def _obstacles(facts: Facts, step: tuple[str, ...]) -> Iterator[str]:
    """The checks whose finding would stop one command."""
    about_root = facts.instance is not None and any(facts.instance.root in word for word in step)
    ours = step[0] == "rawr-install"
    if about_root:
        yield from _TRUST
    if ours and (about_root or LINK in step):
        yield _FOLDER
    if _changes_machine(step) or any(facts.home in word for word in step):
        yield "home.not-writable"
    if _changes_machine(step):
        yield from ("receipt.unreadable", "history.unreadable")
    elif ours:
        yield "state.not-writable"


def _after_policy(check_id: str, found: Mapping[str, Found]) -> Iterator[Way]:
    """The ways out of a finding, those that need it preceded by what lets the toolkit change anything again."""
    policy = found.get("policy.writable")
    for way in found[check_id].ways:
        if policy and any(map(_changes_machine, steps(way.argv))):
            first = policy.ways[0]
            yield both(first, way) if first.argv else Way("first see to policy.writable")
        else:
            yield way


def _changes_machine(step: tuple[str, ...]) -> bool:
    return step[0] == "rawr-install" and step[1] != "state"


def _helps(facts: Facts, check_id: str, way: Way, before: Mapping[str, Found], then: bool = True) -> Way | None:
    """The way, where it would leave nothing of its finding and bring no other failure; or with one that mends that.

    Words that say what comes first, where its commands would be stopped; None where none of these is so.
    """
    obstacles = (each for step in steps(way.argv) for each in _obstacles(facts, step) if each in before)
    if check_id not in _FIRST and (first := next(obstacles, None)):
        return Way(f"first see to {first}")
    if way.effect is None:
        return way
    after = way.effect(facts)
    found = _judged(after)[1] if after else {}
    # What stood in front and now stands behind is still told, as information.
    left = found.get(check_id)
    if after is None or (left and (left.status != "info" or before[check_id].status == "info")):
        return None
    failed = _failed(found) - _failed(before)
    if not failed:
        return way
    nexts = found[failed.pop()].ways if then and len(failed) == 1 and not way.later else ()
    return next(
        filter(None, (_helps(facts, check_id, both(way, each), before, False) for each in nexts if each.argv)), None
    )


def _after(facts: Facts, way: Way | None) -> Mapping[str, Found] | None:
    """What would be found after the command; None where that cannot be said, or it would be refused."""
    after = way.effect(facts) if way and way.effect else None
    return _judged(after)[1] if after else None


def _failed(found: Mapping[str, Found]) -> set[str]:
    return {check_id for check_id, each in found.items() if each.status in ("crash", "fail")}


def _causes(facts: Facts, found: Mapping[str, Found], ways: Mapping[str, Way | None]) -> Iterator[tuple[str, str]]:
    """(id, cause) for each finding that follows from another, or that the command of one at least as bad mends too."""
    follows = {check_id: each.follows for check_id, each in found.items() if each.follows in found}
    yield from follows.items()
    effects = {*follows}
    told = {check_id for check_id, each in found.items() if each.status in _TOLD}
    for cause in sorted(told, key=lambda check_id: _urgency(check_id, found[check_id].status)):
        told.remove(cause)
        after = _after(facts, ways[cause]) if cause not in effects else None
        for each in () if after is None else told - {*effects, *after}:
            effects.add(each)
            yield each, cause


def _urgency(check_id: str, status: str) -> tuple[int, int, int]:
    """Where a finding stands in the order in which to mend them."""
    first = _FIRST.index(check_id) if check_id in _FIRST else len(_FIRST)
    return _RANK[status], first, [*CHECKS].index(check_id)


def _answer(
    facts: Facts, check: Check, found: Mapping[str, Found], ways: Mapping[str, Way | None], causes: Mapping[str, str]
) -> Finding:
    if check.id not in found:
        skipped = check.skip_reason(facts)
        return Finding(check.id, "skip" if skipped else "ok", skipped or check.title)
    here, cause = found[check.id], causes.get(check.id)
    way = ways[cause or check.id]
    remedy = Remedy(way.text, way.argv) if way else None
    return Finding(check.id, here.status, here.summary, here.evidence, remedy, bool(way and way.fixable), cause)
