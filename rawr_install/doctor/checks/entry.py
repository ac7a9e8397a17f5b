"""Checks of the ``rawr`` that runs, and of what stands before and behind it on PATH. Pure."""

from __future__ import annotations

from rawr_install import __version__
from rawr_install.dispatch.messages import by_its_owner
from rawr_install.doctor.checks.registry import Found, check, without_instance
from rawr_install.doctor.checks.remedies import (
    Way,
    activate,
    both,
    executable,
    folder_of,
    install,
    keeps_owner,
    move_aside,
    run,
    set_up,
    to_profile,
    toolkit,
)
from rawr_install.machine.entry import LINK, SHIM, Entry
from rawr_install.machine.facts import Facts


def _evidence(entry: Entry, **more: object) -> dict[str, object]:
    return {"path": entry.path, "kind": entry.kind, "real": entry.real, "instance": entry.instance, **more}


def _then_on_path(facts: Facts, way: Way) -> tuple[Way, ...]:
    """The way, and after it a line for PATH where what it makes would not be found."""
    after = way.effect(facts) if way.effect else None
    return (way, both(way, to_profile(facts, folder_of(after.off_path)))) if after and after.off_path else (way,)


@check("entry.missing", "a rawr is installed", explains=True)
def missing(facts: Facts) -> Found | None:
    summary = f"No rawr on PATH, and none at {facts.bun_entry.path}."
    last = Way("choose a folder of yours that is on PATH: rawr-install install --bin-dir DIR")
    return Found("fail", summary, {"path": facts.bun_entry.path}, (*_then_on_path(facts, set_up(facts)), last))


@check("entry.dangling", "no entry is a link that leads nowhere")
def dangling(facts: Facts) -> Found | None:
    broken = [entry for entry in (facts.bun_entry, *facts.entries) if entry.kind == "dangling"]
    if not broken:
        return None
    first, here = broken[0], facts.instance
    evidence = {"path": first.path, "link": first.link}
    gone = (first.link or "").removesuffix("/apps/cli/bin/run.js")
    if here and gone == here.root:
        way = Way("restore the workspace CLI, and the link leads there again")
        summary = f"{first.path} leads to the workspace CLI, which is not there."
        return Found("warn", summary, evidence, (way,), follows="workspace.cli-missing")
    moved = first.ours and facts.owner.status == "vanished" and facts.owner.path == gone
    summary = f"{first.path} is a link that leads nowhere ({first.link})."
    if moved:
        summary = f"{gone} was moved or deleted: it is the owner, and {first.path} leads there."
    aside = move_aside(facts, *(entry.path for entry in broken))
    again = Way("cd into a workspace, for one that was moved into its new place, then: rawr-install activate")
    in_its_place = install(facts, "--force")._replace(fixable=keeps_owner(facts))
    ways = (*(activate(facts) if moved else ()), set_up(facts), in_its_place)
    return Found("warn", summary, evidence, (*(way for way in ways if way.argv), aside, again))


@check("entry.not-executable", "the entry of ours can be started", explains=True)
def not_executable(facts: Facts) -> Found | None:
    found = next(each for each in (*facts.entries, facts.bun_entry) if each.ours and each.real and not each.executable)
    if found.noexec:
        summary = f"{found.path} cannot be started: its file system is mounted noexec."
        way = Way("mount it without noexec, or choose a folder elsewhere: rawr-install install --bin-dir DIR")
        return Found("fail", summary, _evidence(found), (*_then_on_path(facts, install(facts)), way))
    chmod = run("chmod", "u+x", found.path, fixable=True, effect=lambda facts: executable(facts, found.real))
    ways = (set_up(facts), Way(by_its_owner(found.path))) if found.fixed else (chmod, set_up(facts))
    return Found("fail", f"{found.path} is not executable, so shells pass it over.", _evidence(found), ways)


@check("entry.outdated", "every copy of our shell entry is the toolkit's own version")
def outdated(facts: Facts) -> Found | None:
    copies = [entry for entry in facts.entries if entry.kind == "shim" and not entry.managed]
    old = next((entry for entry in copies if entry.version not in (None, __version__)), None)
    if old is None:
        return None
    version = f"of rawr-install {old.version}" if old.version else "from before it had a version"
    in_place = toolkit("install", "--mode", SHIM, "--bin-dir", folder_of(old), fixable=True)
    last = Way("install rawr-install where it stays, and let that write the entry: rawr-install install")
    summary = f"{old.path} is a copy {version}; this is {__version__}."
    return Found("warn", summary, _evidence(old, version=old.version), (install(facts), in_place, last))


