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

This module imports nothing: the dispatch path loads it.
"""

from __future__ import annotations


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
