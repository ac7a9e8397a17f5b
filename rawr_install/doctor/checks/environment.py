"""Checks of what lies around: permissions, records, the current folder, other shells, the look itself. Pure."""

from __future__ import annotations

from rawr_install.doctor.checks.registry import Found, check, listed
from rawr_install.doctor.checks.remedies import Way, activate, set_up, toolkit
from rawr_install.machine.facts import Facts
from rawr_install.report import command_line


@check("toolkit.gone", "our shell entry finds a toolkit that can start")
def toolkit_gone(facts: Facts) -> Found | None:
    gone = facts.environment.toolkits_gone
    if not gone:
        return None
    summary = f"{gone[0]} finds no rawr-install that can start: its Python is gone."
    return Found("warn", summary, {"entries": gone}, _with_this_toolkit(facts, gone[0]))


@check("toolkit.cached", "the toolkit that our shell entry finds stays")
def toolkit_cached(facts: Facts) -> Found | None:
    cached = facts.environment.cached_toolkits
    if not cached:
        return None
    summary = f"The rawr-install that {cached[0]} finds lies in a cache, from which it may go any day."
    return Found("warn", summary, {"entries": cached}, _with_this_toolkit(facts, cached[0]))


def _with_this_toolkit(facts: Facts, shim: str) -> tuple[Way, ...]:
    """Let the entry lead to the toolkit that runs, unless a package manager made it."""
    if any(entry.managed for entry in facts.entries if entry.path == shim):
        return (Way("reinstall rawr-install with the program that put this entry there, for example pipx"),)
    last = Way("install rawr-install where it stays (pipx install, uv tool install), then: rawr-install install")
    return toolkit("install", "--mode", "shim", "--bin-dir", shim.rpartition("/")[0], fixable=True), last


@check("receipt.disagrees", "what the toolkit installed is as it was installed")
def receipt_disagrees(facts: Facts) -> Found | None:
    astray = facts.records.modified
    if not astray:
        return None
    said = ", ".join(f"{path} is {what}" for path, what in astray)
    return Found("warn", f"The receipt and the disk disagree: {said}.", {"items": dict(astray)}, _as_installed(facts))


def _as_installed(facts: Facts) -> tuple[Way, ...]:
    """The commands after which disk and receipt say the same again."""
    modes = dict(facts.records.installed)
    path, what = facts.records.modified[0]
    if path not in modes:  # the owner file
        return activate(facts) or (Way("cd into a workspace, then: rawr-install activate"),)
    place = ("--mode", modes[path], "--bin-dir", path.rpartition("/")[0])
    ways = (set_up(facts, *place), set_up(facts, *place, "--force"))
    plain = (set_up(facts),) if what == "missing" else ()
    last = () if what == "missing" else (Way(f"move {command_line((path,))} away, then: rawr-install uninstall"),)
    return tuple(way._replace(fixable=False) for way in (*plain, *ways, *last))


@check("operation.pending", "no change of the machine was interrupted")
def pending(facts: Facts) -> Found | None:
    begun = facts.records.pending
    if not begun:
        return None
    summary = f"A change was begun and not ended ({', '.join(begun)}); the next changing command mends it."
    return Found("warn", summary, {"pending": begun}, (set_up(facts),))


listed(
    {"receipt.unreadable": "the receipt can be read", "history.unreadable": "the history can be read"},
    lambda facts: facts.records.problems,
)


@check("project.untrusted", "the current folder is the user's own, or trusted")
def untrusted_folder(facts: Facts) -> Found | None:
    if not facts.unsafe_folder:
        return None
    # A link runs here all the same; where our shell entry would, the verdict says so.
    runs = facts.command is not None and facts.command.kind == "workspace-link"
    summary = f"Bun would load what others put here: {facts.unsafe_folder}."
    way = Way("go to a folder of your own")
    return Found("warn" if runs else "info", summary, {"folder": facts.cwd}, (way,))


@check("project.bunfig-preload", "no bunfig.toml here loads code before rawr")
def preload(facts: Facts) -> Found | None:
    preloads = facts.environment.preloads
    if theirs := _of_another_user(facts, "bunfig.toml"):
        return theirs
    if not preloads:
        return None
    summary = f"bunfig.toml in the current folder makes Bun load {', '.join(preloads)} before rawr runs."
    way = Way("run rawr from another folder, or take the preload out of bunfig.toml")
    return Found("warn", summary, {"folder": facts.cwd, "preload": preloads}, (way,))


@check("project.env-file", "no .env here changes what rawr runs")
def env_file(facts: Facts) -> Found | None:
    settings = facts.environment.env_settings
    if theirs := _of_another_user(facts, ".env"):
        return theirs
    if not settings:
        return None
    names, files = sorted({name for _, name in settings}), sorted({file for file, _ in settings})
    summary = (
        f"{', '.join(files)} sets {', '.join(names)} for the workspace CLI (Bun reads it from the current folder)."
    )
    way = Way("run rawr from another folder, or take these variables out of the file")
    return Found("warn", summary, {"files": files, "variables": names}, (way,))


def _of_another_user(facts: Facts, name: str) -> Found | None:
    """The failure that a file which Bun loads here is another user's, whatever it says now."""
    files = [file for file in facts.environment.foreign_files if file.rpartition("/")[2].startswith(name)]
    if not files:
        return None
    summary = f"{', '.join(files)} belongs to another user, who so decides what Bun loads before rawr runs."
    return Found("fail", summary, {"folder": facts.cwd, "files": files}, (Way("run rawr from a folder of your own"),))


def _not_asked(facts: Facts) -> str:
    return "" if any(shell.name == "login" for shell in facts.shells) else "no login shell was asked: --login-shell"


@check("shell.login-differs", "a login shell finds the same rawr", _not_asked)
def login_differs(facts: Facts) -> Found | None:
    login = next((shell for shell in facts.shells if shell.name == "login"), None)
    here = facts.command.path if facts.command else None
    if login is None or (not login.problem and login.command == here):
        return None
    answer = login.problem or f"finds {login.command or 'no rawr'}"
    summary = f"A login shell {answer}; this process finds {here or 'no rawr'}."
    way = Way("make the profile of your login shell set the same PATH")
    return Found("warn", summary, {"login": login.command, "here": here}, (way,))


@check("probe.crash", "every part of the look succeeded")
def crash(facts: Facts) -> Found | None:
    if not facts.crashes:
        return None
    parts = dict(facts.crashes)
    return Found("crash", f"Looking at {', '.join(parts)} failed.", parts)
