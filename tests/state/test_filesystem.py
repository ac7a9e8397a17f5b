"""What the file system does to us (cases 39-58): faults, odd files, missing abilities; and the bytes we leave."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from rawr_install import atomic
from rawr_install.errors import LockTimeoutError, StateCorruptError, StateError, StateUnreadableError
from rawr_install.state import (
    failpoints,
    store as state,
    system,
)
from rawr_install.state.document import dump, normalised
from rawr_install.state.guard import guard_of
from tests.state.conftest import (
    DEAD_PID,
    add,
    enabled,
    folder,
    lease_of,
    leave_lock,
    leftovers,
    lock_file,
    mutate,
    needs_root,
    needs_strace,
    once_at,
    program,
    strace,
)
from tests.support.masked import needs_proc
from tests.support.peers.actors import NODE, Actor, needs_node

REPORT = """
    import json
    from rawr_install.state import store as state
    from rawr_install.errors import RawrError
    try:
        made = state.mutate_repo_state_atomically({root!r}, state.switch(["mine"], on=True))
        print(json.dumps(["done", made.durable, list(made.degraded)]))
    except RawrError as error:
        print(json.dumps([error.code, error.message, error.hint]))
"""


def under_fault(root: Path, *faults: str) -> list[object]:
    """Enable ``mine`` in a process whose system calls fail as said (strace's inject); what it reported."""
    mutate(root, add("old"))  # so that folder, guard and state exist
    words = [word for fault in faults for word in ("-e", f"inject={fault}")]
    calls = ",".join(fault.split(":")[0] for fault in faults)
    ran = program(REPORT.format(root=str(root)), *strace("-o", "/dev/null", "-e", f"trace={calls}", *words))
    made: list[object] = json.loads(ran.stdout)
    return made


@needs_strace
@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ("fsync:error=EIO:when=1", "EIO"),  # case 40
        ("fsync:error=ENOSPC:when=1", "ENOSPC"),
        ("rename:error=EROFS:when=1", "EROFS"),
        ("rename:error=EDQUOT:when=1", "EDQUOT"),
    ],
)
def test_cases_39_and_40_a_failing_call_before_the_commit_is_an_error_and_leaves_the_old_state(
    root: Path, fault: str, name: str
) -> None:
    code, message, hint = under_fault(root, fault)
    assert code == "STATE_WRITE_FAILED" and f"({name})" in str(message) and hint
    assert enabled(root) == ["old"] and leftovers(root) == []


@needs_strace
def test_case_40_a_failed_fsync_is_not_tried_again_on_the_same_file(root: Path) -> None:
    mutate(root, add("old"))
    log = root / "log"
    program(
        REPORT.format(root=str(root)),
        *strace("-o", str(log), "-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=1"),
    )
    assert len(log.read_text().splitlines()) == 1


@needs_strace
def test_case_41_a_failed_sync_of_the_folder_says_committed_but_not_durable(root: Path) -> None:
    code, message, _hint = under_fault(root, "fsync:error=EIO:when=2")
    assert code == "COMMITTED_NOT_DURABLE" and "has its new content" in str(message)
    assert enabled(root) == ["mine", "old"] and leftovers(root) == []


@needs_strace
def test_a_file_system_that_cannot_sync_folders_is_said_in_the_result(root: Path) -> None:
    assert under_fault(root, "fsync:error=EINVAL:when=2") == ["done", False, ["folders cannot be synced here"]]


def test_case_42_short_writes_end_in_a_complete_file_and_a_complete_lease(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data[:7])))
    seen: list[bytes] = []
    once_at("leased", lambda: seen.append(lock_file(root).read_bytes()))
    mutate(root, add("a name that is longer than seven bytes"))
    monkeypatch.undo()
    assert enabled(root) == ["a name that is longer than seven bytes"]
    assert json.loads(seen[0])["owner"]["beacon"] is True and seen[0].endswith(b"\n")


