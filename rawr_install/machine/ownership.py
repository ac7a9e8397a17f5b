"""Whether the toolkit's own places are the user's: what another user owns, or links to, could lead a change anywhere.

``sudo`` that keeps HOME (macOS' default, ``sudo -E``) is the usual way there: the toolkit as root would believe and
carry out another user's records. The user's own link to the user's own target is followed; root's is as good.
"""

from __future__ import annotations

import os

from rawr_install.errors import RefusedError
from rawr_install.paths import Paths


def require_own_places(paths: Paths) -> None:
    """To be asked before a command changes this machine; raises RefusedError ``STATE_DIR_NOT_YOURS``."""
    why = not_yours(paths)
    if why is None:
        return
    by_sudo = os.geteuid() == 0 and paths.variable("SUDO_UID")
    raise RefusedError(
        f"{why}; nothing was changed.",
        code="STATE_DIR_NOT_YOURS",
        hint="run it without sudo" if by_sudo else "make it yours or move it away, or set HOME to your own home folder",
    )


def not_yours(paths: Paths) -> str | None:
    """What in the toolkit's places is another user's, as the beginning of a sentence; None where nothing is."""
    if os.geteuid() == 0 and paths.variable("SUDO_UID") and _stranger(paths.home) is not None:
        return f"This is root through sudo, and HOME, {paths.home}, belongs to {_stranger(paths.home)}"
    policy = (paths.owner_file, paths.fallback_file, paths.trusted_file)
    records = (paths.history_file, paths.receipt_file, paths.refresh_file, paths.machine_lock)
    for path in (paths.dot_rawr, *policy, paths.state_dir, *records):
        if (whose := _stranger(path, follow=False)) is not None:
            return f"{path} belongs to {whose}"
        if (whose := _stranger(path)) is not None:
            return f"{path} is a link to {os.path.realpath(path)}, which belongs to {whose}"
    return None


def _stranger(path: str, follow: bool = True) -> str | None:
    """The other user that what stands at ``path`` belongs to; None for the user, root, and where nothing is."""
    try:
        uid = os.stat(path, follow_symlinks=follow).st_uid
    except OSError:
        return None
    return None if uid in (0, os.geteuid()) else _name_of(uid)


def _name_of(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the user with the id {uid}"
