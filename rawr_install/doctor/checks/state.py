"""Checks of the current instance's state file and its lock. Pure."""

from __future__ import annotations

from rawr_install.doctor.checks.registry import Found, check, without_instance
from rawr_install.doctor.checks.remedies import Way, toolkit
from rawr_install.machine.facts import Facts, State


def _state(facts: Facts) -> State | None:
    return facts.instance.state if facts.instance else None


def _of_file(facts: Facts, status: str, way: Way) -> Found | None:
    state = _state(facts)
    if state is None or state.file_status != status:
        return None
    return Found("warn", state.error, {"path": state.path, "status": status}, (way,))


def _for_root(facts: Facts, verb: str, fixable: bool = True) -> Way:
    return toolkit("state", verb, "--workspace", facts.instance.root if facts.instance else "", fixable=fixable)


@check("state.not-writable", "the state can be changed", without_instance)
def not_writable(facts: Facts) -> Found | None:
    state = _state(facts)
    if state is None or state.unwritable is None:
        return None
    why, way = state.unwritable
    return Found("warn", f"The state cannot be changed: {why}.", {"path": state.path}, (Way(way),))


@check("state.corrupt", "the state file is a state", without_instance)
def corrupt(facts: Facts) -> Found | None:
    return _of_file(facts, "corrupt", _for_root(facts, "recover"))


@check("state.newer-version", "the state file is of a version that the toolkit knows", without_instance)
def newer_version(facts: Facts) -> Found | None:
    return _of_file(facts, "version", Way("upgrade the toolkit with the program that installed it, for example pipx"))


@check("state.unreadable", "the state file can be read", without_instance)
def unreadable(facts: Facts) -> Found | None:
    return _of_file(facts, "unreadable", Way("make it a regular file that you may read"))


@check("state.lock-held", "nobody is changing the state just now", without_instance)
def lock_held(facts: Facts) -> Found | None:
    state = _state(facts)
    if state is None or state.lock_status != "held":
        return None
    since = "" if state.held_for is None else f", for {state.held_for:.0f} seconds"
    summary = f"The state's lock is {state.lock_in_words}{since}."
    return Found("info", summary, {"holder": dict(state.holder)})


@check("state.lock-abandoned", "no dead process left the state's lock behind", without_instance)
def lock_abandoned(facts: Facts) -> Found | None:
    state = _state(facts)
    if state is None or state.lock_status != "abandoned":
        return None
    summary = f"The state's lock was left behind by process {state.holder.get('pid', '?')}, which is gone."
    return Found("warn", summary, {"holder": dict(state.holder)}, (_for_root(facts, "unlock"),))


@check("state.lock-unreadable", "the state's lock says who holds it", without_instance)
def lock_unreadable(facts: Facts) -> Found | None:
    state = _state(facts)
    if state is None or state.lock_status != "unreadable":
        return None
    summary = f"The state's lock beside {state.path} does not say who holds it."
    return Found("warn", summary, {"holder": dict(state.holder)}, (_for_root(facts, "unlock", fixable=False),))


@check("state.shared", "only this machine changes the state", without_instance)
def shared(facts: Facts) -> Found | None:
    state = _state(facts)
    if state is None or state.shared is None:
        return None
    host, at = state.shared
    summary = (
        f"The state is changed from another host or kernel, too ({host}, seen {at}). No change is lost to it; but a "
        "holder that dies there blocks for a minute, and one that stalls there for a minute can be overtaken."
    )
    way = Way("change the state on one side only; if it is no longer shared, remove .rawr/state/state.shared")
    return Found("warn", summary, {"host": host, "at": at}, (way,))


@check("state.not-local", "the state lies on a file system whose locks can be relied upon", without_instance)
def not_local(facts: Facts) -> Found | None:
    state = _state(facts)
    if state is None or not state.degraded:
        return None
    summary = f"{state.path}: {', '.join(state.degraded)}; the lock works there, but slower and without its guard."
    return Found("info", summary, {"degraded": state.degraded})
