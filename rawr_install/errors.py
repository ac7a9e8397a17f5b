"""Every error that the toolkit raises on purpose, under one root.

::

    RawrError                 code, exit code, hint, remedy
    ├── UsageError            2    wrong words on the command line, a missing precondition
    │   └── TelemetryError             an event or id outside the telemetry contract (a ValueError too)
    ├── RefusedError          1    looked, understood, and declined
    ├── DispatchError         126  a workspace CLI exists but cannot be used; 127: nothing to run
    └── StateError            1    the state file or its lock
        ├── StateCorruptError          not JSON, or not the shape of a state
        ├── StateVersionError          written by a newer program
        ├── StateUnreadableError       there, but cannot be read
        ├── LockTimeoutError           the wait ended before the lock was free
        ├── LeaseLostError             a peer broke exclusion, and again on every retry
        ├── NestedMutationError        a mutator mutated the same root
        └── NotDurableError            committed and visible, but not proven to survive a power cut

This module imports next to nothing: the dispatch path loads it.
"""

from __future__ import annotations

_OS_CODES = {"ENOSPC": "DISK_FULL", "EDQUOT": "DISK_FULL", "EROFS": "READ_ONLY_FILE_SYSTEM"}
_OS_CODES |= {"EACCES": "PERMISSION_DENIED", "EPERM": "PERMISSION_DENIED"}
_OS_HINTS = {
    "DISK_FULL": "free some space or some of your quota there",
    "READ_ONLY_FILE_SYSTEM": "mount this file system writable, or choose another folder (--bin-dir, XDG_STATE_HOME)",
    "PERMISSION_DENIED": "make the folder that holds this path writable for you",
}


def os_error_name(error: OSError) -> str:
    """The errno's name, as in errno(3)."""
    import errno  # a failure may cost an import; `rawr` may not

    return errno.errorcode.get(error.errno or 0, "unknown error")


def os_error_reason(error: OSError) -> str:
    """What the system said: ``Permission denied (EACCES)``."""
    return f"{error.strerror or error} ({os_error_name(error)})"


def os_error_in_words(error: OSError) -> str:
    """What the system said and about which file, for the end of a sentence: ``Permission denied (EACCES): /path``."""
    return os_error_reason(error) + (f": {error.filename}" if error.filename else "")


def os_error_code(error: OSError, default: str) -> str:
    """The stable code of what the user can mend (a full disk, a missing permission); else ``default``."""
    return _OS_CODES.get(os_error_name(error), default)


def os_error_hint(error: OSError) -> str:
    """What to do about a failed write."""
    known = _OS_HINTS.get(os_error_code(error, ""))
    if os_error_name(error) == "ENOSPC" and _no_inodes(error):
        known = "remove some files there: its inodes are used up, as df -i shows, while df may show free space"
    return f"{known or 'look at the file system that holds this path'}; then run the command again"


def _no_inodes(error: OSError) -> bool:
    import os

    folder = os.path.dirname(os.fsdecode(error.filename or ""))
    while folder and not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    try:
        found = os.statvfs(folder or ".")
    except OSError:
        return False
    return found.f_files > 0 and found.f_favail == 0


def unexpected(error: Exception) -> RawrError:
    """What no command has foreseen, in words: the system or this installation fails, or the program does."""
    if isinstance(error, OSError):
        said, code = os_error_in_words(error), os_error_code(error, "SYSTEM_ERROR")
        return RawrError(f"The system refused a call: {said}.", code=code, hint="run the command again")
    if isinstance(error, MemoryError):
        return RawrError("There is not enough memory.", code="SYSTEM_ERROR", hint="run the command again")
    if isinstance(error, ImportError):
        message = f"A part of this installation cannot be loaded: {error}."
        return RawrError(message, code="TOOLKIT_DAMAGED", hint="install rawr-install again, from where it came")
    kind = type(error).__name__
    return RawrError(
        f"A bug in rawr-install, not in what you did: {kind}: {error}",
        hint="please report it with the output of: rawr-install doctor global --json --redact",
        details={"exception": kind},
    )


class RawrError(Exception):
    """A failure with a stable ``code``, the process's ``exit_code`` and a way out.

    ``message`` is one sentence that says what was looked at. ``remedy`` is the
    command that mends it, as an argument vector; ``hint`` is the advice in
    words, for where no single command does. ``details`` goes into the JSON
    envelope as it is.
    """

    code = "INTERNAL_ERROR"
    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        exit_code: int | None = None,
        hint: str = "",
        remedy: tuple[str, ...] = (),
        details: dict[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.exit_code = type(self).exit_code if exit_code is None else exit_code
        self.hint = hint
        self.remedy = remedy
        self.details = details


class UsageError(RawrError):
    """The command line is wrong, or a precondition of the command is missing."""

    code = "USAGE"
    exit_code = 2


class TelemetryError(UsageError, ValueError):
    """An event's type, status or id is not one that the telemetry contract allows."""

    code = "INVALID_TELEMETRY"


class RefusedError(RawrError):
    """The toolkit looked, understood, and declines: nothing was changed."""

    code = "REFUSED"


class DispatchError(RawrError):
    """``rawr`` found nothing that it may run."""

    code = "NOTHING_TO_DISPATCH"
    exit_code = 127


class StateError(RawrError):
    """Anything about a workspace's state file or its lock."""

    code = "STATE_ERROR"


class StateCorruptError(StateError):
    """The state file is not JSON, or not the shape of a state; its bytes were left alone."""

    code = "STATE_CORRUPT"


class StateVersionError(StateError):
    """The state file carries a version that this toolkit does not know."""

    code = "STATE_VERSION_UNSUPPORTED"


class StateUnreadableError(StateError):
    """The state file is there and cannot be read (permissions, a folder, an I/O error)."""

    code = "STATE_UNREADABLE"


class LockTimeoutError(StateError):
    """The lock stayed held for the whole timeout; the message names the holder."""

    code = "LOCK_TIMEOUT"


class LeaseLostError(StateError):
    """A peer took the lease while it was held, on every attempt; nothing was acknowledged."""

    code = "LEASE_LOST"


class NestedMutationError(StateError):
    """A mutator called a mutation of the same root; waiting for oneself would never end."""

    code = "NESTED_MUTATION"


class NotDurableError(StateError):
    """The change is in the file and visible, but the folder could not be synced."""

    code = "COMMITTED_NOT_DURABLE"
