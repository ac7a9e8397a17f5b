"""install, activate, deactivate, rollback, uninstall: look, plan, carry out.

The plan is made without the lock first: a dry run prints it, and an empty one
ends the command with nothing written. Otherwise the machine lock is taken, what
a crash left is mended, and the plan is made again from a second look, since
another process may have been first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from rawr_install.dispatch.locate import absolute, find_workspace
from rawr_install.errors import UsageError
from rawr_install.events import log
from rawr_install.install import transaction
from rawr_install.install.policy import require_own_folder
from rawr_install.machine.entry import LINK, first_command, on_path
from rawr_install.machine.lock import WAIT, locked
from rawr_install.machine.ownership import require_own_places
from rawr_install.machine.plan import (
    Activated,
    Installed,
    Plan,
    Request,
    entry_place,
    plan_activate,
    plan_install,
)
from rawr_install.machine.probe import probe_setup
from rawr_install.machine.records import Record, pending, read_history, require_own
from rawr_install.machine.undo import (
    Deactivated,
    RolledBack,
    Uninstalled,
    plan_deactivate,
    plan_rollback,
    plan_uninstall,
)
from rawr_install.paths import Paths

R = TypeVar("R")
History = Sequence[Record]


class Options(NamedTuple):
    """How a command is to run: really or not, and how many seconds it may wait for the machine lock."""

    dry_run: bool = False
    wait: float = WAIT


class Result(NamedTuple, Generic[R]):
    """How a command ended: its plan, whether it was carried out, what was (or in a dry run is to be) recovered first.

    ``moved`` is where PATH found its first ``rawr`` before and finds it now, if these are two places.
    """

    plan: Plan[R]
    changed: bool
    record: Record | None = None
    recovered: tuple[str, ...] = ()
    moved: tuple[str, str] | None = None


def install(paths: Paths, request: Request, workspace: str | None, options: Options) -> Result[Installed]:
    """Put the entry in place. A shim needs no workspace; a link leads to ``workspace``, or the current folder's."""

    def decide(history: History) -> Plan[Installed]:
        root, missing = None, None
        try:
            root = find_workspace(workspace, paths.environ)
        except UsageError as error:
            missing = error
        facts = probe_setup(paths, history, root, request.bin_dir)
        linked = entry_place(facts, request)[0] == LINK
        if missing and (linked or workspace is not None):
            raise missing
        plan = plan_install(facts if linked or workspace is not None else facts._replace(instance=None), request)
        if linked:
            require_own_folder(paths.environ)
        return plan

    request = _absolute(request)
    return _run_plan(paths, "install", decide, options)


def activate(paths: Paths, request: Request, workspace: str | None, options: Options) -> Result[Activated]:
    """Make ``workspace``, or the one of the current folder, the owner, with an entry that runs it."""

    def decide(history: History) -> Plan[Activated]:
        root = find_workspace(workspace, paths.environ)
        plan = plan_activate(probe_setup(paths, history, root, request.bin_dir), request)
        require_own_folder(paths.environ)
        return plan

    request = _absolute(request)
    return _run_plan(paths, "activate", decide, options)


def _absolute(request: Request) -> Request:
    bin_dir = request.bin_dir
    return request._replace(bin_dir=absolute(os.path.normpath(bin_dir))) if bin_dir else request


def deactivate(paths: Paths, options: Options) -> Result[Deactivated]:
    """Remove the owner file."""
    return _run_plan(paths, "deactivate", lambda history: plan_deactivate(probe_setup(paths, history)), options)


def rollback(paths: Paths, to: int | None, options: Options) -> Result[RolledBack]:
    """Go back to before the last change, or to after change ``to``."""
    return _run_plan(paths, "rollback", lambda history: plan_rollback(probe_setup(paths, history), to), options)


def uninstall(paths: Paths, options: Options) -> Result[Uninstalled]:
    """Remove what the receipt lists; put back what was set aside."""
    return _run_plan(paths, "uninstall", lambda history: plan_uninstall(probe_setup(paths, history)), options)


def purge(paths: Paths, options: Options) -> list[str]:
    """Remove the toolkit's own files (history, receipt, events, policy); returns those that were there."""
    require_own_places(paths)
    found = [path for path in _own_files(paths) if os.path.lexists(path)]
    if found and not options.dry_run:
        with locked(paths.machine_lock, "uninstall --purge", options.wait):
            transaction.remove(found)
        log.forget_run()
        _remove_empty(paths.state_dir, paths.dot_rawr)
    return found


def _own_files(paths: Paths) -> tuple[str, ...]:
    policy = (paths.fallback_file, paths.trusted_file)
    logs = (paths.events_file, paths.events_file + ".1")
    records = (paths.receipt_file, paths.history_file, paths.refresh_file, *logs)
    # The lock goes last: who waits for it notices that its file has no name any more, and makes a new one.
    return (*policy, *records, paths.machine_lock)


def _remove_empty(*folders: str) -> None:
    for folder in folders:
        try:
            os.rmdir(folder)
        except OSError:
            pass  # something of another program's is in it, or it was never made


def _run_plan(paths: Paths, command: str, decide: Callable[[History], Plan[R]], options: Options) -> Result[R]:
    require_own_places(paths)
    history: History = read_history(paths.history_file)
    begun = pending(history)
    if options.dry_run or not begun:
        plan = _decided(paths, command, decide, history)
        if options.dry_run or not plan.changes:
            waiting = (f"An interrupted {record.command} of {record.at} is still to be mended." for record in begun)
            return Result(plan, changed=False, recovered=tuple(waiting))
    with locked(paths.machine_lock, command, options.wait):
        history, recovered = transaction.recover(paths, read_history(paths.history_file))
        plan = _decided(paths, command, decide, history)
        if not plan.changes:
            return Result(plan, changed=False, recovered=recovered)
        before = _first_command(paths)
        record = transaction.execute(paths, history, command, plan.changes, plan.rewound)
    after = _first_command(paths)
    moved = (before, after) if before and after and before != after else None
    return Result(plan, changed=True, record=record, recovered=recovered, moved=moved)


def _decided(paths: Paths, command: str, decide: Callable[[History], Plan[R]], history: History) -> Plan[R]:
    """The plan, which leads nowhere but where the toolkit's records may lead."""
    plan = decide(history)
    require_own(paths, plan.changes, "RECEIPT_UNREADABLE" if command == "uninstall" else "HISTORY_UNREADABLE")
    return plan


def _first_command(paths: Paths) -> str | None:
    # A relative folder of PATH does not count: what it holds depends on where one stands.
    found = first_command(entry for entry in on_path(paths.variable("PATH")) if os.path.isabs(entry.path))
    return found.path if found else None
