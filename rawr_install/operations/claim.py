"""Plan ``install`` and ``activate``. Pure."""

from __future__ import annotations

import shlex

from rawr_install.errors import RefusedError
from rawr_install.links import ABSENT, KEPT, Change, Value, file_value, link_value
from rawr_install.operations.look import Facts, Instance
from rawr_install.operations.plan import Plan, foreign, with_receipt, writable_owner
from rawr_install.policy import not_trusted
from rawr_install.workspace import WHITE_SPACE, seam_status

SHIM, LINK = "shim", "bun-symlink"


def plan_install(facts: Facts) -> Plan:
    """Put the entry in place; the owner stays as it is.

    Raises RefusedError: ``OWNER_OTHER_INSTANCE``, ``FOREIGN_ENTRY``,
    ``WORKSPACE_CLI_*``, ``WORKSPACE_NOT_TRUSTED``, ``BIN_DIR_*``.
    """
    instance = _usable(facts)
    notes: tuple[str, ...] = ()
    if facts.owner.status == "valid" and facts.owner.real != instance.root:
        if not facts.request.force:
            raise _owned_by_other(facts, instance)
        notes = _owner_elsewhere(facts, instance)
    mode = facts.request.mode or LINK
    view = _view(facts, instance, mode, seam_status(facts.owner, instance.root), facts.owner.path)
    changes = with_receipt(facts, _entry_change(facts, instance, mode))
    return Plan(changes, view, notes + _path_notes(facts, mode, owned_elsewhere=bool(notes)))


def plan_activate(facts: Facts) -> Plan:
    """Make the instance the owner and let the entry lead to it; an entry that is our shim stays one.

    Raises RefusedError as :func:`plan_install`, and ``OWNER_FILE_UNUSABLE``,
    ``WORKSPACE_PATH_UNSUITABLE``.
    """
    instance = _usable(facts)
    mode = facts.request.mode or (SHIM if facts.entry.kind == SHIM else LINK)
    view = _view(facts, instance, mode, "owner-current-instance", instance.root)
    view |= {"ownership": _ownership(facts, instance), "previousOwner": facts.owner.path or facts.owner.raw or None}
    wanted = (*_owner_change(facts, instance), *_entry_change(facts, instance, mode))
    return Plan(with_receipt(facts, wanted), view, _path_notes(facts, mode))


def _view(facts: Facts, instance: Instance, mode: str, seam: str, owner: str | None) -> dict[str, object]:
    return {
        "mode": mode,
        "entryPath": facts.entry.path,
        "target": instance.cli,
        "instanceRoot": instance.root,
        "aliasInstanceSeamStatus": seam,
        "ownerFilePath": facts.owner_path,
        "ownerWorkspacePath": owner,
    }


def _usable(facts: Facts) -> Instance:
    instance = facts.instance
    assert instance is not None  # the callers of install and activate always name one
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
    if not instance.trusted:
        raise not_trusted(instance.root)
    return instance


def _owned_by_other(facts: Facts, instance: Instance) -> RefusedError:
    return RefusedError(
        f"The machine's owner is another workspace, {facts.owner.path} (in {facts.owner_path}).",
        code="OWNER_OTHER_INSTANCE",
        remedy=("rawr-install", "activate", instance.root),
        details={"ownerWorkspacePath": facts.owner.path, "instanceRoot": instance.root},
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
    after = file_value(_owner_line(instance.root), mode)
    return (Change("owner", facts.owner_path, facts.owner_value, after),)


def _owner_line(root: str) -> bytes:
    """The owner file's bytes; the file's grammar is one line of UTF-8 whose edges are stripped."""
    try:
        line = root.encode("utf-8")
    except UnicodeEncodeError:
        line = b""
    if not line or root != root.strip(WHITE_SPACE) or any(char in root for char in "\n\r"):
        raise RefusedError(
            f"The path {root} cannot be written to the owner file: it is not one line of UTF-8 without outer spaces.",
            code="WORKSPACE_PATH_UNSUITABLE",
            hint="rename the folder",
        )
    return line + b"\n"


def _owner_elsewhere(facts: Facts, instance: Instance) -> tuple[str, ...]:
    return (
        f"Note: the global rawr owner still points to another checkout: {facts.owner.path}",
        f"Note: to transfer ownership, run: {shlex.join(('rawr-install', 'activate', instance.root))}",
    )


# -- the entry ---------------------------------------------------------------


def _entry_change(facts: Facts, instance: Instance, mode: str) -> tuple[Change, ...]:
    wanted = facts.shell_entry if mode == SHIM else link_value(instance.cli)
    if _in_place(facts, instance, mode, wanted):
        return ()
    _writable_folder(facts)
    if _is_ours(facts):
        return (Change("entry", facts.entry.path, facts.entry_value, wanted),)
    if not facts.request.force:
        raise foreign(facts.entry.path, facts.entry.kind, instance.root)
    return (Change("entry", facts.entry.path, KEPT, wanted, facts.entry_aside),)


def _in_place(facts: Facts, instance: Instance, mode: str, wanted: Value) -> bool:
    if mode == SHIM:
        # A link to a shell entry is a package manager's: it follows the installed version by itself.
        return facts.entry_value == wanted or (facts.entry.kind == SHIM and facts.entry.link is not None)
    return facts.entry_value == wanted or facts.entry.instance == instance.root


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


def _path_notes(facts: Facts, mode: str, owned_elsewhere: bool = False) -> tuple[str, ...]:
    """What a person should know about PATH once the entry is in place."""
    path, place = facts.entry.path, facts.path_place
    if place is None:
        return (f"Note: {path.rpartition('/')[0]} is not on PATH; add it to run rawr by name.",)
    behind = [shell for where, shell in facts.shell_entries if where > place]
    if mode == SHIM or not behind or len(behind) < len(facts.shell_entries):
        return ()
    said = f"Note: {path} comes before the shell entry {behind[0]} on PATH, so rawr runs this workspace in every folder"
    # Where somebody else is the owner, install asks for --force; the command named must be one that works.
    force = " --force" if owned_elsewhere else ""
    return (f"{said}; to run the workspace you stand in: rawr-install install --mode shim{force}",)
