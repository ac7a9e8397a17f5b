"""Whether the toolkit's own places are the user's: what another user owns, or links to, could lead a change anywhere.

``sudo`` that keeps HOME (macOS' default, ``sudo -E``) is the usual way there: the toolkit as root would believe and
carry out another user's records. The user's own link to the user's own target is followed; root's is as good.
"""

from __future__ import annotations

import os
import stat

from rawr_install.dispatch.trust import keeps_modes, others_can_write, user_name
from rawr_install.errors import RefusedError
from rawr_install.files import is_ours, is_owned_by_me, is_sticky, link_of_another
from rawr_install.machine.messages import Exposed, exposure, make_private
from rawr_install.paths import Paths

OWN_HOME = "set HOME to a folder of your own"
MOUNT_PRIVATE = "its file system keeps no modes: mount it with a umask of 077, or set HOME to a folder elsewhere"


def require_own_places(paths: Paths) -> None:
    """Asked before a command changes anything; raises RefusedError ``STATE_DIR_NOT_YOURS`` or ``POLICY_WRITABLE``."""
    why = not_yours(paths)
    if why is None:
        return _require_own_modes(paths)
    by_sudo = os.geteuid() == 0 and paths.variable("SUDO_UID")
    raise RefusedError(
        f"{why}; nothing was changed.",
        code="STATE_DIR_NOT_YOURS",
        hint="run it without sudo" if by_sudo else "make it yours or move it away, or set HOME to your own home folder",
    )


def _require_own_modes(paths: Paths) -> None:
    found = exposed(paths)
    if found:
        by_words = private_by(paths, found)
        raise RefusedError(
            f"Other users {exposure(found)} {found[0][0]}, and so decide what rawr runs; nothing was changed.",
            code="POLICY_WRITABLE",
            hint=by_words,
            remedy=() if by_words else make_private(found),
        )


def exposed(paths: Paths) -> Exposed:
    """What of ``~/.rawr`` others could write, with its mode: whoever can decides which program the user runs.

    Or have put files into: what lies in a sticky folder counts for nobody.
    """
    watched = (paths.home, paths.dot_rawr, paths.owner_file, paths.fallback_file, paths.trusted_file)
    found = ((path, info) for path in watched if (info := _stat(path)) and (others_can_write(info) or is_sticky(info)))
    return tuple((path, stat.S_IMODE(info.st_mode)) for path, info in found)


def private_by(paths: Paths, found: Exposed) -> str:
    """How to end that, in words, where no command does: a shared HOME, as ``/tmp``, is to stay as it is."""
    if not all(keeps_modes(path) for path, _ in found):
        return MOUNT_PRIVATE
    shared = dict(found).get(paths.home, 0) & stat.S_ISVTX
    mine = os.geteuid() == 0 or all(is_owned_by_me(path) for path, _ in found)
    return "" if mine and not shared else OWN_HOME


def _stat(path: str, follow: bool = True) -> os.stat_result | None:
    try:
        return os.stat(path, follow_symlinks=follow)
    except OSError:
        return None


def not_yours(paths: Paths) -> str | None:
    """What in the toolkit's places is another user's, as the beginning of a sentence; None where nothing is."""
    if os.geteuid() == 0 and paths.variable("SUDO_UID") and _stranger(paths.home) is not None:
        return f"This is root through sudo, and HOME, {paths.home}, belongs to {_stranger(paths.home)}"
    for path in (paths.dot_rawr, paths.state_dir):
        if link := link_of_another(path):
            return f"{link} is a link that {user_name(os.lstat(link).st_uid)} made"
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
    info = _stat(path, follow)
    return None if info is None or is_ours(info) else user_name(info.st_uid)
