"""This project, and what it builds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def build_distribution(kind: str, folder: Path, source: Path = PROJECT) -> Path:
    """Build ``source`` as a ``wheel`` or an ``sdist`` into ``folder``; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    # uv makes the isolated build environment in a second; `python -m build` takes twenty.
    options = ["--python", sys.executable, "--no-python-downloads"]
    command = [sys.executable, "-m", "uv", "build", f"--{kind}", *options, "--out-dir", str(folder), str(source)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = folder.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return made
