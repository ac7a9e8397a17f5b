"""Named places in the locking protocol where a test can stop, kill, or let a rival in.

A test sets :data:`hook` to a function of the point's name. Without one a point
costs one comparison. Each point names what has just happened.
"""

from __future__ import annotations

from collections.abc import Callable

HOOK_POINTS = (
    "entered",  # this thread has the folder to itself within the process
    "prepared",  # the lease is written and its beacon lit, under no name yet
    "queued",  # the turnstile is taken by another; about to wait for it
    "turn",  # the turnstile is ours
    "busy",  # the lease's name is taken
    "hazard",  # an old lease was touched; about to stand back
    "judged",  # a lease is proven abandoned; about to take it away
    "fenced",  # it was touched, so that no peer starts to remove it
    "matched",  # it is still the one that was judged; about to be renamed
    "aside",  # it was renamed aside; not yet compared with the one judged
    "taken",  # it is gone
    "leased",  # state.lock names our lease
    "read",  # the old content is read
    "mutated",  # the new content is decided
    "staged",  # the new content is in a temporary file
    "checked",  # the first commit check has passed
    "committed",  # the temporary file has been renamed over state.json
    "confirmed",  # the second commit check has passed
    "released",  # state.lock is free
    "synced",  # the folder is synced
)

hook: Callable[[str], None] | None = None


def reach(point: str) -> None:
    """Tell the test's hook, if there is one, that ``point`` is reached."""
    if hook is not None:
        hook(point)
