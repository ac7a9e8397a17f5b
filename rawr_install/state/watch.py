"""The lease that stands in the way, watched over time: some proofs need it to stay as it is for a while."""

from __future__ import annotations

import time

from rawr_install.state.holder import Found, judge, look
from rawr_install.state.lease import Place
from rawr_install.state.leftovers import sweep
from rawr_install.state.takeover import stand_back, take_away


class Watch:
    """The lease that stands in the way, over time."""

    def __init__(self, place: Place, right: str, stale_age: float = 60.0) -> None:
        """``right`` to take over: ``full``, ``old`` (the peers' own rule), or ``none``."""
        self.place = place
        self.right = right
        self.stale_age = stale_age
        self.seen: tuple[object, ...] = ()
        self.since = self.aged = 0.0

    def look(self) -> Found | None:
        """What stands there now; the caller closes it."""
        found = look(self.place.name)
        if found is not None:
            self._note(found)
        return found

    def _note(self, found: Found) -> None:
        seen, now = (found.identity, found.raw, found.info.st_mode), time.monotonic()
        if seen != self.seen:
            self.seen, self.since, self.aged = seen, now, found.age
        found.aged = self.aged
        if not found.ours:
            self.place.peers_seen = now

    def prove(self) -> str:
        """Judge the lease and leave it; returns the proof."""
        found = self.look()
        if found is None:
            return ""
        try:
            return self.judge(found) if found.regular else "not a regular file"
        finally:
            found.close()

    def probe(self) -> str:
        """Judge the lease and, with the right and a proof, take it away; returns the proof."""
        found = self.look()
        if found is None:
            return ""
        try:
            return self._settle(found)
        finally:
            found.close()

    def _settle(self, found: Found) -> str:
        path = self.place.name
        if stand_back(path, found.age) or self.right == "none":
            return ""
        proof = self.judge(found)
        if proof and take_away(path, found.identity):
            sweep(self.place.folder)
            return proof
        return ""

    def judge(self, found: Found) -> str:
        """The proof that the lease is abandoned, as far as it is known by now; empty while there is none."""
        unchanged = time.monotonic() - self.since
        return judge(found, unchanged, self.place.beacon, self.stale_age, in_turn=self.right == "full")
