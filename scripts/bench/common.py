"""What the benches share: everything is measured in turns, so that a busy machine slows all of it alike."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

QUIET = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
Work = Callable[[], object]


def timed(work: Work) -> float:
    """Milliseconds that ``work`` takes, or those that it says itself by returning a float."""
    before = time.perf_counter_ns()
    said = work()
    return said if isinstance(said, float) else (time.perf_counter_ns() - before) / 1e6


def start(argv: list[str], environ: Mapping[str, str]) -> None:
    """Run a program to its end in the current folder, with nothing to read and nowhere to print."""
    _, status = os.waitpid(os.posix_spawn(argv[0], argv, environ, file_actions=QUIET), 0)
    assert status == 0, f"{argv} ended with {status}"


def in_turns(works: Mapping[str, Work], rounds: int, warm: int = 1) -> dict[str, list[float]]:
    """Milliseconds of each work in each round, every other round backwards; ``warm`` rounds fill the caches."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(warm + rounds):
        for name in works if turn % 2 else reversed([*works]):
            took = timed(works[name])
            if turn >= warm:
                times[name].append(took)
    return times


def show(times: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Print a row each beside the first; returns the ratios of the medians."""
    base = statistics.median(next(iter(times.values())))
    ratios = {name: statistics.median(taken) / base for name, taken in times.items()}
    for name, taken in times.items():
        median, extra = statistics.median(taken), statistics.median(taken) - base
        print(f"{name:<40} median {median:9.3f} ms  min {min(taken):9.3f}  {extra:+9.3f} ms  ratio {ratios[name]:.3f}")
    return ratios
