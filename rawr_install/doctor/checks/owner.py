"""Checks of the owner file and of the policies that hang on it. Pure."""

from __future__ import annotations

from rawr_install.dispatch.workspace import FALLBACK_VARIABLE
from rawr_install.doctor.checks.registry import Found, Judge, check
from rawr_install.doctor.checks.remedies import Way, activate, both, move_aside, toolkit
from rawr_install.machine.facts import Facts


def _evidence(facts: Facts) -> dict[str, object]:
    return {"file": facts.owner_file, "status": facts.owner.status, "content": facts.owner.raw[:4096] or None}


@check("owner.missing", "an owner is set")
def missing(facts: Facts) -> Found | None:
    if facts.owner.status != "missing":
        return None
    summary = (
        f"No owner is set ({facts.owner_file} does not exist): outside a workspace rawr has nothing to fall back to."
    )
    return Found("info", summary, _evidence(facts), activate(facts))


BAD = {
    "empty": ("the owner file is not empty", "Owner file exists but is empty: {file}"),
    "unreadable": (
        "the owner file can be read",
        "Owner file cannot be read as a small regular file of yours: {file}",
    ),
    "invalid": ("the owner file holds one absolute path", "Owner file does not hold one absolute path: {file}"),
    "vanished": ("the owner's folder exists", "Owner file names a folder that does not exist: {path}"),
    "not-a-workspace": ("the owner is a workspace", "Owner file names a folder that is not a workspace: {path}"),
}


def _bad(status: str, sentence: str) -> Judge:
    """The check of one status in which the owner file names no owner."""

    def judge(facts: Facts) -> Found | None:
        if facts.owner.status != status:
            return None
        away = toolkit("deactivate", fixable=True)
        if status == "unreadable":
            away = move_aside(facts, facts.owner_file)
        if facts.environment.fallback:  # a missing owner would be the next thing that fails
            ways = (*activate(facts), both(away, disable) if away.argv and (disable := _disable(facts)).argv else away)
        else:
            ways = (away,)
        return Found("warn", sentence.format(file=facts.owner_file, path=facts.owner.path), _evidence(facts), ways)

    return judge


for _status, (_title, _sentence) in BAD.items():
    check(f"owner.{_status}", _title)(_bad(_status, _sentence))


@check("owner.other-instance", "the current instance is the owner")
def other_instance(facts: Facts) -> Found | None:
    here = facts.instance
    if here is None or facts.owner.status in ("missing", "empty", "unreadable") or facts.owner.real == here.root:
        return None
    named = facts.owner.path or facts.owner.raw[:4096]
    (transfer,) = activate(facts)
    summary = f"Owner file points to another checkout ({named}); run {transfer.text} to transfer ownership explicitly."
    return Found("warn", summary, _evidence(facts), (transfer,))


@check("owner.entry-disagree", "the entry runs the owner")
def entry_disagree(facts: Facts) -> Found | None:
    found = facts.command
    if facts.owner.status != "valid" or found is None or found.kind != "workspace-link":
        return None
    if found.instance == facts.owner.real:
        return None
    summary = f"The owner is {facts.owner.path}, but {found.path} runs {found.instance}."
    evidence = {"owner": facts.owner.real, "entry": found.path, "runs": found.instance}
    return Found("warn", summary, evidence, activate(facts))


@check("fallback.bad-owner", "the fallback has an owner to fall back to")
def fallback_bad_owner(facts: Facts) -> Found | None:
    enabled = facts.environment.fallback
    if not enabled or facts.owner.status == "valid":
        return None
    summary = "The fallback to the owner is enabled, but there is no owner to run: outside a workspace rawr fails."
    return Found("warn", summary, {**_evidence(facts), "enabledBy": enabled}, (_disable(facts),))


def _disable(facts: Facts) -> Way:
    """The end of the fallback; in words where a variable enables it."""
    enabled, way = facts.environment.fallback, toolkit("fallback", "disable", fixable=True)
    if FALLBACK_VARIABLE in enabled:
        rest = "" if len(enabled) == 1 else f", then: {way.text}"
        return Way(f"unset {FALLBACK_VARIABLE}{rest}")
    return way._replace(effect=lambda facts: facts._replace(environment=facts.environment._replace(fallback=())))
