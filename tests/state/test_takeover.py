"""Taking over with a stopped process in the way, beside other takers, and through file systems that know less."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rawr_install.errors import LockTimeoutError, RefusedError, StateCorruptError
from rawr_install.state import failpoints, guard, lease, lock, store as state, system, takeover
from rawr_install.state.directory import Directory
from rawr_install.state.lease import Lease
from rawr_install.state.recovery import unlock
from rawr_install.state.system import Filesystem
from tests.conftest import PROJECT
from tests.state.conftest import (
    DEAD_PID,
    add,
    enabled,
    folder,
    inode,
    is_refused,
    lease_of,
    leave_lock,
    leftovers,
    lock_file,
    mutate,
    needs_root,
    needs_strace,
    now,
    once_at,
    ours,
)
from tests.state.test_filesystem import under_fault
from tests.support.masked import needs_proc
from tests.support.peers.actors import CONTAINER, Actor, crowd, needs_containers, needs_node, together

pytestmark = needs_proc


def stopped_head(root: Path, head: Actor) -> None:
    """Another process has the turn, and is stopped."""
    head.send("enable", root, ids=["head"], stop="turn")
    head.expect("stopped")
    head.wait_stopped()


def killed_holder(root: Path) -> None:
    with Actor.python() as holder:
        holder.send("hold", root)
        holder.expect("held")
        holder.signal(signal.SIGKILL)
        holder.wait_dead()


# -- a stopped process in the queue ----------------------------------------------------


def test_a_stopped_head_and_a_dead_holder_block_nobody(root: Path) -> None:
    with Actor.python() as head:
        stopped_head(root, head)
        killed_holder(root)
        made = mutate(root, lock_timeout=1.5)
        assert (made.takeover, made.degraded) == ("its liveness lock is free", ("the head of the queue does not move",))
        head.signal(signal.SIGCONT)
        assert head.report()["errors"] == []
    assert enabled(root) == ["head", "mine"]


@pytest.mark.slow
def test_a_stopped_head_and_a_dead_peer_block_nobody_for_a_whole_timeout(root: Path) -> None:
    with Actor.python() as head, crowd(*["python"] * 8) as others:
        stopped_head(root, head)
        leave_lock(root, lease_of(DEAD_PID))
        # Two seconds of watching, and three of the queue: one after the other they would be the five of the timeout.
        reports = together(others, root, [{"verb": "enable", "ids": [f"n{number}"]} for number in range(8)])
        assert [report["errors"] for report in reports] == [[]] * 8
    assert len(enabled(root)) == 8


def test_a_timeout_calls_no_dead_process_the_holder(root: Path) -> None:
    leave_lock(root, lease_of(DEAD_PID))
    with pytest.raises(LockTimeoutError) as caught:
        mutate(root, lock_timeout=0.3, grace_period=2.0)
    assert f"held by process {DEAD_PID}" not in caught.value.message
    assert f"process {DEAD_PID}, which does not run here" in caught.value.message


def test_of_two_takers_one_waits_until_the_other_is_done(root: Path) -> None:
    # Were both let on, the rename of the one stopped here would catch the next holder's lease, and its put-back give
    # that one a second life beside a third holder.
    leave_lock(root, lease_of(DEAD_PID))
    with Actor.python() as taker:
        taker.send("enable", root, ids=["taker"], stop="matched")
        taker.expect("stopped")
        taker.wait_stopped()
        (folder(root) / "state.guard").unlink()  # which takes the turn from it
        assert is_refused(root)
        taker.signal(signal.SIGCONT)
        assert taker.report()["takeovers"] == ["its process is dead"]
    assert mutate(root).changed
    assert enabled(root) == ["mine", "taker"]


def test_an_old_lock_that_somebody_has_just_touched_gets_the_time_to_settle_from_whoever_takes_it(root: Path) -> None:
    # A peer may be about to remove it, and whoever touched it may have died since.
    leave_lock(root, ours(DEAD_PID))
    judged: list[float] = []
    once_at("proven", lambda: judged.append(time.monotonic()))
    began = time.monotonic()
    assert mutate(root).takeover
    assert judged[0] - began >= takeover.SETTLE


@needs_node
def test_whoever_touched_an_old_lock_and_died_leaves_a_peers_removal_the_time_to_end(root: Path) -> None:
    leave_lock(root, ours(DEAD_PID), age=120)
    with Actor.node() as peer, Actor.python() as toucher:
        peer.send("enable", root, ids=["peer"], stop="judged")
        peer.expect("stopped")
        peer.wait_stopped()
        toucher.send("enable", root, ids=["never"], crash="fencing")
        toucher.wait_dead()
        assert time.time() - lock_file(root).stat().st_mtime < 30  # young again, and no sign of who made it so
        reached: dict[str, float] = {}

        removal = threading.Timer(takeover.SETTLE / 2, lambda: peer.signal(signal.SIGCONT))

        def note(point: str) -> None:
            reached.setdefault(point, time.monotonic())
            if point == "busy":
                removal.start()
            if point == "proven":  # the machine was slow
                removal.join()

        failpoints.handler = note
        assert mutate(root).changed
        assert peer.report()["errors"] == []
    assert enabled(root) == ["mine", "peer"]
    assert "proven" not in reached or reached["proven"] - reached["busy"] >= takeover.SETTLE


def test_a_lease_caught_by_mistake_whose_owner_has_gone_is_not_restored(root: Path) -> None:
    killed_holder(root)
    with Actor.python() as successor:

        def replace() -> None:
            lock_file(root).unlink()
            (folder(root) / "state.guard").unlink()
            successor.send("hold", root)
            successor.expect("held")

        def kill() -> None:
            successor.signal(signal.SIGKILL)
            successor.wait_dead()

        acts, met = {"matched": replace, "renamed": kill}, []

        def reached(point: str) -> None:
            met.append(point)
            acts.pop(point, lambda: None)()

        failpoints.handler = reached
        assert mutate(root).changed
    assert met.count("proven") == 1  # put back, it would have been judged once more
    assert leftovers(root) == []


def test_a_lease_of_an_attempt_that_this_process_gave_up_is_taken_away(root: Path) -> None:
    leave_lock(root, ours(os.getpid(), now(), beacon=False, token="of no lease that we have"))
    assert mutate(root, lock_timeout=1.0).takeover == "left behind by this very process"


def test_a_lease_that_this_process_has_is_not_taken_away(root: Path) -> None:
    mine = Lease(Directory(str(folder(root)), Filesystem()))
    mine.prepare()
    leave_lock(root, ours(os.getpid(), now(), beacon=False, token=mine.token))
    assert is_refused(root)
    mine.close()


# -- unlock -------------------------------------------------------------------------


def test_unlock_puts_back_a_lock_that_came_where_something_else_was(root: Path) -> None:
    with leave_lock(root, lease_of(os.getpid(), now())).open("ab"):
        before = inode(lock_file(root))
        assert not takeover.move_away(Directory(str(folder(root)), Filesystem()))
        assert inode(lock_file(root)) == before and leftovers(root) == ["state.lock"]


def test_unlock_does_nothing_without_the_turn(root: Path) -> None:
    with Actor.python() as head:
        stopped_head(root, head)
        lock_file(root).mkdir()
        with pytest.raises(RefusedError) as caught:
            unlock(root)
        assert "first in the queue" in caught.value.message
        assert lock_file(root).is_dir()


def test_unlock_takes_a_lock_that_cannot_be_judged_only_by_force(root: Path) -> None:
    leave_lock(root, ours(DEAD_PID, now(), host="a laptop", boot="another boot"))
    with pytest.raises(RefusedError) as caught:
        unlock(root)
    assert f"held on another host (a laptop) by process {DEAD_PID} since " in caught.value.message
    assert "check on a laptop" in caught.value.hint and "--force" in caught.value.hint
    assert unlock(root, dry_run=True, force=True).proof and lock_file(root).exists()
    made = unlock(root, force=True)
    assert (made.holder["host"], made.proof) == ("a laptop", "forced: its holder cannot be judged from here")
    assert not lock_file(root).exists()


@pytest.mark.parametrize("kind", ["python", pytest.param("node", marks=needs_node)])
def test_unlock_takes_no_lock_of_a_living_process_not_even_by_force(root: Path, kind: str) -> None:
    with Actor.of(kind) as holder:
        holder.send("hold", root, ms=600, ids=["held"])
        holder.expect("held")
        with pytest.raises(RefusedError):
            unlock(root, force=True)
        assert holder.report()["errors"] == []
    assert enabled(root) == ["held"]


# -- names that others may have, too ---------------------------------------------------


def test_whoever_finds_its_temporary_name_taken_leaves_the_file_to_its_owner(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two containers may have the same pid, and here even the same random numbers.
    monkeypatch.setattr(os, "urandom", lambda length: b"7" * length)
    directory = Directory(str(folder(root)), Filesystem(), unnamed=False)
    one, other = Lease(directory), Lease(directory)
    one.prepare()
    with pytest.raises(FileExistsError):
        other.prepare()
    other.close()
    assert one.publish()
    one.withdraw()
    one.close()


@needs_strace
def test_a_lock_that_was_taken_from_us_at_the_release_is_a_lost_lock_not_a_bad_disk(root: Path) -> None:
    assert under_fault(root, "unlink:error=ENOENT:when=1")[0] == "done"


@needs_root
@pytest.mark.parametrize(("mode", "made"), [(0o755, 0o600), (0o775, 0o644)])
def test_what_is_made_is_for_those_who_may_change_the_folder_and_its_owners(root: Path, mode: int, made: int) -> None:
    folder(root).chmod(mode)
    os.chown(folder(root), 12345, 12345)
    seen: list[os.stat_result] = []
    once_at("leased", lambda: seen.extend((lock_file(root).stat(), (folder(root) / "state.guard").stat())))
    mutate(root)
    assert [(info.st_mode & 0o777, info.st_uid, info.st_gid) for info in seen] == [(made, 12345, 12345)] * 2


def test_a_guard_that_an_older_version_made_for_everybody_is_tightened(root: Path) -> None:
    guard_file = folder(root) / "state.guard"
    guard_file.touch()
    for mode, made in ((0o775, 0o644), (0o755, 0o600)):
        guard_file.chmod(0o666)
        folder(root).chmod(mode)
        guard.guard_of(str(folder(root))).close()
        mutate(root, add(f"{mode:o}"))
        assert guard_file.stat().st_mode & 0o777 == made


@needs_proc
def test_a_timeout_names_the_process_that_keeps_a_dead_ones_lock_alive(root: Path) -> None:
    left = leave_lock(root, ours(DEAD_PID, now()))
    hold = "import fcntl, sys; file = open(sys.argv[1]); fcntl.flock(file, fcntl.LOCK_EX); print(flush=True); input()"
    command = [sys.executable, "-c", hold, str(left)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stranger:
        assert stranger.stdout is not None and stranger.stdout.readline()
        with pytest.raises(LockTimeoutError) as caught:
            mutate(root, lock_timeout=0.3)
        stranger.kill()
    said = f"left behind by process {DEAD_PID}, which is gone, but process {stranger.pid} holds a kernel lock on it"
    assert said in caught.value.message and caught.value.details["holder"]["lockedBy"] == stranger.pid


# -- through FUSE ---------------------------------------------------------------------


@needs_containers
@pytest.mark.slow
def test_six_containers_with_the_same_pids_and_named_files_do_not_meet_in_a_name(
    root: Path, through_fuse: Path
) -> None:
    with ExitStack() as stack:
        actors = [stack.enter_context(Actor.python(within=CONTAINER)) for _ in range(6)]
        commands = [{"verb": "count", "slot": f"s{number}", "seconds": 4, "timeout": 20_000} for number in range(6)]
        reports = together(actors, through_fuse, commands)
    assert [(report["lost"], report["errors"], report["takeovers"]) for report in reports] == [(0, [], [])] * 6


@pytest.mark.slow
def test_through_fuse_a_holder_that_died_on_this_kernel_blocks_nobody(root: Path, through_fuse: Path) -> None:
    killed_holder(through_fuse)
    assert mutate(through_fuse, lock_timeout=2.0).takeover == "its process is dead"


GROW_AND_SHRINK = """
import itertools, sys
from rawr_install.state import RepoStateMutationOptions, mutate_repo_state_atomically
fast = RepoStateMutationOptions(durable=False)
for turn in itertools.count():
    def change(found):
        found["plugins"]["enabled"] = [f"name-{number:04}" for number in range(turn % 97)]
        return found
    mutate_repo_state_atomically(sys.argv[1], change, fast)
