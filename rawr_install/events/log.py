"""The local event log: one JSON object a line, appended by many processes, bounded, never in the way.

Promise. :func:`emit` never raises and never waits. A line is at most 4 KiB and
goes out in one ``write(2)`` on a descriptor opened with ``O_APPEND``, so lines
of several processes do not mix. The log is ``events.jsonl`` in the toolkit's
state folder; whoever finds 1 MiB in it makes it ``events.jsonl.1`` (the one before that
is dropped), and nothing is added beyond 2 MiB. ``RAWR_EVENTS=off`` (``0``, ``false``, ``no``) records nothing.

A line holds ``eventId, ts, type, pid`` and the event's own fields; ``runId``
too while a changing command runs. A line that would be too long has its
largest fields cut, and names them in ``truncated``.

Importing this module is cheap: the lock does it in passing. What reads the log
is :mod:`rawr_install.events.reader`.
"""

from __future__ import annotations

import os
import time

from rawr_install.atomic import make_folder
from rawr_install.encoding import well_formed
from rawr_install.files import is_ours

TYPE_CHECKING = False  # typing's own constant would cost importing typing
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from rawr_install.errors import RawrError

SWITCH_VARIABLE = "RAWR_EVENTS"
LINE_LIMIT = 4096
FILE_LIMIT = 1 << 20
_CUT = 256
_MOST_CUTS = 8
_KEPT = ("eventId", "ts", "type", "pid", "runId")


def emit(event_type: str, **fields: object) -> None:
    """Record one event; never raises, never a reason for a command to fail."""
    try:
        from rawr_install.ecmascript import iso, unix_ms
        from rawr_install.events.telemetry import identifier

        moment = unix_ms()
        if Run.current:
            Run.current.begin()
            fields.setdefault("runId", Run.current.id)
        record({"eventId": identifier("evt", moment), "ts": iso(moment), "type": event_type, **fields})
    except Exception:
        return


def begin_run() -> None:
    """Record that the current command's run has started; called before its first write, never raises."""
    if Run.current:
        Run.current.begin()


def forget_run() -> None:
    """Record no end of the current command's run: it has just removed the log itself."""
    if Run.current:
        Run.current.forgotten = True


class Run:
    """One run of a changing command, for ``with``: ``run.started``, then ``run.completed`` or ``run.failed``.

    The start is recorded when the run begins to change something
    (:func:`begin_run`, or any event of its own) and at the latest when it
    ends: a command that finds everything in place must write nothing, so it
    is not a run at all (set :attr:`unchanged`). Recording the end is a side
    effect of ending, with a contract: ending twice records one end; a failure
    or a delay of it changes neither exit code nor output. SIGTERM ends a run, too.
    """

    current: Run | None = None

    def __init__(self, workflow: str) -> None:
        from rawr_install.ecmascript import unix_ms
        from rawr_install.events.telemetry import identifier

        self.workflow = workflow
        self.started = unix_ms()
        self.id = identifier("run", self.started)
        self.failure: RawrError | None = None
        self.unchanged = self.forgotten = False
        self._clock = time.monotonic()  # a duration must not follow a clock that is set
        self._begun = self._ended = False
        self._outer: Run | None = None

    def __enter__(self) -> Run:
        self._outer, Run.current = Run.current, self
        self._listens = _end_on_termination()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _t: TracebackType | None
    ) -> None:
        try:
            self.end(error)
        finally:
            Run.current = self._outer
            if self._listens:
                _die_of_termination()

    def begin(self) -> None:
        """Record the start, once, with the time at which the command started."""
        if not self._begun:
            self._begun = True
            self._say("run.started", "running", self.started)

    def end(self, error: BaseException | None = None) -> None:
        """Record the end, once, if there is one to record; never raises."""
        error = error or self.failure
        # Wrong words are found before anything is done, and what found everything in place did nothing.
        idle = getattr(error, "code", "") == "USAGE" if error else self.unchanged
        if self._ended or self.forgotten or (idle and not self._begun):
            return
        self._ended = True
        self.begin()
        milliseconds = round((time.monotonic() - self._clock) * 1000)
        output: dict[str, object] = {"durationMs": milliseconds}
        status = "failed" if error else "completed"
        if error:
            output["code"] = _code_of(error)
        self._say(f"run.{status}", status, self.started + milliseconds, error, output)

    def _say(
        self, kind: str, status: str, moment: int, error: BaseException | None = None, output: object = None
    ) -> None:
        try:
            from rawr_install.events.redaction import redacted
            from rawr_install.events.telemetry import NOT_GIVEN, CreateDeskEventInput, create_desk_event

            detail = redacted(str(error), self.workflow) if error else None
            payload = NOT_GIVEN if output is None else output
            made = CreateDeskEventInput(self.id, self.workflow, kind, status, detail=detail, payload=payload)
            parent = trace_parent(os.environ)
            record({**create_desk_event(made, moment), **({"traceParent": parent} if parent else {})})
        except Exception:
            return


def _code_of(error: BaseException) -> str:
    """The code with which the command ends, as its document says it."""
    return getattr(error, "code", "INTERRUPTED" if isinstance(error, KeyboardInterrupt) else "INTERNAL_ERROR")


def _end_on_termination() -> bool:
    """Let SIGTERM record the end before it kills; False where other code handles it, or this is not the main thread."""
    import signal

    try:
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            return False
        signal.signal(signal.SIGTERM, _terminated)
    except ValueError:  # only the main thread may set a handler
        return False
    return True


