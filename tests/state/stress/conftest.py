"""These tests' processes tell their events to a home of their own, and leave their folders in it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = dict(os.environ)
    folder = tmp_path_factory.mktemp("home")
    os.environ |= {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")}
    tempfile.tempdir = str(folder)
    yield
    tempfile.tempdir = None
    os.environ.clear()
    os.environ.update(before)