"""


@pytest.mark.slow
def test_through_fuse_no_reader_sees_a_torn_file(root: Path, through_fuse: Path) -> None:
    torn = reads = 0
    with subprocess.Popen([sys.executable, "-c", GROW_AND_SHRINK, str(root)], cwd=PROJECT) as writer:
        until = time.monotonic() + 6
        while time.monotonic() < until:
            try:
                state.get_repo_state(through_fuse)
            except StateCorruptError:
                torn += 1
            reads += 1
        writer.kill()
    assert (torn, reads > 500) == (0, True)


@pytest.fixture
def through_sshfs(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The same workspace through sshfs to an sshd of the test's own."""
    for tool in ("sshfs", "sshd", "ssh-keygen"):
        if shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin") is None:
            pytest.skip(f"needs {tool}")
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        pytest.skip("needs root and /dev/fuse")
    keys, place = tmp_path_factory.mktemp("ssh"), root.with_name(f"{root.name}-sshfs")
    place.mkdir()
    Path("/run/sshd").mkdir(exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys / name)], check=True)
    options = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": keys / "host",
        "AuthorizedKeysFile": keys / "user.pub",
        "StrictModes": "no",
        "PermitRootLogin": "yes",
        "PidFile": "none",
        "Subsystem": "sftp internal-sftp",
    }
    (keys / "config").write_text("".join(f"{name} {value}\n" for name, value in options.items()))
    with subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", str(keys / "config"), "-E", str(keys / "log")]) as server:
        said = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", f"port={port}"]
        words = [word for option in (*said, f"IdentityFile={keys / 'user'}") for word in ("-o", option)]
        for _ in range(50):
            mount = ["sshfs", *words, f"root@127.0.0.1:{root}", str(place)]
            if subprocess.run(mount, capture_output=True).returncode == 0:
                break
            time.sleep(0.1)
        else:
            pytest.skip(f"sshd or sshfs does not work here: {(keys / 'log').read_text()[-200:]}")
        try:
            yield place
        finally:
            subprocess.run(["umount", "-l", str(place)], check=True)
            server.kill()


