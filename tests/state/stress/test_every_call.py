"""Every system call of a mutation, as strace recorded it: failed with each errno it can return, and killed.

Whatever fails: the state file is the old one or the new one, whole; what was acknowledged is there; an error has a code
of ours and never claims "nothing happened" when the change is visible; and the next mutation goes through at once.
By default every call of the usual mutation, and those that only another scene makes, is killed once and failed with
one of its errnos; ``--full`` tries all errnos at all calls of all scenes.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from rawr_install.state import store as state
from tests.state.stress.tracing import NOISE, Call, Ended, Victims, calls, mark_of, needs_strace, text
from tests.support.peers.actors import Actor

pytestmark = [needs_strace, pytest.mark.slow]

# What the manual pages say that each call can return where our use of it allows; empty: it cannot fail.
ERRNOS = {
    "access": "EACCES EIO ENOENT",
    "clock_nanosleep": "EINTR",
    "clone3": "EAGAIN ENOMEM",
    "close": "EIO EINTR",
    "fchmod": "EPERM EIO EROFS",
    "fchown": "EPERM EIO EDQUOT",
    "fcntl": "EMFILE EINVAL",
    "fdatasync": "EIO ENOSPC EDQUOT",
    "flock": "ENOLCK EINTR EAGAIN",
    "fstat": "EIO ENOMEM EOVERFLOW",
    "fsync": "EIO ENOSPC EDQUOT EINTR",
    "ftruncate": "EIO EFBIG EINTR",
    "getdents64": "EIO ENOENT",
    "geteuid": "",
    "getpid": "",
    "getrandom": "EINTR ENOSYS",
    "gettid": "",
    "ioctl": "ENOTTY EIO",
    "kill": "EPERM ESRCH",
    "link": "EACCES EDQUOT EEXIST EIO EMLINK ENOSPC EPERM EROFS",
    "linkat": "EACCES EDQUOT EEXIST EIO EMLINK ENOENT ENOSPC EOPNOTSUPP EPERM EROFS",
    "lseek": "EINVAL EOVERFLOW",
    "lstat": "EACCES EIO ENOMEM",
    "mkdir": "EACCES EDQUOT EEXIST EIO ENOSPC EROFS",
    "newfstatat": "EACCES EIO ENOMEM",
    "openat": "EACCES EDQUOT EINTR EIO EMFILE ENFILE ENOMEM ENOSPC EOPNOTSUPP EROFS",
    "pread64": "EIO EINTR",
    "pwrite64": "EDQUOT EIO ENOSPC EINTR",
    "read": "EIO EINTR",
    "readlink": "EACCES EIO ENOMEM",
    "rename": "EACCES EBUSY EDQUOT EIO ENOSPC EPERM EROFS",
    "restart_syscall": "",
    "rseq": "",
    "set_robust_list": "",
    "stat": "EACCES EIO ENOMEM",
    "statx": "EACCES EIO ENOMEM",
    "uname": "",
    "unlink": "EACCES EBUSY EIO EPERM EROFS",
    "utimensat": "EACCES EPERM EROFS",
    "write": "EDQUOT EFBIG EINTR EIO ENOSPC",
}
Sites = Callable[[str], list[Call]]


@pytest.fixture(scope="module")
def victims() -> Iterator[Victims]:
    made = Victims()
    yield made
    made.close()


def empty(root: Path) -> None:
    """A workspace that has no state yet."""
    root.mkdir()


def usual(root: Path) -> None:
    """A workspace with a state."""
    (root / ".rawr/state").mkdir(parents=True)
    (root / ".rawr/state/state.json").write_text('{"version": 1, "plugins": {"enabled": ["old"]}}\n')


def abandoned(root: Path) -> None:
    """A state, and a lease of ours whose holder was killed."""
    usual(root)
    shutil.copy(killed_holder() / ".rawr/state/state.lock", root / ".rawr/state/state.lock")


@cache
def killed_holder() -> Path:
    root = Path(tempfile.mkdtemp(prefix="rawr-killed-"))
    atexit.register(shutil.rmtree, root)
    with Actor.python() as holder:
        holder.send("enable", root, ids=["never"], crash="staged")
        assert holder.wait_dead() == -9
    return root


SCENES: dict[str, Callable[[Path], None]] = {"usual": usual, "empty": empty, "abandoned": abandoned}


@pytest.fixture(scope="module")
def recorded(victims: Victims, tmp_path_factory: pytest.TempPathFactory) -> Sites:
    """The calls of a scene's mutation, between its two marks."""

    @cache
    def record(scene: str) -> list[Call]:
        root = tmp_path_factory.mktemp("recorded") / "root"
        SCENES[scene](root)
        ended = victims.run(root, ["new"], "-e", f"trace={NOISE}")
        assert ended.acked == ["new"], ended
        trace = calls(ended.trace)
        marks = [mark_of(call) for call in trace]
        return trace[marks.index("begin/new") + 1 : marks.index("ack/new")]

    return record


