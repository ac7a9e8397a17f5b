"""Healthy or not, and if not, why: the rule that the wire's ``ok`` follows. Pure.

Healthy: the first executable ``rawr`` on PATH is ours and leads to the current
instance. A link does when its real path is the workspace CLI's and the
Bun-global entry resolves to the same file; our shell entry does when it would
run that workspace for a user who stands in it. Where there is no instance to
lead to, an entry of ours is enough.
"""

from __future__ import annotations

from rawr_install.machine.entry import Entry
from rawr_install.machine.facts import Facts, Instance


def reason(facts: Facts) -> str:
    """The id of the check that explains why the machine is unhealthy; empty when it is healthy."""
    instance = facts.instance
    policy = "policy.writable" if facts.environment.exposed else _of_another_user(facts)
    if instance is None:
        return "workspace.variable" if facts.refused else _about_entry(facts, None) or policy
    if not instance.cli.exists or instance.cli.real is None:
        return "workspace.cli-missing"
    if not instance.cli.executable:
        return "workspace.cli-not-executable"
    writable = "workspace.writable" if instance.writable and instance.trusted else ""
    return _about_entry(facts, instance) or writable or policy


def _of_another_user(facts: Facts) -> str:
    files = facts.environment.foreign_files
    if any(path.endswith("/bunfig.toml") for path in files):
        return "project.bunfig-preload"
    return "project.env-file" if files else ""


def _about_entry(facts: Facts, instance: Instance | None) -> str:
    first = facts.command
    if first is None:
        return _nothing_runs(facts)
    if first.kind == "workspace-link":
        return _about_link(facts, instance, first) if instance else ""
    if first.kind == "shim":
        return _about_shim(facts, instance) if instance else ""
    if first.kind == "version-manager":
        return "path.version-manager"
    return "path.shadowed" if any(entry.executable and entry.ours for entry in facts.entries) else _foreign(facts)


def _nothing_runs(facts: Facts) -> str:
    there = [entry for entry in (*facts.entries, facts.bun_entry) if entry.kind != "missing"]
    if any(entry.kind == "dangling" and (entry.ours or entry.path == facts.bun_entry.path) for entry in there):
        return "entry.dangling"
    if any(entry.ours and entry.real and not entry.executable for entry in there):
        return "entry.not-executable"
    there = [entry for entry in there if entry.kind != "dangling"]
    return _foreign(facts) if there or facts.off_path else "entry.missing"


def _foreign(facts: Facts) -> str:
    if facts.bun_entry.ours and facts.bun_entry.executable and not facts.path.has_bun:
        return "path.bun-missing"
    return "path.entry-missing" if facts.off_path else "entry.foreign"


def _about_link(facts: Facts, instance: Instance, first: Entry) -> str:
    if first.real != instance.cli.real:
        return "entry.other-instance"
    return "" if facts.bun_entry.real == instance.cli.real else "entry.outside-bun"


def _about_shim(facts: Facts, instance: Instance) -> str:
    if facts.refused:
        return "workspace.variable"
    if instance.shim_runs != instance.root:
        return "entry.other-instance"
    if facts.unsafe_folder and facts.runs_here:
        return "project.untrusted"
    return "" if instance.trusted else "workspace.untrusted"