@check("entry.foreign", "the rawr that runs belongs to the toolkit", explains=True)
def foreign(facts: Facts) -> Found | None:
    standing = [entry for entry in facts.entries if entry.kind != "dangling"]
    found = facts.command or next(iter(standing), facts.bun_entry)
    summary = f"{found.path} is not an entry of the toolkit's ({found.kind})."
    folder = folder_of(found)
    if found.managed:
        return Found("fail", summary, _evidence(found), (Way(f"uninstall what {found.installer} put there"),))
    in_place = [install(facts, *where, "--force") for where in ((), ("--mode", SHIM, "--bin-dir", folder))]
    last = Way(f"uninstall it, or put another folder before {folder} on PATH; then: rawr-install install")
    at_home = found.path.startswith((facts.home + "/", facts.bun_bin_dir + "/"))
    ways = (*_then_on_path(facts, install(facts)), *(in_place if at_home else ()), last)
    return Found("fail", summary, _evidence(found), ways)


@check("entry.other-instance", "the rawr that runs leads to the current instance", without_instance, explains=True)
def other_instance(facts: Facts) -> Found | None:
    found, here = facts.command, facts.instance
    assert found and here  # what the verdict needs
    target = found.instance or here.shim_runs
    summary = f"{found.path} runs {target}, not {here.root}."
    evidence = _evidence(found, runs=target, wanted=here.root)
    if found.kind == "shim":  # it follows the folder, so only a root variable sends it elsewhere
        return Found("fail", summary, evidence, (Way("unset RAWR_WORKSPACE_ROOT and RAWR_HQ_ROOT"),))
    wrong = [entry.path for entry in facts.entries if entry.executable and entry.instance not in (None, here.root)]
    in_place = set_up(facts, "--mode", LINK, "--bin-dir", folder_of(found))
    follow = toolkit("install", "--mode", SHIM)
    return Found("fail", summary, evidence, (set_up(facts), move_aside(facts, *wrong), in_place, follow))


@check("entry.outside-bun", "the link on PATH is also Bun's global entry", explains=True)
def outside_bun(facts: Facts) -> Found | None:
    found, bun = facts.command, facts.bun_entry
    assert found  # what the verdict needs
    summary = f"{found.path} leads here, but the Bun-global entry {bun.path} does not."
    evidence = {"path": found.path, "bunEntry": bun.path, "bunEntryKind": bun.kind}
    place = ("--mode", LINK, "--bin-dir", facts.bun_bin_dir)
    last = Way(f"uninstall what {bun.installer or 'another program'} put at {bun.path}; then: rawr-install install")
    return Found("fail", summary, evidence, (set_up(facts, *place), set_up(facts, *place, "--force"), last))


@check("entry.link-decides", "rawr follows the folder you are in")
def link_decides(facts: Facts) -> Found | None:
    found = facts.command
    if found is None or found.kind != "workspace-link":
        return None
    summary = f"{found.path} is a link, so rawr runs {found.instance} in every folder, outside workspaces too."
    return Found("info", summary, _evidence(found), (toolkit("install", "--mode", SHIM),))


@check("path.bun-missing", "Bun's bin folder is on PATH")
def bun_missing(facts: Facts) -> Found | None:
    if facts.path.has_bun or not facts.bun_entry.ours:
        return None
    # Where a shim runs, what stands in Bun's folder is not asked for.
    follows = facts.command is not None and facts.command.kind == "shim"
    summary = f"Bun's bin folder {facts.bun_bin_dir} is not on PATH, so shells do not find the entry in it."
    evidence = {"folder": facts.bun_bin_dir, "entry": facts.bun_entry.path}
    return Found("info" if follows else "warn", summary, evidence, (to_profile(facts, facts.bun_bin_dir),))


@check("path.entry-missing", "the folder of our entry is on PATH", explains=True)
def entry_missing(facts: Facts) -> Found | None:
    found = facts.off_path
    assert found  # what the verdict needs
    summary = f"{found.path} is installed, and its folder is not on PATH, so shells do not find it."
    return Found("fail", summary, _evidence(found), (to_profile(facts, folder_of(found)),))


