"""The collection as its users get it, built and installed, and teams of hosts to play it on."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import make_workspace
from tests.fleet.hosts import LOGIN, PROJECT, Team, free_port, run
from tests.support.toolkit import UV, once

HERE = Path(sys.executable).parent


def can_make_users() -> bool:
    programs = ("useradd", "userdel", "sshd", "su")
    return os.geteuid() == 0 and all(shutil.which(name, path="/usr/sbin:/usr/bin") for name in programs)


@pytest.fixture(scope="session", params=["newest", pytest.param("oldest", marks=pytest.mark.full)])
def ansible(request: pytest.FixtureRequest, common: Path) -> Path:
    """The folder of ansible-core's programs: those beside this Python, and the lowest version that is promised."""
    if not (HERE / "ansible-playbook").exists():
        pytest.skip("needs ansible-core: pip install -e '.[fleet]'")
    if request.param == "newest":
        return HERE
    (oldest,) = re.findall(r">=([\d.]+)", (PROJECT / "fleet/meta/runtime.yml").read_text())
    venv = common / "oldest-ansible"  # not the folder that is renamed: its scripts name it

    def install(done: Path) -> None:
        run(*UV, "venv", "--python", sys.executable, venv)
        run(*UV, "pip", "install", "--python", venv / "bin/python", f"ansible-core=={oldest}")
        done.mkdir()

    once(common / "oldest", install)
    return venv / "bin"


@pytest.fixture(scope="session")
def collections(ansible: Path, common: Path) -> Path:
    """The collection, built and installed as a user would, without a network."""

    def install(folder: Path) -> None:
        galaxy, quiet = ansible / "ansible-galaxy", {"env": {**os.environ, "HOME": str(common)}}
        run(galaxy, "collection", "build", PROJECT / "fleet", "--output-path", folder, **quiet)
        (built,) = folder.glob("rawr-toolkit-*.tar.gz")
        run(galaxy, "collection", "install", "--offline", "-p", folder, built, **quiet)

    return once(common / f"collections-{'newest' if ansible == HERE else 'oldest'}", install)


@pytest.fixture(scope="session")
def wheelhouse(common: Path, wheel: Path) -> Path:
    """The project's wheel and those that it depends on: what a host without an index is given."""
    pip = (sys.executable, "-m", "pip", "download", "-q", "--only-binary", ":all:")
    return once(common / "wheelhouse", lambda folder: run(*pip, "-d", folder, wheel))


@pytest.fixture(scope="session")
def installed(wheelhouse: Path) -> Iterator[Path]:
    """An environment with the toolkit, where every user may read it."""
    folder = Path(tempfile.mkdtemp(prefix="rawr-fleet-", dir="/tmp"))
    folder.chmod(0o755)
    run(*UV, "venv", "--python", "/usr/bin/python3", folder / "venv")
    options = ("--no-index", "--find-links", wheelhouse, "--python", folder / "venv/bin/python")
    run(*UV, "pip", "install", *options, "rawr-install")
    yield folder / "venv"
    shutil.rmtree(folder)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.profile").write_text(LOGIN)
    return tmp_path / "home"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """What the host has on its PATH before the system's own."""
    (tmp_path / "programs").mkdir()
    return tmp_path / "programs"


@pytest.fixture
def module(ansible: Path, collections: Path, home: Path, programs: Path) -> Callable[..., dict[str, Any]]:
    """Run a module as Ansible does on a host; ``path`` is the host's PATH after ``programs``, ``check`` the mode."""

    def play(name: str, path: str = "/usr/bin:/bin", check: bool = False, **arguments: Any) -> dict[str, Any]:
        env = {"HOME": str(home), "PATH": f"{programs}:{path}", "PYTHONPATH": str(collections), "LC_ALL": "C.UTF-8"}
        done = run(
            ansible / "python",
            "-m",
            f"ansible_collections.rawr.toolkit.plugins.modules.{name}",
            check=False,
            stdin=None,
            input=json.dumps({"ANSIBLE_MODULE_ARGS": {**arguments, "_ansible_check_mode": check}}),
            env=env,
        )
        assert done.stdout, done.stderr
        return dict(json.loads(done.stdout))

    return play


@pytest.fixture
def team(ansible: Path, collections: Path) -> Iterator[Callable[..., Team]]:
    """``team(number)``: hosts over ssh, or with ``ssh=False`` (and where no users can be made) homes alone."""
    made: list[Team] = []

    def make(number: int, ssh: bool = can_make_users()) -> Team:
        made.append(Team(number, ansible, collections, ssh))
        made[-1].open()
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Callable[[Team], str]]:
    """``repository(team)``: the URL of a workspace's git repository, served to the team's users."""

    def serve(team: Team) -> str:
        source = make_workspace(team.folder / "repositories/ws")
        (source / "plugins/.keep").write_text("")
        git = ("git", "-C", source, "-c", "user.name=t", "-c", "user.email=t@example.invalid")
        run(*git, "init", "-q", "-b", "main")
        run(*git, "add", ".")
        run(*git, "commit", "-q", "-m", "A workspace")
        port = free_port()
        options = ("--export-all", f"--base-path={source.parent}", "--listen=127.0.0.1", f"--port={port}")
        team.serve("git", "daemon", "--reuseaddr", *options, source.parent, port=port)
        return f"git://127.0.0.1:{port}/ws"

    return serve
