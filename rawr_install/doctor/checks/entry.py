"""Checks of the ``rawr`` that runs, and of what stands before and behind it on PATH. Pure."""

from __future__ import annotations

from rawr_install.doctor.checks.profile import to_profile
from rawr_install.doctor.checks.registry import (
    check,
    command,
    install,
    keeps_owner,
    move_aside,
    set_up,
    without_instance,
)
from rawr_install.doctor.verdict import reason
from rawr_install.machine.entry import LINK, SHIM, Entry
from rawr_install.machine.facts import Facts
from rawr_install.report import Finding, Remedy


@check("entry.missing", "a rawr is installed")
def missing(facts: Facts) -> Finding | None:
    if reason(facts) != "entry.missing":
        return None
    summary = f"No rawr on PATH, and none at {facts.bun_entry.path}."
    return Finding("entry.missing", "fail", summary, {"path": facts.bun_entry.path}, set_up(facts), keeps_owner(facts))


@check("entry.dangling", "no entry is a link that leads nowhere")
def dangling(facts: Facts) -> Finding | None:
    broken = next((entry for entry in (facts.bun_entry, *facts.entries) if entry.kind == "dangling"), None)
    if broken is None:
        return None
    status = "fail" if reason(facts) == "entry.dangling" else "warn"
    summary = f"{broken.path} is a link that leads nowhere ({broken.link})."
    remedy = _dangling_remedy(facts, broken)
    fixable = remedy.argv[:1] == ("rawr-install",) and keeps_owner(facts)
    evidence = {"path": broken.path, "link": broken.link}
    return Finding("entry.dangling", status, summary, evidence, remedy, fixable)


def _dangling_remedy(facts: Facts, broken: Entry) -> Remedy:
    if facts.instance and broken.link == facts.instance.cli.path and reason(facts) == "workspace.cli-missing":
        return Remedy("restore the workspace CLI, and the link leads there again")
    # Only where it is the entry that runs, or would, is it replaced; elsewhere it is in the way.
    replaced = broken.path == facts.bun_entry.path and (facts.mode == LINK or facts.path.has_bun)
    if not replaced or reason(facts) != "entry.dangling":
        return move_aside(facts, broken.path)
    return set_up(facts) if broken.ours else install(facts, "--force")


@check("entry.foreign", "the rawr that runs belongs to the toolkit")
def foreign(facts: Facts) -> Finding | None:
    if reason(facts) != "entry.foreign":
        return None
    found = facts.command or next(iter(facts.entries), facts.bun_entry)
    summary = f"{found.path} is not an entry of the toolkit's ({found.kind})."
    at_place = facts.bun_entry.kind != "missing" and found.path == facts.bun_entry.path
    remedy = install(facts, "--force") if at_place else move_aside(facts, found.path)
    if found.managed:
        remedy = Remedy(f"uninstall what {found.installer} put there, or move it")
    return Finding("entry.foreign", "fail", summary, _shown(found), remedy)


@check("entry.other-instance", "the rawr that runs leads to the current instance", without_instance)
def other_instance(facts: Facts) -> Finding | None:
    found = facts.command
    if reason(facts) != "entry.other-instance" or found is None or facts.instance is None:
        return None
    target = found.instance or facts.instance.shim_runs
    summary = f"{found.path} runs {target}, not {facts.instance.root}."
    evidence = {**_shown(found), "runs": target, "wanted": facts.instance.root}
    if found.kind == "shim":  # it follows the folder, so only a root variable sends it elsewhere
        remedy = Remedy("unset RAWR_WORKSPACE_ROOT and RAWR_HQ_ROOT")
        return Finding("entry.other-instance", "fail", summary, evidence, remedy)
    return Finding("entry.other-instance", "fail", summary, evidence, set_up(facts), keeps_owner(facts))


@check("entry.outside-bun", "the link on PATH is also Bun's global entry")
def outside_bun(facts: Facts) -> Finding | None:
    found = facts.command
    if reason(facts) != "entry.outside-bun" or found is None:
        return None
    summary = f"{found.path} leads here, but the Bun-global entry {facts.bun_entry.path} does not."
    evidence = {"path": found.path, "bunEntry": facts.bun_entry.path, "bunEntryKind": facts.bun_entry.kind}
    remedy = set_up(facts, "--bin-dir", facts.bun_bin_dir)
    return Finding("entry.outside-bun", "fail", summary, evidence, remedy, keeps_owner(facts))


@check("entry.link-decides", "rawr follows the folder you are in")
def link_decides(facts: Facts) -> Finding | None:
    found = facts.command
    if found is None or found.kind != "workspace-link":
        return None
    summary = f"{found.path} is a link, so rawr runs {found.instance} in every folder, outside workspaces too."
    return Finding("entry.link-decides", "info", summary, _shown(found), command("install", "--mode", SHIM))