@needs_proc
@needs_strace
def test_case_44_the_calls_come_in_the_order_that_durability_needs(root: Path) -> None:
    mutate(root, add("old"))
    log = root / "log"
    program(
        REPORT.format(root=str(root)),
        *strace("-y", "-o", str(log), "-e", "trace=fsync,rename,unlink,linkat,write,openat,close"),
    )
    text = log.read_text()
    wanted = [
        r"linkat\(.*state\.lock",
        r"fsync\(\d+<\S+/\.state\.json\.\d+\.[0-9a-f]+\.tmp>",
        r'rename\("\S+\.tmp", "\S+state\.json"\)',
        r'unlink\("\S+state\.lock"\)',
        r"fsync\(\d+<\S+/\.rawr/state>",
        r"write\(1<.*done",
    ]
    places = [found.start() for pattern in wanted if (found := re.search(pattern, text))]
    assert len(places) == len(wanted) and places == sorted(places)


def test_case_45_a_deleted_guard_splits_no_brain(root: Path) -> None:
    once_at("leased", (folder(root) / "state.guard").unlink)
    mutate(root)
    failpoints.handler = None
    with Actor.python() as rival:
        once_at("read", (folder(root) / "state.guard").unlink)

        def change(found: state.RepoState) -> state.RepoState:
            rival.send("enable", root, ids=["rival"])
            time.sleep(0.2)
            return add("second")(found)

        assert mutate(root, change).attempts == 1
        assert rival.report()["errors"] == []
    assert enabled(root) == ["mine", "rival", "second"]


def test_case_46_a_replaced_guard_is_noticed_by_whoever_queues_next(root: Path) -> None:
    mutate(root)
    other = folder(root) / "other"
    other.touch()
    other.rename(folder(root) / "state.guard")
    with Actor.python() as head:
        head.send("enable", root, ids=["head"], stop="turn")
        head.expect("stopped")
        assert mutate(root, add("late"), lock_timeout=1.0).degraded == ("the head of the queue does not move",)


@pytest.mark.parametrize("point", ["leased", "mutated", "staged", "checked"])
def test_case_47_a_state_folder_removed_midway_is_made_again_and_the_change_redone(root: Path, point: str) -> None:
    once_at(point, lambda: shutil.rmtree(folder(root)))
    if point == "leased":
        assert mutate(root).attempts <= 2
    else:
        assert mutate(root).attempts == 2
    assert enabled(root) == ["mine"]
    failpoints.handler = None
    assert mutate(root, add("after")).degraded == ()
    assert leftovers(root) == []


def test_a_state_folder_moved_away_and_replaced_midway_gets_the_change(root: Path) -> None:
    def move() -> None:
        folder(root).rename(root / "moved")
        folder(root).mkdir()

    once_at("mutated", move)
    assert mutate(root).attempts == 2
    assert enabled(root) == ["mine"]


def test_case_48_an_unusable_guard_costs_order_not_exclusion(root: Path) -> None:
    (folder(root) / "state.guard").mkdir()
    with Actor.python() as rival:

        def change(found: state.RepoState) -> state.RepoState:
            rival.send("enable", root, ids=["rival"])
            time.sleep(0.2)
            assert enabled(root) == []
            return add("mine")(found)

        made = mutate(root, change)
        assert rival.report()["errors"] == []
    assert "state.guard" in made.degraded[0]
    assert enabled(root) == ["mine", "rival"]


@needs_strace
@pytest.mark.parametrize("error", ["ENOLCK", "ENOSYS", "EOPNOTSUPP"])
def test_case_48_without_kernel_locks_the_lease_alone_excludes(root: Path, error: str) -> None:
    done, durable_, degraded = under_fault(root, f"flock:error={error}")
    assert (done, durable_) == ("done", True) and "no fair lock" in str(degraded)
    assert enabled(root) == ["mine", "old"] and leftovers(root) == []


def test_without_a_fair_lock_a_dead_holders_lock_is_taken_all_the_same(root: Path) -> None:
    (folder(root) / "state.guard").mkdir()
    leave_lock(root, lease_of(DEAD_PID))
    assert mutate(root, lock_timeout=1.0).takeover == "its process is dead"