def _terminated(number: int, _frame: object) -> None:
    from rawr_install.errors import RawrError

    if Run.current:
        Run.current.end(RawrError("Ended by SIGTERM.", code="TERMINATED"))
    _die_of_termination()
    os.kill(os.getpid(), number)  # the parent is to see the signal, not an exit code


def _die_of_termination() -> None:
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_DFL)


# -- trace context (W3C: version-trace id-parent id-flags) -------------------

TRACE_VARIABLE = "TRACEPARENT"


def trace_parent(environ: Mapping[str, str]) -> str | None:
    """The caller's trace context; None where there is none or it is not of the form that W3C Trace Context gives it."""
    import re

    found = re.fullmatch(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}", environ.get(TRACE_VARIABLE, ""))
    return found[0] if found and set(found[1]) != {"0"} and set(found[2]) != {"0"} else None


def for_child(environ: Mapping[str, str]) -> dict[str, str]:
    """``environ`` for a program that the toolkit starts: a caller's trace goes on as a child of its own."""
    parent = trace_parent(environ)
    if parent is None:
        return dict(environ)
    version, trace, _, flags = parent.split("-")
    return {**environ, TRACE_VARIABLE: f"{version}-{trace}-{os.urandom(8).hex()}-{flags}"}


# -- writing ---------------------------------------------------------------


def record(event: dict[str, object]) -> None:
    """Append a complete event; may raise."""
    if switched_on(os.environ)[0]:
        append(log_path(), encoded({**event, "pid": os.getpid()}))


def switched_on(environ: Mapping[str, str]) -> tuple[bool, str]:
    """Whether events are recorded, and the value of ``RAWR_EVENTS`` where it was not understood (then they are)."""
    value = environ.get(SWITCH_VARIABLE, "").strip()
    if value.lower() in ("off", "0", "false", "no"):
        return False, ""
    return True, "" if value.lower() in ("", "on", "1", "true", "yes") else value


def log_path() -> str:
    """Where this process's events go; raises UsageError where there is no home."""
    from rawr_install.paths import Paths

    return Paths.from_environ(os.environ).events_file


def encoded(event: dict[str, object]) -> bytes:
    """The event as one line of at most 4 KiB; what had to be cut is named in ``truncated``."""
    line = _dumped(event)
    if len(line) <= LINE_LIMIT:
        return line
    sizes = {name: len(_dumped(value)) for name, value in event.items() if name not in _KEPT}
    largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:_MOST_CUTS]
    for number, name in enumerate(largest, 1):
        event = {**event, name: _shortened(event[name]), "truncated": largest[:number]}
        line = _dumped(event)
        if len(line) <= LINE_LIMIT:
            return line
    return _dumped({**{name: str(event.get(name))[:_CUT] for name in _KEPT}, "truncated": ["*"]})


def _dumped(value: object) -> bytes:
    import json

    return well_formed(json.dumps(value, separators=(",", ":"), default=str, allow_nan=False)).encode("ascii") + b"\n"


def _shortened(value: object) -> str | None:
    return value[:_CUT] + "…" if isinstance(value, str) and len(value) > _CUT else None


def append(path: str, line: bytes) -> None:
    """Append one line in one write, after a rotation where one is due; raises OSError."""
    _require_own_way(os.path.dirname(path))
    _rotate_when_full(path)
    fd = _opened(path)
    try:
        # A log that nobody can set aside stays bounded all the same. Nothing is
        # done here about a torn last line (power, a full disk): a size seen while
        # another process appends may lie inside its line, so the reader mends that.
        info = os.fstat(fd)
        # Nothing is written through a file that others have a name for, or own.
        if info.st_size < 2 * FILE_LIMIT and info.st_nlink == 1 and info.st_uid == os.geteuid():
            os.write(fd, line)
    finally:
        os.close(fd)


def _require_own_way(folder: str) -> None:
    """Raise PermissionError where another user owns a folder or a link up to HOME, and could lead the log anywhere.

    ``sudo`` that keeps HOME would also leave a folder of root's there, which its user could not use.
    """
    while folder != os.sep:
        if os.path.lexists(folder) and not is_ours(os.lstat(folder)):
            raise PermissionError(f"{folder} is another user's")
        if folder == os.environ.get("HOME"):
            return
        folder = os.path.dirname(folder)


def _opened(path: str) -> int:
    # O_NONBLOCK: a FIFO in this place must not make a command wait for its reader.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    if os.path.islink(path) and os.lstat(path).st_uid == os.geteuid():
        path = os.path.realpath(path)
    if not os.path.isdir(folder := os.path.dirname(path)):
        make_folder(folder, 0o700)
    if os.stat(folder).st_uid != os.geteuid():
        raise PermissionError(f"{folder} is another user's")
    return os.open(path, flags, 0o600)


def _rotate_when_full(path: str) -> None:
    try:
        if os.stat(path).st_size >= FILE_LIMIT:
            _rotate(path)
    except OSError:
        return  # no log yet, or another process is at it: both are fine


def _rotate(path: str) -> None:
    """Set the full log aside; raises OSError when another process is at it.

    The lock on the full file's own inode decides who renames, and the name is
    looked at again under it: two processes that both saw a full log would
    otherwise rename twice, the second time a log that was just begun.
    """
    import fcntl

    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(fd), os.stat(path)) and os.fstat(fd).st_size >= FILE_LIMIT:
            os.replace(path, path + ".1")
    finally:
        os.close(fd)
