"""Checks of what keeps commands from changing anything: before all others, since these are mended first. Pure."""

from __future__ import annotations

from rawr_install.doctor.checks.registry import Found, check
from rawr_install.doctor.checks.remedies import Way, run
from rawr_install.machine.facts import Facts
from rawr_install.machine.messages import exposure, make_private


@check("home.not-writable", "the toolkit can write where its files lie")
def not_writable(facts: Facts) -> Found | None:
    if facts.environment.unchangeable is None:
        return None
    why, way = facts.environment.unchangeable
    return Found("warn", f"The toolkit can change nothing here: {why}.", {}, (Way(way),))


@check("policy.writable", "nobody else can write HOME or ~/.rawr")
def writable(facts: Facts) -> Found | None:
    exposed = dict(facts.environment.exposed)
    if not exposed:
        return None
    evidence = {"modes": {path: f"{mode:04o}" for path, mode in exposed.items()}}
    found = facts.environment.exposed
    summary = f"Others {exposure(found)} {', '.join(exposed)}, and so decide what rawr runs."
    way = run(*make_private(found), fixable=True, effect=_not_exposed)
    if facts.environment.private_by:
        way = Way(facts.environment.private_by)
    return Found("fail", summary, evidence, (way,))


def _not_exposed(facts: Facts) -> Facts:
    return facts._replace(environment=facts.environment._replace(exposed=()))
