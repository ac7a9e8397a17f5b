"""The sequences of ``tests/install/test_sequences.py`` where pipx itself installs and upgrades the toolkit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test

from tests.install.test_sequences import STARTS, Sequences
from tests.packaging.conftest import Releases
from tests.packaging.managers import Pipx, offer


@pytest.mark.slow
def test_an_upgrade_by_pipx_changes_what_is_pipxs_alone(
    index: Path, releases: Releases, count: Callable[[int, int], int]
) -> None:
    class WithPipx(Sequences):
        @initialize(start=st.sampled_from([name for name in sorted(STARTS) if STARTS[name].local]))
        def begin(self, start: str) -> None:
            super().begin(start)

        def pipx(self) -> None:
            """To the next version; then, so that there is one again, back to this one."""
            pipx = Pipx(self.machine, index)
            script = self.machine.home / ".local/share/pipx/venvs/rawr-install/bin/rawr"
            before = script.stat().st_ctime_ns if script.exists() else None
            if self.upgrades % 2:
                offer(index, releases.next)
                pipx.upgrade()
            else:
                (index / releases.next.name).unlink(missing_ok=True)
                offer(index, releases.this)
                pipx.install()
            assert script.stat().st_ctime_ns != before, "pipx has put a new file there"

    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        WithPipx,
        settings=settings(
            max_examples=count(4, 60), stateful_step_count=10, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
