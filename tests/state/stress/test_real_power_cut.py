"""Real file systems, cut at random instants: a copy of the disk under a busy writer is mounted and looked at.

The disk is a loop device over a file on an XFS of our own, whose ``FICLONE`` copies that file in one step. What is lost
is what the page cache of the mounted file system held back, as when the power fails; the reordering that a drive
may do inside is not modelled. Runs with ``--full``, as root.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MAKE = {"ext4": ["mkfs.ext4", "-q", "-F"], "xfs": ["mkfs.xfs", "-q", "-f"], "btrfs": ["mkfs.btrfs", "-q", "-f"]}
WRITER = """
import os, sys
from rawr_install.state import store as state
number = 0
while True:
    name = f"id-{number}"
    def mutator(found):
        found["plugins"]["enabled"] = [*found["plugins"]["enabled"][-50:], name]
        found["count"] = number
        return found
    state.mutate_repo_state_atomically(sys.argv[1], mutator)
    os.write(1, f"{number}\\n".encode())
    number += 1
"""
READER = """
import sys
from rawr_install.state import store as state

pytestmark = pytest.mark.full
assert state.get_repo_state(sys.argv[1])["count"] >= int(sys.argv[2])
state.mutate_repo_state_atomically(sys.argv[1], lambda found: {**found, "count": -1})
assert state.get_repo_state(sys.argv[1])["count"] == -1
"""


def run(*words: str | Path) -> None:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, f"{words}: {done.stderr}"


def needs(fs: str) -> None:
    """Skip by the name of what is missing."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    for tool in (MAKE[fs][0], "mkfs.xfs", "mount", "losetup"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    if not Path("/dev/loop-control").exists():
        pytest.skip("needs loop devices")
    known = Path("/proc/filesystems").read_text().split()
    for kind in (fs, "xfs"):
        if kind not in known and subprocess.run(["modprobe", kind], capture_output=True).returncode:
            pytest.skip(f"needs a kernel with {kind}")


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    run("mount", "-o", "loop", image, folder)
    try:
        yield folder
    finally:
        unmount(folder)


def unmount(folder: Path) -> None:
    """A loop device lets go of its file a moment after it was unmounted."""
    for _ in range(100):
        if subprocess.run(["umount", str(folder)], capture_output=True).returncode == 0:
            return
        time.sleep(0.1)
    run("umount", folder)


@contextmanager
def copyable(tmp_path: Path) -> Iterator[Path]:
    """A folder whose files can be copied in one step."""
    outer = tmp_path / "outer.img"
    with open(outer, "wb") as file:
        file.truncate(8 << 30)
    run("mkfs.xfs", "-q", "-f", "-m", "reflink=1", outer)
    with mounted(outer, tmp_path / "outer") as folder:
        yield folder


@contextmanager
def writer(root: Path, log: Path) -> Iterator[None]:
    with (
        open(log, "wb") as out,
        subprocess.Popen([sys.executable, "-c", WRITER, str(root)], cwd=ROOT, stdout=out) as busy,
    ):
        try:
            yield
        finally:
            assert busy.poll() is None, "the writer ended"
            busy.kill()


def acknowledged(log: Path) -> int:
    return log.read_bytes().count(b"\n") - 1


@pytest.mark.parametrize("fs", MAKE)
def test_after_a_cut_at_a_random_instant_what_was_acknowledged_is_there(tmp_path: Path, fs: str) -> None:
    needs(fs)
    with copyable(tmp_path) as folder:
        disk = folder / "disk.img"
        with open(disk, "wb") as file:
            file.truncate(512 << 20)
        run(*MAKE[fs], disk)
        # All copies first: a copy has the UUID of the disk, and some kernels refuse to mount both.
        for promised, copy in copies(disk, tmp_path, 40):
            with mounted(copy, tmp_path / "after") as found:
                # In a process of its own: this one would keep the folder open.
                run(sys.executable, "-c", READER, found, str(promised))
            copy.unlink()


def copies(disk: Path, tmp_path: Path, cuts: int) -> list[tuple[int, Path]]:
    """Copies of the disk under a busy writer, each with the last count that had been acknowledged before."""
    log, made = tmp_path / "log", []
    with mounted(disk, tmp_path / "disk") as folder, writer(folder, log):
        while acknowledged(log) < 3:
            time.sleep(0.01)
        for number in range(cuts):
            time.sleep(random.uniform(0, 0.08))
            made.append((acknowledged(log), disk.with_name(f"cut-{number}.img")))
            run("cp", "--reflink=always", disk, made[-1][1])
    return made
