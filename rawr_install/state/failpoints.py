"""Named places in the locking protocol where a test can stop, kill, or let a rival in.

A test sets :data:`handler` to a function of the point's name. Without one a point
costs one comparison. Each point names what has just happened.
"""

from __future__ import annotations

from collections.abc import Callable

FAILPOINTS = (
    "entered",  # this thread has the directory to itself within the process
    "prepared",  # the lease is written and its liveness lock taken, under no name yet
    "queued",  # the fair lock is taken by another; about to wait for it
    "turn",  # the fair lock is ours
    "busy",  # the lease's name is taken
    "fencing",  # an old lease was touched; about to wait
    "proven",  # a lease is proven abandoned; about to take it away
    "fenced",  # it was touched, so that no peer starts to remove it
    "matched",  # it is still the one that was proven abandoned; about to be renamed
    "renamed",  # it was renamed; not yet compared with the one proven abandoned
    "taken",  # it is gone
    "leased",  # state.lock names our lease
    "read",  # the old content is read
    "mutated",  # the new content is decided
    "staged",  # the new content is in a temporary file
    "checked",  # the first commit check has passed
    "committed",  # the temporary file has been renamed over state.json
    "confirmed",  # the second commit check has passed
    "released",  # state.lock is free
    "synced",  # the directory is synced
)

handler: Callable[[str], None] | None = None


def failpoint(name: str) -> None:
    """Tell the test's handler, if there is one, that this point is reached."""
    if handler is not None:
        handler(name)
