"""What dead processes left in the state folder on its way to somewhere else."""

from __future__ import annotations

import os
import re

from rawr_install.atomic import discard
from rawr_install.state.filesystem import Volume, time_at
from rawr_install.state.processes import is_dead

_OLD = 60.0  # seconds
_NAME = re.compile(r"(?:state\.(?:json\.|lock\.|lock\.stale\.)?|\.state\.last-good\.json\.)(\d+)\.[0-9a-f.]+(?:\.tmp)?")


def sweep(folder: str, volume: Volume) -> int:
    """Remove the temporary files that dead processes left more than a minute ago; returns how many.

    Younger ones stay: what is no process here may be a peer's in a container, or on another machine.
    """
    left = [name for name in os.listdir(folder) if (match := _NAME.fullmatch(name)) and is_dead(int(match[1]))]
    now = time_at(folder, volume) if left else 0.0
    old = [name for name in left if _age(os.path.join(folder, name), now) > _OLD]
    for name in old:
        discard(os.path.join(folder, name))
    return len(old)


def _age(path: str, now: float) -> float:
    try:
        return now - os.lstat(path).st_mtime
    except OSError:
        return 0.0
