"""Plan ``install`` and ``activate``. Pure."""

from __future__ import annotations

import shlex

from rawr_install.dispatch.workspace import seam_status
from rawr_install.ecmascript import trim
from rawr_install.encoding import to_wire
from rawr_install.errors import RefusedError
from rawr_install.install.look import Facts, Instance
from rawr_install.install.plan import Plan, foreign, with_receipt, writable_owner
from rawr_install.machine.change import ABSENT, FOREIGN, Change, file_with, link_to
from rawr_install.machine.entry import LINK, SHIM, Entry


def plan_install(facts: Facts) -> Plan:
    """Put the entry in place; the owner stays as it is. Where a shim of ours runs already there is nothing to do.

    Raises RefusedError: ``FOREIGN_ENTRY``, ``MANAGED_ENTRY``, ``BIN_DIR_*``; for
    a link also ``OWNER_OTHER_INSTANCE``, ``WORKSPACE_CLI_*``, ``WORKSPACE_NOT_TRUSTED``.
    """
    notes = _pass_over_owner(facts, _usable(facts)) if facts.mode == LINK else ()
    root = facts.instance.root if facts.instance else None
    view = _view(facts, seam_status(facts.owner, root), facts.owner.path)
    again = ("install", "--workspace", root) if root else ("install",)
    return Plan(with_receipt(facts, _entry_change(facts, again)), view, notes + _path_notes(facts))


def plan_activate(facts: Facts) -> Plan:
    """Make the instance the owner, with an entry that runs it; where a shim of ours runs the owner alone changes.

    Raises RefusedError as :func:`plan_install`, and ``OWNER_FILE_UNUSABLE``,
    ``WORKSPACE_PATH_UNSUITABLE``.
    """
    instance = _usable(facts)
    view = _view(facts, "owner-current-instance", instance.root)
    view |= {"ownership": _ownership(facts, instance), "previousOwner": facts.owner.path or facts.owner.raw or None}
    wanted = (*_owner_change(facts, instance), *_entry_change(facts, ("activate", instance.root)))
    return Plan(with_receipt(facts, wanted), view, _path_notes(facts))


def _view(facts: Facts, seam: str, owner: str | None) -> dict[str, object]:
    return {
        "mode": facts.mode,
        "entryPath": facts.entry.path,
        "target": facts.instance.cli if facts.instance else None,
        "instanceRoot": facts.instance.root if facts.instance else None,
        "aliasInstanceSeamStatus": seam,
        "ownerFilePath": facts.owner_path,
        "ownerWorkspacePath": owner,
    }


def _usable(facts: Facts) -> Instance:
    instance = facts.instance
    assert instance is not None  # activate, and install of a link, always look for one
    if instance.cli_status == "missing":
        raise RefusedError(
            f"The workspace {instance.root} has no CLI at {instance.cli}.",
            code="WORKSPACE_CLI_MISSING",
            hint=f"check out or build the workspace so that {instance.cli} exists",
        )
    if instance.cli_status != "ok":
        raise RefusedError(
            f"The workspace CLI {instance.cli} is not an executable file.",
            code="WORKSPACE_CLI_NOT_EXECUTABLE",
            remedy=("chmod", "+x", instance.cli),
        )
    if instance.refusal is not None:
        raise instance.refusal
    return instance


def _pass_over_owner(facts: Facts, instance: Instance) -> tuple[str, ...]:
    """The note that another valid instance is the owner; RefusedError ``OWNER_OTHER_INSTANCE`` without ``--force``."""
    if facts.owner.status != "valid" or facts.owner.real == instance.root:
        return ()
    activate = ("rawr-install", "activate", instance.root)
    if not facts.request.force:
        raise RefusedError(
            f"The machine's owner is another workspace, {facts.owner.path} (in {facts.owner_path}).",
            code="OWNER_OTHER_INSTANCE",
            remedy=activate,
            details={"ownerWorkspacePath": facts.owner.path, "instanceRoot": instance.root},
        )
    return (
        f"Note: the global rawr owner still points to another checkout: {facts.owner.path}",
        f"Note: to transfer ownership, run: {shlex.join(activate)}",
    )


# -- the owner ---------------------------------------------------------------


def _ownership(facts: Facts, instance: Instance) -> str:
    if facts.owner.real == instance.root:
        return "already"
    return "transferred" if facts.owner.raw else "initialized"


