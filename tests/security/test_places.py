"""What another user owns, made or holds: no change of this machine goes through it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.conftest import Machine, Ran
from tests.support.plugins import make_linkable

THEM = 12345
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to a second user")


def state_dir(machine: Machine) -> Path:
    return machine.home / ".local/state/rawr"


@pytest.fixture
def used(machine: Machine) -> Machine:
    machine.env["RAWR_EVENTS"] = "off"
    assert machine.rawr_install("activate", machine.workspace("a")).code == 0
    return machine


def give(path: Path) -> None:
    subprocess.run(["chown", "-hR", f"{THEM}:{THEM}", str(path)], check=True)


def the_state_folder(machine: Machine) -> None:
    give(state_dir(machine))


def dot_rawr(machine: Machine) -> None:
    give(machine.home / ".rawr")


def the_history(machine: Machine) -> None:
    give(state_dir(machine) / "history.json")


def a_link_of_theirs_as_owner_file(machine: Machine) -> None:
    target = machine.home / "victim"
    machine.owner_file.rename(target)
    machine.owner_file.symlink_to(target)
    os.chown(machine.owner_file, THEM, THEM, follow_symlinks=False)


def a_link_to_a_state_folder_of_theirs(machine: Machine) -> None:
    theirs = machine.folder / "theirs"
    state_dir(machine).rename(theirs)
    give(theirs)
    state_dir(machine).symlink_to(theirs)


CHANGES = (
    ("install",),
    ("activate", "a"),
    ("deactivate",),
    ("deactivate", "--dry-run"),
    ("rollback",),
    ("uninstall",),
    ("fallback", "enable"),
    ("trust", "add", "a"),
)


@root_only
@pytest.mark.parametrize(
    "make",
    [the_state_folder, dot_rawr, the_history, a_link_of_theirs_as_owner_file, a_link_to_a_state_folder_of_theirs],
    ids=lambda make: make.__name__,
)
def test_places_of_another_user_stop_every_change_and_reading_says_so(
    used: Machine, make: Callable[[Machine], None]
) -> None:
    make(used)
    before = used.tree()
    for words in CHANGES:
        ran = used.rawr_install(*words, "--json", "--yes")
        assert (ran.code, ran.json["error"]["code"]) == (1, "STATE_DIR_NOT_YOURS"), ran
    told = used.rawr_install("history", "--json").json
    assert told["ok"] and "belongs to" in told["warnings"][0]
    assert used.tree() == before


@root_only
def test_root_with_the_home_of_who_called_sudo_is_told_to_go_without(used: Machine) -> None:
    give(used.home)
    document = json.loads((state_dir(used) / "history.json").read_text())
    document["records"][-1]["status"] = "pending"
    (state_dir(used) / "history.json").write_text(json.dumps(document))
    before = used.tree()
    for words in CHANGES:
        used.env["SUDO_UID"] = str(THEM)
        ran = used.rawr_install(*words, "--json", "--yes")
        assert (ran.code, ran.json["error"]["code"]) == (1, "STATE_DIR_NOT_YOURS"), ran
    assert "without sudo" in used.rawr_install("deactivate").err
    assert used.tree() == before


def test_the_users_own_links_are_followed(used: Machine) -> None:
    elsewhere = used.folder / "elsewhere"
    state_dir(used).rename(elsewhere)
    state_dir(used).symlink_to(elsewhere)
    (elsewhere / "history.json").rename(used.folder / "history")
    (elsewhere / "history.json").symlink_to(used.folder / "history")
    assert used.rawr_install("activate", used.workspace("b")).code == 0
    assert (elsewhere / "history.json").is_symlink()
    assert len(used.rawr_install("history", "--json").json["data"]["records"]) == 2


@pytest.mark.parametrize("command", ["deactivate", "uninstall"])
def test_a_linked_owner_file_is_written_through_and_is_never_left_dangling(used: Machine, command: str) -> None:
    dotfile = used.folder / "dotfile"
    used.owner_file.rename(dotfile)
    used.owner_file.symlink_to(dotfile)
    b = used.workspace("b")
    assert used.rawr_install("activate", b).code == 0
    assert used.owner_file.is_symlink() and dotfile.read_text() == f"{b}\n"
    assert used.rawr_install(command, "--yes").code == 0
    assert not os.path.lexists(used.owner_file) and dotfile.read_text() == f"{b}\n"
    assert used.rawr_install("rollback").code == 0
    assert used.owner_file.is_symlink() and dotfile.read_text() == f"{b}\n"


@pytest.mark.parametrize("link", [os.link, os.symlink], ids=["hard link", "symbolic link"])
@pytest.mark.parametrize("name", ["install.lock", "events.jsonl"])
def test_nothing_is_written_through_the_lock_or_the_event_log(
    used: Machine, name: str, link: Callable[[Path, Path], None]
) -> None:
    victim = used.folder / "victim"
    victim.write_text("mine")
    (state_dir(used) / name).unlink(missing_ok=True)
    link(victim, state_dir(used) / name)
    if name == "events.jsonl" and link is os.symlink:
        if os.geteuid() != 0:
            pytest.skip("only root can give a link to a second user")
        os.chown(state_dir(used) / name, THEM, THEM, follow_symlinks=False)
    used.rawr_install("deactivate", env={"RAWR_EVENTS": "on"})
    assert victim.read_text() == "mine" and victim.stat().st_mode & 0o777 == 0o644


@root_only
@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_refresh_remembers_nothing_where_a_link_of_theirs_leads(used: Machine) -> None:
    root, victim, link = used.folder / "a", used.folder / "victim", used.folder / "link"
    identity = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for words in (("init", "-q"), ("add", "package.json"), ("commit", "-qm", "first")):
        assert used.run(str(shutil.which("git")), *words, cwd=root, env=identity).code == 0
    victim.mkdir()
    link.symlink_to(victim)
    os.chown(link, THEM, THEM, follow_symlinks=False)
    for hook in ((), ("--hook", "post-merge", "HEAD", "HEAD")):
        used.rawr_install("refresh", *hook, cwd=root, env={"XDG_STATE_HOME": str(link)})
        assert not any(victim.iterdir()), hook


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_each_folder_that_is_made_gets_its_own_mode(machine: Machine, umask: int) -> None:
    root = machine.workspace("a")
    make_linkable(root, "one")
    machine.env["PATH"] = f"{machine.bun_bin}:{machine.env['PATH']}"
    old = os.umask(umask)
    try:
        for words in (("activate", root), ("plugins", "status", "--repair", "--workspace", root)):
            ran = machine.run(sys.executable, "-m", "rawr_install", *words)
            assert ran.code == 0, ran
    finally:
        os.umask(old)
    for path in machine.home.rglob("*"):
        assert path.is_symlink() or not path.stat().st_mode & 0o022, path
    assert state_dir(machine).stat().st_mode & 0o777 == 0o700


def test_a_lock_and_a_folder_that_others_could_open_are_tightened_at_the_next_change(used: Machine) -> None:
    state_dir(used).chmod(0o755)
    (state_dir(used) / "install.lock").chmod(0o644)
    assert used.rawr_install("deactivate").code == 0
    modes = [path.stat().st_mode & 0o777 for path in (state_dir(used), state_dir(used) / "install.lock")]
    assert modes == [0o700, 0o600]


@pytest.fixture
def held(used: Machine) -> Iterator[Machine]:
    """The lock is held by a process that did not sign, over the signature of one that is long gone."""
    with open(state_dir(used) / "install.lock", "r+") as lock:
        lock.write('{"pid": 999999999, "command": "activate", "since": "2026-01-01T00:00:00.000Z"}\n')
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield used


def test_the_message_names_who_holds_the_lock_and_not_who_is_long_gone(held: Machine) -> None:
    ran: Ran = held.rawr_install("deactivate", "--wait", "0.1", "--json")
    error = ran.json["error"]
    assert error["code"] == "MACHINE_BUSY" and "999999999" not in error["message"]
    if Path("/proc/locks").exists():
        assert error["details"]["holder"] == {"pid": os.getpid()}


@root_only
def test_a_lock_of_another_users_is_refused() -> None:
    with TemporaryDirectory() as folder:
        lock = Path(folder) / "install.lock"
        lock.touch()
        os.chown(lock, THEM, THEM)
        from rawr_install.errors import RefusedError
        from rawr_install.machine.lock import locked

        with pytest.raises(RefusedError, match="not a regular file of yours") as refused, locked(str(lock), "x"):
            pass
        assert refused.value.code == "STATE_DIR_NOT_YOURS"
