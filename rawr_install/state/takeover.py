"""Taking an abandoned ``state.lock`` away: that very one, and no successor of it.

Between a judgement and a removal by name, the name may have passed to a living
holder: the peers' own clean-up has this flaw. Here an old lease is fenced
first, a judged one is renamed aside and compared, and one caught by mistake is put back.
"""

from __future__ import annotations

import os
import time

from rawr_install.atomic import discard
from rawr_install.state.failpoints import reach

OLD = 59.0  # seconds; the peers start to remove a lease at 60
SETTLE = 0.08  # seconds; longer than a peer takes from stat to unlink

Identity = tuple[int, int]


def stand_back(path: str, age: float) -> bool:
    """Fence a lease that is old enough for the peers to remove; True when it was.

    Touched, it is young: no peer starts a removal. Those under way, which
    would remove whatever stands there next, get the time to finish.
    """
    if age < OLD:
        return False
    _touch(path)
    reach("hazard")
    time.sleep(SETTLE)
    return True


def _touch(path: str) -> None:
    try:
        os.utime(path, follow_symlinks=False)
    except (OSError, NotImplementedError):
        pass  # another user's lease: the time to settle must do


def take_away(path: str, judged: Identity) -> bool:
    """Remove the judged lease and no other; False when it had already gone. Raises OSError.

    Not ``unlink(path)``: between judgement and removal the name may have
    passed to a living holder. A rename shows what was caught, and a live one
    is put back.
    """
    reach("judged")
    _touch(path)
    reach("fenced")
    if not _names(path, judged):
        return False
    reach("matched")
    aside = f"{path}.stale.{os.getpid()}.{os.urandom(4).hex()}"
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        return False
    reach("aside")
    if _names(aside, judged):
        os.unlink(aside)
        reach("taken")
        return True
    put_back(aside, path)
    return False


def set_aside(path: str) -> None:
    """Move what is no regular file out of the way, keeping it; raises OSError."""
    os.rename(path, f"{path}.aside-{os.urandom(4).hex()}")


def put_back(aside: str, path: str) -> None:
    """Give a living holder its name again; if another took it meanwhile, the holder notices before it acknowledges."""
    try:
        os.link(aside, path, follow_symlinks=False)
    except (OSError, NotImplementedError):
        pass
    discard(aside)


def _names(path: str, identity: Identity) -> bool:
    try:
        info = os.lstat(path)
    except OSError:
        return False
    return (info.st_dev, info.st_ino) == identity
