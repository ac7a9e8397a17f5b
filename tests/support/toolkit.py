"""What the tests of this folder share: the toolkit as built and installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a fresh environment with the built wheel and nothing of this checkout."""
    folder = tmp_path_factory.mktemp("fresh env")
    uv = [sys.executable, "-m", "uv", "--quiet"]
    subprocess.run([*uv, "build", "--wheel", "--out-dir", folder, PROJECT], check=True, timeout=300)
    subprocess.run([*uv, "venv", "--python", sys.executable, folder / "venv"], check=True, timeout=300)
    (wheel,) = folder.glob("*.whl")
    python = folder / "venv/bin/python"
    subprocess.run([*uv, "pip", "install", "--python", python, wheel], check=True, timeout=300)
    return folder / "venv/bin"
