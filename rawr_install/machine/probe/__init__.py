"""Look at the machine once.

Reads only: no subprocess, nothing written, nothing waited for. Everything
here may be hostile, so each read is bounded (64 KiB, 1 MiB for a
``package.json``; 4,096 folders of PATH) and opens without blocking.

:func:`probe` is the doctor's: a part that fails in an unforeseen way is noted in ``Facts.crashes`` and the look goes
on. :func:`probe_setup` is that of a changing command: it asks for less, and for what a plan is made from
(:func:`rawr_install.machine.probe.path_facts.with_paths`, which a doctor may add).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from rawr_install.dispatch import messages
from rawr_install.dispatch.locate import named_workspace
from rawr_install.dispatch.program import examine, is_program
from rawr_install.dispatch.trust import trust, trust_remedy, writable_remedy
from rawr_install.dispatch.workspace import Discovery, Owner, cli_path, discover, folders_up, read_owner
from rawr_install.errors import RawrError, os_error_reason
from rawr_install.files import PATH_FOLDERS, path_folders, read_json, real_path, same_folder
from rawr_install.machine.entry import Entry, classify
from rawr_install.machine.facts import (
    Cli,
    Environment,
    Facts,
    Folder,
    Instance,
    OnPath,
    Problem,
    Records,
    Shell,
    State,
    distinct,
)
from rawr_install.machine.probe.environment import read_environment, unwritable
from rawr_install.machine.probe.path_facts import named_by, with_paths
from rawr_install.machine.requirements import requirements
from rawr_install.machine.toolkit import toolkit_of, version_of_toolkit
from rawr_install.paths import Paths
from rawr_install.report import way_out

if TYPE_CHECKING:
    from rawr_install.machine.records import Item, Record

T = TypeVar("T")


def probe(
    paths: Paths,
    cwd: str | None,
    environ: Mapping[str, str],
    workspace: str | None = None,
    shells: tuple[Shell, ...] = (),
) -> Facts:
    """The facts for a user who stands in ``cwd`` (a real path; None when it is gone).

    ``workspace`` names the instance to judge; raises UsageError
    ``NOT_A_WORKSPACE`` when it is none. Nothing else raises.
    """
    folders, skipped = path_folders(environ.get("PATH", ""))
    environ = {**environ, "PATH": os.pathsep.join(folders)}  # every search of it is bounded
    attempt = _Attempt()
    owner = read_owner(paths.owner_file)
    refused, lookalikes, instance = _find_instance(cwd, environ, workspace, owner)
    if instance:
        root = instance.root
        instance = instance._replace(state=attempt("state", lambda: _state(root), None))
    path = attempt("PATH", lambda: _on_path(paths, environ, folders, instance), OnPath())
    records = attempt("records", lambda: _read_records(paths), Records())
    environment = attempt("environment", lambda: read_environment(paths, environ, cwd, path.entries), Environment())
    return _facts(paths, owner, path._replace(folders_skipped=skipped), records, instance)._replace(
        cwd=cwd,
        environment=environment,
        off_path=attempt("off PATH", lambda: _off_path(paths, records, path), None),
        refused=refused,
        lookalikes=lookalikes,
        shell=os.path.basename(environ.get("SHELL", "")),
        shells=shells,
        crashes=tuple(attempt.crashes),
    )


def probe_setup(paths: Paths, history: Sequence[Record], root: str | None = None, bin_dir: str | None = None) -> Facts:
    """The facts for a change: owner, entries and records, and the workspace ``root`` (a real path) if there is one.

    ``history`` was read already; ``bin_dir`` is where an entry may be asked for. Raises RawrError
    ``RECEIPT_UNREADABLE``, ``RECORD_NEWER``, ``TOOLKIT_DAMAGED`` and RefusedError ``UNREADABLE``.
    """
    from rawr_install.machine.records import read_receipt

    environ = paths.environ
    instance = _instance(root, "", environ) if root else None
    folders = _folders(path_folders(environ.get("PATH", ""))[0], instance)
    path = OnPath(folders, *distinct(folders))
    records = Records(read_receipt(paths.receipt_file), tuple(history))
    facts = _facts(paths, read_owner(paths.owner_file), path, records, instance)
    return with_paths(facts, environ, bin_dir)


def _facts(paths: Paths, owner: Owner, path: OnPath, records: Records, instance: Instance | None) -> Facts:
    """What every look has."""
    owner_file = paths.owner_file
    # Written through a link that leads to a file: dotfile managers make such links.
    through = os.path.islink(owner_file) and os.path.isfile(owner_file)
    return Facts(
        home=paths.home,
        cwd=None,
        bun_bin_dir=paths.bun_bin_dir,
        bun_entry=named_by(classify(paths.bun_entry), instance),
        owner_file=owner_file,
        owner=owner.known_as(instance.root if instance else None),
        pnpm_wire=paths.pnpm_shim_wire,
        local_entry=os.path.join(paths.local_bin, "rawr"),
        owner_target=os.path.realpath(owner_file) if through else owner_file,
        receipt_file=os.path.realpath(paths.receipt_file),
        path=path,
        records=records,
        instance=instance,
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


# -- PATH ----------------------------------------------------------------------


def _on_path(paths: Paths, environ: Mapping[str, str], names: list[str], instance: Instance | None) -> OnPath:
    folders = _folders(names, instance)
    entries, also_at = distinct(folders)
    order = {folder.real: index for index, folder in reversed(list(enumerate(folders)))}
    bun = order.get(os.path.realpath(paths.bun_bin_dir), -1)
    pnpm = [order.get(os.path.realpath(os.path.dirname(shim)), PATH_FOLDERS) < bun for shim in paths.pnpm_shims]
    versions = ((entry.path, _version(entry, paths.home, environ["PATH"])) for entry in entries)
    return OnPath(
        folders,
        entries,
        also_at,
        versions={path: version for path, version in versions if version},
        has_bun=bun >= 0,
        pnpm_first=any(pnpm),
        pnpm_first_wire=pnpm[0],
    )


def _folders(names: Iterable[str], instance: Instance | None) -> tuple[Folder, ...]:
    found = ((name, classify(os.path.join(name, "rawr"))) for name in names)
    return tuple(Folder(name, os.path.realpath(name), named_by(entry, instance)) for name, entry in found)


def _version(entry: Entry, home: str, path_variable: str) -> str | None:
    """The entry's version, if it can be read without running anything."""
    if entry.instance:
        version = read_json(os.path.join(entry.instance, "apps", "cli", "package.json")).get("version")
        return version if isinstance(version, str) else None
    toolkit = toolkit_of(entry.path, home, path_variable) if entry.kind == "shim" else None
    return version_of_toolkit(toolkit) if toolkit else None


