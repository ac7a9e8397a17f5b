"""Whether nobody else decides what runs in a workspace: owners, modes and grants, told apart.

* *Owners* stop everything. The chain of names that leads to the workspace CLI, links and the parents of where they
  lead included, belongs to the user or to root; the workspace's own folders are not sticky, since others may put files
  into such a folder. The same holds for the current folder, from which Bun loads ``.env*`` and ``bunfig.toml``.
* *Modes* (:meth:`Trust.writable`) stop what changes something, never dispatch.
* *Grants* come from outside the workspace: ``~/.rawr/trusted-workspaces`` and ``RAWR_TRUSTED_WORKSPACES``. A grant
  covers everything at and below its path.

The chain ends at HOME where that is the user's; of ``/`` and of a sticky ``/tmp`` it asks no owner, since whoever
had these would need no workspace. ``shims/rawr`` runs by itself what is wholly the user's, by the same rules.
Standard library only, and of that ``os`` and ``stat`` at first: the dispatch path loads it.
"""

from __future__ import annotations

import errno
import os
import stat

from rawr_install.dispatch.workspace import cli_path, folders_up, home_file, read_lines
from rawr_install.errors import os_error_name
from rawr_install.files import is_ours, is_owned_by_me, is_sticky, read_beginning

TYPE_CHECKING = False  # typing's own constant would cost importing typing, and collections.abc imports collections
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

GRANT_VARIABLE = "RAWR_TRUSTED_WORKSPACES"
_LINKS = 40  # as many as Linux follows in one path (MAXSYMLINKS)
_OWN_FOLDERS = ("", "apps", "apps/cli", "apps/cli/bin")


class Trust:
    """What :func:`trust` found: ``obstacle`` is the one sentence that stops everything, "" if nothing does.

    ``place`` is the file or folder that it is about, ``of_cwd`` whether that is the current folder;
    ``granted`` whether a grant covers the workspace.
    """

    __slots__ = ("_passed", "granted", "obstacle", "of_cwd", "place")

    def __init__(self, granted: bool, place: str = "", obstacle: str = "", of_cwd: bool = False) -> None:
        self.granted = granted
        self.place = place
        self.obstacle = obstacle
        self.of_cwd = of_cwd
        self._passed: list[tuple[str, os.stat_result]] = []

    def writable(self) -> tuple[str, ...]:
        """What on the way to the CLI others may write to, and no sticky bit protects; empty under a grant."""
        return () if self.granted else _writable(self._passed)


def trust(root: str, environ: Mapping[str, str], cwd: str | None = None) -> Trust:
    """Judge the workspace at ``root`` (the path that was taken), and the current folder where one is given."""
    granted = is_granted(os.path.realpath(root), environ)
    found = Trust(granted)
    if not granted:
        found._passed, error = chain(cli_path(root), environ)
        if root == "/":  # which no name in it leads to
            found._passed.append((root, os.stat(root)))
        found.place, found.obstacle = error or _foreign(found._passed) or _sticky(root) or ("", "")
    if cwd is not None and not found.obstacle:
        found.place, found.obstacle = unsafe_folder(cwd, environ) or ("", "")
        found.of_cwd = bool(found.obstacle)
    return found


def is_granted(real: str, environ: Mapping[str, str]) -> bool:
    """Whether the user's list or variable holds ``real`` or a folder above it, byte for byte."""
    places = set(folders_up(real))
    elements = environ.get(GRANT_VARIABLE, "").split(":")
    if "*" in elements or not places.isdisjoint(elements):
        return True
    return not places.isdisjoint(read_lines(home_file(environ, "trusted-workspaces")))


def exchangers(real: str, environ: Mapping[str, str]) -> list[str]:
    """Sentences that name who, but the user and root, can put something else at ``real``; empty where nobody can."""
    passed, error = chain(cli_path(real), environ)
    told = [sentence for place in (error, _sticky(real)) if place for sentence in place[1:]]
    above = [(path, info) for path, info in passed if real.startswith(f"{path}/") and not _is_safe(path, info)]
    told += [f"{path} belongs to {user_name(info.st_uid)}" for path, info in above]
    return told + [f"{path} can be written by {_writers(info)}" for path, info in passed if others_can_write(info)]


def _writers(info: os.stat_result) -> str:
    if info.st_mode & stat.S_IWOTH:
        return "everybody"
    import grp

    try:
        return f"the group {grp.getgrgid(info.st_gid).gr_name}"
    except KeyError:
        return f"the group with the id {info.st_gid}"


def user_name(uid: int) -> str:
    """The name of the user with this id, or words for one that has none."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the user with the id {uid}"


def chain(path: str, environ: Mapping[str, str]) -> tuple[list[tuple[str, os.stat_result]], tuple[str, str] | None]:
    """Every folder, link and file that resolving ``path`` passes, and what ended that early but for absence."""
    home = _own_home(environ)
    passed: list[tuple[str, os.stat_result]] = []
    here, links = "", 0
    names = path.split("/")[::-1]
    while names:
        name = names.pop()
        if name in ("", "."):
            continue
        if name == "..":
            here = here.rpartition("/")[0]
            continue
        step = f"{here}/{name}"
        try:
            info = os.lstat(step)
            target = os.readlink(step) if stat.S_ISLNK(info.st_mode) else ""
        except OSError as error:
            return passed, None if error.errno in (errno.ENOENT, errno.ENOTDIR) else _unseen(step, error)
        if step == home:
            # What lies above the user's own home is not asked.
            passed = [(above, seen) for above, seen in passed if not home.startswith(above + "/")]
        passed.append((step, info))
        if target:
            links += 1
            if links > _LINKS:
                return passed, None
            here = "" if target.startswith("/") else here
            names += target.split("/")[::-1]
        else:
            here = step
    return passed, None


def _own_home(environ: Mapping[str, str]) -> str:
    home = environ.get("HOME", "")
    if not os.path.isabs(home):
        return ""
    try:
        return os.path.realpath(home) if os.stat(home).st_uid == os.geteuid() else ""
    except OSError:
        return ""


def _unseen(path: str, error: OSError) -> tuple[str, str]:
    return path, f"{path} cannot be looked at ({os_error_name(error)})"


def foreign_on_the_way(path: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """What on the way to ``path`` is another user's, or cannot be looked at, and the sentence that says so."""
    passed, error = chain(path, environ)
    return error or _foreign(passed)


