"""Whether the state folder is shared with another kernel: another host, or a VM by this one's name.

Nothing but a lease met there tells that, and it is gone in a moment. So whoever meets one leaves a note in the folder,
where both sides find it.
"""

from __future__ import annotations

import json
import os
import time
from typing import NamedTuple

from rawr_install.atomic import write_file
from rawr_install.ecmascript import now
from rawr_install.state import processes

_NAME = "state.shared"
_LIMIT = 4096
_AGAIN = 86_400.0  # seconds after which a note is written anew
_FOR = 30 * 86_400.0  # seconds for which it counts


class Shared(NamedTuple):
    """With whom the folder is shared, and when that was last seen (as the wire writes times)."""

    host: str
    at: str


def note(folder: str, host: str) -> None:
    """Leave word that a lease of ``host`` was met in ``folder``; a failure fails nothing."""
    path = os.path.join(folder, _NAME)
    try:
        if time.time() - os.stat(path).st_mtime < _AGAIN:
            return
    except OSError:
        pass
    said = {"at": now(), "host": host, "by": processes.host()}
    try:
        write_file(path, (json.dumps(said) + "\n").encode(), 0o644, durable=False)
    except OSError:
        pass


def read(folder: str) -> Shared | None:
    """What was noted within the last thirty days."""
    path = os.path.join(folder, _NAME)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fresh = time.time() - os.fstat(fd).st_mtime < _FOR
            said = json.loads(os.read(fd, _LIMIT))
        finally:
            os.close(fd)
        host = said["by"] if said["host"] == processes.host() else said["host"]
        return Shared(str(host), str(said["at"])) if fresh else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
