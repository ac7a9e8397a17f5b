"""A second kernel over one folder: user-mode-linux, which sees the machine's own files through hostfs."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PROJECT
from tests.state.conftest import enabled, needs_root
from tests.support.peers.actors import HERE, NODE, crowd, needs_node

KERNEL = shutil.which("linux.uml")
pytestmark = [
    pytest.mark.full,
    needs_root,
    pytest.mark.skipif(KERNEL is None, reason="needs linux.uml (user-mode-linux)"),
]
SECONDS = 60
PROGRAMS = {"python": (sys.executable, str(HERE / "writer.py")), "node": (str(NODE), str(HERE / "peer.mjs"))}
INIT = """#!/bin/sh
export PATH=/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin HOME={home}
mount -t proc proc /proc
[ -e /dev/null ] || mount -t devtmpfs dev /dev
: >{home}/booted
cd {project} && {program} serve <{home}/commands >{home}/said 2>&1
echo o >/proc/sysrq-trigger
sleep 9
"""


@contextmanager
def guest(kind: str, home: Path, command: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """Another kernel that carries out one command while the body runs; what it has said is there afterwards."""
    (home / "commands").write_text(json.dumps(command) + "\n")
    init, program = home / "init", shlex.join(PROGRAMS[kind])
    init.write_text(INIT.format(home=home, project=PROJECT, program=program))
    init.chmod(0o755)
    console = ("con=null", "con0=null,fd:1", "quiet", "mem=512M")
    words = [str(KERNEL), "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw", f"init={init}", *console]
    said: list[dict[str, Any]] = []
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as kernel:
        try:
            deadline = time.monotonic() + 60
            while not (home / "booted").exists():
                assert kernel.poll() is None and time.monotonic() < deadline, "the other kernel does not start"
                time.sleep(0.05)
            yield said
            kernel.wait(60)
        finally:
            kernel.kill()
    said.extend(json.loads(line) for line in (home / "said").read_text().splitlines())


def counts(there: str, here: Sequence[str], root: Path, home: Path) -> list[dict[str, Any]]:
    """Everybody counts up in the same file for some seconds; the reports, the other kernel's first."""
    command = {"verb": "count", "root": str(root), "seconds": SECONDS, "timeout": 20_000}
    with crowd(*here) as actors, guest(there, home, {**command, "slot": "there"}) as said:
        for number, actor in enumerate(actors):
            actor.send(**command, slot=f"here{number}")
        reports = [actor.report(SECONDS + 60) for actor in actors]
    return [said[-1], *reports]


@pytest.mark.parametrize("here", [["python", "python"], pytest.param(["node", "python"], marks=needs_node)])
def test_with_ours_on_another_kernel_nothing_is_lost_and_no_live_lock_is_taken(
    root: Path, tmp_path_factory: pytest.TempPathFactory, here: list[str]
) -> None:
    reports = counts("python", here, root, tmp_path_factory.mktemp("guest"))
    assert [(report["lost"], report["errors"], report.get("takeovers", [])) for report in reports] == [(0, [], [])] * 3
    slots = ["there", "here0", "here1"]
    assert enabled(root) == sorted(f"{slot}-{report['final']}" for slot, report in zip(slots, reports, strict=True))
    assert all(report["acked"] for report in reports)


@needs_node
def test_from_a_peer_on_another_kernel_no_live_lock_is_taken(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    there, *ours = counts("node", ["python", "python"], root, tmp_path_factory.mktemp("guest"))
    assert [(report["errors"], report["takeovers"]) for report in ours] == [([], [])] * 2
    assert there["acked"] and there["errors"] == []
    # hostfs carries an exclusive create out as a look and a plain one (file_create has no O_EXCL), so the peer there
    # now and then opens our lock as its own. What that costs is the file system's.
    reports = [there, *ours]
    assert sum(report["lost"] for report in reports) < 0.05 * sum(len(report["acked"]) for report in reports)
