"""Where the plugin manager's links differ from what a workspace expects: facts in, issues and actions out. Pure.

Authority is local: the canonical root is the workspace's own. The owner's is
taken only where the caller says so *and* the owner file is valid; no variable,
no other file can do it, and a report that stayed local for a bad owner says why.

Order (wire): plugins by name with the first issue that fits each, the legacy
plugin, the core plugin; then the kinds that we add: ``manifest_corrupt``,
``invalid_plugin``, ``duplicate_entry``, ``orphan_link``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from rawr_install.dispatch.workspace import Owner
from rawr_install.plugins.catalog import Catalog
from rawr_install.plugins.manifest import Link, Manifest, Step

CORE_PLUGIN = "@rawr/plugin-plugins"
LEGACY_PLUGINS = ("@rawr/plugin-agent-sync",)

Issue = dict[str, object]
Identity = tuple[int, int]


@dataclass(frozen=True)
class Canonical:
    """Whose plugins are expected: ``workspace-root`` or ``global-owner``; ``note`` says why not the owner's."""

    root: str
    source: str = "workspace-root"
    note: str | None = None


@dataclass(frozen=True)
class LinkFacts:
    """Everything that is judged. ``targets``: device and inode of each root that must be compared, None when gone."""

    canonical: Canonical
    catalog: Catalog
    manifest: Manifest
    targets: Mapping[str, Identity | None]
    runtime: frozenset[str] | None = None

    @cached_property
    def expected(self) -> dict[str, str]:
        """Plugin name -> the root that its link should have, in the catalog's order."""
        return self.catalog.linkable

    @cached_property
    def actual(self) -> dict[str, Link]:
        """Name -> entry; of two entries the last one counts."""
        return {link.name: link for link in self.manifest.links}


class Fault(NamedTuple):
    """One issue and what mends it."""

    issue: Issue
    actions: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Assessment:
    """The issues, in order, and the steps that mend those that can be mended."""

    issues: tuple[Issue, ...]
    actions: tuple[Step, ...]

    @property
    def status(self) -> str:
        kinds = {issue["kind"] for issue in self.issues}
        if not kinds:
            return "IN_SYNC"
        if kinds & {"legacy_present", "legacy_overlap"}:
            return "LEGACY_OVERLAP"
        return "STALE_LINKS" if "stale_link" in kinds else "DRIFT_DETECTED"


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


def assess(facts: LinkFacts) -> Assessment:
    """Compare the links that the workspace expects with those that the manifest has."""
    faults = [*_link_faults(facts), *_legacy_faults(facts), *_core_faults(facts), *_our_faults(facts)]
    # No action comes twice: a name is expected once, and has one fault of a kind.
    actions = tuple(action for fault in faults for action in fault.actions)
    return Assessment(tuple(fault.issue for fault in faults), actions)


def _issue(kind: str, name: str | None, message: str, fixable: bool, **roots: str | None) -> Issue:
    named = {} if name is None else {"pluginName": name}
    return {"kind": kind, **named, "message": message, **roots, "autoFixable": fixable}


# Kind -> the issue's message, the reason to link (wire).
_WORDS = {
    "missing_link": ("Missing link for {name}", "Link {name} to canonical workspace source"),
    "not_linked": ("{name} is {type} instead of link", "Switch {name} to link mode for local latest"),
    "stale_link": ("{name} link target is missing", "Re-link {name} to canonical workspace source"),
    "path_mismatch": (
        "{name} link target differs from canonical source",
        "Re-point {name} link to canonical workspace source",
    ),
}


def _link_faults(facts: LinkFacts) -> Iterator[Fault]:
    for name, root in facts.expected.items():
        actual = facts.actual.get(name)
        kind = _link_kind(root, actual, facts.targets)
        if kind is None:
            continue
        message, reason = (text.format(name=name, type=actual.type if actual else "") for text in _WORDS[kind])
        roots = {"expectedRoot": root, **({"actualRoot": actual.root} if actual else {})}
        steps = [Step("uninstall", name, reason=f"Remove stale link for {name}")] if kind == "stale_link" else []
        yield Fault(_issue(kind, name, message, True, **roots), (*steps, Step("link", name, root, reason)))


def _link_kind(root: str, actual: Link | None, targets: Mapping[str, Identity | None]) -> str | None:
    if actual is None:
        return "missing_link"
    if actual.type != "link":
        return "not_linked"
    if actual.root == root:
        return None
    target = targets.get(actual.root) if actual.root else None
    if target is None:
        return "stale_link"
    return None if target == targets.get(root) else "path_mismatch"


def _legacy_faults(facts: LinkFacts) -> Iterator[Fault]:
    for name in LEGACY_PLUGINS:
        if name not in facts.actual:
            continue
        root = facts.actual[name].root
        present = _issue("legacy_present", name, f"Legacy sync plugin is still linked: {name}", True, actualRoot=root)
        yield Fault(present, (Step("uninstall", name, reason=f"Remove legacy sync provider {name}"),))
        if CORE_PLUGIN in facts.actual or CORE_PLUGIN in (facts.runtime or ()):
            text = f"Legacy and canonical sync providers overlap ({name} + {CORE_PLUGIN})"
            yield Fault(_issue("legacy_overlap", name, text, True, actualRoot=root))


def _core_faults(facts: LinkFacts) -> Iterator[Fault]:
    if facts.runtime is not None and CORE_PLUGIN not in facts.runtime:
        yield Fault(_issue("missing_core_plugin", CORE_PLUGIN, f"Runtime does not include {CORE_PLUGIN}", False))


def _our_faults(facts: LinkFacts) -> Iterator[Fault]:
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


def _orphans(facts: LinkFacts) -> Iterator[Link]:
    broken = {name for violation in facts.catalog.violations for name in (violation.id, violation.path)}
    known = {*facts.expected, *LEGACY_PLUGINS, *broken}
    for link in facts.actual.values():
        if link.type == "link" and link.name not in known and link.root not in broken:
            yield link