@needs_strace
def test_case_49_without_hard_links_the_lease_is_created_exclusively(root: Path) -> None:
    done, _durable, degraded = under_fault(root, "linkat:error=EPERM", "link:error=EPERM")
    assert done == "done" and "no hard links" in str(degraded)
    assert enabled(root) == ["mine", "old"] and leftovers(root) == []


def test_case_49_a_created_lease_excludes_and_is_released(root: Path) -> None:
    guard_of(str(folder(root))).directory.links = False
    with Actor.python() as rival:

        def change(found: state.RepoState) -> state.RepoState:
            rival.send("enable", root, ids=["rival"])
            time.sleep(0.2)
            assert json.loads(lock_file(root).read_text())["pid"] == os.getpid()
            return add("mine")(found)

        mutate(root, change)
        assert rival.report()["errors"] == []
    leave_lock(root, lease_of(DEAD_PID))
    assert mutate(root, add("again")).takeover == "its process is dead"
    assert enabled(root) == ["again", "mine", "rival"] and leftovers(root) == []


def test_case_50_without_unnamed_files_the_lease_is_prepared_under_a_temporary_name(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_ = os.open

    def refuse(path: str, flags: int, *more: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "not here")
        return open_(path, flags, *more)

    monkeypatch.setattr(os, "open", refuse)
    seen: list[list[str]] = []
    once_at("prepared", lambda: seen.append(leftovers(root)))
    mutate(root)
    assert re.fullmatch(rf"state\.lock\.{os.getpid()}\.[0-9a-f]{{16}}\.tmp", seen[0][0])
    assert enabled(root) == ["mine"] and leftovers(root) == []


@pytest.mark.parametrize("kind", ["folder", "symbolic link", "dangling link", "FIFO"])
def test_case_51_something_else_at_the_locks_place_is_a_timeout_and_left_alone(root: Path, kind: str) -> None:
    target = root / "target"
    target.write_text("precious")
    make(lock_file(root), kind, target)
    before = lock_file(root).lstat().st_ino
    with pytest.raises(LockTimeoutError) as caught:
        mutate(root, lock_timeout=0.3)
    assert kind.removeprefix("dangling ") in caught.value.message and "unlock" in caught.value.remedy
    assert (lock_file(root).lstat().st_ino, target.read_text()) == (before, "precious")


@pytest.mark.parametrize("kind", ["folder", "symbolic link", "dangling link", "FIFO"])
def test_case_51_something_else_at_the_guards_place_degrades_and_is_left_alone(root: Path, kind: str) -> None:
    target = root / "target"
    target.write_text("precious")
    guard = folder(root) / "state.guard"
    make(guard, kind, target)
    before = guard.lstat().st_ino
    assert "state.guard" in mutate(root).degraded[0]
    assert (guard.lstat().st_ino, target.read_text()) == (before, "precious")
    assert not (root / "nowhere").exists()


def make(path: Path, kind: str, target: Path) -> None:
    if kind == "folder":
        path.mkdir()
    elif kind == "FIFO":
        os.mkfifo(path)
    else:
        path.symlink_to(target if kind == "symbolic link" else target.with_name("nowhere"))


@pytest.mark.contract("C1", "refuse.foreign-content", "what is not a state is refused and kept")
@pytest.mark.parametrize("content", [b"", b'{"version":1,"plug', b"not json", b"\xff\xfe", b"{}", b"null"])
def test_case_52_a_corrupt_state_is_refused_and_kept_byte_for_byte(root: Path, content: bytes) -> None:
    path = folder(root) / "state.json"
    path.write_bytes(content)
    for call in (lambda: state.get_repo_state(root), lambda: mutate(root)):
        with pytest.raises(StateCorruptError) as caught:
            call()
        assert "recover" in caught.value.remedy
    assert path.read_bytes() == content and leftovers(root) == []


@pytest.mark.parametrize("kind", ["folder", "FIFO"])
def test_a_state_file_of_another_kind_is_refused_and_does_not_block(root: Path, kind: str) -> None:
    make(folder(root) / "state.json", kind, root)
    with pytest.raises(StateUnreadableError):
        mutate(root)
    assert leftovers(root) == []


@pytest.mark.contract("C1", "survive.link-and-mode", "mode and link of the file survive")
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664])
def test_case_53_the_state_files_mode_is_kept(root: Path, mode: int) -> None:
    mutate(root)
    path = folder(root) / "state.json"
    path.chmod(mode)
    mutate(root, add("more"))
    assert path.stat().st_mode & 0o7777 == mode


