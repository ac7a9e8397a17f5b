"""What proves that a holder is gone, and what only looks like it: beside containers, hidden processes, other kernels.

The places are real: pid namespaces, a ``/proc`` that hides, the boot id of another kernel, a FUSE mount through which
no kernel lock and no open file is seen.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from rawr_install.errors import RefusedError
from rawr_install.state import holder as holders, store as state, system
from rawr_install.state.directory import Directory
from rawr_install.state.recovery import unlock
from rawr_install.state.system import Filesystem
from rawr_install.state.takeover import Watch
from tests.state.conftest import (
    DEAD_PID,
    LONG_AGO,
    enabled,
    folder,
    is_refused,
    lease_of,
    leave_lock,
    lock_file,
    mutate,
    needs_strace,
    now,
    ours,
    program,
    sleeper,
    strace,
)
from tests.support.masked import needs_proc
from tests.support.peers.actors import (
    CONTAINER,
    HERE,
    NODE,
    Actor,
    children_of,
    crowd,
    needs_containers,
    needs_node,
    together,
)

WATCHED = 2.8  # seconds: longer than every proof needs, shorter than a second one would take
NOBODY = 65534

# Programs that start another one elsewhere. None of them is the whole of a container or a VM, each is what misled us.
UNPRIVILEGED = ("setpriv", "--regid", str(NOBODY), "--clear-groups", "--bounding-set=-all", "--inh-caps=-all")
HIDING = ("unshare", "--mount", "sh", "-c", 'mount -t proc -o hidepid=2 proc /proc && exec "$@"', "sh", *UNPRIVILEGED)


def another_kernel(file: Path) -> tuple[str, ...]:
    """Where the kernel has another boot id."""
    file.write_text("11111111-2222-3333-4444-555555555555\n")
    script = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'
    return "unshare", "--mount", "sh", "-c", script, str(file)


def container_from(pid: int) -> tuple[str, ...]:
    """A container in which the next process gets a pid that nobody has out here."""
    return (*CONTAINER[:-2], f'echo {pid - 1} > /proc/sys/kernel/ns_last_pid; "$@"; exit $?', "sh")


def can_start(*within: str) -> bool:
    return bool(shutil.which(within[0])) and not subprocess.run([*within, "true"], capture_output=True).returncode


needs_hiding = pytest.mark.skipif(not can_start(*HIDING), reason="needs unshare --mount and setpriv (root)")


@contextmanager
def between_close_and_removal(root: Path, within: Sequence[str] = ()) -> Iterator[Actor]:
    """A peer that has done its change, has closed its lock file and is about to remove it; then it does."""
    with Actor.node(within) as peer:
        peer.send("hold", root, ms=0, ids=["peer"], stop="closed")
        peer.expect("held")
        peer.expect("stopped")
        peer.wait_stopped()
        yield peer
        assert lock_file(root).exists()
        peer.signal(signal.SIGCONT)
        assert peer.report()["acked"] == ["peer"]
    assert not lock_file(root).exists()


@needs_proc
@needs_node
@pytest.mark.parametrize(
    "within", [(), pytest.param(CONTAINER, marks=needs_containers)], ids=["here", "in a container"]
)
def test_a_peer_that_has_closed_its_lock_and_not_yet_removed_it_holds_it(root: Path, within: Sequence[str]) -> None:
    with between_close_and_removal(root, within):
        assert is_refused(root)
        assert state.inspect(root).lock_status == "held"
        with pytest.raises(RefusedError):
            unlock(root)
    assert enabled(root) == ["peer"]


@pytest.mark.slow
@needs_node
def test_a_peer_stopped_between_close_and_removal_holds_its_lock_at_any_age(root: Path) -> None:
    with between_close_and_removal(root):
        os.utime(lock_file(root), (1, 1))
        assert is_refused(root)


@needs_containers
@needs_node
@pytest.mark.slow
def test_from_within_a_container_a_peer_outside_that_has_its_lock_open_is_waited_for(root: Path) -> None:
    with Actor.node() as peer, Actor.python(within=CONTAINER) as mine:
        peer.send("hold", root, ms=3500, ids=["peer"])
        peer.expect("held")
        assert mine.do("enable", root, ids=["mine"], timeout=WATCHED * 1000)["errors"][0]["code"] == "LOCK_TIMEOUT"
        assert peer.report()["acked"] == ["peer"]
    assert enabled(root) == ["peer"]


@pytest.mark.slow
@needs_hiding
@needs_node
@pytest.mark.parametrize("within", [HIDING, (*CONTAINER, *UNPRIVILEGED)], ids=["hidepid", "container"])
@pytest.mark.parametrize("peers_user", [0, NOBODY])
def test_a_holder_that_cannot_be_seen_is_waited_for(open_root: Path, within: Sequence[str], peers_user: int) -> None:
    # The lock file of another user: not even the kernel tells us who has it open.
    assert NODE is not None
    shutil.copy(HERE / "peer.mjs", open_root)
    as_user = ["setpriv", f"--reuid={peers_user}", f"--regid={NOBODY}", "--clear-groups"]
    with Actor([*as_user, NODE, str(open_root / "peer.mjs"), "serve"]) as peer, Actor.python(within=within) as mine:
        peer.send("hold", open_root, ms=3500, ids=["peer"])
        peer.expect("held")
        refused = mine.do("enable", open_root, ids=["mine"], timeout=WATCHED * 1000)
        assert refused["errors"][0]["code"] == "LOCK_TIMEOUT"
        assert peer.report()["acked"] == ["peer"]


@pytest.mark.slow
@needs_containers
@needs_node
def test_peers_in_containers_beside_ours_lose_nothing_and_none_is_evicted(root: Path) -> None:
    commands = [{"verb": "count", "slot": f"s{number}", "seconds": 8} for number in range(4)]
    elsewhere = container_from(DEAD_PID - 9)  # another number than the one that is nobody's in the tests beside this
    with crowd("python", "python") as mine, Actor.node(elsewhere) as one, Actor.node(elsewhere) as two:
        reports = together([*mine, one, two], root, commands)
    assert [report["errors"] for report in reports] == [[]] * 4
    assert [report["lost"] for report in reports] == [0] * 4
    assert [report["takeovers"] for report in reports[:2]] == [[], []]  # nobody died
    assert sorted(enabled(root)) == sorted(f"s{number}-{report['final']}" for number, report in enumerate(reports))


@pytest.mark.slow
@needs_containers
def test_a_pid_was_used_again_only_if_its_process_started_after_the_lock_was_taken(root: Path) -> None:
    done = program(
        f"""
        import subprocess, time
        from pathlib import Path
        from tests.support.peers.actors import Actor
        from tests.state.conftest import is_refused, lease_of, leave_lock, mutate, now

        root = Path({str(root)!r})
        with Actor.python() as holder:
            holder.send("enable", root, ids=["never"], crash="staged")
            holder.wait_dead()
            pid = holder.pid
        leave_lock(root, lease_of(pid, now()))
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        time.sleep(0.02)  # starts are counted in hundredths of a second
        with subprocess.Popen(["sleep", "60"]) as heir:
            assert heir.pid == pid
            began = time.monotonic()
            print(mutate(root).takeover, time.monotonic() - began >= 0.2)
            leave_lock(root, lease_of(pid, now()))
            print(is_refused(root))
            heir.kill()
        """,
        *CONTAINER,
    )
    assert done.stdout.splitlines() == ["its process id was used again True", "True"], done.stderr


def test_a_kernel_thread_never_was_a_peer(root: Path) -> None:
    name = Path("/proc/2/comm")
    if not name.exists() or name.read_text() != "kthreadd\n":
        pytest.skip("needs a /proc that shows kernel threads")
    threads = {}
    for pid in children_of(2):
        with suppress(FileNotFoundError):
            threads[pid] = Path(f"/proc/{pid}/comm").read_text()
    # The last one that stays: a low number some container's process has, too, and that one may be a peer.
    leave_lock(root, lease_of(max(pid for pid in threads if not re.match(r"kworker/[\du]", threads[pid])), now()))
    assert mutate(root).takeover == "its process id was used again"


@needs_proc
def test_an_older_process_that_has_the_pid_holds_it_for_a_minute_unless_it_is_stopped(root: Path) -> None:
    with sleeper() as pid:
        time.sleep(0.02)
        leave_lock(root, lease_of(pid, now()), age=50)
        assert is_refused(root)
        os.kill(pid, signal.SIGSTOP)
        leave_lock(root, lease_of(pid, now()), age=120)
        assert is_refused(root)
        os.kill(pid, signal.SIGCONT)
        leave_lock(root, lease_of(pid, now()), age=120)  # touched meanwhile, it would be young again to whoever comes
        assert mutate(root).takeover == "old, and nobody has it open"


def test_a_dead_peers_lock_is_not_taken_at_first_sight(root: Path) -> None:
    leave_lock(root, lease_of(DEAD_PID))
    began = time.monotonic()
    assert mutate(root, grace_period=2.0).takeover == "its process is dead"
    assert 2.0 <= time.monotonic() - began < 3.0


@needs_containers
def test_from_within_a_container_a_dead_peers_lock_is_taken_after_two_seconds(root: Path) -> None:
    leave_lock(root, lease_of(DEAD_PID))
    with Actor.python(within=CONTAINER) as mine:
        assert mine.do("enable", root, ids=["mine"])["takeovers"] == ["its process is dead"]


@pytest.mark.slow
@needs_containers
@needs_node
def test_the_two_seconds_count_from_when_the_lock_was_seen_closed(root: Path) -> None:
    with Actor.python(within=CONTAINER) as mine, Actor.node() as peer:
        peer.send("hold", root, ms=2500, ids=["peer"], stop="closed")
        peer.expect("held")
        mine.send("enable", root, ids=["mine"], timeout=10_000)
        peer.expect("stopped")
        assert mine.is_quiet(1.0)
        peer.signal(signal.SIGCONT)
        assert peer.report()["acked"] == ["peer"]
        assert mine.report()["takeovers"] == []


@pytest.mark.slow
@needs_containers
@needs_node
def test_whoever_was_stopped_has_watched_nothing(root: Path) -> None:
    """Watcher and holder may have been stopped together: a suspended machine, a frozen cgroup."""
    with Actor.python(within=CONTAINER) as mine:
        with between_close_and_removal(root):
            mine.send("enable", root, ids=["mine"])
            assert mine.is_quiet(0.5)
            mine.signal(signal.SIGSTOP)
            time.sleep(2.5)
            mine.signal(signal.SIGCONT)
            assert mine.is_quiet(0.2)
        assert mine.report()["takeovers"] == []
    assert enabled(root) == ["mine", "peer"]


@needs_proc
def test_waiters_watch_the_lock_while_they_queue(root: Path) -> None:
    with sleeper() as pid, Actor.python() as head:
        leave_lock(root, lease_of(pid))
        head.send("enable", root, ids=["head"], stop="busy")
        head.expect("stopped")
        timer = threading.Timer(1.6, head.kill)
        timer.start()
        # Had the watching begun with the turn, it would end after 3.6 seconds.
        assert mutate(root, lock_timeout=3.3, grace_period=2.0).takeover == "its process id was used again"
        timer.join()


# -- ours ------------------------------------------------------------------------


@pytest.mark.slow
@needs_hiding
def test_a_holder_on_another_kernel_is_waited_for_on_both_sides(root: Path, tmp_path: Path) -> None:
    with Actor.python() as here, Actor.python(within=another_kernel(tmp_path / "boot_id")) as there:
        for holder, waiter in ((here, there), (there, here)):
            holder.send("hold", root, ms=1500, ids=[f"held by {holder.pid}"])
            holder.expect("held")
            refused = waiter.do("enable", root, ids=["mine"], timeout=1000)
            assert refused["errors"][0]["code"] == "LOCK_TIMEOUT"
            assert holder.report()["errors"] == []
        commands = [{"verb": "count", "slot": f"s{number}", "seconds": 2} for number in range(2)]
        reports = together([here, there], root, commands)
    assert [(report["lost"], report["errors"], report["takeovers"]) for report in reports] == [(0, [], [])] * 2


@pytest.mark.slow
@needs_hiding
@needs_node
def test_from_another_kernel_through_fuse_nothing_is_lost_and_no_live_lock_is_taken(
    root: Path, through_fuse: Path, tmp_path: Path
) -> None:
    elsewhere = another_kernel(tmp_path / "boot_id")
    with (
        Actor.python(within=elsewhere) as one,
        Actor.python(within=elsewhere) as other,
        Actor.python() as here,
        Actor.node() as peer,
    ):
        command = {"verb": "count", "seconds": 5, "timeout": 20_000}
        commands = [{**command, "slot": f"s{number}"} for number in range(4)]
        for seen_there in commands[:2]:
            seen_there["root"] = str(through_fuse)
        reports = together([one, other, here, peer], root, commands)
    assert [(report["lost"], report["errors"], report.get("takeovers", [])) for report in reports] == [(0, [], [])] * 4
    assert enabled(root) == [f"s{number}-{report['final']}" for number, report in enumerate(reports)]


@needs_proc
@pytest.mark.parametrize(
    ("made", "proof"),
    [
        ({}, "its process is dead"),  # the same pid namespace: a pid that is free there is nobody's
        ({"pidns": 1}, ""),
        ({"host": "another host"}, ""),
        ({"boot": "another boot", "acquired_at": now()}, ""),
    ],
)
def test_a_lease_of_ours_without_a_beacon_goes_by_a_pid_of_our_own_namespace_alone(
    root: Path, made: dict[str, object], proof: str
) -> None:
    leave_lock(root, ours(DEAD_PID, **{"beacon": False, **made}))  # type: ignore[arg-type]
    if proof:
        assert mutate(root, lock_timeout=1.0).takeover == proof
    else:
        assert is_refused(root)


@needs_proc
def test_a_lease_of_ours_without_a_beacon_whose_pid_was_used_again_is_taken(root: Path) -> None:
    with sleeper() as pid:
        began = system.start_ticks(pid)
        for at, start in ((LONG_AGO, began), (now(), began - 1)):  # one alone may come of a clock that was set
            leave_lock(root, ours(pid, at, beacon=False, start=start))
            assert is_refused(root)
        leave_lock(root, ours(pid, LONG_AGO, beacon=False, start=began - 1))
        assert mutate(root, lock_timeout=1.0).takeover == "its process id was used again"


@pytest.mark.slow
def test_a_lease_of_another_host_is_taken_by_age_alone_and_only_when_watched(root: Path) -> None:
    leave_lock(root, ours(DEAD_PID, host="another host", boot="another boot"), age=50)
    assert is_refused(root)
    leave_lock(root, ours(DEAD_PID, host="another host", boot="another boot"), age=60)
    began = time.monotonic()
    assert mutate(root).takeover == "old, and its holder cannot be asked from here"
    assert time.monotonic() - began >= 0.2


# -- the clock of the folder --------------------------------------------------------


@pytest.mark.parametrize("off", [-3600.0, 3600.0])
def test_a_locks_age_is_told_by_the_folders_clock_not_by_ours(
    root: Path, monkeypatch: pytest.MonkeyPatch, off: float
) -> None:
    truth = time.time
    monkeypatch.setattr(time, "time", lambda: truth() + off)
    elsewhere = ours(DEAD_PID, host="another host", boot="another boot")
    watch = lambda: Watch(Directory(str(folder(root)), Filesystem(local=False)), grace_period=0.2)  # noqa: E731
    leave_lock(root, elsewhere, age=10)
    assert watch().prove(0.6)[1] == ""
    leave_lock(root, elsewhere, age=90)
    assert watch().prove(0.6)[1].startswith("old")
    leave_lock(root, elsewhere, age=-90)  # of a time to come: it tells no age
    assert watch().prove(0.6)[1].startswith("old")
    assert os.listdir(folder(root)) == ["state.lock"]


# -- FUSE: seen through it, nobody has anything open -----------------------------------


@pytest.mark.slow
@needs_containers
@needs_node
def test_through_fuse_a_peer_that_has_its_old_lock_open_is_waited_for(root: Path, through_fuse: Path) -> None:
    with Actor.node() as peer, Actor.python(within=CONTAINER) as mine:
        peer.send("hold", through_fuse, ms=4000, ids=["peer"])
        peer.expect("held")
        os.utime(lock_file(root), (1, 1))
        refused = mine.do("enable", through_fuse, ids=["mine"], timeout=WATCHED * 1000)
        assert refused["errors"][0]["code"] == "LOCK_TIMEOUT"
        assert peer.report()["acked"] == ["peer"]


@pytest.mark.slow
def test_through_fuse_nobody_is_said_to_have_a_lock_closed(root: Path, through_fuse: Path) -> None:
    with leave_lock(root, "").open("ab"):  # its maker has it open on the folder itself
        watch = Watch(Directory.at(str(folder(through_fuse))))
        assert watch.prove(WATCHED)[1] == ""


@pytest.mark.slow
def test_one_folder_reached_twice_loses_nothing(root: Path, through_fuse: Path) -> None:
    with crowd("python", "python", "python") as actors:
        roots = [root, root, through_fuse]
        commands = [
            {"verb": "count", "slot": f"s{number}", "seconds": 3, "root": str(where)}
            for number, where in enumerate(roots)
        ]
        reports = together(actors, root, commands)
    assert [(report["lost"], report["errors"], report["takeovers"]) for report in reports] == [(0, [], [])] * 3


# -- asking the kernel ----------------------------------------------------------------


def test_where_a_server_gives_the_leases_a_refused_one_says_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = root / "mountinfo"
    monkeypatch.setattr(system, "MOUNTINFO", str(mounts))
    with leave_lock(root, lease_of(DEAD_PID)).open("ab"):
        found = holders.read_lease(str(lock_file(root)))
        assert found is not None
        for kind, answer in (("ext4", True), ("fuse.sshfs", True), ("nfs4", None), ("cifs", None)):
            mounts.write_text(f"1 0 8:1 / / rw - {kind} /dev/a rw\n")
            assert holders.is_open(found, system.filesystem_of(str(folder(root)))) is answer
        found.close()


@pytest.mark.slow
@needs_hiding
def test_who_may_not_be_looked_into_may_have_the_lock_open(open_root: Path) -> None:
    path = leave_lock(open_root, "")
    os.chown(path, NOBODY, NOBODY)
    as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    with subprocess.Popen([*as_nobody, "sh", "-c", f"sleep 60 >> '{path}'"]) as maker:
        with Actor.python(within=UNPRIVILEGED) as mine:
            refused = mine.do("enable", open_root, ids=["mine"], timeout=WATCHED * 1000)
            assert refused["errors"][0]["code"] == "LOCK_TIMEOUT"
        for child in children_of(maker.pid):
            os.kill(child, signal.SIGKILL)
        maker.kill()


@needs_strace
def test_an_uncontended_change_asks_for_no_lease(root: Path) -> None:
    mutate(root)
    log = root / "log"
    code = f"from rawr_install.state import store; store.enable_plugin({str(root)!r}, 'more')"
    program(code, *strace("-o", str(log), "-e", "trace=fcntl"))
    assert "F_SETLEASE" not in log.read_text()
    leave_lock(root, lease_of(DEAD_PID))
    program(code.replace("more", "again"), *strace("-o", str(log), "-e", "trace=fcntl"))
    assert "F_SETLEASE" in log.read_text()


@pytest.mark.slow
@needs_strace
def test_who_opens_the_lock_while_we_ask_for_a_lease_kills_nobody(root: Path) -> None:
    path = leave_lock(root, lease_of(DEAD_PID))
    code = f"""
        import os
        from rawr_install.state import system
        fd = os.open({str(path)!r}, os.O_RDONLY)
        for _ in range(2):
            system.is_open_for_writing(fd)
        print("lives")
    """
    over = threading.Event()

    def disturb() -> None:
        while not over.wait(0.02):
            with suppress(BlockingIOError):  # a lease is held just now, and the kernel has told its holder
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))

    thread = threading.Thread(target=disturb)
    thread.start()
    done = program(code, *strace("-o", "/dev/null", "-e", "trace=fcntl", "-e", "inject=fcntl:delay_exit=300000"))
    over.set()
    thread.join()
    assert (done.returncode, done.stdout) == (0, "lives\n")
