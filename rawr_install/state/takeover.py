"""Taking an abandoned ``state.lock`` away: that very one, and no successor of it.

Between a judgement and a removal by name, the name may have passed to a living
holder: the peers' own clean-up has this flaw. Here an old lease is fenced
first, a judged one is renamed aside and compared, and one caught by mistake is put back.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time

from rawr_install.atomic import discard
from rawr_install.state.failpoints import reach
from rawr_install.state.holder import Found, Watched, judge, look
from rawr_install.state.lease import Place

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


def take_away(place: Place, judged: Found) -> bool:
    """Remove the judged lease and no other; False when it had gone, or another taker is at it. Raises OSError.

    Not ``unlink(path)``: between judgement and removal the name may have
    passed to a living holder. A rename shows what was caught, and a live one
    is put back. That would give two holders if a second taker's rename caught
    a successor meanwhile: so takers exclude each other by a lock on what they judged.
    """
    reach("judged")
    if place.beacon and not _claim(judged.fd):
        return False
    path = place.name
    _touch(path)
    reach("fenced")
    if not _names(path, judged.identity):
        return False
    reach("matched")
    aside = f"{path}.stale.{os.getpid()}.{os.urandom(4).hex()}"
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        return False
    reach("aside")
    if _names(aside, judged.identity):
        os.unlink(aside)
        reach("taken")
        return True
    put_back(aside, place)
    return False


def _claim(fd: int) -> bool:
    """Lock what was judged, until its descriptor is closed; False when another taker has it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # no kernel locks here after all
    return True


def set_aside(place: Place) -> bool:
    """Move what is no regular file out of the way, keeping it; False when it had become one. Raises OSError."""
    aside = f"{place.name}.aside-{os.urandom(4).hex()}"
    os.rename(place.name, aside)
    if not stat.S_ISREG(os.lstat(aside).st_mode):
        return True
    put_back(aside, place)
    return False


def put_back(aside: str, place: Place) -> None:
    """Give a living holder its name again; if another took it meanwhile, the holder notices before it acknowledges.

    One that has given up in the meantime would never remove it: that lease is dropped.
    """
    found = look(aside)
    try:
        if found is None or not judge(found, Watched(), place.beacon):
            os.link(aside, place.name, follow_symlinks=False)
    except (OSError, NotImplementedError):
        pass
    finally:
        if found is not None:
            found.close()
    discard(aside)


def _names(path: str, identity: Identity) -> bool:
    try:
        info = os.lstat(path)
    except OSError:
        return False
    return (info.st_dev, info.st_ino) == identity
