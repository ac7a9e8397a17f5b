"""Checks of the current instance: its CLI, its trust, its needs. Pure."""

from __future__ import annotations

from rawr_install.doctor.checks.registry import Found, check, listed, without_instance
from rawr_install.doctor.checks.remedies import Way, executable, run
from rawr_install.errors import DispatchError
from rawr_install.machine.facts import Facts, Instance


@check("workspace.none", "there is an instance to judge")
def none(facts: Facts) -> Found | None:
    if facts.instance is not None or facts.refused:
        return None
    summary = f"{facts.cwd or 'The current folder'} is not in a workspace, and no valid owner is set."
    way = Way("cd into a workspace, or name one: rawr-install doctor global --workspace PATH")
    return Found("info", summary, {"cwd": facts.cwd, "lookalikes": facts.lookalikes}, (way,))


@check("workspace.variable", "the root variable names a workspace")
def variable(facts: Facts) -> Found | None:
    if facts.refused is None:
        return None
    name, value = facts.refused
    summary = f"{name} does not name a workspace: {value}"
    return Found("warn", summary, {"variable": name, "value": value}, (Way(f"unset {name}"),))


def _instance(facts: Facts) -> Instance:
    assert facts.instance  # what the verdict needs
    return facts.instance


@check("workspace.cli-missing", "the workspace has a CLI", without_instance, explains=True)
def cli_missing(facts: Facts) -> Found | None:
    cli = _instance(facts).cli
    way = Way("restore apps/cli/bin/run.js: check the workspace out again, or name another one with --workspace")
    summary = f"The workspace CLI is {'a dangling link' if cli.exists else 'missing'}: {cli.path}"
    return Found("fail", summary, {"path": cli.path, "lookalikes": facts.lookalikes}, (way,))


@check("workspace.cli-not-executable", "the workspace CLI can be executed", without_instance, explains=True)
def cli_not_executable(facts: Facts) -> Found | None:
    cli = _instance(facts).cli
    if cli.refusal is None or (cli.refusal.code == "CLI_NOT_EXECUTABLE" and cli.refusal.remedy):
        chmod = run("chmod", "u+x", cli.path, fixable=True, effect=lambda facts: executable(facts, cli.real))
        last = Way(f"make it executable, {chmod.text}, and look again")
        return Found("fail", f"The workspace CLI is not executable: {cli.path}", {"path": cli.path}, (chmod, last))
    return _cannot_start(cli.path, cli.refusal)._replace(status="fail")


def _cannot_start(path: str, refusal: DispatchError) -> Found:
    """In the words of the dispatcher, which knows the way out."""
    way = run(*refusal.remedy) if refusal.remedy else Way(refusal.hint)
    return Found("warn", refusal.message, {"path": path, "code": refusal.code}, (way,))


@check("workspace.cli-cannot-start", "the system can start the workspace CLI", without_instance)
def cli_cannot_start(facts: Facts) -> Found | None:
    cli = facts.instance.cli if facts.instance else None
    if cli is None or not cli.executable or not cli.refusal or cli.refusal.code == "CLI_INTERPRETER_MISSING":
        return None  # what is not there, or not executable, are checks of their own
    return _cannot_start(cli.path, cli.refusal)


@check("workspace.interpreter-missing", "the workspace CLI's interpreter is there", without_instance)
def interpreter_missing(facts: Facts) -> Found | None:
    cli = facts.instance.cli if facts.instance else None
    missing = cli is not None and cli.refusal is not None and cli.refusal.code == "CLI_INTERPRETER_MISSING"
    if cli is None or not missing or cli.shebang == "bun":
        return None  # bun is a check of its own
    summary = f"The workspace CLI asks for {cli.shebang}, which is not on PATH: {cli.path}"
    way = Way(f"install {cli.shebang}, or put its folder on PATH")
    return Found("warn", summary, {"path": cli.path, "wanted": cli.shebang}, (way,))


@check("workspace.untrusted", "the workspace is the user's own, or trusted", without_instance)
def untrusted(facts: Facts) -> Found | None:
    if facts.instance is None or facts.instance.trusted:
        return None
    root, (hint, argv) = facts.instance.root, facts.instance.trust_remedy
    summary = f"{root} is not trusted, and `rawr` does not run it: {facts.instance.obstacle}."
    return Found("warn", summary, {"path": root}, (Way(hint, argv) if hint else run(*argv),))


@check("workspace.writable", "nobody else can write to what runs", without_instance)
def writable(facts: Facts) -> Found | None:
    instance = facts.instance
    if instance is None or not instance.writable or not instance.trusted:
        return None
    summary = f"Other users can write to {instance.writable[0]}, and so decide what runs in {instance.root}."
    return Found("fail", summary, {"paths": instance.writable}, (run(*instance.trust_remedy[1]),))


listed(
    {
        "bun.missing": "Bun is on PATH where the workspace needs it",
        "bun.version": "Bun is the version that package.json asks for",
        "bun.range": "package.json asks for Bun by a version range",
        "dependencies.missing": "the workspace's dependencies are installed",
        "package.unreadable": "the workspace's package.json is a JSON object",
    },
    lambda facts: facts.instance.needs if facts.instance else (),
    skip_reason=without_instance,
)