@needs_root
def test_the_state_files_owner_is_kept(root: Path) -> None:
    mutate(root)
    path = folder(root) / "state.json"
    os.chown(path, 1234, 5678)
    mutate(root, add("more"))
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 5678)


def test_a_symbolic_link_at_the_state_file_is_written_through(root: Path) -> None:
    elsewhere = root / "elsewhere"
    elsewhere.mkdir()
    (folder(root) / "state.json").symlink_to("../../elsewhere/real.json")
    mutate(root)
    mutate(root, add("more"))
    assert (folder(root) / "state.json").is_symlink()
    assert json.loads((elsewhere / "real.json").read_text())["plugins"]["enabled"] == ["mine", "more"]
    assert os.listdir(elsewhere) == ["real.json"]


@needs_strace
def test_case_55_on_a_network_file_system_no_kernel_lock_is_asked_for(root: Path) -> None:
    mounts = root / "mountinfo"
    mounts.write_text("1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:9 / " + str(root) + " rw - nfs4 server:/x rw\n")
    log = root / "log"
    code = f"from rawr_install.state import system\nsystem.MOUNTINFO = {str(mounts)!r}\n"
    ran = program(
        code + "\n".join(line[4:] for line in REPORT.format(root=str(root)).splitlines()),
        *strace("-o", str(log), "-e", "trace=flock,linkat"),
    )
    assert json.loads(ran.stdout) == ["done", True, ["not a local file system: no kernel locks are used"]]
    assert "linkat" in log.read_text() and "flock" not in log.read_text()
    assert enabled(root) == ["mine"] and leftovers(root) == []


@pytest.mark.parametrize(
    ("folder_", "kind"),
    [("/a", "ext4"), ("/mnt/n", "nfs"), ("/mnt/n/deep", "nfs"), ("/mnt/nn", "ext4"), ("/mnt/with space/x", "cifs")],
)
def test_the_last_mount_on_the_way_says_what_the_file_system_is(folder_: str, kind: str) -> None:
    text = (
        "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:1 / /mnt/n rw shared:1 - xfs /dev/b rw\n"
        "3 1 0:1 / /mnt/n rw shared:1 - nfs s:/n rw\n4 1 0:2 / /mnt/with\\040space rw - cifs //s rw\n"
    )
    assert system.filesystem_type(folder_, text) == kind


DOCUMENTS = [
    {"version": 1, "plugins": {"enabled": ["b", "a"], "lastUpdatedAt": "x"}},
    {
        "version": 1,
        "plugins": {"enabled": [], "disabled": ["\u00e9", "z", "\U0001f600", "\uff5e"], "lastUpdatedAt": "x"},
    },
    {"version": 1, "plugins": {"enabled": ["\ud800x", '"\\\b\t\n\f\r\x00\x1f\x7f\u2028/']}},
    {
        "version": 1,
        "z": {"b": 1, "10": 2, "9": 3, "01": 4, "a": {}, "e": []},
        "plugins": {"more": [[], {}, [None, True]]},
    },
    {
        "version": 1,
        "numbers": [0, -1, 1.5, 1e21, 1e-7, 1.5e-7, 123456.789, 1e16, 1e5, 0.00001, 5e-324, 1.7976931348623157e308],
    },
    {"version": 1, "numbers": [-0.0, 100.0, 1e20, 12345678901234567.0, -2.5e-5, 0.1, 2**53]},
]