def _off_path(paths: Paths, records: Records, path: OnPath) -> Entry | None:
    """An entry of ours that was installed, or made by a package manager, in a folder that PATH lacks."""
    on_path = {folder.real for folder in path.folders}
    known = (*(path for path, _ in records.installed), os.path.join(paths.local_bin, "rawr"))
    found = (classify(path) for path in known if os.path.realpath(os.path.dirname(path)) not in on_path)
    return next((entry for entry in found if entry.ours and entry.executable), None)


# -- the records ---------------------------------------------------------------


def _read_records(paths: Paths) -> Records:
    """Receipt and history; what cannot be read is a problem to report, not a reason to stop."""
    found = Records()
    if not (os.path.lexists(paths.receipt_file) or os.path.lexists(paths.history_file)):
        return found
    from rawr_install.machine import records  # only where there are records: a doctor is quick

    problems: list[Problem] = []
    try:
        receipt = records.read_receipt(paths.receipt_file)
        found = found._replace(receipt=receipt, modified=tuple(_modified(paths, receipt)))
    except RawrError as error:
        problems.append(Problem("receipt.unreadable", error.message, way_out(error)))
    try:
        found = found._replace(history=tuple(records.read_history(paths.history_file)))
    except RawrError as error:
        problems.append(Problem("history.unreadable", error.message, way_out(error)))
    return found._replace(problems=tuple(problems))


