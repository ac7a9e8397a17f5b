"""An abandoned lock of each kind, found by sixteen processes at one instant: no acknowledged update is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.support.peers.actors import HERE, NODE, Actor, crowd, needs_node, together

pytestmark = pytest.mark.slow

CROWD = 16
DEAD_PID = 2**30  # above every pid that a system gives out (PID_MAX_LIMIT is 2**22)


def lease(pid: int) -> str:
    return json.dumps({"pid": pid, "acquiredAt": "2026-01-01T00:00:00.000Z"}, separators=(",", ":")) + "\n"


@dataclass(frozen=True)
class Scene:
    """Where the lock goes, and who will meet it."""

    lock: Path
    actors: list[Actor]
    bystander: int  # a living process that has nothing to do with the lock

    def write(self, text: str | bytes, age: float = 0) -> None:
        self.lock.write_bytes(text.encode() if isinstance(text, str) else text)
        os.utime(self.lock, (time.time() - age,) * 2)


def ours(scene: Scene) -> None:
    with Actor.python() as holder:
        holder.send("enable", scene.lock.parents[2], ids=["never"], crash="staged")
        assert holder.wait_dead() == -signal.SIGKILL


def symlink(scene: Scene) -> None:
    scene.lock.symlink_to(scene.lock.parent / "elsewhere")


def outside_our_namespace(scene: Scene) -> None:
    """A peer of another pid namespace held the lock and was killed; what it wrote is a number of over there."""
    scene.write(outsiders_lease(), age=1)


@cache
def outsiders_lease() -> bytes:
    if NODE is None:
        pytest.skip("needs node")
    unshare = ["unshare", "--pid", "--fork", "--kill-child"]
    if shutil.which("unshare") is None or subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("needs the right to unshare a pid namespace")
    folder = Path(os.environ["HOME"]) / "outside"
    folder.mkdir()
    words = [*unshare, "sh", "-c", '"$@"; exit $?', "sh", NODE, str(HERE / "peer.mjs"), "hold", str(folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as peer:
        assert peer.stdout is not None and b"held" in peer.stdout.readline()
        peer.kill()
    return (folder / ".rawr/state/state.lock").read_bytes()


# kind -> (how it comes about, whether it must be taken: None where that depends on what we may see)
QUICK: dict[str, tuple[Callable[[Scene], None], bool | None]] = {
    "ours": (ours, True),
    "a folder": (lambda scene: scene.lock.mkdir(), False),
    "a symlink": (symlink, False),
    "a FIFO": (lambda scene: os.mkfifo(scene.lock), False),
}
# These take two seconds of certainty.
SLOW: dict[str, tuple[Callable[[Scene], None], bool | None]] = {
    "a peer's, young": (lambda scene: scene.write(lease(DEAD_PID)), True),
    "a peer's, old": (lambda scene: scene.write(lease(DEAD_PID), age=120), True),
    "a future mtime": (lambda scene: scene.write(lease(DEAD_PID), age=-3600), True),
    "empty": (lambda scene: scene.write(""), True),
    "garbage": (lambda scene: scene.write(b"\xff\xfe{]"), True),
    "oversized": (lambda scene: scene.write(lease(DEAD_PID) + " " * 100_000), True),
    "pid 1": (lambda scene: scene.write(lease(1)), None),  # whether that started later depends on the machine
    "our own pid": (lambda scene: scene.write(lease(scene.actors[0].pid)), True),
    "a reused pid": (lambda scene: scene.write(lease(scene.bystander)), True),
    "a pid outside our namespace": (outside_our_namespace, None),
}


@pytest.fixture(scope="module")
def sixteen() -> Iterator[list[Actor]]:
    with crowd(*["python"] * CROWD) as actors:
        yield actors


@pytest.fixture
def bystander() -> Iterator[int]:
    with subprocess.Popen(["sleep", "3600"]) as process:
        yield process.pid
        process.kill()


def enabled(root: Path) -> set[str]:
    path = root / ".rawr/state/state.json"
    return set(json.loads(path.read_bytes())["plugins"]["enabled"]) if path.exists() else set()


def meet(root: Path, scene: Scene, kind: str, number: int) -> None:
    """One round: the lock is left, everybody comes, nobody loses what was promised."""
    leave, taken = (QUICK | SLOW)[kind]
    leave(scene)
    timeout = 250 if taken is False else 20_000
    ids = [[f"{number}-{actor}-{step}" for step in range(2)] for actor in range(len(scene.actors))]
    reports = together(scene.actors, root, [{"verb": "enable", "ids": names, "timeout": timeout} for names in ids])
    acked = {name for report in reports for name in report["acked"]}
    assert acked <= enabled(root), f"{kind}: lost {sorted(acked - enabled(root))}"
    if taken:
        assert acked == {name for names in ids for name in names}, [report["errors"] for report in reports]
        assert not os.path.lexists(scene.lock)
    if taken is False:
        assert not acked and os.path.lexists(scene.lock)
        assert {error["code"] for report in reports for error in report["errors"]} == {"LOCK_TIMEOUT"}


def clear(lock: Path) -> None:
    if lock.is_dir() and not lock.is_symlink():
        lock.rmdir()
    else:
        lock.unlink(missing_ok=True)


def rounds(root: Path, actors: list[Actor], bystander: int, kind: str, times: int) -> None:
    lock = root / ".rawr/state/state.lock"
    lock.parent.mkdir(parents=True)
    for number in range(times):
        meet(root, Scene(lock, actors, bystander), kind, number)
        clear(lock)


@pytest.mark.parametrize("kind", QUICK)
def test_sixteen_find_an_abandoned_lock_at_once(
    tmp_path: Path, sixteen: list[Actor], bystander: int, kind: str, count: Callable[[int, int], int]
) -> None:
    rounds(tmp_path, sixteen, bystander, kind, count(4, 200))


@pytest.mark.parametrize("kind", SLOW)
def test_sixteen_find_a_doubtful_lock_at_once(
    tmp_path: Path, sixteen: list[Actor], bystander: int, kind: str, count: Callable[[int, int], int]
) -> None:
    rounds(tmp_path, sixteen, bystander, kind, count(1, 200))


@needs_node
def test_twelve_of_ours_and_four_peers_find_a_dead_lock_at_once(
    tmp_path: Path, bystander: int, count: Callable[[int, int], int]
) -> None:
    # A young one: over an old one two peers can race each other, and no third party can mend that.
    with crowd(*["python"] * 12, *["node"] * 4) as actors:
        rounds(tmp_path, actors, bystander, "a peer's, young", count(3, 200))


def test_what_cannot_be_a_lease_is_not_touched(tmp_path: Path, sixteen: list[Actor]) -> None:
    folder = tmp_path / ".rawr/state"
    folder.mkdir(parents=True)
    (folder / "elsewhere").write_text("not yours")
    (folder / "state.lock").symlink_to(folder / "elsewhere")
    before = (folder / "state.lock").lstat(), (folder / "elsewhere").stat()
    together(sixteen, tmp_path, [{"verb": "enable", "ids": ["a"], "timeout": 200}] * CROWD)
    assert (folder / "elsewhere").read_text() == "not yours"
    assert ((folder / "state.lock").lstat().st_ino, (folder / "elsewhere").stat().st_mtime_ns) == (
        before[0].st_ino,
        before[1].st_mtime_ns,
    )
