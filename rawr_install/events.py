"""The local event log (placeholder until it lands): emitting never raises."""

from __future__ import annotations


def emit(event_type: str, **fields: object) -> None:
    """Record one event; never raises, never a reason for a command to fail."""
