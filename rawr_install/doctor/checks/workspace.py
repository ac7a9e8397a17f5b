"""Checks of the current instance: its CLI, its trust, its needs. Pure."""

from __future__ import annotations

from rawr_install.doctor.checks.registry import Judge, check, without_instance
from rawr_install.doctor.verdict import reason
from rawr_install.machine.facts import Facts
from rawr_install.report import Finding, Remedy, command_line, to_run


@check("workspace.none", "there is an instance to judge")
def none(facts: Facts) -> Finding | None:
    if facts.instance is not None or facts.refused:
        return None
    summary = f"{facts.cwd or 'The current folder'} is in no workspace, and no valid owner is set."
    hint = Remedy("cd into a workspace, or name one: rawr-install doctor global --workspace PATH")
    return Finding("workspace.none", "info", summary, {"cwd": facts.cwd, "lookalikes": facts.lookalikes}, hint)


@check("workspace.variable", "the root variable names a workspace")
def variable(facts: Facts) -> Finding | None:
    if facts.refused is None:
        return None
    name, value = facts.refused
    status = "fail" if reason(facts) == "workspace.variable" else "warn"
    remedy = Remedy(f"unset {name}")
    summary = f"{name} names no workspace: {value}"
    return Finding("workspace.variable", status, summary, {"variable": name, "value": value}, remedy)


@check("workspace.cli-missing", "the workspace has a CLI", without_instance)
def cli_missing(facts: Facts) -> Finding | None:
    if reason(facts) != "workspace.cli-missing" or facts.instance is None:
        return None
    cli = facts.instance.cli
    remedy = Remedy("restore apps/cli/bin/run.js: check the workspace out again, or name another one with --workspace")
    summary = f"The workspace CLI is {'a dangling link' if cli.exists else 'missing'}: {cli.path}"
    return Finding("workspace.cli-missing", "fail", summary, {"path": cli.path, "lookalikes": facts.lookalikes}, remedy)


@check("workspace.cli-not-executable", "the workspace CLI can be executed", without_instance)
def cli_not_executable(facts: Facts) -> Finding | None:
    if reason(facts) != "workspace.cli-not-executable" or facts.instance is None:
        return None
    path = facts.instance.cli.path
    argv = ("chmod", "u+x", path)
    summary = f"The workspace CLI is not executable: {path}"
    remedy = to_run(*argv)
    return Finding("workspace.cli-not-executable", "fail", summary, {"path": path}, remedy, fixable=True)


@check("workspace.interpreter-missing", "the workspace CLI's interpreter is there", without_instance)
def interpreter_missing(facts: Facts) -> Finding | None:
    cli = facts.instance.cli if facts.instance else None
    if cli is None or not cli.executable or not cli.shebang or cli.interpreter or cli.shebang == "bun":
        return None  # bun is a check of its own
    summary = f"The workspace CLI asks for {cli.shebang}, which is not on PATH: {cli.path}"
    remedy = Remedy(f"install {cli.shebang}, or put its folder on PATH")
    return Finding("workspace.interpreter-missing", "warn", summary, {"path": cli.path, "wanted": cli.shebang}, remedy)


@check("workspace.untrusted", "the workspace is the user's own, or trusted", without_instance)
def untrusted(facts: Facts) -> Finding | None:
    if facts.instance is None or facts.instance.trusted:
        return None
    status = "fail" if reason(facts) == "workspace.untrusted" else "warn"
    real = facts.instance.root
    hint, argv = facts.instance.trust_remedy
    summary = f"{real} is not trusted, and `rawr` does not run it: {facts.instance.obstacle}."
    remedy = Remedy(hint or command_line(argv), argv)
    return Finding("workspace.untrusted", status, summary, {"path": real}, remedy)


@check("workspace.writable", "nobody else can write to what runs", without_instance)
def writable(facts: Facts) -> Finding | None:
    instance = facts.instance
    if instance is None or not instance.writable or not instance.trusted:
        return None
    _, argv = instance.trust_remedy
    summary = f"Other users can write to {instance.writable[0]}, and so decide what runs in {instance.root}."
    remedy = to_run(*argv)
    return Finding("workspace.writable", "fail", summary, {"paths": instance.writable}, remedy)


NEEDS = {
    "bun.missing": "Bun is on PATH where the workspace needs it",
    "bun.version": "Bun is the version that package.json asks for",
    "bun.range": "package.json asks for Bun by a version range",
    "dependencies.missing": "the workspace's dependencies are installed",
    "package.unreadable": "the workspace's package.json is a JSON object",
}


def _need(check_id: str) -> Judge:
    """The check of one thing that a checkout may lack (:mod:`rawr_install.machine.requirements` says when)."""

    def judge(facts: Facts) -> Finding | None:
        needs = facts.instance.needs if facts.instance else ()
        need = next((need for need in needs if need.id == check_id), None)
        if need is None:
            return None
        return Finding(check_id, "warn", need.summary, {}, need.remedy)

    return judge


for _id, _title in NEEDS.items():
    check(_id, _title, without_instance)(_need(_id))
