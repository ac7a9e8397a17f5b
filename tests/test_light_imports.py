"""What the light modules may import: the dispatch path and the state core pay for nothing they do not use."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import Machine

HEAVY = {"click", "platformdirs", "packaging", "filelock", "subprocess"}
FORBIDDEN = {
    "rawr_install": HEAVY | {"json", "typing", "dataclasses"},
    "rawr_install.dispatch.workspace": HEAVY | {"json", "dataclasses"},
    "rawr_install.dispatch.main": HEAVY | {"json", "typing", "collections", "re"},
    "rawr_install.paths": HEAVY | {"tomllib"},
    "rawr_install.events.log": HEAVY | {"json", "typing", "dataclasses"},
    "rawr_install.cli.main": HEAVY - {"click"} | {"tomllib"},
}


@pytest.mark.parametrize("module", FORBIDDEN)
def test_a_light_module_imports_nothing_heavy(module: str) -> None:
    # -S: site and its .pth files import what they like; that is not the module's doing.
    path = [entry for entry in sys.path if entry]
    start = f"import sys; sys.path[:] = {path!r}; before = set(sys.modules)"
    code = f"{start}; import {module}; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True).stdout
    assert not set(loaded.split()) & FORBIDDEN[module]


# What a command may not load, below its own room: it neither takes the lock nor changes anything.
LOCK = {"state.lock", "state.store", "state.recovery", "state.takeover", "state.guard", "filelock"}
CHANGE = {"machine.lock", "machine.change", "machine.records", "install.transaction"}
UNUSED = {
    "which": LOCK | CHANGE | {"state", "install", "machine.probe", "doctor.checks", "doctor.diagnose"},
    "plugins status": LOCK | CHANGE | {"state", "install"},
    "state show": LOCK | CHANGE | {"install"},
}


@pytest.mark.parametrize("words", UNUSED)
def test_a_command_loads_no_room_that_it_does_not_use(machine: Machine, words: str) -> None:
    root = machine.workspace("w")
    code = f"import sys; from rawr_install.cli.main import main; main({words.split()}); print(*sys.modules)"
    loaded = machine.run(sys.executable, "-c", code, cwd=root).out.splitlines()[-1]
    assert "rawr_install.cli.main" in loaded
    assert not {name.removeprefix("rawr_install.") for name in loaded.split()} & UNUSED[words]