@pytest.fixture
def sites(recorded: Sites, request: pytest.FixtureRequest) -> Sites:
    """The calls to disturb: all of the usual mutation's, and what another scene adds; all of all with ``--full``."""

    def chosen(scene: str) -> list[Call]:
        if scene == "usual" or request.config.getoption("--full"):
            return recorded(scene)
        known = Counter(map(role, recorded("usual")))
        found = []
        for call in recorded(scene):
            known[role(call)] += 1
            # A waiter looks at the lock again and again: once is enough.
            if known[role(call)] == 1:
                found.append(call)
        return found

    return chosen


def role(call: Call) -> str:
    """What the call is about, without what differs from run to run: data, numbers, the way to the state folder."""
    paths = [text(found) for found in re.findall(r"(?:\\x[0-9a-f]{2})+", call.arguments)]
    paths = paths[:1] if call.name in ("read", "write") else paths
    return " ".join(
        [call.name, *(re.sub(r"[0-9a-f]*\d[0-9a-f]*", "N", re.sub(r".*/(?=\.rawr)", "", p)) for p in paths)]
    )


def enabled(root: Path) -> set[str]:
    path = root / ".rawr/state/state.json"
    return set(json.loads(path.read_bytes())["plugins"]["enabled"]) if path.exists() else set()


def check(root: Path, before: set[str], ended: Ended, where: str) -> None:
    """The promises, after the victim ended."""
    after = enabled(root)
    assert after in (before, before | {"new"}), where
    if "new" in ended.acked:
        assert "new" in after, where
    if ended.error is not None:
        assert not ended.error["code"].startswith(("raw ", "INTERNAL")), (where, ended.error)
        committed = ended.error["code"] == "COMMITTED_NOT_DURABLE"
        assert committed == ("new" in after), (where, ended.error)
    for left in (root / ".rawr/state").glob("*.[0-9]*.*"):
        os.utime(left, (1, 1))  # younger than a minute, they may be a living peer's in a container
    # Less than the two seconds after which a doubtful lock is taken: a dead holder of ours must leave no doubt.
    state.mutate_repo_state_atomically(root, add_next, state.RepoStateMutationOptions(durable=False, lock_timeout=1.5))
    assert enabled(root) == after | {"next"}, where
    leftovers = {
        name
        for name in os.listdir(root / ".rawr/state")
        if not re.fullmatch(r"state\.(json|guard|last-good\.json)", name)
    }
    assert not leftovers, (where, leftovers)


def add_next(found: state.RepoState) -> state.RepoState:
    found["plugins"]["enabled"].append("next")
    return found


def failures(trace: list[Call], every: bool) -> Iterator[tuple[Call, str]]:
    """Each call with the errnos to give it: all of them, or one each in turn."""
    for number, call in enumerate(trace):
        names = ERRNOS[call.name].split()
        for name in names if every else names[number % len(names) :][:1] if names else ():
            yield call, name


@pytest.mark.parametrize("scene", SCENES)
def test_a_mutation_makes_only_calls_whose_failures_we_know(recorded: Sites, scene: str) -> None:
    names = {call.name for call in recorded(scene)}
    assert not names - ERRNOS.keys()
    assert {"linkat", "fsync", "rename", "unlink"} <= names


@pytest.mark.parametrize("scene", SCENES)
def test_a_mutation_killed_at_any_of_its_calls_leaves_old_or_new_and_blocks_nobody(
    victims: Victims, tmp_path: Path, sites: Sites, scene: str
) -> None:
    hits = 0
    for number, call in enumerate(sites(scene)):
        root = tmp_path / f"killed-{number}"
        SCENES[scene](root)
        before = enabled(root)
        inject = f"inject={call.name}:signal=KILL:when={call.nth}"
        ended = victims.run(root, ["new"], "-e", f"trace={call.name}", "-e", inject)
        hits += ended.killed
        check(root, before, ended, f"killed at {role(call)}")
    # Who waits looks as often as time allows: a later run may make fewer calls than the recorded one.
    assert hits == len(sites(scene)) or (scene == "abandoned" and hits > len(sites(scene)) // 2)


@pytest.mark.parametrize("scene", SCENES)
def test_a_mutation_whose_calls_fail_says_so_and_tells_the_truth_about_the_file(
    victims: Victims, tmp_path: Path, sites: Sites, scene: str, request: pytest.FixtureRequest
) -> None:
    every = bool(request.config.getoption("--full"))
    for number, (call, errno) in enumerate(failures(sites(scene), every)):
        root = tmp_path / f"failed-{number}"
        SCENES[scene](root)
        before = enabled(root)
        inject = f"inject={call.name}:error={errno}:when={call.nth}"
        ended = victims.run(root, ["new"], "-e", f"trace={call.name}", "-e", inject)
        assert "INJECTED" in ended.trace or scene == "abandoned", role(call)
        assert ended.code == 0, (role(call), errno, ended)
        check(root, before, ended, f"{errno} at {role(call)}")
