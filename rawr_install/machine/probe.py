"""Look at the machine once.

Reads only: no subprocess, nothing written, nothing waited for. Everything
here may be hostile, so each read is bounded (64 KiB, 1 MiB for a
``package.json``; 4,096 folders of PATH) and opens without blocking. A part
that fails in an unforeseen way is noted in ``Facts.crashes`` and the look goes on.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from rawr_install.dispatch import workspace as ws
from rawr_install.dispatch.locate import named_workspace, real_path
from rawr_install.dispatch.program import interpreter_of
from rawr_install.dispatch.trust import trust, trust_remedy, writable_remedy
from rawr_install.files import PATH_FOLDERS, path_folders, read_bytes, read_json
from rawr_install.machine import inventory, requirements as bun
from rawr_install.machine.entry import Entry, look as look_at
from rawr_install.machine.facts import Cli, Environment, Facts, Instance, OnPath, Records, Shell, State
from rawr_install.paths import Paths

T = TypeVar("T")
SMALL_LIMIT = 64 * 1024
ENV_FILES = (".env", ".env.development", ".env.local")
# Variables with which a .env file decides what runs, or what runs before it.
DECISIVE = ("RAWR_", "BUN_", "PATH=", "NODE_OPTIONS=")


def look(
    paths: Paths,
    cwd: str | None,
    environ: Mapping[str, str],
    workspace: str | None = None,
    shells: tuple[Shell, ...] = (),
) -> Facts:
    """The facts for somebody who stands in ``cwd`` (a real path; None when it is gone).

    ``workspace`` names the instance to judge; raises UsageError
    ``NOT_A_WORKSPACE`` when it is none. Nothing else raises.
    """
    folders, skipped = path_folders(environ.get("PATH", ""))
    environ = {**environ, "PATH": os.pathsep.join(folders)}  # every search of it is bounded
    attempt = _Attempt()
    owner = ws.read_owner(paths.owner_file)
    refused, lookalikes, instance = _instance(paths, cwd, environ, workspace, owner)
    if instance:
        root = instance.root
        instance = instance._replace(state=attempt("state", lambda: _state(root), None))
    path = attempt("PATH", lambda: _on_path(paths, environ, folders, instance), OnPath())
    records = attempt("records", lambda: inventory.look(paths), Records())
    return Facts(
        home=paths.home,
        cwd=cwd,
        bun_bin_dir=paths.bun_bin_dir,
        bun_entry=_named_by(look_at(paths.bun_entry), instance),
        owner_file=paths.owner_file,
        owner=owner.known_as(instance.root if instance else None),
        pnpm_wire=paths.pnpm_shim_wire,
        path=path._replace(folders_skipped=skipped),
        environment=attempt("environment", lambda: _environment(paths, environ, cwd, path), Environment()),
        records=records,
        off_path=attempt("off PATH", lambda: _off_path(paths, records, folders), None),
        instance=instance,
        refused=refused,
        lookalikes=lookalikes,
        shell=os.path.basename(environ.get("SHELL", "")),
        shells=shells,
        crashes=tuple(attempt.crashes),
    )


class _Attempt:
    """Calls a part of the look; a failure nobody foresaw is noted and answered with the default."""

    def __init__(self) -> None:
        self.crashes: list[tuple[str, str]] = []

    def __call__(self, part: str, read: Callable[[], T], default: T) -> T:
        try:
            return read()
        except Exception as error:
            self.crashes.append((part, f"{type(error).__name__}: {error}"))
            return default


def current_folder() -> str | None:
    """The process's folder, physically; None when it was removed or may not be read."""
    try:
        return os.getcwd()
    except OSError:
        return None


# -- PATH ----------------------------------------------------------------------


def _on_path(paths: Paths, environ: Mapping[str, str], folders: list[str], instance: Instance | None) -> OnPath:
    entries, also_at = _entries(folders, instance)
    order, bun_dir = _Order(folders), paths.bun_bin_dir
    return OnPath(
        entries,
        also_at,
        _versions(entries, paths.home, environ["PATH"]),
        0,
        order.has(bun_dir),
        any(order.before(os.path.dirname(shim), bun_dir) for shim in paths.pnpm_shims),
        order.before(os.path.dirname(paths.pnpm_shim_wire), bun_dir),
    )


