"""What a transaction on the state went through: as a value for its caller, and as events."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass, field

EMIT_EVERY = 0.1  # seconds; a wait that long is an event while it lasts, shorter ones no more often than that


@dataclass(slots=True)
class Diagnostics:
    """``waited`` in seconds, until the lock was ours or so far; ``takeover`` is the proof, empty if there was none."""

    path: str
    attempts: int = 0
    contended: bool = False
    takeover: str = ""
    previous_holder: dict[str, object] | None = None
    changed: bool = False
    durable: bool = False
    degraded: list[str] = field(default_factory=list)
    start: float = field(default_factory=time.monotonic)
    _acquired: float | None = None  # when
    _emitted: bool = False

    @property
    def waited(self) -> float:
        return (time.monotonic() if self._acquired is None else self._acquired) - self.start

    def acquired(self) -> None:
        """The lock is ours."""
        self._acquired = time.monotonic()

    def degrade(self, reason: str) -> None:
        if reason not in self.degraded:
            self.degraded.append(reason)

    def emit(self, event: str, **more: object) -> None:
        from rawr_install.encoding import shown
        from rawr_install.events.log import emit

        emit(
            event,
            root=shown(os.path.dirname(os.path.dirname(self.path))),
            holder=self.previous_holder or {},
            waitedMs=round(self.waited * 1000),
            attempts=self.attempts,
            **more,
        )

    def emit_contention(self, short: bool = False) -> None:
        """Once a transaction, and with ``short`` also a wait of less than :data:`EMIT_EVERY`."""
        if self.contended and not self._emitted and (self.waited >= EMIT_EVERY or (short and _gauge.admits())):
            self._emitted = True
            self.emit("lock.contended", untold=_gauge.take())

    def emit_end(self) -> None:
        """Emit the wait when the lock is free again: nobody queues behind an event."""
        if self._acquired is not None:
            self.emit_contention(short=True)
            if self._emitted:
                self.emit("lock.released")


class _Gauge:
    """Admits one short wait in :data:`EMIT_EVERY` seconds to the log, and counts those in between.

    A busy workspace has thousands a second: an event for each would push everything else out of a bounded log.
    """

    def __init__(self) -> None:
        self._next = -math.inf
        self._untold = 0

    def admits(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            self._untold += 1
            return False
        self._next = now + EMIT_EVERY
        return True

    def take(self) -> int:
        """How many contended locks of this process made no event since the last time."""
        untold, self._untold = self._untold, 0
        return untold


_gauge = _Gauge()
