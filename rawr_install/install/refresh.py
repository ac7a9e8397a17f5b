"""Keep entry and owner right when git changes the owner's checkout under them.

Rules:

* Nothing happens unless the checkout that git worked in is the machine's
  owner, by real path (it may also hold the owner: a workspace below the top
  level of a repository). Variables that name a workspace do not count here.
* From a hook, nothing happens either unless a path that matters differs from
  the commit of the last refresh; without a hook the user asked, so the check
  is made anyway. Comparing with the last refresh, not with the hook's OLD,
  makes up for ``git reset``, which runs no hook, and for hooks that failed.
* Refreshing is activating the owner again: in place means that nothing is
  written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import NamedTuple

from rawr_install import atomic
from rawr_install.dispatch.workspace import folders_up, read_owner
from rawr_install.files import read_json, same_folder
from rawr_install.install import git, operations
from rawr_install.machine.ownership import not_yours
from rawr_install.machine.plan import Request
from rawr_install.machine.requirements import MissingRequirement, requirements
from rawr_install.paths import Paths

# What decides whether `rawr` works: the CLI, what it is installed from, the plugins' manifests.
PATHS = ("apps/cli", "package.json", "bun.lock", "bun.lockb", ":(glob)plugins/**/package.json")


class Hook(NamedTuple):
    """What git told its hook: the hook's name, and what HEAD was and is (names that git understands)."""

    name: str
    old: str
    new: str


class Refreshed(NamedTuple):
    """What a refresh found and did.

    ``reason``: ``no-owner``, ``not-owner``, ``nothing-changed``, ``planned`` or
    ``refreshed``. ``changed_paths`` are those that matter, None when git
    could not tell (then everything counts as changed).
    """

    reason: str
    workspace_root: str | None = None
    since: str | None = None
    commit: str | None = None
    changed_paths: tuple[str, ...] | None = None
    steps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    needs: tuple[MissingRequirement, ...] = ()


def refresh(paths: Paths, cwd: str, hook: Hook | None, options: operations.Options) -> Refreshed:
    """Refresh the owner if ``cwd`` is in its checkout; raises RawrError as an activation does."""
    owner = read_owner(paths.owner_file)
    if owner.status != "valid" or owner.real is None:
        return Refreshed("no-owner")
    cwd = os.path.realpath(cwd)
    root = next((folder for folder in folders_up(cwd) if same_folder(folder, owner.real)), owner.real)
    if not _is_here(root, cwd, paths.environ):
        return Refreshed("not-owner", root)
    found = _compare(paths, root, hook)
    if hook is not None and found.changed_paths == ():
        _remember(paths, found, options)
        return found
    return _act(paths, root, found, options)


def _is_here(root: str, cwd: str, environ: Mapping[str, str]) -> bool:
    """Whether the checkout of ``cwd`` is, or holds, the workspace ``root``; asks git only where it may be."""
    common = os.path.commonpath((root, cwd))
    if root == cwd or common not in (root, cwd):
        return root == cwd
    top = git.toplevel(cwd, environ)
    if top is None:
        return common == root
    return top == git.toplevel(root, environ)


def _compare(paths: Paths, root: str, hook: Hook | None) -> Refreshed:
    """What changed since the last refresh; ``nothing-changed`` is only said with an empty ``changed_paths``."""
    environ = paths.environ
    new = git.commit(root, hook.new if hook else "HEAD", environ)
    old = git.commit(root, hook.old, environ) if hook else None
    since = _last_commit(paths, root) or old
    if new is None or since is None:
        return Refreshed("nothing-changed", root, since, new)
    differ = git.changed(root, since, new, PATHS, environ)
    if differ is not None and (hook is None or old == new):
        # No commit was left for another: files were checked out, a squash merged, or the user asked.
        differ = _joined(differ, git.changed(root, new, None, PATHS, environ))
    return Refreshed("nothing-changed", root, since, new, differ)


def _joined(some: tuple[str, ...], more: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if more is None else tuple(sorted({*some, *more}))


def _act(paths: Paths, root: str, found: Refreshed, options: operations.Options) -> Refreshed:
    done = operations.activate(paths, Request(), root, options)
    steps = (*done.recovered, *(change.describe() for change in done.plan.changes))
    needs = requirements(root, paths.environ, ask=False)
    _remember(paths, found, options)
    reason = "planned" if options.dry_run else "refreshed"
    return found._replace(reason=reason, steps=steps, notes=done.plan.notes, needs=needs)


def _last_commit(paths: Paths, root: str) -> str | None:
    """The commit of the last refresh of ``root``; None where there was none, or its record is unreadable."""
    record = read_json(paths.refresh_file)
    last = record.get("commit") if record.get("root") == root else None
    # Only an id goes back into a git command line.
    return last if isinstance(last, str) and last.isalnum() else None


def _remember(paths: Paths, found: Refreshed, options: operations.Options) -> None:
    """Note the commit; a machine where that fails only refreshes once more than it needs to."""
    if (
        found.commit is None
        or options.dry_run
        or not_yours(paths)
        or found.commit == found.since == _last_commit(paths, found.workspace_root or "")
    ):
        return
    record = {"version": 1, "root": found.workspace_root, "commit": found.commit}
    try:
        atomic.make_folder(paths.state_dir, 0o700)
        atomic.write_file(paths.refresh_file, json.dumps(record).encode() + b"\n", durable=False)
    except OSError:
        pass