@check("path.bun-missing", "Bun's bin folder is on PATH")
def bun_missing(facts: Facts) -> Finding | None:
    if facts.path.has_bun or not facts.bun_entry.ours:
        return None
    # Where a shim runs, what stands in Bun's folder is not asked for.
    follows = facts.command is not None and facts.command.kind == "shim"
    status = "fail" if reason(facts) == "path.bun-missing" else "info" if follows else "warn"
    summary = f"Bun's bin folder {facts.bun_bin_dir} is not on PATH, so shells do not find the entry in it."
    evidence = {"folder": facts.bun_bin_dir, "entry": facts.bun_entry.path}
    return Finding("path.bun-missing", status, summary, evidence, to_profile(facts, facts.bun_bin_dir))


@check("path.entry-missing", "the folder of our entry is on PATH")
def entry_missing(facts: Facts) -> Finding | None:
    found = facts.off_path
    if reason(facts) != "path.entry-missing" or found is None:
        return None
    folder = found.path.rpartition("/")[0]
    summary = f"{found.path} is installed, and its folder is not on PATH, so shells do not find it."
    return Finding("path.entry-missing", "fail", summary, _shown(found), to_profile(facts, folder))


@check("path.shadowed", "nothing foreign stands before our entry on PATH")
def shadowed(facts: Facts) -> Finding | None:
    first = facts.command
    if reason(facts) != "path.shadowed" or first is None:
        return None
    ours = next(entry for entry in facts.entries if entry.executable and entry.ours)
    summary = f"{first.path} ({first.kind}) comes before {ours.path} on PATH and runs instead."
    return Finding(
        "path.shadowed", "fail", summary, {**_shown(first), "shadows": ours.path}, move_aside(facts, first.path)
    )


@check("path.version-manager", "no version manager's shim answers to rawr before us")
def version_manager(facts: Facts) -> Finding | None:
    found = next((entry for entry in facts.entries if entry.kind == "version-manager"), None)
    if found is None:
        return None
    first = reason(facts) == "path.version-manager"
    effect = "decides what rawr runs" if first else "stands behind our entry"
    summary = f"{found.path} is a version manager's shim and {effect}."
    ours = next((entry.path for entry in facts.entries if entry.executable and entry.ours), facts.bun_entry.path)
    remedy = to_profile(facts, ours.rpartition("/")[0]) if first else None
    return Finding("path.version-manager", "fail" if first else "info", summary, _shown(found), remedy)


@check("path.two-installs", "one way of installing, not two that differ")
def two_installs(facts: Facts) -> Finding | None:
    ours = [entry for entry in facts.entries if entry.executable and entry.ours]
    other = next((entry for entry in ours if _behaviour(entry) != _behaviour(ours[0])), None)
    if other is None or other.kind == "shim":  # a link before a shim: entry.link-decides
        return None
    # Behind our shell entry a link never runs.
    status = "info" if ours[0].kind == "shim" else "warn"
    summary = f"Two installs on PATH: {ours[0].path} ({ours[0].kind}) runs, {other.path} ({other.kind}) does not."
    evidence = {"runs": ours[0].path, "other": other.path}
    return Finding("path.two-installs", status, summary, evidence, move_aside(facts, other.path))


@check("path.pnpm-first", "pnpm's bin folder does not come before Bun's")
def pnpm_first(facts: Facts) -> Finding | None:
    if not facts.path.pnpm_first:
        return None
    summary = "PATH currently prefers pnpm bin over Bun bin; this can shadow rawr unexpectedly."
    evidence = {"bunBinDir": facts.bun_bin_dir}
    return Finding("path.pnpm-first", "warn", summary, evidence, to_profile(facts, facts.bun_bin_dir))


@check("path.too-long", "all of PATH was looked at")
def too_long(facts: Facts) -> Finding | None:
    if not facts.path.folders_skipped:
        return None
    summary = f"PATH has {facts.path.folders_skipped} folders too many; only its beginning was looked at."
    return Finding("path.too-long", "warn", summary, {"skipped": facts.path.folders_skipped})


@check("pnpm.stale-shim", "no rawr of an old global pnpm install is left")
def stale_shim(facts: Facts) -> Finding | None:
    if not facts.environment.pnpm_shims:
        return None
    shim = facts.environment.pnpm_shims[0]
    summary = f"Stale pnpm shim exists at {shim}"
    return Finding(
        "pnpm.stale-shim",
        "warn",
        summary,
        {"paths": facts.environment.pnpm_shims},
        move_aside(facts, shim),
        fixable=True,
    )


def _behaviour(entry: Entry) -> tuple[str, str | None]:
    return entry.kind, entry.instance


def _shown(entry: Entry) -> dict[str, object]:
    return {"path": entry.path, "kind": entry.kind, "real": entry.real, "instance": entry.instance}
