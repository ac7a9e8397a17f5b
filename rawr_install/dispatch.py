"""The Python twin of the shell entry (placeholder until the dispatcher lands)."""

from __future__ import annotations


def main(argv: list[str]) -> int:
    """Not there yet."""
    raise NotImplementedError(argv)
