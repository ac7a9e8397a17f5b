"""Which workspace a command is about, and where one stands: one answer for every command.

The dispatcher has its own (:mod:`rawr_install.dispatch.decide`), since it runs
what it finds: a command can also be about a workspace without a CLI, and then
the one that has a CLI wins, as it does for ``rawr``.
"""

from __future__ import annotations

import errno
import os

from rawr_install.dispatch.workspace import Discovery, discover, folders_up, is_workspace
from rawr_install.errors import UsageError
from rawr_install.files import close_quietly

_PATH_MAX = 1024  # MAXPATHLEN in Apple's <sys/param.h>, and the most that fcntl.fcntl() takes
TYPE_CHECKING = False  # typing's own constant would cost importing typing
if TYPE_CHECKING:
    from collections.abc import Mapping


def find_workspace(named: str | None, environ: Mapping[str, str]) -> str:
    """The real path of the workspace that is named, else of the one that the variables or the current folder give.

    Raises UsageError: ``NOT_A_WORKSPACE`` for one that is named and is none,
    ``NO_WORKSPACE`` where there is none to find, ``CWD_GONE``.
    """
    if named is not None:
        return named_workspace(named)
    cwd = current_folder()
    found = discover(cwd, environ)
    if found.root is not None:
        return real_path(found.root)
    if found.unseen:
        raise UsageError(unseen_text(found.unseen), code="CANNOT_SEARCH", hint=UNSEEN_HINT)
    if found.lookalikes:
        return real_path(found.lookalikes[0])
    if found.refused and is_workspace(os.path.join(cwd, found.refused)):
        return real_path(os.path.join(cwd, found.refused))
    raise _no_workspace(found, cwd)


def named_workspace(named: str) -> str:
    """The real path of the workspace at ``named``; raises UsageError ``NOT_A_WORKSPACE`` or ``CWD_GONE``."""
    path = named if os.path.isabs(named) else os.path.join(current_folder(), named)
    root = real_path(path) if named and "\0" not in named else ""
    if root and is_workspace(root):
        return root
    above = next((folder for folder in folders_up(root) if is_workspace(folder)), None) if root else None
    raise UsageError(
        f"{root or repr(named)} is not a workspace: it needs a package.json file and a plugins folder.",
        code="NOT_A_WORKSPACE",
        hint=f"name the workspace's root: {above}" if above else "name the root folder of a workspace",
    )


def real_path(path: str) -> str:
    """The real path, spelled as the file system spells it.

    On macOS several names lead to one file (case, Unicode forms) and ``realpath`` keeps the one that was given; the
    peers' runtime does not, and fcntl(2)'s ``F_GETPATH`` gives what it gives.
    """
    return spelled_on_disk(os.path.realpath(path))


def spelled_on_disk(real: str) -> str:
    """The real path ``real`` as :func:`real_path` gives it."""
    import fcntl

    request = getattr(fcntl, "F_GETPATH", None)
    if request is None:
        return real
    try:
        fd = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return real
    try:
        return os.fsdecode(fcntl.fcntl(fd, request, bytes(_PATH_MAX)).partition(b"\0")[0]) or real
    except OSError:
        return real
    finally:
        close_quietly(fd)


def current_folder() -> str:
    """The process's folder; raises UsageError ``CWD_GONE`` where it was removed."""
    try:
        return os.getcwd()
    except OSError:
        raise UsageError("The current folder no longer exists.", code="CWD_GONE", hint="cd ~") from None


UNSEEN_HINT = "make the folders there searchable for you, or go to another folder"


def unseen_text(error: OSError) -> str:
    """Why a search ended: a workspace may stand where nobody can look."""
    name = errno.errorcode.get(error.errno or 0, "error")
    return f"The search for a workspace ended at {error.filename}, which cannot be looked at ({name})."


def _no_workspace(found: Discovery, cwd: str) -> UsageError:
    return UsageError(
        f"{found.source}={found.refused} names no workspace."
        if found.refused
        else f"There is no workspace at or above {cwd}.",
        code="NO_WORKSPACE",
        hint="cd into a workspace, or name one",
    )
