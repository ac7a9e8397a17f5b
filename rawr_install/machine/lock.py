"""The machine lock: one changing command at a time for one user on one machine.

A kernel lock (flock through filelock) on a file in the toolkit's state folder,
which stays there between runs. The holder writes who it is into the file, for
the message of whoever waits in vain; safety does not depend on that text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from rawr_install.errors import RawrError, RefusedError

TYPE_CHECKING = False  # typing's own constant would cost importing typing
if TYPE_CHECKING:
    from filelock import BaseFileLock

WAIT = 10.0  # seconds
ATTEMPTS = 50  # one for each purge that may come in between


@contextmanager
def locked(lock_file: str, command: str, wait: float = WAIT) -> Iterator[None]:
    """Hold the machine lock; waits up to ``wait`` seconds.

    Raises RefusedError ``MACHINE_BUSY``, which names the holder, and RawrError
    ``STATE_DIR_UNUSABLE`` where no lock file can be made.
    """
    import filelock

    try:
        lock = filelock.FileLock(lock_file)
        _acquire(lock, wait)
    except filelock.Timeout:
        raise _busy(lock_file, wait) from None
    except OSError as error:
        raise _unusable(lock_file, error) from None
    try:
        _sign(lock_file, command)
        yield
    finally:
        lock.release()


def _acquire(lock: BaseFileLock, wait: float) -> None:
    for attempt in range(ATTEMPTS):
        try:
            os.makedirs(os.path.dirname(lock.lock_file), mode=0o755, exist_ok=True)
            lock.acquire(timeout=wait, poll_interval=0.01)
            return
        except (FileNotFoundError, FileExistsError):
            # A purge removed the empty folder again, just now: ENOENT from the open, or, where it fell
            # between mkdir(2) and the look at what is there, EEXIST from makedirs. A file in the way stays EEXIST.
            if attempt == ATTEMPTS - 1 or os.path.isfile(os.path.dirname(lock.lock_file)):
                raise


def holder(lock_file: str) -> dict[str, object]:
    """Who last took the lock (``pid``, ``command``, ``since``); empty when the file does not say."""
    try:
        with open(lock_file, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _sign(lock_file: str, command: str) -> None:
    since = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    text = json.dumps({"pid": os.getpid(), "command": command, "since": since}) + "\n"
    try:
        with open(lock_file, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        pass  # a full disk must not stop what needs no space; the change itself says what fails


def _busy(lock_file: str, wait: float) -> RefusedError:
    found = holder(lock_file)
    who = "process {pid}, rawr-install {command}, since {since}".format_map(
        {"pid": "?", "command": "?", "since": "?"} | found
    )
    return RefusedError(
        f"Another rawr-install is changing this machine ({who}); waited {wait:g} s for {lock_file}.",
        code="MACHINE_BUSY",
        hint="wait for it to end, or try again with a longer --wait SECONDS",
        details={"holder": found, "lockFile": lock_file},
    )


def _unusable(lock_file: str, error: OSError) -> RawrError:
    folder = os.path.dirname(lock_file)
    return RawrError(
        f"The toolkit's state folder {folder} cannot be used: {error.strerror or error}.",
        code="STATE_DIR_UNUSABLE",
        hint=f"make {folder} a folder that you can write to, or set XDG_STATE_HOME to one",
    )
