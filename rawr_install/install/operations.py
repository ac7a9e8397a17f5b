"""install, activate, deactivate, rollback, uninstall: look, plan, carry out.

The plan is made without the lock first: a dry run prints it, and an empty one
ends the command with nothing written. Otherwise the machine lock is taken, what
a crash left is mended, and the plan is made again from a second look, since
another process may have been first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rawr_install.events import log as events
from rawr_install.install import transaction
from rawr_install.install.claim import plan_activate, plan_install
from rawr_install.install.look import Request, find_instance, look
from rawr_install.install.place import entries_in, path_folders
from rawr_install.install.plan import Plan
from rawr_install.install.retreat import plan_deactivate, plan_rollback, plan_uninstall
from rawr_install.machine import lock as machine
from rawr_install.machine.entry import LINK, first_command
from rawr_install.machine.ownership import require_own_places
from rawr_install.machine.records import Record, pending, read_history, require_own
from rawr_install.paths import Paths

__all__ = ["Done", "Request", "activate", "deactivate", "install", "purge", "rollback", "uninstall"]

History = Sequence[Record]


@dataclass(frozen=True)
class Done:
    """How a command ended: its plan, whether it was carried out, what was (or in a dry run is to be) mended first.

    ``moved`` is where PATH found its first ``rawr`` before and finds it now, if these are two paths.
    """

    plan: Plan
    changed: bool
    record: Record | None = None
    mended: tuple[str, ...] = ()
    moved: tuple[str, str] | None = None


@dataclass(frozen=True)
class Run:
    """How a command is to run: really or not, and how many seconds it may wait for the machine lock."""

    dry_run: bool = False
    wait: float = machine.WAIT


def install(paths: Paths, request: Request, workspace: str | None, run: Run) -> Done:
    """Put the entry in place. A shim needs no workspace; a link leads to ``workspace``, or the current folder's."""

    def decide(history: History) -> Plan:
        facts = look(paths, request, history)
        if facts.mode == LINK or workspace is not None:
            facts = facts.about(find_instance(paths, workspace))
        return plan_install(facts)

    return _carry_out(paths, "install", decide, run)


def activate(paths: Paths, request: Request, workspace: str | None, run: Run) -> Done:
    """Make ``workspace``, or the one of the current folder, the owner, with an entry that runs it."""

    def decide(history: History) -> Plan:
        instance = find_instance(paths, workspace)
        return plan_activate(look(paths, request, history).about(instance))

    return _carry_out(paths, "activate", decide, run)


def deactivate(paths: Paths, run: Run) -> Done:
    """Remove the owner file."""
    return _carry_out(paths, "deactivate", lambda history: plan_deactivate(look(paths, Request(), history)), run)


def rollback(paths: Paths, to: int | None, run: Run) -> Done:
    """Go back to before the last change, or to after change ``to``."""
    return _carry_out(paths, "rollback", lambda history: plan_rollback(look(paths, Request(), history), to), run)


def uninstall(paths: Paths, run: Run) -> Done:
    """Remove what the receipt lists; put back what was set aside."""
    return _carry_out(paths, "uninstall", lambda history: plan_uninstall(look(paths, Request(), history)), run)


def purge(paths: Paths, run: Run) -> list[str]:
    """Remove the toolkit's own files (history, receipt, events, policy); returns those that were there."""
    require_own_places(paths)
    found = [path for path in _own_files(paths) if os.path.lexists(path)]
    if found and not run.dry_run:
        with machine.locked(paths.machine_lock, "uninstall --purge", run.wait):
            transaction.remove(found)
        events.forget_run()
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
            pass  # something of somebody else's is in it, or it was never made


def _carry_out(paths: Paths, command: str, decide: Callable[[History], Plan], run: Run) -> Done:
    require_own_places(paths)
    history: History = read_history(paths.history_file)
    begun = pending(history)
    if run.dry_run or not begun:
        plan = _decided(paths, command, decide, history)
        if run.dry_run or not plan.changes:
            waiting = (f"An interrupted {record.command} of {record.at} is still to be mended." for record in begun)
            return Done(plan, changed=False, mended=tuple(waiting))
    with machine.locked(paths.machine_lock, command, run.wait):
        history, mended = transaction.recover(paths, read_history(paths.history_file))
        plan = _decided(paths, command, decide, history)
        if not plan.changes:
            return Done(plan, changed=False, mended=mended)
        before = _first_command(paths)
        record = transaction.execute(paths, history, command, plan.changes, plan.rewound)
    after = _first_command(paths)
    moved = (before, after) if before and after and before != after else None
    return Done(plan, changed=True, record=record, mended=mended, moved=moved)


def _decided(paths: Paths, command: str, decide: Callable[[History], Plan], history: History) -> Plan:
    """The plan, which leads nowhere but where the toolkit's records may lead."""
    plan = decide(history)
    require_own(paths, plan.changes, "RECEIPT_UNREADABLE" if command == "uninstall" else "HISTORY_UNREADABLE")
    return plan


def _first_command(paths: Paths) -> str | None:
    found = first_command(iter(entries_in(path_folders(paths))))
    return found.path if found else None