@check("path.shadowed", "nothing foreign stands before our entry on PATH", explains=True)
def shadowed(facts: Facts) -> Found | None:
    first = facts.command
    ours = next(entry for entry in facts.entries if entry.executable and entry.ours)
    assert first  # what the verdict needs
    ahead = [entry for entry in facts.entries[: facts.entries.index(ours)] if entry.executable]
    places = [path for entry in ahead for path in (entry.path, *facts.path.also_at.get(entry.path, ()))]
    movable = not any(entry.managed for entry in ahead) and all(path.startswith(facts.home + "/") for path in places)
    summary = f"{first.path} ({first.kind}) comes before {ours.path} on PATH and runs instead."
    ways = (*((move_aside(facts, *places),) if movable else ()), to_profile(facts, folder_of(ours)))
    last = Way(f"uninstall {first.path}, or put {folder_of(ours)} first on PATH; then look again")
    return Found("fail", summary, _evidence(first, shadows=ours.path), (*ways, last))


@check("path.version-manager", "no version manager's shim answers to rawr before us")
def version_manager(facts: Facts) -> Found | None:
    found = next((entry for entry in facts.entries if entry.kind == "version-manager"), None)
    if found is None:
        return None
    if found != facts.command:
        summary = f"{found.path} is a version manager's shim and stands behind our entry."
        return Found("info", summary, _evidence(found))
    summary = f"{found.path} is a version manager's shim and decides what rawr runs."
    behind = (*facts.entries, facts.off_path, facts.bun_entry)
    ours = next((entry for entry in behind if entry and entry.executable and entry.ours), None)
    ways = (to_profile(facts, folder_of(ours)),) if ours else _then_on_path(facts, install(facts))
    last = Way("put the folder of our entry before the version manager's on PATH")
    return Found("info", summary, _evidence(found), (*ways, last))


@check("path.two-installs", "one way of installing, not two that differ")
def two_installs(facts: Facts) -> Found | None:
    ours = [entry for entry in facts.entries if entry.executable and entry.ours]
    right = next((entry for entry in ours if facts.instance and entry.instance == facts.instance.root), None)
    kept = right if ours and right and ours[0].kind != "shim" else next(iter(ours), None)
    others = [entry for entry in ours if kept and (entry.kind, entry.instance) != (kept.kind, kept.instance)]
    if not kept or not others or others[0].kind == "shim":  # a link before a shim: entry.link-decides
        return None
    # Behind our shell entry a link never runs.
    status = "info" if kept.kind == "shim" else "warn"
    unused = others[0] if kept is ours[0] else kept
    summary = f"Two installs on PATH: {ours[0].path} ({ours[0].kind}) runs, {unused.path} ({unused.kind}) does not."
    places = [path for entry in others for path in (entry.path, *facts.path.also_at.get(entry.path, ()))]
    evidence = {"runs": ours[0].path, "other": unused.path}
    return Found(status, summary, evidence, (move_aside(facts, *places),))


@check("path.pnpm-first", "pnpm's bin folder does not come before Bun's")
def pnpm_first(facts: Facts) -> Found | None:
    if not facts.path.pnpm_first:
        return None
    summary = "PATH currently prefers pnpm bin over Bun bin; this can shadow rawr unexpectedly."
    return Found("warn", summary, {"bunBinDir": facts.bun_bin_dir}, (to_profile(facts, facts.bun_bin_dir),))


@check("path.too-long", "all of PATH was looked at")
def too_long(facts: Facts) -> Found | None:
    if not facts.path.folders_skipped:
        return None
    summary = f"PATH has {facts.path.folders_skipped} folders too many; only its beginning was looked at."
    return Found("warn", summary, {"skipped": facts.path.folders_skipped})


@check("pnpm.stale-shim", "no rawr of an old global pnpm install is left")
def stale_shim(facts: Facts) -> Found | None:
    shims = facts.environment.pnpm_shims
    if not shims:
        return None
    return Found(
        "warn", f"Stale pnpm shim exists at {shims[0]}", {"paths": shims}, (move_aside(facts, *shims, fixable=True),)
    )
