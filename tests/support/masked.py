"""This machine as one without ``/proc``: a mount namespace in which nothing is there, and a stand-in for ps(1)."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

MASKED = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh")
WITH_PS = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && mount --bind "$0" /bin/ps && exec "$@"')


@cache
def can_mask() -> bool:
    return bool(shutil.which("unshare")) and not subprocess.run([*MASKED, "true"], capture_output=True).returncode


needs_masking = pytest.mark.skipif(not can_mask(), reason="needs unshare --mount (root)")
needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")


def beside(ps: Path) -> tuple[str, ...]:
    """A start of a program where there is no ``/proc``, and ``ps`` is /bin/ps."""
    return *WITH_PS, str(ps)
