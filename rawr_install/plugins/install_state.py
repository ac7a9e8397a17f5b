"""The install state: look at workspace, manifest and link targets, judge them, and report in the wire's shape.

The rules are in :mod:`rawr_install.plugins.assess`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from rawr_install.dispatch.workspace import read_owner
from rawr_install.ecmascript import collation
from rawr_install.errors import RawrError, UsageError
from rawr_install.paths import Paths
from rawr_install.plugins import manifest
from rawr_install.plugins.assess import Assessment, Identity, Issue, LinkFacts, assess, choose_root
from rawr_install.plugins.catalog import discover
from rawr_install.plugins.manifest import Link


class InstallState(TypedDict):
    """The wire's report; ``notes`` (ours) is there when something besides issues has to be said."""

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
    notes: NotRequired[list[str]]


@dataclass(frozen=True)
class RepairResult:
    """How a repair ended: ``action`` is ``skipped``, ``planned``, ``applied`` or ``failed``.

    ``before`` and ``after`` are reports (``after`` that of a second assessment
    where something was written); ``backup`` is the old manifest's copy.
    """

    action: str
    before: InstallState
    after: InstallState
    reason: str = ""
    backup: str | None = None
    error: RawrError | None = None


def assess_install_state(
    workspace_root: str | os.PathLike[str],
    runtime_plugins: Iterable[Mapping[str, object]] | None = None,
    oclif_data_dir: str | os.PathLike[str] | None = None,
    allow_global_owner_fallback: bool = False,
) -> InstallState:
    """Assess the plugin links of a workspace; changes nothing, and no broken plugin or manifest makes it raise.

    ``runtime_plugins`` are the plugins that a running CLI has loaded (their
    ``name`` and ``alias`` count); ``oclif_data_dir`` is the plugin manager's
    data folder (default: the user's). Raises UsageError: ``NOT_A_WORKSPACE`` for a
    root that is not there, ``NO_HOME`` where a default is needed and HOME is unset.
    """
    facts = read_facts(workspace_root, runtime_plugins, oclif_data_dir, allow_global_owner_fallback)
    return report(facts, assess(facts))


# -- reading -----------------------------------------------------------------


def read_facts(
    workspace_root: str | os.PathLike[str],
    runtime_plugins: Iterable[Mapping[str, object]] | None = None,
    oclif_data_dir: str | os.PathLike[str] | None = None,
    allow_global_owner_fallback: bool = False,
    progress: Callable[[int], None] = lambda _number: None,
) -> LinkFacts:
    """Read workspace, manifest and link targets once; raises UsageError ``NOT_A_WORKSPACE`` for a missing root."""
    root = os.path.abspath(os.fspath(workspace_root))
    if not os.path.isdir(root):
        raise UsageError(f"{root} is not a folder.", code="NOT_A_WORKSPACE", hint="name the root folder of a workspace")
    owner = read_owner(Paths.from_environ(os.environ).owner_file) if allow_global_owner_fallback else None
    canonical = choose_root(root, owner)
    catalog = discover(canonical.root, progress)
    data_dir = os.fspath(oclif_data_dir) if oclif_data_dir else Paths.from_environ(os.environ).plugin_manager_dir
    installed = manifest.read(os.path.join(os.path.abspath(data_dir), "package.json"))
    targets = _targets(installed.links, catalog.linkable)
    return LinkFacts(canonical, catalog, installed, targets, _runtime_names(runtime_plugins))


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


# -- the report --------------------------------------------------------------


def report(facts: LinkFacts, found: Assessment) -> InstallState:
    """The found in the wire's shape."""
    issues = list(found.issues)
    actual = sorted(facts.manifest.links, key=lambda link: collation(link.name))
    made: InstallState = {
        "status": found.status,
        "inSync": not issues,
        "canonicalWorkspaceRoot": facts.canonical.root,
        "canonicalWorkspaceSource": facts.canonical.source,
        "pluginManagerManifestPath": facts.manifest.path,
        "expectedLinks": [{"pluginName": name, "root": root} for name, root in facts.expected.items()],
        "actualLinks": [{"name": link.name, "type": link.type, "root": link.root} for link in actual],
        "issues": issues,
        "actions": [{"command": action.command, "reason": action.reason} for action in found.actions],
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


def _notes(facts: LinkFacts) -> list[str]:
    nameless = facts.manifest.nameless
    entries = f"{nameless} entries of oclif.plugins have" if nameless > 1 else "1 entry of oclif.plugins has"
    unread = [f"{entries} no name in {facts.manifest.path}; the plugin manager skips such entries."] if nameless else []
    return [*([facts.canonical.note] if facts.canonical.note else []), *unread]
