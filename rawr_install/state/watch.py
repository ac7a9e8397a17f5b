"""The lease that stands in the way, watched over time: some proofs need it to stay as it is for a while."""

from __future__ import annotations

import math
import time

from rawr_install.state import processes
from rawr_install.state.filesystem import time_at
from rawr_install.state.holder import Found, Watched, is_open, judge, lives, look
from rawr_install.state.lease import Place
from rawr_install.state.leftovers import sweep
from rawr_install.state.takeover import OLD, SETTLE, stand_back, take_away

_LOOK_EVERY = 0.05  # seconds
_BLINK = 0.5  # seconds between two looks that still count as watching
_MOST_AHEAD = 60.0  # seconds; a time stamp further in the future tells no age, and counts as old


class Watch:
    """The lease that stands in the way, over time."""

    def __init__(self, place: Place, stale_age: float = 60.0) -> None:
        self.place = place
        self.stale_age = stale_age
        self.met = ""  # the host of a lease that is not of this kernel
        self._same: tuple[object, ...] = ()
        self._is_open: bool | None = None
        self._looked = self._steady = self._age = 0.0
        self._ahead: float | None = None

    def look(self) -> Found | None:
        """What stands there now; the caller closes it."""
        found = look(self.place.name)
        if found is None:
            self._same = ()
        else:
            self._note(found)
        return found

    def glance(self) -> None:
        """Look, and remember."""
        found = self.look()
        if found is not None:
            found.close()

    def _note(self, found: Found) -> None:
        same, now = (found.identity, found.raw, found.info.st_mode), time.monotonic()
        answer = None if found.ours else is_open(found, self.place.volume)
        if same != self._same:
            self._age = -math.inf
        if (same, answer) != (self._same, self._is_open):
            self._steady, self._looked = 0.0, now
        # Whoever was stopped between two looks has watched nothing, and the holder may have been stopped with it.
        self._steady += min(now - self._looked, _BLINK)
        self._same, self._is_open, self._looked = same, answer, now
        self._age = max(self._age, self._age_of(found))
        self.met = found.host or self.met
        if not found.ours:
            self.place.peers_seen = now

    def _age_of(self, found: Found) -> float:
        age = self._time_there() - found.info.st_mtime
        return math.inf if age < -_MOST_AHEAD else age

    def _time_there(self) -> float:
        """By the clock of the folder, which is asked once."""
        if self._ahead is None:
            self._ahead = time_at(self.place.folder, self.place.volume) - processes.uptime()
        return processes.uptime() + self._ahead

    def prove(self, patience: float) -> tuple[Found | None, str]:
        """Watch the lease for ``patience`` seconds at most, and leave it there: what was found, and the proof.

        Ends sooner with a proof, and where time would bring none. The caller closes what was found.
        """
        deadline, hope = time.monotonic() + patience, 2  # one look may meet somebody else who asks for the beacon
        while (found := self.look()) is not None:
            proof = self.judge(found)
            hope = 2 if self._judge(found, math.inf) else hope - 1
            if proof or not hope or time.monotonic() >= deadline:
                return found, proof
            found.close()
            time.sleep(_LOOK_EVERY)
        return None, ""

    def probe(self) -> str:
        """Look at the lease, judge it and, with a proof, take it away; returns the proof."""
        found = self.look()
        if found is None:
            return ""
        try:
            return self.take(found)
        finally:
            found.close()

    def take(self, found: Found) -> str:
        """Judge what was found and, with a proof, take it away; returns the proof, and nothing while it takes time."""
        if stand_back(self.place.name, found.age):
            return ""
        proof = self.judge(found)
        if proof and self._is_fenced(found) and take_away(self.place, found):
            sweep(self.place.folder, self.place.volume)
            return proof
        return ""

    def _is_fenced(self, found: Found) -> bool:
        """Whether no peer's removal can be under way: it begins at an old lease, which whoever touched it made young.

        That one may have died before such removals had the time to end.
        """
        young = found.acquired < math.inf and self._time_there() - found.acquired < OLD
        return young or self._steady >= SETTLE

    def judge(self, found: Found) -> str:
        """The proof that the lease is abandoned, as far as it is known by now; empty while there is none."""
        return self._judge(found, self._steady)

    def describe(self, found: Found, proof: str) -> dict[str, object]:
        """The holder, and whether it is alive: None if that cannot be judged from here."""
        alive = None if proof or not lives(found, Watched(self._is_open), self.place.beacon) else True
        return {**found.describe(), "alive": False if proof else alive}

    def _judge(self, found: Found, steady: float) -> str:
        return judge(found, Watched(self._is_open, steady, self._age, self.stale_age), self.place.beacon)
