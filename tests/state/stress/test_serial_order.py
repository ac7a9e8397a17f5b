"""Any set of operations by any number of actors comes to what some serial order of them comes to.

Each of our writers also enters every operation into the file, within the same mutation, so that the file tells the
order; replaying that order must give the file, and each actor's own order must be kept in it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from rawr_install.state import store as state
from tests.support.peers.actors import Actor, crowd, needs_node, together

pytestmark = pytest.mark.slow

WRITERS = 4
OPERATIONS = st.lists(
    st.lists(st.tuples(st.sampled_from(["enable", "disable"]), st.sampled_from("abc")), max_size=6),
    min_size=1,
    max_size=WRITERS,
)
SOME = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
Steps = list[list[tuple[str, str]]]


@pytest.fixture(scope="module")
def writers() -> Iterator[list[Actor]]:
    with crowd(*["python"] * WRITERS) as actors:
        yield actors


def check(writers: list[Actor], peers: list[Actor], operations: Steps) -> None:
    root = Path(tempfile.mkdtemp())
    logs = [{"verb": "log", "slot": f"w{number}", "steps": steps} for number, steps in enumerate(operations)]
    noise = [{"verb": "enable", "ids": [f"p{number}-{step}" for step in range(4)]} for number, _ in enumerate(peers)]
    reports = together([*writers[: len(logs)], *peers], root, [*logs, *noise])
    assert not [report["errors"] for report in reports if report["errors"]]
    plugins = state.get_repo_state(root)["plugins"]
    enabled = set(plugins["enabled"])
    assert {name for command in noise for name in command["ids"]} <= enabled
    log = sorted(name.split("/")[1:] for name in enabled if name.startswith("log/"))
    assert [int(place) for place, _, _ in log] == list(range(sum(map(len, operations))))
    on, off, last = set(), set(), dict.fromkeys((f"w{number}" for number in range(WRITERS)), -1)
    for _, slot, position in log:
        assert int(position) == last[slot] + 1
        last[slot] += 1
        verb, name = operations[int(slot[1:])][int(position)]
        (on if verb == "enable" else off).add(name)
        (off if verb == "enable" else on).discard(name)
    assert {name for name in enabled if len(name) == 1} == on
    assert set(plugins.get("disabled", [])) == off


def test_what_our_writers_do_at_once_has_a_serial_order(writers: list[Actor]) -> None:
    @SOME
    @given(operations=OPERATIONS)
    def run(operations: Steps) -> None:
        check(writers, [], operations)

    run()


@needs_node
def test_what_writers_and_peers_do_at_once_has_a_serial_order(writers: list[Actor]) -> None:
    with crowd("node", "node") as peers:

        @settings(SOME, max_examples=10)
        @given(operations=OPERATIONS)
        def run(operations: Steps) -> None:
            check(writers, peers, operations)

        run()


@needs_node
def test_a_mixed_load_loses_nothing_on_either_side(writers: list[Actor], tmp_path: Path) -> None:
    with crowd("node", "node", "node") as peers:
        actors = [*writers, *peers]
        commands = [
            {"verb": "count", "slot": f"s{number}", "times": 40, "timeout": 60_000} for number in range(len(actors))
        ]
        reports = together(actors, tmp_path, commands)
    assert [(report["lost"], report["errors"], report["final"]) for report in reports] == [(0, [], 40)] * len(actors)
    slots = {f"s{number}-40" for number in range(len(actors))}
    assert set(state.get_repo_state(tmp_path)["plugins"]["enabled"]) == slots