def _modified(paths: Paths, items: Sequence[Item]) -> Iterable[tuple[str, str]]:
    from rawr_install.machine.change import ABSENT, read_path

    written = os.stat(paths.receipt_file).st_ctime_ns if items else 0
    for item in items:
        if item.kind == "file" and _untouched_since(item.path, written):
            continue  # spares the hash, and with it loading OpenSSL
        try:
            found = read_path(item.path)
        except OSError as error:
            yield item.path, os_error_reason(error)
            continue
        if not item.matches(found):
            yield item.path, "missing" if found == ABSENT else "modified"


def _untouched_since(path: str, moment: int) -> bool:
    """Whether nothing has happened to the file since: no call can set ``st_ctime``, and a rename renews it."""
    try:
        return os.lstat(path).st_ctime_ns <= moment
    except OSError:
        return False


# -- the instance --------------------------------------------------------------

Choice = tuple[tuple[str, str] | None, tuple[str, ...], Instance | None]


def _find_instance(cwd: str | None, environ: Mapping[str, str], workspace: str | None, owner: Owner) -> Choice:
    found = discover(cwd or os.sep, environ)
    refused = (found.source, found.refused) if found.refused is not None else None
    root, source = _choose(cwd, workspace, owner, found)
    # By its real path, as the workspace CLI sees itself: an instance has one name, however one came to it.
    instance = _examined(_instance(real_path(root), source, environ), environ) if root else None
    return refused, found.lookalikes, instance


def _choose(cwd: str | None, workspace: str | None, owner: Owner, found: Discovery) -> tuple[str | None, str]:
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


def _instance(root: str, source: str, environ: Mapping[str, str]) -> Instance:
    found = trust(root, environ)
    writable = found.writable()
    remedy = trust_remedy(root, environ) if found.obstacle else ("", writable_remedy(root, writable))
    cli = _cli(root, environ.get("PATH", ""))
    return Instance(root, source, cli, obstacle=found.obstacle, trust_remedy=remedy, writable=writable)


def _examined(instance: Instance, environ: Mapping[str, str]) -> Instance:
    """The instance with what the doctor alone asks."""
    root = instance.root
    package = read_json(os.path.join(root, "apps", "cli", "package.json"))
    dispatched = discover(root, environ).root
    if dispatched:
        dispatched = root if same_folder(dispatched, root) else os.path.realpath(dispatched)
    version = package.get("version")
    return instance._replace(
        dependency_count=_workspace_ranges(package.get("dependencies")),
        version=version if isinstance(version, str) else None,
        shim_runs=dispatched,
        needs=requirements(root, environ, ask=False),
    )


def _state(root: str) -> State:
    folder = os.path.join(root, ".rawr", "state")
    place = next(each for each in folders_up(folder) if os.path.lexists(each))
    problem = unwritable(place)
    stopped = (f"{place} {problem[0]}", problem[1]) if problem else None
    if place != folder:
        return State(os.path.join(folder, "state.json"), "missing", "free", unwritable=stopped)
    from rawr_install.state.status import read_status  # only where there is something to look at

    seen = read_status(os.path.join(folder, "state.json"))
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
        stopped,
    )


def _workspace_ranges(dependencies: object) -> int:
    ranges = dependencies.values() if isinstance(dependencies, dict) else ()
    return sum(isinstance(wanted, str) and wanted.startswith("workspace:") for wanted in ranges)


def _cli(root: str, path_variable: str) -> Cli:
    found = examine(cli_path(root), path_variable)
    path, real = found.path, None if found.reason in ("missing", "dangling") else os.path.realpath(found.path)
    refusal = messages.cannot_start(found) if found.reason else None
    return Cli(path, real, os.path.lexists(path), is_program(path), found.wanted, found.interpreter, refusal)
