"""Names that the toolkit puts in place, and how it does so without a gap.

A :class:`PathState` is what stands at a name; a :class:`Change` takes one name from
one to another and knows its own inverse. Rules:

* A name is replaced by staging beside it and renaming over it: whoever looks
  finds the old thing or the new one, never nothing.
* What is not ours is never deleted. A change whose one end is ``kept`` carries
  ``backup``, the name beside it under which the foreign thing waits.
* Before it acts, a change checks that the name still holds what was looked at.
* Every step may be repeated after a crash: :func:`progress` tells how far a
  change came, and applying it, or its inverse, goes on from there.

All functions raise OSError as it comes; ``transaction`` gives it words.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import NamedTuple

from rawr_install import atomic
from rawr_install.ecmascript import trim
from rawr_install.errors import RefusedError

# No hard links: FAT (EPERM), protected_hardlinks (EPERM), some network file systems, too many names already.
_NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
READ_LIMIT = 1024 * 1024  # bytes; our own files are a few KiB


class PathState(NamedTuple):
    """What stands at a name: ``absent``, a ``link``, a ``file`` with its bytes, or ``kept`` (foreign, not read)."""

    kind: str
    target: str = ""
    data: bytes = b""
    mode: int = 0

    @property
    def fingerprint(self) -> str:
        """What tells two values of one kind apart: a link's target, a file's SHA-256."""
        if self.kind != "file":
            return self.target
        import hashlib

        return hashlib.sha256(self.data).hexdigest()


ABSENT = PathState("absent")
FOREIGN = PathState("kept")  # the word that the history holds


def link_to(target: str) -> PathState:
    """A symbolic link to ``target``."""
    return PathState("link", target=target)


def file_with(data: bytes, mode: int = 0o644) -> PathState:
    """A regular file."""
    return PathState("file", data=data, mode=mode)


def read_path(path: str, limit: int = READ_LIMIT) -> PathState:
    """What stands at ``path``; ``kept`` for what the toolkit never makes (a folder, a large file) or cannot read."""
    try:
        info = os.lstat(path)
        if stat.S_ISLNK(info.st_mode):
            return link_to(os.readlink(path))
        if not stat.S_ISREG(info.st_mode):
            return FOREIGN
        # Exchanged since lstat(2): a link is ELOOP, and a FIFO would wait for its writer but for O_NONBLOCK.
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            data = file.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    except PermissionError:
        return FOREIGN
    return FOREIGN if len(data) > limit else file_with(data, stat.S_IMODE(info.st_mode))


class Change(NamedTuple):
    """One name from ``before`` to ``after``; ``role`` is ``owner``, ``entry`` or ``receipt``."""

    role: str
    path: str
    before: PathState
    after: PathState
    backup: str | None = None

    @property
    def inverse(self) -> Change:
        return Change(self.role, self.path, self.after, self.before, self.backup)

    @property
    def backs_up(self) -> bool:
        return self.before.kind == "kept"

    def describe(self) -> str:
        """The change as a line of a plan."""
        if self.after.kind == "kept":
            return f"put {self.backup} back at {self.path}"
        ends = {"absent": f"remove {self.path}", "link": f"link {self.path} -> {self.after.target}"}
        content = trim(self.after.data.decode("utf-8", "replace")) if self.role == "owner" else ""
        step = ends.get(self.after.kind, f"write {self.path}" + (f": {content}" if content else ""))
        return f"set {self.path} aside as {self.backup}, {step}" if self.backs_up else step


def progress(change: Change) -> str:
    """How far ``change`` came: ``before``, ``between``, ``after``, or ``other`` when another program has been there."""
    if change.backup is None:
        now, before, after = read_path(change.path), change.before, change.after
        return "after" if _is(now, after, before) else "before" if _is(now, before, after) else "other"
    place = _foreign_place(change.path, change.backup, change.after if change.backs_up else change.before)
    if place in ("between", "other"):
        return place
    return "after" if (place == "aside") == change.backs_up else "before"


def _is(found: PathState, wanted: PathState, other: PathState) -> bool:
    """Whether ``found`` is ``wanted`` and not ``other``; its mode counts only where they differ in nothing else.

    FAT, exFAT, NTFS and WSL's drvfs keep no modes: there each file reads 0777, or as the mount says.
    """
    if found == wanted or wanted._replace(mode=other.mode) == other:
        return found == wanted
    return found._replace(mode=wanted.mode) == wanted


def _foreign_place(path: str, backup: str, ours: PathState) -> str:
    """Where the foreign thing is: ``aside`` (ours at ``path``), in ``place``, or ``between`` the two."""
    present = os.path.lexists(path)
    if not os.path.lexists(backup):
        return "place" if present else "other"
    if not present:
        return "aside" if ours == ABSENT else "between"
    if _same_file(path, backup):
        return "between"
    return "aside" if _is(read_path(path), ours, FOREIGN) else "other"


def stage(change: Change) -> str | None:
    """Make the new thing under a temporary name beside its place; None where there is nothing to make."""
    if change.after.kind == "link":
        return atomic.stage_link(change.path, change.after.target)
    if change.after.kind == "file":
        return atomic.stage_file(change.path, change.after.data, change.after.mode)
    return None


def apply(change: Change, staged: str | None) -> None:
    """Make the change, from wherever it stands; raises RefusedError ``CHANGED_MEANWHILE`` on ``other``."""
    where = progress(change)
    if where == "after":
        return
    if where == "other":
        raise RefusedError(f"{change.path} was changed by another program meanwhile.", code="CHANGED_MEANWHILE")
    if change.backs_up and change.backup:
        _back_up(change.path, change.backup)
    if change.after.kind == "kept" and change.backup:
        _restore(change.path, change.backup)
    elif staged:
        atomic.commit(staged, change.path)
    elif os.path.lexists(change.path):
        os.unlink(change.path)
        atomic.sync_folder(os.path.dirname(change.path))


def _back_up(path: str, backup: str) -> None:
    if os.path.lexists(backup):
        return
    folder = os.path.isdir(path) and not os.path.islink(path)
    if folder or not _link_backup(path, backup):
        os.rename(path, backup)


def _link_backup(path: str, backup: str) -> bool:
    """Give the thing a second name, so that ours can be renamed over the first and the entry is never absent."""
    try:
        os.link(path, backup, follow_symlinks=False)
    except OSError as error:
        if error.errno in _NO_HARD_LINKS:
            return False
        raise
    return True


def _restore(path: str, backup: str) -> None:
    if os.path.lexists(path) and (_same_file(path, backup) or os.path.isdir(backup)):
        # rename(2) does nothing between two names of one file, and puts no folder over a file.
        os.unlink(backup if _same_file(path, backup) else path)
    if os.path.lexists(backup):
        os.rename(backup, path)
    atomic.sync_folder(os.path.dirname(path))


def _same_file(first: str, second: str) -> bool:
    return os.path.samestat(os.lstat(first), os.lstat(second))


def sweep(path: str) -> None:
    """Remove the temporary files of ``path`` that a killed process left; only under the machine lock."""
    folder, name = os.path.split(path)
    leftover = re.compile(rf"\.{re.escape(name)}\.\d+\.[0-9a-f]{{8}}\.tmp")
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for found in filter(leftover.fullmatch, names):
        atomic.discard(os.path.join(folder, found))
