"""Whether the plugin manager's links agree with a workspace: facts in, issues and steps out.

:func:`look` reads the machine into :class:`Facts`, :func:`judge` is pure, and
:func:`assess_install_state` is both, as the wire's report.

Authority is local: the canonical root is the workspace's own. The owner's is
taken only where the caller says so *and* the owner file is valid; no variable,
no other file can do it, and a report that stayed local for a bad owner says why.

Order (wire): plugins by name with the first issue that fits each, the legacy
plugin, the core plugin; then the kinds that we add: ``manifest_corrupt``,
``invalid_plugin``, ``duplicate_entry``, ``orphan_link``.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypedDict

from rawr_install import manifest as manifests
from rawr_install.manifest import Link, Manifest, Step
from rawr_install.paths import Places
from rawr_install.plugins import Catalog, collation, discover
from rawr_install.workspace import Owner, read_owner

CORE_PLUGIN = "@rawr/plugin-plugins"
LEGACY_PLUGINS = ("@rawr/plugin-agent-sync",)

Issue = dict[str, object]
Identity = tuple[int, int]


class _Report(TypedDict):
    status: str
    inSync: bool
    canonicalWorkspaceRoot: str
    canonicalWorkspaceSource: str
    pluginManagerManifestPath: str
    expectedLinks: list[dict[str, str]]
    actualLinks: list[dict[str, str | None]]
    issues: list[Issue]
    actions: list[dict[str, str]]
    summary: dict[str, int]


class InstallState(_Report, total=False):
    """The wire's report; ``notes`` (ours) is there when something besides issues has to be said."""

    notes: list[str]


@dataclass(frozen=True)
class Canonical:
    """Whose plugins are expected: ``workspace-root`` or ``global-owner``; ``note`` says why not the owner's."""

    root: str
    source: str = "workspace-root"
    note: str | None = None


@dataclass(frozen=True)
class Facts:
    """Everything that is judged. ``targets``: device and inode of each root that must be compared, None when gone."""

    canonical: Canonical
    catalog: Catalog
    manifest: Manifest
    targets: Mapping[str, Identity | None]
    runtime: frozenset[str] | None = None

    @cached_property
    def expected(self) -> dict[str, str]:
        """Plugin name -> the root that its link should have, in the catalog's order."""
        return linkable(self.catalog)


def linkable(catalog: Catalog) -> dict[str, str]:
    """Name and root of every plugin that the plugin manager should link."""
    return {plugin.id: plugin.path for plugin in catalog.plugins if plugin.linkable}


class Action(NamedTuple):
    """One step and why."""

    step: Step
    reason: str

    @property
    def command(self) -> str:
        if self.step.verb == "uninstall":
            return f"rawr plugins uninstall {self.step.name}"
        return f"rawr plugins link {json.dumps(self.step.root, ensure_ascii=False)} --install"


class Fault(NamedTuple):
    """One issue and what mends it."""

    issue: Issue
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """The issues, in order, and the steps that mend those that can be mended, each once."""

    issues: tuple[Issue, ...]
    actions: tuple[Action, ...]

    @property
    def status(self) -> str:
        kinds = {issue["kind"] for issue in self.issues}
        if not kinds:
            return "IN_SYNC"
        if kinds & {"legacy_present", "legacy_overlap"}:
            return "LEGACY_OVERLAP"
        return "STALE_LINKS" if "stale_link" in kinds else "DRIFT_DETECTED"


def assess_install_state(
    workspace_root: str | os.PathLike[str],
    runtime_plugins: Iterable[Mapping[str, object]] | None = None,
    oclif_data_dir: str | os.PathLike[str] | None = None,
    allow_global_owner_fallback: bool = False,
) -> InstallState:
    """Assess the plugin links of a workspace; changes nothing, and no broken plugin or manifest makes it raise.

    ``runtime_plugins`` are the plugins that a running CLI has loaded (their
    ``name`` and ``alias`` count); ``oclif_data_dir`` is the plugin manager's
    data folder (default: the user's). Raises UsageError ``NO_HOME`` where a
    default is needed and HOME is unset.
    """
    facts = look(workspace_root, runtime_plugins, oclif_data_dir, allow_global_owner_fallback)
    return report(facts, judge(facts))


# -- looking -----------------------------------------------------------------