def _entries(folders: list[str], instance: Instance | None) -> tuple[tuple[Entry, ...], dict[str, tuple[str, ...]]]:
    """Every ``rawr``, one for each real file, and the further places of those found twice."""
    seen: dict[str, Entry] = {}
    also: dict[str, tuple[str, ...]] = {}
    for folder in folders:
        found = _named_by(look_at(os.path.join(folder, "rawr")), instance)
        if found.kind == "missing":
            continue
        first = seen.setdefault(found.real or os.path.join(os.path.realpath(folder), "rawr"), found)
        if first is not found:
            also[first.path] = (*also.get(first.path, ()), found.path)
    return tuple(seen.values()), also


def _named_by(entry: Entry, instance: Instance | None) -> Entry:
    """The entry, seen as a link to ``instance`` by that one's name for it.

    Also where that CLI's own file is a link to somewhere else, and where it leads to another real path of the folder.
    """
    if instance is None or entry.link is None or entry.kind not in ("foreign", "workspace-link"):
        return entry
    if entry.real == instance.cli.real:
        return entry._replace(kind="workspace-link", instance=instance.root)
    if entry.instance and ws.same_folder(entry.instance, instance.root):
        return entry._replace(real=instance.cli.real, instance=instance.root)
    return entry


class _Order:
    """The order of PATH's folders, by real path."""

    def __init__(self, folders: list[str]) -> None:
        self._at: dict[str, int] = {}
        for index, folder in enumerate(folders):
            self._at.setdefault(os.path.realpath(folder), index)

    def has(self, folder: str) -> bool:
        return os.path.realpath(folder) in self._at

    def before(self, first: str, second: str) -> bool:
        end = len(self._at) + PATH_FOLDERS
        return self._at.get(os.path.realpath(first), end) < self._at.get(os.path.realpath(second), -1)


def _off_path(paths: Paths, records: Records, folders: list[str]) -> Entry | None:
    """An entry of ours that was installed, or made by a package manager, in a folder that PATH lacks."""
    order = _Order(folders)
    known = (*(path for path, _ in records.installed), os.path.join(paths.local_bin, "rawr"))
    found = (look_at(path) for path in known if not order.has(os.path.dirname(path)))
    return next((entry for entry in found if entry.ours and entry.executable), None)


# -- the instance --------------------------------------------------------------

Choice = tuple[tuple[str, str] | None, tuple[str, ...], Instance | None]


def _instance(
    paths: Paths, cwd: str | None, environ: Mapping[str, str], workspace: str | None, owner: ws.Owner
) -> Choice:
    found = ws.discover(cwd or os.sep, environ)
    refused = (found.source, found.refused) if found.refused is not None else None
    root, source = _choose(cwd, workspace, owner, found)
    # By its real path, as the workspace CLI sees itself: an instance has one name, however one came to it.
    instance = _examine(paths, environ, real_path(root), source) if root else None
    return refused, found.lookalikes, instance


def _choose(cwd: str | None, workspace: str | None, owner: ws.Owner, found: ws.Discovery) -> tuple[str | None, str]:
    if workspace is not None:
        named_workspace(workspace)  # raises where it is none; it is shown as it was spelled
        return os.path.join(cwd or os.sep, workspace), "--workspace"
    if found.root or found.refused is not None:
        return found.root, found.source
    # A look-alike is the subject only where nothing better claims to be: most are other people's JavaScript.
    alike = found.lookalikes[0] if found.lookalikes else None
    if owner.status == "valid" and (alike is None or os.path.realpath(alike) != owner.real):
        return owner.path, "owner"
    return alike, "search"


def _examine(paths: Paths, environ: Mapping[str, str], root: str, source: str) -> Instance:
    package = read_json(os.path.join(root, "apps", "cli", "package.json"))
    dispatched = ws.discover(root, environ).root
    if dispatched:
        dispatched = root if ws.same_folder(dispatched, root) else os.path.realpath(dispatched)
    version = package.get("version")
    return Instance(
        root,
        source,
        _cli(root, environ.get("PATH", "")),
        dependency_count=_workspace_ranges(package.get("dependencies")),
        version=version if isinstance(version, str) else None,
        **_trust(root, environ),
        shim_runs=dispatched,
        needs=bun.requirements(root, environ, ask=False),
    )


def _trust(root: str, environ: Mapping[str, str]) -> dict[str, Any]:
    found = trust(root, environ)
    writable = found.writable()
    remedy = trust_remedy(root, environ) if found.obstacle else ("", writable_remedy(root, writable))
    return {"obstacle": found.obstacle, "trust_remedy": remedy, "writable": writable}


