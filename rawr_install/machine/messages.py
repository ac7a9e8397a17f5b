"""What a plan refuses, in words: the code, one sentence, and the command that mends it. Pure."""

from __future__ import annotations

import stat
from collections.abc import Sequence

from rawr_install.errors import RefusedError
from rawr_install.machine.entry import Entry

Exposed = tuple[tuple[str, int], ...]  # a path that others can write, and its mode


def untrusted(
    root: str, obstacle: str, trust_remedy: tuple[str, tuple[str, ...]], writable: Sequence[str]
) -> RefusedError | None:
    """Why no command may change anything for ``root``: others own a part of it, or can write to it."""
    hint, remedy = trust_remedy
    if obstacle:
        said = f"The workspace {root} is not trusted: {obstacle}."
        return RefusedError(said, code="WORKSPACE_NOT_TRUSTED", hint=hint, remedy=remedy)
    if writable:
        said = f"Other users can write to {writable[0]}, and so decide what runs in the workspace {root}."
        return RefusedError(said, code="WORKSPACE_WRITABLE", remedy=remedy)
    return None


def exposure(found: Exposed) -> str:
    """What others can do with what is exposed, as the middle of a sentence."""
    return "may have put files into" if _has_sticky(found) else "can write"


def make_private(found: Exposed) -> tuple[str, ...]:
    """The command after which nothing is exposed."""
    return "chmod", "go-w,-t" if _has_sticky(found) else "go-w", *(path for path, _ in found)


def _has_sticky(found: Exposed) -> bool:
    return any(mode & stat.S_ISVTX for _, mode in found)


def managed_entry(entry: Entry, instead: str = "") -> RefusedError:
    """What a package manager put there, and keeps up to date; ``instead`` is another way than to uninstall that."""
    manager = entry.installer or "a package manager"
    leads = f" (it leads to {entry.real})" if entry.link else ""
    return RefusedError(
        f"{entry.path} was put there by {manager}{leads}, so it is left alone.",
        code="MANAGED_ENTRY",
        hint=f"{instead}uninstall what {manager} put there",
        details={"path": entry.path, "real": entry.real, "installer": entry.installer},
    )


def foreign_entry(path: str, kind: str, remedy: tuple[str, ...]) -> RefusedError:
    """The refusal of what is not ours; ``remedy`` is the command that sets it aside."""
    return RefusedError(
        f"{path} is not ours ({kind}), so it is left alone.",
        code="FOREIGN_ENTRY",
        remedy=remedy,
        details={"path": path, "kind": kind},
    )


_NO_FOLDER = {
    "not-a-folder": (
        "BIN_DIR_NOT_A_FOLDER",
        "cannot hold an entry: it, or a parent of it, is not a folder",
        "move that file away, or choose another folder with --bin-dir",
    ),
    "read-only": (
        "READ_ONLY_FILE_SYSTEM",
        "is on a file system that is mounted read-only",
        "mount it writable, or choose another folder with --bin-dir",
    ),
    "not-writable": (
        "BIN_DIR_NOT_WRITABLE",
        "is not writable for you",
        "make it writable, or choose another folder with --bin-dir",
    ),
    "noexec": (
        "BIN_DIR_NOEXEC",
        "is on a file system that is mounted noexec, where no program starts",
        "choose another folder with --bin-dir, or mount it without noexec",
    ),
}


def unusable_folder(path: str, problem: str) -> RefusedError:
    """Why no entry can be made at ``path``, by the ``problem`` of its folder."""
    code, said, hint = _NO_FOLDER[problem]
    return RefusedError(f"The bin folder {path.rpartition('/')[0] or '/'} {said}.", code=code, hint=hint)


def other_owner(owner: str, owner_file: str, root: str) -> RefusedError:
    """Another valid instance is the owner, and a link would pass it over."""
    return RefusedError(
        f"The machine's owner is another workspace, {owner} (in {owner_file}).",
        code="OWNER_OTHER_INSTANCE",
        remedy=("rawr-install", "activate", root),
        details={"ownerWorkspacePath": owner, "instanceRoot": root},
    )


def unsuitable_path(root: str) -> RefusedError:
    """A path that the owner file's grammar cannot hold."""
    said = f"The path {root} cannot be written to the owner file: it is not one line of UTF-8 without outer spaces."
    return RefusedError(said, code="WORKSPACE_PATH_UNSUITABLE", hint="rename the folder")


def unusable_owner(said: str, path: str, set_aside: str) -> RefusedError:
    """An owner file that could not be put back, or that has no place; ``path`` is what stands in the way."""
    return RefusedError(said, code="OWNER_FILE_UNUSABLE", remedy=("mv", "-n", path, set_aside))
