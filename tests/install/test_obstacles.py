"""What stands in the way: foreign files, folders that cannot be written, odd homes, a full disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.conftest import LINK, Machine, Ran, snapshot

QUIET = {"RAWR_EVENTS": "off"}


def a_file(machine: Machine) -> None:
    machine.entry.write_text("#!/bin/sh\necho mine\n")
    machine.entry.chmod(0o750)


def a_folder(machine: Machine) -> None:
    machine.entry.mkdir()
    (machine.entry / "inside").write_text("mine")


def a_hard_link(machine: Machine) -> None:
    (machine.bun_bin / "original").write_text("mine")
    os.link(machine.bun_bin / "original", machine.entry)


def a_link_elsewhere(machine: Machine) -> None:
    machine.entry.symlink_to("/usr/bin/env")


def a_link_to_nowhere(machine: Machine) -> None:
    machine.entry.symlink_to("../gone")


def a_pipe(machine: Machine) -> None:
    os.mkfifo(machine.entry)


FOREIGN = (a_file, a_folder, a_hard_link, a_link_elsewhere, a_link_to_nowhere, a_pipe)


@pytest.fixture(params=FOREIGN, ids=lambda put: put.__name__)
def occupied(machine: Machine, request: pytest.FixtureRequest) -> Machine:
    machine.bun_bin.mkdir(parents=True)
    request.param(machine)
    return machine


@pytest.mark.contract("C3", "install.foreign-entry", "a foreign file is refused and left as it is")
def test_what_is_foreign_is_refused_and_left_as_it_is(occupied: Machine) -> None:
    root = occupied.workspace("a")
    before = occupied.tree()
    for words in (("install", "--workspace", str(root)), ("activate", str(root))):
        ran = occupied.rawr_install(*words, "--json", env=QUIET)
        assert (ran.code, ran.json["error"]["code"]) == (1, "FOREIGN_ENTRY")
        remedy = ran.json["error"]["details"]["remedy"]["argv"]
        assert remedy == [
            "rawr-install",
            *(words if words[0] == "activate" else ("install", "--workspace", str(root))),
            "--force",
        ]
    after = occupied.tree()
    assert {path: shown for path, shown in after.items() if path in before} == before
    assert not occupied.owner_file.exists()


def test_what_is_foreign_is_set_aside_by_force_and_put_back_by_uninstall(occupied: Machine) -> None:
    root = occupied.workspace("a")
    before = snapshot(occupied.bun_bin)
    first = occupied.rawr_install("install", "--workspace", root, "--force", *LINK, "--json").json["data"]
    assert f"set {occupied.entry} aside as {occupied.entry}.before-rawr-install" in first["plan"][0]["step"]
    assert os.readlink(occupied.entry) == f"{root}/apps/cli/bin/run.js"
    # Later changes of the entry do not forget it.
    occupied.rawr_install("activate", root, "--mode", "shim")
    gone = occupied.rawr_install("uninstall", "--yes", "--json").json["data"]
    assert gone["restored"] == [str(occupied.entry)]
    assert snapshot(occupied.bun_bin) == before


def test_what_is_foreign_is_put_back_by_rollback_too(occupied: Machine) -> None:
    root = occupied.workspace("a")
    before = snapshot(occupied.bun_bin)
    occupied.rawr_install("activate", root, "--force")
    assert occupied.rawr_install("rollback").code == 0
    assert snapshot(occupied.bun_bin) == before and not occupied.owner_file.exists()


def test_a_name_that_is_taken_is_not_used_for_setting_aside(occupied: Machine) -> None:
    root = occupied.workspace("a")
    (occupied.bun_bin / "rawr.before-rawr-install").write_text("older")
    before = snapshot(occupied.bun_bin)
    occupied.rawr_install("install", "--workspace", root, "--force")
    assert (occupied.bun_bin / "rawr.before-rawr-install").read_text() == "older"
    occupied.rawr_install("uninstall", "--yes")
    assert snapshot(occupied.bun_bin) == before


def test_uninstall_leaves_the_set_aside_file_when_its_place_was_taken_again(machine: Machine) -> None:
    root = machine.workspace("a")
    machine.bun_bin.mkdir(parents=True)
    a_file(machine)
    machine.rawr_install("install", "--workspace", root, "--force")
    machine.entry.unlink()
    machine.entry.write_text("newer")
    ran = machine.rawr_install("uninstall", "--yes")
    aside = machine.bun_bin / "rawr.before-rawr-install"
    assert ran.code == 0 and "Left ~/.bun/bin/rawr:" in ran.out and f"Left ~/.bun/bin/{aside.name}:" in ran.out
    assert machine.entry.read_text() == "newer" and "mine" in aside.read_text()
    assert "Not purged" in machine.rawr_install("uninstall", "--purge", "--yes").out
    machine.entry.unlink()
    assert machine.rawr_install("uninstall", "--yes").code == 0
    assert "mine" in machine.entry.read_text() and not aside.exists()


def test_the_second_file_that_was_set_aside_is_put_back_and_the_first_one_named(machine: Machine) -> None:
    root = machine.workspace("a")
    machine.bun_bin.mkdir(parents=True)
    for text in ("first", "second"):
        machine.entry.unlink(missing_ok=True)
        machine.entry.write_text(text)
        machine.rawr_install("install", "--workspace", root, "--force", *LINK)
    first = machine.bun_bin / "rawr.before-rawr-install"
    ran = machine.rawr_install("uninstall", "--yes")
    assert machine.entry.read_text() == "second" and first.read_text() == "first"
    assert f"Left ~/.bun/bin/{first.name}: it once stood at ~/.bun/bin/rawr." in ran.out.splitlines()
    assert machine.rawr_install("rollback").code == 0
    assert machine.entry.is_symlink() and first.read_text() == "first"


# -- folders ---------------------------------------------------------------------------


def refused(machine: Machine, code: str, *words: str | Path) -> Ran:
    """Run the command, which is to be refused with ``code``, and see that no bin folder or owner changed."""
    before = snapshot(machine.home / ".bun"), machine.owner_file.exists()
    ran = machine.rawr_install(*words, "--json")
    assert (ran.code, ran.json["error"]["code"]) == (1, code), ran
    assert (snapshot(machine.home / ".bun"), machine.owner_file.exists()) == before
    return ran


@pytest.mark.parametrize("which", [".bun/bin", ".bun"])
def test_a_bin_folder_that_is_a_file_is_named(machine: Machine, which: str) -> None:
    root = machine.workspace("a")
    (machine.home / which).parent.mkdir(exist_ok=True)
    (machine.home / which).write_text("a file")
    refused(machine, "BIN_DIR_NOT_A_FOLDER", "activate", root)
    assert (machine.home / which).read_text() == "a file"


@pytest.fixture
def lock_folder(request: pytest.FixtureRequest) -> Iterator[Callable[[Path], None]]:
    """Make a folder read-only: by mode for a user, by the immutable flag for root, whom modes do not stop."""
    locked: list[Path] = []

    def lock(folder: Path) -> None:
        if os.geteuid() != 0:
            folder.chmod(0o555)
        elif (
            not shutil.which("chattr") or subprocess.run(["chattr", "+i", str(folder)], capture_output=True).returncode
        ):
            pytest.skip("root needs chattr (e2fsprogs) and a file system with the immutable flag")
        locked.append(folder)

    yield lock
    for folder in locked:
        folder.chmod(0o755) if os.geteuid() != 0 else subprocess.run(["chattr", "-i", str(folder)], check=True)


def test_a_read_only_bin_folder_is_named_and_the_owner_stays(
    machine: Machine, lock_folder: Callable[[Path], None]
) -> None:
    a, b = machine.workspace("a"), machine.workspace("b")
    machine.rawr_install("activate", a, *LINK)
    lock_folder(machine.bun_bin)
    ran = refused(machine, "BIN_DIR_NOT_WRITABLE", "activate", b)
    assert str(machine.bun_bin) in ran.json["error"]["message"]
    assert machine.owner_file.read_text() == f"{a}\n"
    assert machine.rawr_install("activate", a, "--json").json["data"]["changed"] is False
    assert machine.rawr_install("uninstall", "--yes", "--json").json["error"]["code"] == "PERMISSION_DENIED"
    assert machine.run("rawr").code == 0 and machine.owner_file.read_text() == f"{a}\n"


def test_a_read_only_folder_of_the_owner_file_changes_nothing(
    machine: Machine, lock_folder: Callable[[Path], None]
) -> None:
    a, b = machine.workspace("a"), machine.workspace("b")
    machine.rawr_install("activate", a, *LINK)
    lock_folder(machine.owner_file.parent)
    refused(machine, "PERMISSION_DENIED", "activate", b)
    assert os.readlink(machine.entry).startswith(str(a))


def test_a_state_folder_that_is_a_file_is_named(machine: Machine) -> None:
    root = machine.workspace("a")
    (machine.home / ".local/state").mkdir(parents=True)
    (machine.home / ".local/state/rawr").write_text("a file")
    refused(machine, "STATE_DIR_UNUSABLE", "activate", root)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_an_owner_file_that_is_no_file_is_not_replaced(machine: Machine, make: Callable[[Path], None]) -> None:
    root = machine.workspace("a")
    machine.owner_file.parent.mkdir()
    make(machine.owner_file)
    refused(machine, "OWNER_FILE_UNUSABLE", "activate", root)
    refused(machine, "OWNER_FILE_UNUSABLE", "deactivate")
    assert machine.rawr_install("install", "--workspace", root).code == 0


class Ordinary(Machine):
    """A machine whose commands an ordinary user runs, also where the tests run as root, whom no mode stops."""

    def run(self, *argv: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Ran:
        other = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups") if os.geteuid() == 0 else ()
        return super().run(*other, *argv, cwd=cwd, env={"PYTHONDONTWRITEBYTECODE": "1", **(env or {})})

    def give(self) -> None:
        """Everything belongs to that user from here on."""
        if os.geteuid() == 0:
            subprocess.run(["chown", "-hR", "65534:65534", str(self.folder)], check=True)


@pytest.fixture
def ordinary() -> Iterator[Ordinary]:
    # Not tmp_path: pytest's folders let nobody else in.
    with TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        machine = Ordinary(Path(os.path.realpath(folder)))
        if os.geteuid() == 0 and machine.rawr_install("--version").code != 0:
            pytest.skip("as root this needs setpriv (util-linux) and a Python that other users can run")
        yield machine


def test_folders_without_write_permission_are_named_and_nothing_changes(ordinary: Ordinary) -> None:
    a, b = ordinary.workspace("a"), ordinary.workspace("b")
    ordinary.give()
    assert ordinary.rawr_install("activate", a, *LINK).code == 0
    for folder, code in ((ordinary.bun_bin, "BIN_DIR_NOT_WRITABLE"), (ordinary.owner_file.parent, "PERMISSION_DENIED")):
        folder.chmod(0o555)
        refused(ordinary, code, "activate", b)
        folder.chmod(0o755)
        assert ordinary.owner_file.read_text() == f"{a}\n" and os.readlink(ordinary.entry).startswith(str(a))
    assert ordinary.rawr_install("activate", b).code == 0


def test_a_foreign_file_that_cannot_be_read_is_set_aside_all_the_same(ordinary: Ordinary) -> None:
    root = ordinary.workspace("a")
    ordinary.bun_bin.mkdir(parents=True)
    a_file(ordinary)
    ordinary.entry.chmod(0)
    before = snapshot(ordinary.bun_bin)
    ordinary.give()
    assert ordinary.rawr_install("install", "--workspace", root, "--force").code == 0
    assert ordinary.rawr_install("uninstall", "--yes").code == 0
    assert snapshot(ordinary.bun_bin) == before


def test_an_owner_file_that_cannot_be_read_is_not_replaced(ordinary: Ordinary) -> None:
    root = ordinary.workspace("a")
    ordinary.own("/elsewhere")
    ordinary.owner_file.chmod(0)
    ordinary.give()
    refused(ordinary, "OWNER_FILE_UNUSABLE", "activate", root)


# -- records and policy files that never end ---------------------------------------------


RECORDS = (
    *(f".local/state/rawr/{name}.json" for name in ("history", "receipt", "refreshed")),
    ".rawr/trusted-workspaces",
)


@pytest.mark.parametrize("name", RECORDS)
def test_no_command_waits_for_a_record_that_is_a_pipe(machine: Machine, name: str) -> None:
    for words, ran in answers(machine, name, os.mkfifo, machine.rawr_install):
        assert ran.code in (0, 1) and ran.json["meta"] and "INTERNAL_ERROR" not in ran.out, (words, ran)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORDS[::3])
def test_no_command_reads_a_record_that_does_not_end(machine: Machine, name: str) -> None:
    def endless(path: Path) -> None:
        path.touch()
        os.truncate(path, 1 << 40)

    def limited(*words: str | Path, cwd: Path) -> Ran:
        limits = 'ulimit -v 400000; exec timeout -s KILL 20 "$@"'
        return machine.run("sh", "-c", limits, "sh", *machine_argv(), *words, cwd=cwd)

    for words, ran in answers(machine, name, endless, limited):
        assert ran.code in (0, 1) and ran.json["meta"] and "INTERNAL_ERROR" not in ran.out, (words, ran)


def answers(
    machine: Machine, name: str, make: Callable[[Path], None], run: Callable[..., Ran]
) -> Iterator[tuple[tuple[str | Path, ...], Ran]]:
    """What each command that reads the record ``name`` says once ``make`` has made it."""
    a, b = machine.workspace("a"), machine.workspace("b")
    machine.rawr_install("activate", a)
    (machine.home / name).unlink(missing_ok=True)
    make(machine.home / name)
    for words in (
        *(("activate", b), ("rollback",), ("history",), ("trust", "list"), ("trust", "add", a)),
        *(("refresh",), ("doctor", "global"), ("uninstall", "--yes")),
    ):
        yield words, run(*words, "--json", cwd=a)


# -- homes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("home", [None, "", "relative"])
def test_without_a_home_nothing_is_done(machine: Machine, home: str | None) -> None:
    root = machine.workspace("a")
    before = machine.tree()
    for words in (
        ("install", "--workspace", str(root)),
        ("activate", str(root)),
        ("rollback",),
        ("uninstall", "--yes"),
    ):
        command = ("env", "-u", "HOME") if home is None else ("env", f"HOME={home}")
        ran = machine.run(*command, *machine_argv(), *words, "--json", cwd=root)
        assert (ran.code, ran.json["error"]["code"]) == (2, "NO_HOME")
    assert machine.tree() == before


def machine_argv() -> tuple[str, ...]:
    return (sys.executable, "-m", "rawr_install")


def test_a_home_with_a_trailing_slash_is_the_same_home(machine: Machine) -> None:
    root = machine.workspace("a")
    slashed = machine.rawr_install("activate", root, *LINK, env={"HOME": f"{machine.home}/"})
    assert f"Owner file: {machine.owner_file}" in slashed.out.splitlines()
    assert f"Installed Bun-global rawr symlink at {machine.entry}" in slashed.out.splitlines()
    assert machine.rawr_install("activate", root, "--json").json["data"]["changed"] is False


def test_a_home_reached_through_a_link_is_the_same_home(machine: Machine) -> None:
    a, b = machine.workspace("a"), machine.workspace("b")
    linked = machine.folder / "linked"
    linked.symlink_to(machine.home)
    assert machine.rawr_install("activate", a, env={"HOME": str(linked)}).code == 0
    assert machine.owner_file.read_text() == f"{a}\n"
    assert machine.rawr_install("activate", b).code == 0
    assert machine.rawr_install("uninstall", "--yes", env={"HOME": str(linked)}).code == 0
    assert not machine.owner_file.exists() and not machine.entry.is_symlink()


# -- a real file system that is full, or read-only ------------------------------------------


def in_tiny_home(machine: Machine, script: str) -> Ran:
    """Run a shell script whose HOME is a file system of 256 KiB that nobody else sees."""
    argv = ["unshare", "--mount", *(["--user", "--map-root-user"] if os.geteuid() != 0 else [])]
    mount = f"mount -t tmpfs -o size=256k,mode=700 tiny {machine.home}"
    if not shutil.which("unshare") or machine.run(*argv, "sh", "-c", mount).code != 0:
        pytest.skip("mounting a small tmpfs needs unshare (util-linux) and the right to mount")
    tool = " ".join(machine_argv())
    return machine.run(*argv, "sh", "-c", f'{mount}\nrawr_install() {{ {tool} "$@"; }}\n{script}', env=QUIET)


def test_on_a_full_disk_nothing_changes_and_nothing_is_lost(machine: Machine) -> None:
    a, b = machine.workspace("a"), machine.workspace("b")
    ran = in_tiny_home(
        machine,
        f"""
        rawr_install activate {a} --mode bun-symlink >/dev/null || exit 10
        cat /dev/zero >"$HOME/filling" 2>/dev/null
        rawr_install activate {b} --json; echo "code $?"
        cat {machine.owner_file}; readlink {machine.entry}
        find "$HOME" -name '*.tmp'
        rm "$HOME/filling"
        rawr_install activate {b} >/dev/null; echo "code $?"
        cat {machine.owner_file}; readlink {machine.entry}
        """,
    )
    assert '"code": "DISK_FULL"' in ran.out, ran
    tail = ran.out.rpartition("}\n")[2].splitlines()
    tails = [f"{root}{rest}" for root in (a, b) for rest in ("", "/apps/cli/bin/run.js")]
    assert tail == ["code 1", *tails[:2], "code 0", *tails[2:]]


def test_on_a_read_only_file_system_the_error_says_so(machine: Machine) -> None:
    a, b = machine.workspace("a"), machine.workspace("b")
    ran = in_tiny_home(
        machine,
        f"""
        rawr_install activate {a} --mode bun-symlink >/dev/null || exit 10
        mount -o remount,ro {machine.home}
        rawr_install activate {b} --json; echo "code $?"
        rawr_install activate {a} --json | grep changed
        """,
    )
    assert '"code": "READ_ONLY_FILE_SYSTEM"' in ran.out and "code 1" in ran.out and "make it writable" not in ran.out, (
        ran
    )
    assert '"changed": false' in ran.out


def test_where_nothing_can_start_install_does_not_say_installed(machine: Machine) -> None:
    root = machine.workspace("a")
    ran = in_tiny_home(
        machine,
        f"""
        mount -o remount,noexec {machine.home}
        rawr_install install --json; echo "code $?"
        ls -A {machine.home}/.bun 2>/dev/null
        rawr_install install --mode bun-symlink --workspace {root} | head -1
        """,
    )
    assert '"code": "BIN_DIR_NOEXEC"' in ran.out and "code 1\nInstalled " in ran.out, ran


def test_where_inodes_are_used_up_the_hint_says_so(machine: Machine) -> None:
    root = machine.workspace("a")
    ran = in_tiny_home(
        machine,
        f"""
        mount -o remount,nr_inodes=12 {machine.home}
        mkdir -p {machine.home}/.local/state/rawr
        for n in 1 2 3 4 5 6 7 8 9; do touch {machine.home}/$n; done 2>/dev/null
        rawr_install activate {root} --json
        """,
    )
    assert ran.out, ran
    assert ran.json["error"]["code"] == "DISK_FULL" and "df -i" in ran.json["error"]["details"]["remedy"]["text"], ran


@pytest.fixture(params=["--chmod-ignore", "--chmod-deny"])
def without_modes(request: pytest.FixtureRequest, machine: Machine) -> Iterator[Path]:
    """A folder on a file system on which each mode reads 0777, as on FAT; chmod(2) does nothing there, or fails."""
    below, place = machine.folder / "below", machine.folder / "card"
    below.mkdir()
    place.mkdir()
    argv = ["bindfs", "--perms=0777", request.param, str(below), str(place)]
    if not shutil.which("bindfs") or subprocess.run(argv, capture_output=True).returncode:
        pytest.skip("needs bindfs and /dev/fuse")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_where_modes_are_not_kept_entries_are_made_and_taken_away_all_the_same(
    machine: Machine, without_modes: Path
) -> None:
    before = snapshot(without_modes)
    words = ("install", "--bin-dir", str(without_modes))
    for changed in (True, False):
        ran = machine.rawr_install(*words, "--json")
        assert (ran.code, ran.json.get("data", {}).get("changed")) == (0, changed), ran
    assert machine.run(without_modes / "rawr", cwd=machine.workspace("a")).out.startswith("workspace a\n")
    assert machine.rawr_install("uninstall", "--yes").code == 0
    (without_modes / "rawr").write_text("somebody's")
    assert machine.rawr_install(*words, "--force").code == 0 and machine.rawr_install("rollback").code == 0
    assert (without_modes / "rawr").read_text() == "somebody's" and len(list(without_modes.iterdir())) == 1
    (without_modes / "rawr").unlink()
    assert snapshot(without_modes) == before


def test_where_dot_rawr_is_a_file_it_is_named_and_the_remedy_mends_it(machine: Machine) -> None:
    root, dot_rawr = machine.workspace("a"), machine.home / ".rawr"
    # The second finds the name taken under which the first one set the file aside.
    for words, code in ((("fallback", "enable"), "POLICY_UNWRITABLE"), (("activate", root), "OWNER_FILE_UNUSABLE")):
        dot_rawr.write_text("a file")
        before = machine.tree()
        ran = machine.rawr_install(*words, "--json", env=QUIET)
        assert (ran.code, ran.json["error"]["code"]) == (1, code)
        assert f"{dot_rawr} is not a folder" in ran.json["error"]["message"]
        left = {path for path in set(before) ^ set(machine.tree()) if "/state" not in path and path != "home/.local"}
        assert not left
        assert machine.run(*ran.json["error"]["details"]["remedy"]["argv"]).code == 0
        assert machine.rawr_install(*words).code == 0
        shutil.rmtree(dot_rawr)
    dot_rawr.write_text("a file")
    assert machine.rawr_install("install", "--json").code == 0
    assert machine.rawr_install("uninstall", "--yes", "--purge").code == 0 and dot_rawr.read_text() == "a file"


def test_a_home_that_cannot_be_written_is_read_as_any_other_and_a_change_says_why(ordinary: Ordinary) -> None:
    root = ordinary.workspace("a")
    ordinary.give()
    ordinary.home.chmod(0o555)
    for words in (("history",), ("trust", "list"), ("fallback", "status"), ("deactivate",), ("uninstall", "--yes")):
        assert ordinary.rawr_install(*words, "--json").code == 0, words
    codes = {
        ("install",): "BIN_DIR_NOT_WRITABLE",
        ("activate", root): "BIN_DIR_NOT_WRITABLE",
        ("fallback", "enable"): "STATE_DIR_UNUSABLE",
        ("trust", "add", root): "STATE_DIR_UNUSABLE",
    }
    for words, code in codes.items():
        ran = ordinary.rawr_install(*words, "--json")
        assert (ran.code, ran.json["error"]["code"]) == (1, code), ran
        assert ran.json["error"]["details"]["remedy"]["text"].startswith("make ")
    assert list(ordinary.home.iterdir()) == []