def _state(root: str) -> State:
    folder = os.path.join(root, ".rawr", "state")
    if not os.path.lexists(folder):
        return State(os.path.join(folder, "state.json"), "missing", "free")
    from rawr_install.state import status as inspection  # only where there is something to look at

    seen = inspection.look(os.path.join(folder, "state.json"))
    return State(
        seen.path,
        seen.file_status,
        seen.lock_status,
        seen.error,
        seen.holder,
        seen.held_for,
        seen.degraded,
        seen.lock_in_words,
        seen.shared,
    )


def _workspace_ranges(dependencies: object) -> int:
    ranges = dependencies.values() if isinstance(dependencies, dict) else ()
    return sum(isinstance(wanted, str) and wanted.startswith("workspace:") for wanted in ranges)


def _cli(root: str, path_variable: str) -> Cli:
    path = ws.cli_path(root)
    if not os.path.exists(path):
        return Cli(path, None, os.path.lexists(path), executable=False)
    shebang, interpreter = interpreter_of(path, path_variable)
    executable = os.path.isfile(path) and os.access(path, os.X_OK)
    return Cli(path, os.path.realpath(path), True, executable, shebang, interpreter)


# -- the environment -----------------------------------------------------------


def _environment(paths: Paths, environ: Mapping[str, str], cwd: str | None, path: OnPath) -> Environment:
    return Environment(
        tuple(shim for shim in paths.pnpm_shims if os.path.exists(shim)),
        ws.fallback_enabled(paths.fallback_file, environ),
        _exposed(paths),
        _preloads(cwd),
        _env_settings(cwd),
        inventory.toolkits_gone(path.entries, paths, environ),
        tuple(_system_path()),
    )


def _system_path() -> Iterator[str]:
    """What macOS' path_helper(8) gives every login shell: the lines of /etc/paths and of the files in /etc/paths.d."""
    try:
        more = sorted(os.listdir("/etc/paths.d"))[:PATH_FOLDERS]
    except OSError:
        more = []
    for file in ("/etc/paths", *(os.path.join("/etc/paths.d", name) for name in more)):
        yield from filter(None, map(os.fsdecode, read_bytes(file, SMALL_LIMIT).splitlines()))


def _versions(entries: tuple[Entry, ...], home: str, path_variable: str) -> dict[str, str]:
    """Versions that can be read without running anything, by entry path."""
    read = ((entry.path, _version(entry, home, path_variable)) for entry in entries)
    return {path: version for path, version in read if version}


def _version(entry: Entry, home: str, path_variable: str) -> str | None:
    if entry.instance:
        version = read_json(os.path.join(entry.instance, "apps", "cli", "package.json")).get("version")
        return version if isinstance(version, str) else None
    toolkit = inventory.toolkit_of(entry.path, home, path_variable) if entry.kind == "shim" else None
    return inventory.version_of_toolkit(toolkit) if toolkit else None


def _exposed(paths: Paths) -> tuple[tuple[str, int], ...]:
    """What in ``~/.rawr`` somebody else could write: whoever can decides which program the user runs."""
    watched = (paths.dot_rawr, paths.owner_file, paths.fallback_file, paths.trusted_file)
    return tuple((path, mode) for path in watched if (mode := _mode(path)) & 0o022)


def _mode(path: str) -> int:
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        return 0


def _preloads(cwd: str | None) -> tuple[str, ...]:
    """The modules that a ``bunfig.toml`` in the current folder makes Bun load first."""
    data = read_bytes(os.path.join(cwd, "bunfig.toml"), SMALL_LIMIT) if cwd else b""
    if b"preload" not in data:
        return ()
    import tomllib

    try:
        wanted = tomllib.loads(data.decode("utf-8")).get("preload")
    except (ValueError, RecursionError):
        return ()
    listed = wanted if isinstance(wanted, list) else [wanted]
    return tuple(item for item in listed if isinstance(item, str))


def _env_settings(cwd: str | None) -> tuple[tuple[str, str], ...]:
    """``(file, variable)`` for each decisive variable that Bun would read from the current folder."""
    return tuple(
        (os.path.join(cwd, name), variable)
        for name in ENV_FILES
        if cwd
        for variable in _variables(read_bytes(os.path.join(cwd, name), SMALL_LIMIT))
        if f"{variable}=".startswith(DECISIVE)
    )


def _variables(data: bytes) -> Iterator[str]:
    for line in data.decode("utf-8", "replace").splitlines():
        name, equals, _ = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            yield name.strip()
