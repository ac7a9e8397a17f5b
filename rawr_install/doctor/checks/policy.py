"""The check of who may write what decides; before all others, since nothing else is mended until this is. Pure."""

from __future__ import annotations

from rawr_install.doctor.checks.registry import check
from rawr_install.machine.facts import Facts
from rawr_install.report import Finding, to_run


@check("policy.writable", "nobody else can write HOME or ~/.rawr")
def writable(facts: Facts) -> Finding | None:
    if not facts.environment.exposed:
        return None
    paths = tuple(path for path, _ in facts.environment.exposed)
    argv = ("chmod", "go-w", *paths)
    evidence = {"modes": {path: f"{mode:04o}" for path, mode in facts.environment.exposed}}
    summary = f"Others can write {', '.join(paths)}, and so decide what rawr runs."
    return Finding("policy.writable", "fail", summary, evidence, to_run(*argv), fixable=True)
