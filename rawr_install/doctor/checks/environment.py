"""Checks of what lies around: permissions, the current folder, other shells, the look itself. Pure."""

from __future__ import annotations

from rawr_install.doctor.checks.registry import Judge, check, command, keeps_owner, set_up
from rawr_install.machine.facts import Facts
from rawr_install.report import Finding, Remedy, to_run


@check("toolkit.gone", "our shell entry finds a toolkit that can start")
def toolkit_gone(facts: Facts) -> Finding | None:
    gone = facts.environment.toolkits_gone
    if not gone:
        return None
    summary = f"{gone[0]} finds no rawr-install that can start: its Python is gone."
    managed = any(entry.managed for entry in facts.entries if entry.path == gone[0])
    remedy = command("install", "--mode", "shim", "--bin-dir", gone[0].rpartition("/")[0])
    if managed:
        remedy = Remedy("reinstall rawr-install with the program that put this entry there, for example pipx")
    return Finding("toolkit.gone", "warn", summary, {"entries": gone}, remedy, fixable=not managed)


@check("receipt.disagrees", "what the toolkit installed is as it was installed")
def receipt_disagrees(facts: Facts) -> Finding | None:
    astray = facts.records.modified
    if not astray:
        return None
    said = ", ".join(f"{path} is {what}" for path, what in astray)
    summary = f"The receipt and the disk disagree: {said}."
    return Finding("receipt.disagrees", "warn", summary, {"items": dict(astray)}, _as_installed(facts))


def _as_installed(facts: Facts) -> Remedy:
    """The command after which disk and receipt say the same again."""
    modes = dict(facts.records.installed)
    path, what = facts.records.modified[0]
    if path not in modes:  # the owner file
        return command("activate", facts.instance.root) if facts.instance else Remedy("rawr-install activate PATH")
    if what == "missing":
        return set_up(facts)
    return set_up(facts, "--mode", modes[path], "--bin-dir", path.rpartition("/")[0])


@check("operation.pending", "no change of the machine was interrupted")
def pending(facts: Facts) -> Finding | None:
    begun = facts.records.pending
    if not begun:
        return None
    summary = f"A change was begun and not ended ({', '.join(begun)}); the next changing command mends it."
    return Finding("operation.pending", "warn", summary, {"pending": begun}, set_up(facts), keeps_owner(facts))


UNREADABLE = {
    "receipt.unreadable": "the receipt can be read",
    "history.unreadable": "the history can be read",
}


def _unreadable(check_id: str) -> Judge:
    """The check of one record of the toolkit's own."""

    def judge(facts: Facts) -> Finding | None:
        problem = next((problem for problem in facts.records.problems if problem.id == check_id), None)
        if problem is None:
            return None
        remedy = to_run(*problem.remedy)
        return Finding(check_id, "warn", problem.summary, {}, remedy, fixable=True)

    return judge


for _id, _title in UNREADABLE.items():
    check(_id, _title)(_unreadable(_id))


@check("project.bunfig-preload", "no bunfig.toml here loads code before rawr")
def preload(facts: Facts) -> Finding | None:
    preloads = facts.environment.preloads
    if not preloads:
        return None
    summary = f"bunfig.toml in the current folder makes Bun load {', '.join(preloads)} before rawr runs."
    remedy = Remedy("run rawr from another folder, or take the preload out of bunfig.toml")
    return Finding("project.bunfig-preload", "warn", summary, {"folder": facts.cwd, "preload": preloads}, remedy)


@check("project.env-file", "no .env here changes what rawr runs")
def env_file(facts: Facts) -> Finding | None:
    if not facts.environment.env_settings:
        return None
    names = sorted({name for _, name in facts.environment.env_settings})
    files = sorted({file for file, _ in facts.environment.env_settings})
    summary = (
        f"{', '.join(files)} sets {', '.join(names)} for the workspace CLI (Bun reads it from the current folder)."
    )
    remedy = Remedy("run rawr from another folder, or take these variables out of the file")
    return Finding("project.env-file", "warn", summary, {"files": files, "variables": names}, remedy)


def _not_asked(facts: Facts) -> str:
    return "" if any(shell.name == "login" for shell in facts.shells) else "no login shell was asked: --login-shell"


@check("shell.login-differs", "a login shell finds the same rawr", _not_asked)
def login_differs(facts: Facts) -> Finding | None:
    login = next((shell for shell in facts.shells if shell.name == "login"), None)
    here = facts.command.path if facts.command else None
    if login is None or (not login.problem and login.command == here):
        return None
    answer = login.problem or f"finds {login.command or 'no rawr'}"
    summary = f"A login shell {answer}; this process finds {here or 'no rawr'}."
    remedy = Remedy("make the profile of your login shell set the same PATH")
    return Finding("shell.login-differs", "warn", summary, {"login": login.command, "here": here}, remedy)


@check("probe.crash", "every part of the look succeeded")
def crash(facts: Facts) -> Finding | None:
    if not facts.crashes:
        return None
    parts = dict(facts.crashes)
    summary = f"Looking at {', '.join(parts)} failed."
    return Finding("probe.crash", "crash", summary, parts)
