"""A folder that others reach, too (FUSE, sshfs, another kernel), or that looks like one, and what is said of it."""

from __future__ import annotations

import errno
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rawr_install.errors import LockTimeoutError, StateCorruptError
from rawr_install.state import guard, lease, lock, store as state, system
from rawr_install.state.system import Filesystem
from tests.conftest import PROJECT
from tests.state.conftest import (
    DEAD_PID,
    add,
    folder,
    killed_holder,
    lease_of,
    leave_lock,
    leftovers,
    lock_file,
    mutate,
    now,
    once_at,
    ours,
    program,
)
from tests.support.masked import can_mask, needs_proc
from tests.support.peers.actors import CONTAINER, Actor, crowd, needs_containers, together

pytestmark = needs_proc


# -- through FUSE ---------------------------------------------------------------------


@needs_containers
@pytest.mark.slow
def test_six_containers_with_the_same_pids_and_named_files_do_not_meet_in_a_name(
    root: Path, through_fuse: Path
) -> None:
    with ExitStack() as stack:
        actors = [stack.enter_context(Actor.python(within=CONTAINER)) for _ in range(6)]
        commands = [{"verb": "count", "slot": f"s{number}", "seconds": 2, "timeout": 20_000} for number in range(6)]
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


CHROOT = """
for folder in {folders}; do mkdir -p "$0$folder" && mount --rbind "$folder" "$0$folder" || exit 9; done
exec chroot "$0" sh -c 'cd "$0" && exec "$@"' {project} "$@"
"""


@pytest.mark.skipif(not can_mask(), reason="needs unshare --mount and chroot (root)")
def test_in_a_chroot_on_a_disk_kernel_locks_are_used(tmp_path: Path) -> None:
    if os.major(tmp_path.stat().st_dev) == 0:
        pytest.skip("needs a temporary folder on a disk")
    (tmp_path / "work/.rawr/state").mkdir(parents=True)
    folders = {"/dev", "/proc", "/usr", sys.base_prefix, sys.prefix, str(PROJECT)}
    folders |= {name for name in ("/bin", "/lib", "/lib64") if os.path.isdir(name)}
    script = CHROOT.format(folders=shlex.join(sorted(folders)), project=shlex.quote(str(PROJECT)))
    done = program(
        """
        from rawr_install.state import mutate_repo_state_atomically, system
        print(repr(system.filesystem_type("/work", open("/proc/self/mountinfo").read())))
        print(mutate_repo_state_atomically("/work", lambda found: {**found, "seen": True}).degraded)
        """,
        *("unshare", "--mount", "sh", "-c", script, str(tmp_path)),
    )
    assert done.stdout == "''\n()\n", done.stderr


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
