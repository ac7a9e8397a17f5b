"""No change for another user's workspace, and none through another user's links: real second users, real links."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.conftest import CLI_SCRIPT, Machine, Ran
from tests.support import forked
from tests.support.plugins import make_plugin

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to a second user")
THEM = 12345
CORRUPT = '{"version":1,"plug'
CHANGES = (
    ("state", "enable", "x"),
    ("state", "disable", "x"),
    ("state", "recover"),
    ("state", "unlock"),
    ("plugins", "web", "enable", "one", "--force"),
    ("plugins", "web", "enable", "all", "--force"),
    ("plugins", "web", "disable", "one"),
)
FIX = ("doctor", "global", "--fix")


@pytest.fixture(params=[0, 65534], ids=["root", "an ordinary user"])
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A machine of ``me``, who is another user than the one who gave the links."""
    # Not tmp_path: pytest's folders let nobody else in.
    with TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Somebody(Path(os.path.realpath(folder)), request.param)


class Somebody(Machine):
    def __init__(self, folder: Path, user: int) -> None:
        super().__init__(folder)
        self.user = user
        self.victim = self.home / ".bashrc"
        self.victim.write_text(CORRUPT)
        self.env["RAWR_EVENTS"] = "off"
        self.ws = self.workspace("ws", cli=CLI_SCRIPT)
        make_plugin(self.ws, "web", "one", exports={"./web": "./w.ts"})
        self.state = self.ws / ".rawr/state/state.json"
        self.state.parent.mkdir(parents=True)
        self.give(self.user, self.folder)

    def rawr_install(self, *words: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Ran:
        return Ran(*forked.run(words, cwd or self.folder, {**self.env, **(env or {})}, self.user))

    def give(self, user: int, *paths: Path) -> None:
        subprocess.run(["chown", "-hR", f"{user}:{user}", *map(str, paths)], check=True)

    def trust(self) -> None:
        self.owner_file.parent.mkdir(exist_ok=True)
        (self.home / ".rawr/trusted-workspaces").write_text(f"{self.ws}\n")
        self.give(self.user, self.owner_file.parent)

    def refuses(self, code: str, *words: str, cwd: Path | None = None) -> None:
        """The command is refused with ``code`` and leaves everything as it was."""
        before = self.tree()
        ran = self.rawr_install(*words, "--json", cwd=cwd or self.ws)
        assert (ran.code, ran.json["error"]["code"]) == (1, code), ran
        assert self.tree() == before


def state_links_to_the_victim(machine: Somebody) -> None:
    machine.state.symlink_to(machine.victim)


def state_links_to_what_is_not_there(machine: Somebody) -> None:
    machine.state.symlink_to(machine.home / ".bash_profile")


def the_folder_links_home(machine: Somebody) -> None:
    machine.state.parent.rmdir()
    machine.state.parent.symlink_to(machine.home)


def its_parent_links_home(machine: Somebody) -> None:
    machine.state.parent.rmdir()
    machine.state.parent.parent.rmdir()
    machine.state.parent.parent.symlink_to(machine.home)


LINKS = (
    state_links_to_the_victim,
    state_links_to_what_is_not_there,
    the_folder_links_home,
    its_parent_links_home,
)


@pytest.mark.parametrize("make", [state_links_to_the_victim, the_folder_links_home])
@pytest.mark.parametrize("words", [*CHANGES, FIX], ids=" ".join)
def test_another_users_workspace_is_refused(
    machine: Somebody, words: tuple[str, ...], make: Callable[[Somebody], None]
) -> None:
    make(machine)
    machine.give(THEM, machine.ws)
    machine.refuses("WORKSPACE_NOT_TRUSTED", *words)


@pytest.mark.parametrize("how", ["another user's", "sticky"])
@pytest.mark.parametrize("words", [*CHANGES, FIX, ("activate",), ("install", "--mode", "bun-symlink")], ids=" ".join)
def test_nothing_is_done_from_a_folder_whose_settings_others_may_have_written(
    machine: Somebody, words: tuple[str, ...], how: str
) -> None:
    here = machine.folder / "here"
    here.mkdir()
    machine.give(machine.user if how == "sticky" else THEM, here)
    if how == "sticky":
        here.chmod(0o1777)
    machine.env["RAWR_WORKSPACE_ROOT"] = str(machine.ws)
    machine.refuses("CWD_NOT_TRUSTED", *words, cwd=here)
    machine.env["RAWR_TRUSTED_WORKSPACES"] = str(machine.folder)  # a grant covers a current folder inside it
    granted = machine.rawr_install(*words, "--json", cwd=here)
    assert granted.code == 0 or granted.json["error"]["code"] != "CWD_NOT_TRUSTED"


@pytest.mark.parametrize("words", CHANGES, ids=" ".join)
def test_another_users_link_is_refused_though_the_workspace_is_trusted(
    machine: Somebody, words: tuple[str, ...]
) -> None:
    state_links_to_the_victim(machine)
    machine.give(THEM, machine.ws)
    machine.trust()
    machine.refuses("STATE_NOT_YOURS", *words)


@pytest.mark.parametrize("make", LINKS)
def test_another_users_link_in_ones_own_workspace_is_refused(
    machine: Somebody, make: Callable[[Somebody], None]
) -> None:
    make(machine)
    for link in (machine.state, machine.state.parent, machine.state.parent.parent):
        if link.is_symlink():
            os.lchown(link, THEM, THEM)
            break
    machine.refuses("STATE_NOT_YOURS", "state", "enable", "x")


def test_ones_own_link_to_anothers_file_is_refused(machine: Somebody) -> None:
    state_links_to_the_victim(machine)
    os.lchown(machine.state, machine.user, machine.user)
    os.chown(machine.victim, THEM, THEM)
    machine.refuses("STATE_NOT_YOURS", "state", "recover")


def test_ones_own_link_to_ones_own_file_is_written_through(machine: Somebody) -> None:
    target = machine.home / "dotfiles.json"
    target.write_text('{"version":1,"plugins":{"enabled":[]}}')
    machine.state.symlink_to(target)
    machine.give(machine.user, machine.folder)
    assert machine.rawr_install("state", "enable", "x", cwd=machine.ws).code == 0
    assert json.loads(target.read_text())["plugins"]["enabled"] == ["x"]


def test_a_trusted_workspace_with_plain_files_is_changed(machine: Somebody) -> None:
    machine.give(THEM, machine.ws)
    machine.trust()
    subprocess.run(["chmod", "-R", "a+rwX", str(machine.ws / ".rawr")], check=True)
    assert machine.rawr_install("state", "enable", "x", cwd=machine.ws).code == 0
    assert json.loads(machine.state.read_text())["plugins"]["enabled"] == ["x"]


@pytest.mark.parametrize("words", [("state", "show"), ("plugins", "web", "list"), ("plugins", "web", "status")])
def test_looking_needs_no_trust(machine: Somebody, words: tuple[str, ...]) -> None:
    machine.give(THEM, machine.ws)
    assert machine.rawr_install(*words, cwd=machine.ws).code == 0


def test_ones_own_workspace_needs_no_home(machine: Somebody) -> None:
    del machine.env["HOME"]
    assert machine.rawr_install("state", "enable", "x", cwd=machine.ws).code == 0
