"""What the light modules may import: the dispatch path and the state core pay for nothing they do not use."""

from __future__ import annotations

import subprocess
import sys

import pytest

FORBIDDEN = {
    "rawr_install": {"click", "platformdirs", "packaging", "filelock", "json", "subprocess", "typing", "dataclasses"},
    "rawr_install.dispatch.workspace": {
        "click",
        "platformdirs",
        "packaging",
        "filelock",
        "json",
        "subprocess",
        "dataclasses",
    },
    "rawr_install.dispatch.decide": {
        "click",
        "platformdirs",
        "filelock",
        "json",
        "subprocess",
        "typing",
        "collections",
        "re",
    },
    "rawr_install.paths": {"click", "platformdirs", "packaging", "filelock", "subprocess", "tomllib"},
    "rawr_install.events.log": {
        "click",
        "platformdirs",
        "packaging",
        "filelock",
        "json",
        "subprocess",
        "typing",
        "dataclasses",
    },
    "rawr_install.cli.main": {"platformdirs", "packaging", "filelock", "subprocess", "tomllib"},
}


@pytest.mark.parametrize("module", FORBIDDEN)
def test_a_light_module_imports_nothing_heavy(module: str) -> None:
    # -S: site and its .pth files import what they like; that is not the module's doing.
    path = [entry for entry in sys.path if entry]
    start = f"import sys; sys.path[:] = {path!r}; before = set(sys.modules)"
    code = f"{start}; import {module}; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True).stdout
    assert not set(loaded.split()) & FORBIDDEN[module]
