"""A change of the state is on the disk when the call returns, and the old one until then."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.state.conftest import add, mutate, needs_strace, program, strace
from tests.support.masked import needs_proc
from tests.support.steps import MUTATING, lost_in_a_power_cut, steps_of


@pytest.mark.contract("C1", "write.durable", "an acknowledged change survives a power cut")
@needs_proc
@needs_strace
def test_a_power_cut_takes_neither_the_new_state_nor_its_name(root: Path) -> None:
    mutate(root, add("old"))
    log = root / "strace.log"
    # Twice: the copy for recovery, made once a second, would sync the folder after the first.
    enable = f"""
    from rawr_install import enable_plugin
    for name in "first", "second":
        enable_plugin({str(root)!r}, name)
    """
    ran = program(enable, *strace("-y", "-o", str(log), "-e", f"trace={MUTATING}"))
    assert ran.returncode == 0, ran.stderr
    steps = list(steps_of(log.read_text(), root / ".rawr"))
    assert len([step for step in steps if step.name == "rename" and '/state.json")' in step.shown]) == 2
    lost = lost_in_a_power_cut(steps)
    assert not lost, "\n".join(lost)