@pytest.mark.contract("C1", "format.bytes", "the bytes are those of JSON.stringify")
@needs_node
@pytest.mark.parametrize("document", DOCUMENTS)
def test_case_56_the_bytes_are_those_of_json_stringify(document: dict[str, object]) -> None:
    made = dump(normalised(document))
    program_ = "const f=require('fs');f.writeSync(1,JSON.stringify(JSON.parse(f.readFileSync(0,'utf8')),null,2)+'\\n')"
    assert NODE is not None
    theirs = subprocess.run([NODE, "-e", program_], input=made, capture_output=True, check=True).stdout
    assert made == theirs


@needs_node
def test_case_56_lists_are_sorted_as_javascript_sorts(root: Path) -> None:
    names = ["\uff5e", "\U0001f600", "z", "Z", "\u00e9", "e", "\ud7ff", "\ue000", "\U0010ffff", "a10", "a9"]
    mutate(root, lambda found: {**found, "plugins": {**found["plugins"], "enabled": names}})
    assert NODE is not None
    code = "console.log(JSON.stringify(JSON.parse(require('fs').readFileSync(0,'utf8')).sort()))"
    theirs = subprocess.run([NODE, "-e", code], input=json.dumps(names).encode(), capture_output=True, check=True)
    assert enabled(root) == json.loads(theirs.stdout)


def test_we_add_no_keys_of_our_own(root: Path) -> None:
    mutate(root)
    document = json.loads((folder(root) / "state.json").read_text())
    assert set(document) == {"version", "plugins"} and set(document["plugins"]) == {"enabled", "lastUpdatedAt"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", document["plugins"]["lastUpdatedAt"])


@pytest.mark.parametrize("prefix", ["state.", "state.json.", "state.lock.", "state.lock.stale."])
def test_case_57_the_sweep_removes_what_the_dead_left_and_spares_the_living(root: Path, prefix: str) -> None:
    dead, alive = (
        folder(root) / f"{prefix}{DEAD_PID}.1700000000000.3.tmp",
        folder(root) / f"{prefix}{os.getppid()}.17.3.tmp",
    )
    young = folder(root) / f"{prefix}{DEAD_PID}.1700000000000.4.tmp"  # a peer's, perhaps, in a container or a VM
    for path in (dead, alive, young):
        path.touch()
    for path in (dead, alive):
        os.utime(path, (1, 1))
    mine = folder(root) / "state.notes.tmp"
    mine.touch()
    mutate(root)
    assert not dead.exists() and alive.exists() and mine.exists() and young.exists()


def test_case_57_the_pid_of_the_dead_is_dead() -> None:
    assert system.is_dead(DEAD_PID) and not system.is_dead(os.getppid())


def test_case_58_the_uncontended_path_imports_no_filelock() -> None:
    code = """
        import sys, tempfile
        from rawr_install.state import store as state
        with tempfile.TemporaryDirectory() as root:
            state.enable_plugin(root, "a")
            state.get_repo_state(root)
        print("filelock" in sys.modules, "subprocess" in sys.modules)
    """
    assert program(code).stdout == "False False\n"


def test_a_state_that_cannot_be_written_is_an_error_with_a_name_and_a_path(root: Path) -> None:
    if os.geteuid() == 0:
        shutil.rmtree(root / ".rawr")
        (root / ".rawr").write_text("a file where the folder should be")
    else:
        folder(root).chmod(0o500)
    with pytest.raises(StateError) as caught:
        mutate(root)
    assert caught.value.code == "STATE_WRITE_FAILED" and str(root) in caught.value.message


def test_the_last_good_copy_is_a_file_of_its_own(root: Path) -> None:
    mutate(root)
    copy = folder(root) / "state.last-good.json"
    assert copy.read_bytes() == (folder(root) / "state.json").read_bytes()
    assert copy.stat().st_ino != (folder(root) / "state.json").stat().st_ino
    assert atomic.temporary_name(str(copy)).startswith(str(folder(root)))


@needs_proc
def test_a_thousand_roots_cost_no_thousand_descriptors(root: Path) -> None:
    for number in range(200):
        (root / str(number)).mkdir()
        mutate(root / str(number), durable=False)
    assert len(os.listdir("/proc/self/fd")) < 120