def _foreign(passed: Iterable[tuple[str, os.stat_result]]) -> tuple[str, str] | None:
    for path, info in passed:
        if not _is_safe(path, info):
            return path, f"{path} belongs to another user (uid {info.st_uid})"
    return None


def _is_safe(path: str, info: os.stat_result) -> bool:
    return is_ours(info) or (path == "/tmp" and bool(info.st_mode & stat.S_ISVTX))  # noqa: S108 - asked about, not written


def _sticky(root: str) -> tuple[str, str] | None:
    for name in _OWN_FOLDERS:
        folder = os.path.join(root, name) if name else root
        try:
            info = os.stat(folder)
        except OSError:
            return None  # chain() has told every failure but absence
        if is_sticky(info):
            return folder, f"{folder} is sticky, so that other users may have put files into it"
    return None


def unsafe_folder(cwd: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """The current folder and why others decide what a program started there loads; None where nobody does."""
    if is_granted(cwd, environ):
        return None
    try:
        info = os.stat(cwd)
    except OSError as error:
        return _unseen(cwd, error)
    if not is_ours(info):
        return cwd, f"the current folder {cwd} belongs to another user (uid {info.st_uid})"
    if is_sticky(info):
        return cwd, f"the current folder {cwd} is sticky, so that other users may have put files into it"
    return None


def _writable(passed: Iterable[tuple[str, os.stat_result]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for path, info in passed if others_can_write(info)))


def others_can_write(info: os.stat_result) -> bool:
    """Whether anybody but the user and root may write there; a sticky folder keeps what the user has put into it."""
    if stat.S_ISLNK(info.st_mode) or is_sticky(info):
        return False
    return bool(info.st_mode & stat.S_IWOTH or (info.st_mode & stat.S_IWGRP and has_other_members(info.st_gid)))


def has_other_members(gid: int) -> bool:
    """Whether a group lets in anybody but the user and root; an unknown group does.

    Users whose primary group it is count (Debian gives each user one of their own, and umask 002 with it).
    """
    import grp
    import pwd

    try:
        names = grp.getgrgid(gid).gr_mem
    except KeyError:
        return True
    us = (0, os.geteuid())
    users = pwd.getpwall()
    uids = {user.pw_name: user.pw_uid for user in users}
    return any(uids.get(name, -1) not in us for name in names) or any(
        user.pw_gid == gid and user.pw_uid not in us for user in users
    )


def trust_remedy(real: str, environ: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """The hint and the command that let the workspace at ``real`` run; ``--force`` where others can exchange it."""
    if _home_of_another_through_sudo(environ):
        return "run it without sudo: HOME is another user's, so no list there counts", ()
    force = ("--force",) if exchangers(real, environ) else ()
    return "", ("rawr-install", "trust", "add", *force, real)


def writable_remedy(real: str, writable: tuple[str, ...]) -> tuple[str, ...]:
    """What ends that others can write to ``writable``; a grant where the user cannot take the permission away."""
    if (os.geteuid() == 0 or all(map(is_owned_by_me, writable))) and all(map(keeps_modes, writable)):
        return ("chmod", "go-w", *writable)
    return ("rawr-install", "trust", "add", "--force", real)


# Where modes are the mount's, and chmod(2) may do nothing: FAT, NTFS, what a VM or FUSE shows.
_MODELESS = ("vfat", "msdos", "exfat", "ntfs", "fuse", "9p", "drvfs", "vboxsf", "cifs", "smb")


def keeps_modes(path: str) -> bool:
    """Whether chmod(2) is sure to hold at ``path``, by Linux's mountinfo; elsewhere it is taken to."""
    try:
        device = os.stat(path).st_dev
        mounts = read_beginning("/proc/self/mountinfo", 1 << 20).decode("ascii", "replace")
    except OSError:
        return True
    return not is_modeless(device, mounts)


def is_modeless(device: int, mounts: str) -> bool:
    """Whether a file system on ``device`` keeps no modes, by the lines of a mountinfo (proc(5))."""
    number = f"{os.major(device)}:{os.minor(device)}"
    mine = [line.partition(" - ")[2] for line in mounts.splitlines() if line.split()[2:3] == [number]]
    return any(each.startswith(_MODELESS) for each in mine)


def _home_of_another_through_sudo(environ: Mapping[str, str]) -> bool:
    if os.geteuid() != 0 or "SUDO_UID" not in environ:
        return False
    try:
        return os.stat(environ.get("HOME") or "/").st_uid != 0
    except OSError:
        return False