def _owner_change(facts: Facts, instance: Instance) -> tuple[Change, ...]:
    # Two spellings of one real path are one instance: nothing to write.
    if facts.owner.real == instance.root:
        return ()
    writable_owner(facts)
    mode = facts.owner_value.mode if facts.owner_value.kind == "file" else 0o644
    after = file_with(_owner_line(instance.root), mode)
    return (Change("owner", facts.owner_path, facts.owner_value, after),)


def _owner_line(root: str) -> bytes:
    """The owner file's bytes; the file's grammar is one line of UTF-8 whose edges are stripped."""
    try:
        line = to_wire(root)
    except UnicodeError:
        line = ""
    if not line or line != trim(line) or any(char in line for char in "\n\r"):
        raise RefusedError(
            f"The path {root} cannot be written to the owner file: it is not one line of UTF-8 without outer spaces.",
            code="WORKSPACE_PATH_UNSUITABLE",
            hint="rename the folder",
        )
    return f"{line}\n".encode()


# -- the entry ---------------------------------------------------------------


def _entry_change(facts: Facts, again: tuple[str, ...]) -> tuple[Change, ...]:
    """The entry's change, if any; ``again`` are the command's words, for a remedy that asks for force."""
    wanted = facts.shell_entry if facts.mode == SHIM else link_to(facts.instance.cli if facts.instance else "")
    if facts.entry_value == wanted or _in_place(facts):
        return ()
    if facts.entry.managed:
        raise _managed(facts.entry)
    _writable_folder(facts)
    if _is_ours(facts):
        return (Change("entry", facts.entry.path, facts.entry_value, wanted),)
    if not facts.request.force:
        raise foreign(facts.entry.path, facts.entry.kind, _with_force(facts, again))
    return (Change("entry", facts.entry.path, FOREIGN, wanted, facts.entry_backup),)


def _in_place(facts: Facts) -> bool:
    """Whether an entry that is not the one we would make does the same, and is not ours to bring up to date."""
    entry = facts.entry
    if facts.mode == LINK:
        return facts.instance is not None and entry.instance == facts.instance.root
    listed = any(item.path == entry.path for item in facts.receipt)
    # A link to a shell entry is a package manager's, as is a file that we did not put there: its update renews it.
    others = entry.link is not None or not (listed or facts.request.bin_dir)
    return entry.kind == "shim" and entry.executable and others


def _managed(entry: Entry) -> RefusedError:
    manager = entry.installer or "a package manager"
    return RefusedError(
        f"{entry.path} was put there by {manager} (it leads to {entry.real}), so it is left alone.",
        code="MANAGED_ENTRY",
        hint=f"choose another folder with --bin-dir, or uninstall what {manager} put there",
        details={"path": entry.path, "real": entry.real, "installer": entry.installer},
    )


def _with_force(facts: Facts, again: tuple[str, ...]) -> tuple[str, ...]:
    mode = ("--mode", facts.request.mode) if facts.request.mode else ()
    place = ("--bin-dir", facts.entry.path.rpartition("/")[0]) if facts.request.bin_dir else ()
    return ("rawr-install", *again, *mode, *place, "--force")


def _is_ours(facts: Facts) -> bool:
    listed = any(item.path == facts.entry.path and item.matches(facts.entry_value) for item in facts.receipt)
    return facts.entry.ours or facts.entry_value == ABSENT or listed


def _writable_folder(facts: Facts) -> None:
    folder = facts.entry.path.rpartition("/")[0] or "/"
    if facts.bin_dir_problem == "not-a-folder":
        raise RefusedError(
            f"The bin folder {folder} cannot hold an entry: it, or a parent of it, is no folder.",
            code="BIN_DIR_NOT_A_FOLDER",
            hint="move that file away, or choose another folder with --bin-dir",
        )
    if facts.bin_dir_problem:
        raise RefusedError(
            f"The bin folder {folder} is not writable for you.",
            code="BIN_DIR_NOT_WRITABLE",
            hint="make it writable, or choose another folder with --bin-dir",
        )


def _path_notes(facts: Facts) -> tuple[str, ...]:
    """What a person should know about PATH once the entry is in place."""
    path, ahead = facts.entry.path, facts.ahead
    if not facts.on_path:
        instead = f", so {ahead.path} runs" if ahead else "; add it to run rawr by name"
        return (f"Note: {path.rpartition('/')[0]} is not on PATH{instead}.",)
    if ahead and (ahead.kind, facts.mode) != ("shim", SHIM):
        return (f"Note: {ahead.path} ({ahead.kind}) comes before it on PATH and runs instead.",)
    if facts.mode == SHIM:
        return ()
    said = "rawr runs this workspace in every folder; to run the workspace you stand in"
    return (f"Note: {said}: rawr-install install --mode shim",)
