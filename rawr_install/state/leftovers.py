"""What dead processes left in the state folder on its way to somewhere else."""

from __future__ import annotations

import os
import re
import time

from rawr_install.atomic import discard
from rawr_install.state import processes

_OLD = 60.0  # seconds
_NAME = re.compile(r"(?:state\.(?:json\.|lock\.|lock\.stale\.)?|\.state\.last-good\.json\.)(\d+)\.[0-9a-f.]+(?:\.tmp)?")


def sweep(folder: str) -> int:
    """Remove the temporary files of dead processes from the state folder; returns how many.

    Where processes of other namespaces cannot be seen, only after a minute.
    """
    swept = 0
    for name in os.listdir(folder):
        match = _NAME.fullmatch(name)
        if match and processes.is_dead(int(match[1])) and _is_nobodys(os.path.join(folder, name), int(match[1])):
            discard(os.path.join(folder, name))
            swept += 1
    return swept


def _is_nobodys(path: str, pid: int) -> bool:
    if processes.sees_all_processes():
        return not processes.with_inner_pid(pid)
    try:
        return time.time() - os.lstat(path).st_mtime > _OLD
    except OSError:
        return False
