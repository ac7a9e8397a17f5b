"""The benchmark runs, compares what it says it compares, and its exit code agrees with what it prints."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.dispatch.scene import PROJECT

pytestmark = pytest.mark.slow


def test_the_benchmark_prints_a_row_for_each_program_and_judges_both_goals() -> None:
    command = [sys.executable, str(PROJECT / "scripts/bench/dispatch"), "--rounds", "10"]
    env = os.environ | {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.stderr == ""
    for name in ("minimal walk-up (dash)", "rawr (dash)", "Python entry point", "Python with click"):
        assert re.search(rf"^{re.escape(name)}( +-?\d+\.\d+){{3}} +-?\d+\.\d\d x$", done.stdout, re.MULTILINE), name
    goals = [line for line in done.stdout.splitlines() if line.startswith("goal")]
    assert len(goals) == 2
    assert done.returncode == (1 if "missed" in goals[0] else 0)
