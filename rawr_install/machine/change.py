"""Names that the toolkit puts in place, and how it does so without a gap.

A :class:`Value` is what stands at a name; a :class:`Change` takes one name from
one value to another and knows its own inverse. Rules:

* A name is replaced by staging beside it and renaming over it: whoever looks
  finds the old thing or the new one, never nothing.
* What is not ours is never deleted. A change whose one end is ``kept`` carries
  ``aside``, the name beside it under which the foreign thing waits.
* Before it acts, a change checks that the name still holds what was looked at.
* Every step may be repeated after a crash: :func:`standing` tells how far a
  change came, and applying it, or its inverse, goes on from there.

All functions raise OSError as it comes; ``transaction`` gives it words.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Mapping
from typing import NamedTuple

from rawr_install import atomic as durable
from rawr_install.errors import RefusedError

# No hard links: FAT (EPERM), protected_hardlinks (EPERM), some network file systems, too many names already.
_NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
VALUE_LIMIT = 1024 * 1024  # bytes; our own files are a few KiB


class Value(NamedTuple):
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

    def to_json(self) -> dict[str, object]:
        if self.kind == "file":
            # surrogateescape: the owner file may hold any bytes, and they must come back as they were.
            return {"kind": "file", "text": self.data.decode("utf-8", "surrogateescape"), "mode": self.mode}
        return {"kind": "link", "target": self.target} if self.kind == "link" else {"kind": self.kind}

    @classmethod
    def from_json(cls, shown: Mapping[str, object]) -> Value:
        """Inverse of :meth:`to_json`; raises KeyError or ValueError on another shape."""
        mode = shown.get("mode", 0)
        if not isinstance(mode, int):
            raise ValueError("mode is not a number")
        text = str(shown.get("text", "")).encode("utf-8", "surrogateescape")
        return cls(str(shown["kind"]), str(shown.get("target", "")), text, mode)


ABSENT = Value("absent")
KEPT = Value("kept")


def link_value(target: str) -> Value:
    """A symbolic link to ``target``."""
    return Value("link", target=target)


def file_value(data: bytes, mode: int = 0o644) -> Value:
    """A regular file."""
    return Value("file", data=data, mode=mode)


def read_value(path: str) -> Value:
    """What stands at ``path``; ``kept`` for what the toolkit never makes (a folder, a large file) or cannot read."""
    try:
        info = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    if stat.S_ISLNK(info.st_mode):
        return link_value(os.readlink(path))
    if not stat.S_ISREG(info.st_mode) or info.st_size > VALUE_LIMIT:
        return KEPT
    try:
        with open(path, "rb") as file:
            return file_value(file.read(), stat.S_IMODE(info.st_mode))
    except PermissionError:
        return KEPT


class Change(NamedTuple):
    """One name from ``before`` to ``after``; ``role`` is ``owner``, ``entry`` or ``receipt``."""

    role: str
    path: str
    before: Value
    after: Value
    aside: str | None = None

    @property
    def inverse(self) -> Change:
        return Change(self.role, self.path, self.after, self.before, self.aside)

    @property
    def sets_aside(self) -> bool:
        return self.before.kind == "kept"

    def to_json(self) -> dict[str, object]:
        shown: dict[str, object] = {"role": self.role, "path": self.path}
        shown |= {"before": self.before.to_json(), "after": self.after.to_json()}
        return shown | ({"aside": self.aside} if self.aside else {})

    @classmethod
    def from_json(cls, shown: Mapping[str, object]) -> Change:
        """Inverse of :meth:`to_json`; raises KeyError or ValueError on another shape."""
        before, after, aside = shown["before"], shown["after"], shown.get("aside")
        if not isinstance(before, dict) or not isinstance(after, dict):
            raise ValueError("a value is not an object")
        ends = Value.from_json(before), Value.from_json(after)
        return cls(str(shown["role"]), str(shown["path"]), *ends, str(aside) if aside else None)

    def describe(self) -> str:
        """The change as a line of a plan."""
        if self.after.kind == "kept":
            return f"put {self.aside} back at {self.path}"
        ends = {"absent": f"remove {self.path}", "link": f"link {self.path} -> {self.after.target}"}
        content = self.after.data.decode("utf-8", "replace").strip() if self.role == "owner" else ""
        step = ends.get(self.after.kind, f"write {self.path}" + (f": {content}" if content else ""))
        return f"set {self.path} aside as {self.aside}, {step}" if self.sets_aside else step


def free_aside(path: str) -> str:
    """A name beside ``path`` under which a foreign thing can wait; taken names are passed over."""
    number, name = 1, f"{path}.before-rawr-install"
    while os.path.lexists(name):
        number += 1
        name = f"{path}.before-rawr-install.{number}"
    return name


def standing(change: Change) -> str:
    """How far ``change`` came: ``before``, ``between``, ``after``, or ``other`` when somebody else has been there."""
    if change.aside is None:
        now = read_value(change.path)
        return "after" if now == change.after else "before" if now == change.before else "other"
    place = _foreign_place(change.path, change.aside, change.after if change.sets_aside else change.before)
    if place in ("between", "other"):
        return place
    return "after" if (place == "aside") == change.sets_aside else "before"


def _foreign_place(path: str, aside: str, ours: Value) -> str:
    """Where the foreign thing is: ``aside`` (ours at ``path``), in ``place``, or ``between`` the two."""
    present = os.path.lexists(path)
    if not os.path.lexists(aside):
        return "place" if present else "other"
    if not present:
        return "aside" if ours == ABSENT else "between"
    if _same_file(path, aside):
        return "between"
    return "aside" if read_value(path) == ours else "other"


def stage(change: Change) -> str | None:
    """Make the new thing under a temporary name beside its place; None where there is nothing to make."""
    if change.after.kind == "link":
        return durable.stage_link(change.path, change.after.target)
    if change.after.kind == "file":
        return durable.stage_file(change.path, change.after.data, change.after.mode)
    return None


def apply(change: Change, staged: str | None) -> None:
    """Make the change, from wherever it stands; raises RefusedError ``CHANGED_MEANWHILE`` on ``other``."""
    where = standing(change)
    if where == "after":
        return
    if where == "other":
        raise RefusedError(f"{change.path} was changed by another program meanwhile.", code="CHANGED_MEANWHILE")
    if change.sets_aside and change.aside:
        _set_aside(change.path, change.aside)
    if change.after.kind == "kept" and change.aside:
        _put_back(change.path, change.aside)
    elif staged:
        durable.commit(staged, change.path)
    elif os.path.lexists(change.path):
        os.unlink(change.path)
        durable.sync_folder(os.path.dirname(change.path))


def _set_aside(path: str, aside: str) -> None:
    if os.path.lexists(aside):
        return
    folder = os.path.isdir(path) and not os.path.islink(path)
    if folder or not _second_name(path, aside):
        os.rename(path, aside)


def _second_name(path: str, aside: str) -> bool:
    """Give the thing a second name, so that ours can be renamed over the first and the entry is never absent."""
    try:
        os.link(path, aside, follow_symlinks=False)
    except OSError as error:
        if error.errno in _NO_HARD_LINKS:
            return False
        raise
    return True


def _put_back(path: str, aside: str) -> None:
    if os.path.lexists(path) and (_same_file(path, aside) or os.path.isdir(aside)):
        # rename(2) does nothing between two names of one file, and puts no folder over a file.
        os.unlink(aside if _same_file(path, aside) else path)
    if os.path.lexists(aside):
        os.rename(aside, path)
    durable.sync_folder(os.path.dirname(path))


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
        durable.discard(os.path.join(folder, found))
