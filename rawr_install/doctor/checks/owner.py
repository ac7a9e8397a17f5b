"""Checks of the owner file and of the policies that hang on it. Pure."""

from __future__ import annotations

from rawr_install.doctor.checks.registry import check, command, move_aside
from rawr_install.machine.facts import Facts
from rawr_install.report import Finding, Remedy


def _activate(facts: Facts) -> Remedy | None:
    return command("activate", facts.instance.root) if facts.instance else None


def _evidence(facts: Facts) -> dict[str, object]:
    return {"file": facts.owner_file, "status": facts.owner.status, "content": facts.owner.raw[:4096] or None}


def _bad(facts: Facts, status: str, summary: str) -> Finding | None:
    if facts.owner.status != status:
        return None
    return Finding(f"owner.{status}", "warn", summary, _evidence(facts), command("deactivate"), fixable=True)


@check("owner.missing", "an owner is set")
def missing(facts: Facts) -> Finding | None:
    if facts.owner.status != "missing":
        return None
    summary = (
        f"No owner is set ({facts.owner_file} does not exist): outside a workspace rawr has nothing to fall back to."
    )
    return Finding("owner.missing", "info", summary, _evidence(facts), _activate(facts))


@check("owner.empty", "the owner file is not empty")
def empty(facts: Facts) -> Finding | None:
    return _bad(facts, "empty", f"Owner file exists but is empty: {facts.owner_file}")


@check("owner.unreadable", "the owner file can be read")
def unreadable(facts: Facts) -> Finding | None:
    if facts.owner.status != "unreadable":
        return None
    summary = f"Owner file cannot be read as a small regular file: {facts.owner_file}"
    return Finding("owner.unreadable", "warn", summary, _evidence(facts), move_aside(facts, facts.owner_file))


@check("owner.invalid", "the owner file holds one absolute path")
def invalid(facts: Facts) -> Finding | None:
    return _bad(facts, "invalid", f"Owner file does not hold one absolute path: {facts.owner_file}")


@check("owner.vanished", "the owner's folder exists")
def vanished(facts: Facts) -> Finding | None:
    return _bad(facts, "vanished", f"Owner file names a folder that does not exist: {facts.owner.path}")


@check("owner.not-a-workspace", "the owner is a workspace")
def not_a_workspace(facts: Facts) -> Finding | None:
    return _bad(facts, "not-a-workspace", f"Owner file names a folder that is no workspace: {facts.owner.path}")


@check("owner.other-instance", "the current instance is the owner")
def other_instance(facts: Facts) -> Finding | None:
    here = facts.instance
    if here is None or facts.owner.status in ("missing", "empty", "unreadable") or facts.owner.real == here.root:
        return None
    named = facts.owner.path or facts.owner.raw[:4096]
    remedy = command("activate", here.root)
    summary = f"Owner file points to another checkout ({named}); run {remedy.text} to transfer ownership explicitly."
    return Finding("owner.other-instance", "warn", summary, _evidence(facts), remedy)


@check("owner.entry-disagree", "the entry runs the owner")
def entry_disagree(facts: Facts) -> Finding | None:
    found = facts.command
    if facts.owner.status != "valid" or found is None or found.kind != "workspace-link":
        return None
    if found.instance == facts.owner.real:
        return None
    summary = f"The owner is {facts.owner.path}, but {found.path} runs {found.instance}."
    evidence = {"owner": facts.owner.real, "entry": found.path, "runs": found.instance}
    return Finding("owner.entry-disagree", "warn", summary, evidence, _activate(facts))


@check("fallback.bad-owner", "the fallback has an owner to fall back to")
def fallback_bad_owner(facts: Facts) -> Finding | None:
    if not facts.environment.fallback or facts.owner.status == "valid":
        return None
    summary = (
        f"The fallback to the owner is enabled, but the owner is {facts.owner.status}: outside a workspace rawr fails."
    )
    return Finding(
        "fallback.bad-owner", "warn", summary, _evidence(facts), command("fallback", "disable"), fixable=True
    )