def look(
    workspace_root: str | os.PathLike[str],
    runtime_plugins: Iterable[Mapping[str, object]] | None = None,
    oclif_data_dir: str | os.PathLike[str] | None = None,
    allow_global_owner_fallback: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Facts:
    """Read workspace, manifest and link targets once."""
    root = os.path.abspath(os.fspath(workspace_root))
    owner = read_owner(_places().owner_file) if allow_global_owner_fallback else None
    canonical = choose_root(root, owner)
    catalog = discover(canonical.root, progress)
    manifest = manifests.read(os.path.join(_data_dir(oclif_data_dir), "package.json"))
    targets = _targets(manifest.links, linkable(catalog))
    return Facts(canonical, catalog, manifest, targets, _runtime_names(runtime_plugins))


def _places() -> Places:
    return Places.from_environ(os.environ)


def _data_dir(given: str | os.PathLike[str] | None) -> str:
    return os.path.abspath(os.fspath(given) if given else _places().plugin_manager_dir)


def _runtime_names(plugins: Iterable[Mapping[str, object]] | None) -> frozenset[str] | None:
    if plugins is None:
        return None
    names = (plugin.get(key) for plugin in plugins for key in ("name", "alias"))
    return frozenset(name for name in names if isinstance(name, str) and name)


def _targets(links: Iterable[Link], expected: Mapping[str, str]) -> dict[str, Identity | None]:
    """The identities that the judgement needs; a root that is spelled as expected needs none."""
    found: dict[str, Identity | None] = {}
    for link in links:
        wanted = expected.get(link.name)
        if wanted and link.root and link.root != wanted:
            found[link.root], found[wanted] = _identity(link.root), _identity(wanted)
    return found


def _identity(path: str) -> Identity | None:
    try:
        info = os.stat(path)
    except (OSError, ValueError):
        return None
    return info.st_dev, info.st_ino


# -- judging, pure -----------------------------------------------------------


def choose_root(root: str, owner: Owner | None) -> Canonical:
    """The canonical root: ``owner`` is None unless the caller explicitly allowed the owner's."""
    if owner is None:
        return Canonical(root)
    if owner.status == "valid" and owner.path:
        return Canonical(owner.path, "global-owner")
    named = f" ({owner.raw})" if owner.raw else ""
    return Canonical(
        root, note=f"The owner file is {owner.status}{named}, so this workspace's own plugins are expected."
    )


def judge(facts: Facts) -> Verdict:
    """Compare the links that the workspace expects with those that the manifest has."""
    faults = [*_link_faults(facts), *_legacy_faults(facts), *_core_faults(facts), *_our_faults(facts)]
    actions = dict.fromkeys(action for fault in faults for action in fault.actions)
    return Verdict(tuple(fault.issue for fault in faults), tuple(actions))


def _issue(kind: str, name: str | None, message: str, fixable: bool, **roots: str | None) -> Issue:
    named = {} if name is None else {"pluginName": name}
    return {"kind": kind, **named, "message": message, **roots, "autoFixable": fixable}


def _link_faults(facts: Facts) -> Iterator[Fault]:
    actual = {link.name: link for link in facts.manifest.links}  # of two entries the last one counts
    for name, root in facts.expected.items():
        if fault := _link_fault(name, root, actual.get(name), facts.targets):
            yield fault


def _link_fault(name: str, root: str, actual: Link | None, targets: Mapping[str, Identity | None]) -> Fault | None:
    link = Step("link", name, root)
    if actual is None:
        issue = _issue("missing_link", name, f"Missing link for {name}", True, expectedRoot=root)
        return Fault(issue, (Action(link, f"Link {name} to canonical workspace source"),))
    roots = {"expectedRoot": root, "actualRoot": actual.root}
    if actual.type != "link":
        issue = _issue("not_linked", name, f"{name} is {actual.type} instead of link", True, **roots)
        return Fault(issue, (Action(link, f"Switch {name} to link mode for local latest"),))
    if actual.root == root:
        return None
    target = targets.get(actual.root) if actual.root else None
    if target is None:
        issue = _issue("stale_link", name, f"{name} link target is missing", True, **roots)
        return Fault(issue, (_uninstall(name, f"Remove stale link for {name}"), Action(link, _relink(name))))
    if target == targets.get(root):
        return None
    issue = _issue("path_mismatch", name, f"{name} link target differs from canonical source", True, **roots)
    return Fault(issue, (Action(link, f"Re-point {name} link to canonical workspace source"),))


def _uninstall(name: str, reason: str) -> Action:
    return Action(Step("uninstall", name), reason)


def _relink(name: str) -> str:
    return f"Re-link {name} to canonical workspace source"


def _legacy_faults(facts: Facts) -> Iterator[Fault]:
    actual = {link.name: link for link in facts.manifest.links}
    for name in LEGACY_PLUGINS:
        if name not in actual:
            continue
        root = actual[name].root
        present = _issue("legacy_present", name, f"Legacy sync plugin is still linked: {name}", True, actualRoot=root)
        yield Fault(present, (_uninstall(name, f"Remove legacy sync provider {name}"),))
        if CORE_PLUGIN in actual or CORE_PLUGIN in (facts.runtime or ()):
            text = f"Legacy and canonical sync providers overlap ({name} + {CORE_PLUGIN})"
            yield Fault(_issue("legacy_overlap", name, text, True, actualRoot=root))


def _core_faults(facts: Facts) -> Iterator[Fault]:
    if facts.runtime is not None and CORE_PLUGIN not in facts.runtime:
        yield Fault(_issue("missing_core_plugin", CORE_PLUGIN, f"Runtime does not include {CORE_PLUGIN}", False))


def _our_faults(facts: Facts) -> Iterator[Fault]:
    manifest = facts.manifest
    if manifest.problem:
        message = f"Plugin manager manifest {manifest.path} is not usable: {manifest.problem}"
        yield Fault(_issue("manifest_corrupt", None, message, False))
    for violation in facts.catalog.violations:
        yield Fault(_issue("invalid_plugin", violation.id, violation.message, False))
    for name, number in Counter(link.name for link in manifest.links).items():
        if number > 1:
            message = f"{name} has {number} entries in the plugin manager manifest; the last one counts"
            yield Fault(_issue("duplicate_entry", name, message, False))
    for link in _orphans(facts):
        message = f"{link.name} is linked, but no plugin of the workspace accounts for it"
        yield Fault(_issue("orphan_link", link.name, message, False, actualRoot=link.root))


def _orphans(facts: Facts) -> Iterator[Link]:
    broken = {violation.id for violation in facts.catalog.violations}
    broken |= {violation.path for violation in facts.catalog.violations}
    known = {*facts.expected, *LEGACY_PLUGINS, *broken}
    for link in {link.name: link for link in facts.manifest.links}.values():
        if link.type == "link" and link.name not in known and link.root not in broken:
            yield link


# -- the report --------------------------------------------------------------


def report(facts: Facts, verdict: Verdict) -> InstallState:
    """The verdict in the wire's shape."""
    manifest, issues = facts.manifest, list(verdict.issues)
    actual = sorted(manifest.links, key=lambda link: collation(link.name))
    made: InstallState = {
        "status": verdict.status,
        "inSync": not issues,
        "canonicalWorkspaceRoot": facts.canonical.root,
        "canonicalWorkspaceSource": facts.canonical.source,
        "pluginManagerManifestPath": manifest.path,
        "expectedLinks": [{"pluginName": name, "root": root} for name, root in facts.expected.items()],
        "actualLinks": [link._asdict() for link in actual],
        "issues": issues,
        "actions": [{"command": action.command, "reason": action.reason} for action in verdict.actions],
        "summary": {
            "expectedLinkCount": len(facts.expected),
            "actualLinkCount": len(actual),
            "issueCount": len(issues),
            "staleLinkCount": _count(issues, "stale_link"),
            "legacyIssueCount": _count(issues, "legacy_present", "legacy_overlap"),
        },
    }
    if notes := _notes(facts):
        made["notes"] = notes
    return made


def _count(issues: Sequence[Issue], *kinds: str) -> int:
    return sum(issue["kind"] in kinds for issue in issues)


def _notes(facts: Facts) -> list[str]:
    nameless = facts.manifest.nameless
    entries = f"{nameless} entries of oclif.plugins have" if nameless > 1 else "1 entry of oclif.plugins has"
    unread = [f"{entries} no name in {facts.manifest.path}; the plugin manager skips such entries."] if nameless else []
    return [*([facts.canonical.note] if facts.canonical.note else []), *unread]