@pytest.mark.slow
def test_over_sshfs_changes_are_made_and_none_is_lost(root: Path, through_sshfs: Path) -> None:
    began = time.monotonic()
    assert mutate(through_sshfs).changed  # once each waited for itself, since a name has another inode than its file
    assert time.monotonic() - began < 4
    assert leftovers(root) == []
    with crowd(*["python"] * 4) as actors:
        roots = [through_sshfs, through_sshfs, root, root]
        commands = [
            {"verb": "count", "slot": f"s{number}", "seconds": 5, "timeout": 20_000, "root": str(where)}
            for number, where in enumerate(roots)
        ]
        reports = together(actors, root, commands)
    assert [(report["lost"], report["errors"], report["takeovers"]) for report in reports] == [(0, [], [])] * 4
    assert all(report["acked"] for report in reports)


@pytest.mark.slow
def test_over_sshfs_an_attempt_that_is_given_up_leaves_no_lock(root: Path, through_sshfs: Path) -> None:
    def fail(_found: state.RepoState) -> state.RepoState:
        raise RuntimeError("the mutator's own")

    with pytest.raises(RuntimeError):
        mutate(through_sshfs, fail)
    assert leftovers(root) == []


def test_what_a_server_did_and_did_not_tell_is_found_out(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS may carry a link out, lose the answer, and say to the same request, sent again, that the name is taken."""
    directory = guard.guard_of(str(folder(root))).directory
    monkeypatch.setattr(directory, "filesystem", Filesystem(local=False))
    link, sent = os.link, []

    def twice(*words: object, **more: object) -> None:
        link(*words, **more)  # type: ignore[arg-type]
        if not sent:
            sent.append(1)
            raise FileExistsError(errno.EEXIST, "File exists")

    monkeypatch.setattr(lease.os, "link", twice)
    assert mutate(root, lock_timeout=1.0).attempts == 1
    assert leftovers(root) == []


def test_what_a_networks_cache_says_of_a_name_is_not_waited_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """sshfs keeps what it knows of a name for 20 seconds; only the attempt asks the server."""
    directory = guard.guard_of(str(folder(root))).directory
    monkeypatch.setattr(directory, "filesystem", Filesystem(local=False))
    monkeypatch.setattr(lock, "_version", lambda _path: (1, 1))
    leave_lock(root, lease_of(os.getpid(), now()))
    once_at("busy", lock_file(root).unlink)
    assert mutate(root, lock_timeout=1.0).changed


# -- the file system's kind --------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "local"), [("ecryptfs", True), ("fuse.fuse-overlayfs", True), ("ubifs", True), ("fuse.sshfs", False)]
)
def test_some_file_systems_of_this_machine_look_otherwise(
    root: Path, monkeypatch: pytest.MonkeyPatch, kind: str, local: bool
) -> None:
    mounts = root / "mountinfo"
    mounts.write_text(f"1 0 8:1 / / rw - {kind} /dev/a rw\n")
    monkeypatch.setattr(system, "MOUNTINFO", str(mounts))
    assert system.filesystem_of(str(root)).local is local


def test_in_a_chroot_a_block_device_is_of_this_machine_and_anything_else_may_be_anybodys(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = root / "mountinfo"
    mounts.write_text("1 0 0:5 / /proc rw - proc proc rw\n")  # no line leads to the folder
    monkeypatch.setattr(system, "MOUNTINFO", str(mounts))
    on_disk = os.major(root.stat().st_dev) != 0
    assert system.filesystem_of(str(root)).local is on_disk
    assert not system.filesystem_of("/dev").local or os.major(os.stat("/dev").st_dev) != 0


# -- what is said ---------------------------------------------------------------------


def test_a_lock_of_another_host_is_said_to_be_that(root: Path) -> None:
    leave_lock(root, ours(DEAD_PID, now(), host="a laptop", boot="another boot"))
    seen = state.inspect(root)
    assert seen.lock_status == "held" and seen.holder["host"] == "a laptop" and seen.holder["alive"] is None
    with pytest.raises(LockTimeoutError) as caught:
        mutate(root, add("mine"), lock_timeout=0.2)
    assert "was held on another host (a laptop)" in caught.value.message
    assert "cannot be judged from here" in caught.value.message


def test_whoever_meets_a_lock_of_another_kernel_leaves_word_for_both_sides(root: Path) -> None:
    leave_lock(root, ours(DEAD_PID, now(), host="a laptop", boot="another boot"))
    once_at("busy", lock_file(root).unlink)
    assert mutate(root).changed
    assert json.loads((folder(root) / "state.shared").read_text())["host"] == "a laptop"
    seen = state.inspect(root)
    assert seen.lock_status == "free" and seen.shared is not None and seen.shared[0] == "a laptop"


def test_what_is_on_this_kernel_or_of_an_earlier_boot_makes_no_folder_shared(root: Path) -> None:
    for left in (ours(DEAD_PID, host="a container"), ours(DEAD_PID, boot="another boot")):
        leave_lock(root, left)
        assert mutate(root, add(left)).takeover
    assert state.inspect(root).shared is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"host": 1}', "\xff"])
def test_a_note_that_cannot_be_read_is_none(root: Path, content: str) -> None:
    (folder(root) / "state.shared").write_text(content)
    assert state.inspect(root).shared is None
