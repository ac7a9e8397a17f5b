"""From one version to another and back: what a user has stays, and what runs goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import Machine, make_workspace
from tests.packaging.conftest import NEXT, THIS, Releases
from tests.packaging.managers import MANAGERS, Manager, offer

pytestmark = pytest.mark.slow

HOLD = """
import sys
from rawr_install import mutate_repo_state_atomically

def change(state):
    print("inside", flush=True)
    sys.stdin.readline()
    return {**state, "plugins": {**state["plugins"], "enabled": [*state["plugins"]["enabled"], "@x/held"]}}

print(mutate_repo_state_atomically(sys.argv[1], change).attempts)
"""


@pytest.fixture(
    params=[pytest.param(name, marks=[pytest.mark.full] * (name not in ("pipx", "uv tool"))) for name in MANAGERS]
)
def manager(request: pytest.FixtureRequest, machine: Machine, index: Path) -> Manager:
    """pip's environments are the slowest to make."""
    return MANAGERS[request.param](machine, index)


@contextmanager
def holding(manager: Manager, workspace: Path) -> Iterator[subprocess.Popen[str]]:
    """A process of the toolkit that is installed now, inside a change of the workspace's state."""
    command = [manager.python, "-P", "-c", HOLD, workspace]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=manager.machine.env, **pipes) as process:  # type: ignore[call-overload]
        try:
            assert process.stdout.readline() == "inside\n"
            yield process
        finally:
            process.kill()


def enabled(workspace: Path) -> list[str]:
    plugins = json.loads((workspace / ".rawr/state/state.json").read_text())["plugins"]
    assert isinstance(plugins["enabled"], list)
    return plugins["enabled"]


def records(manager: Manager) -> dict[str, bytes]:
    """Everything that the toolkit keeps for its user, but for the event log, which grows."""
    home = manager.machine.home
    files = [path for folder in (home / ".rawr", home / ".local/state/rawr") for path in folder.rglob("*")]
    return {str(path.relative_to(home)): path.read_bytes() for path in files if path.suffix in ("", ".json")}


def set_up(manager: Manager, workspace: Path, other: Path) -> None:
    """A user's machine: an owner, an entry, the fallback, a trusted place, a state, some history."""
    for words in (
        ("install", "--mode", "shim", "--bin-dir", manager.machine.home / "own bin"),
        ("activate", workspace, "--force"),
        ("fallback", "enable"),
        ("trust", "add", other),
        ("state", "enable", "@x/early", "--workspace", workspace),
    ):
        manager.must("rawr-install", *words, cwd=workspace)


def test_what_a_user_has_stays_through_an_upgrade_and_back_and_what_runs_goes_on(
    manager: Manager, index: Path, releases: Releases, tmp_path: Path
) -> None:
    workspace, other = make_workspace(tmp_path / "ws"), make_workspace(tmp_path / "other")
    offer(index, releases.first)
    manager.install()
    assert manager.must("rawr-install", "--version") == "rawr-install 0.1.0\n"
    set_up(manager, workspace, other)
    before = records(manager)
    with holding(manager, workspace) as holder:
        offer(index, releases.this)
        manager.upgrade()
        assert manager.must("rawr-install", "--version") == f"rawr-install {THIS}\n"
        assert records(manager) == before
        words = ("state", "enable", "@x/late", "--workspace", workspace, "--timeout", "0.3", "--json")
        busy = manager.run("rawr-install", *words).json["error"]
        assert busy["code"] == "LOCK_TIMEOUT" and str(holder.pid) in busy["message"]
        assert holder.communicate("\n")[0] == "1\n" and holder.returncode == 0
    manager.must("rawr-install", "state", "enable", "@x/late", "--workspace", workspace)
    assert enabled(workspace) == ["@x/early", "@x/held", "@x/late"]
    check_each_by_its_effect(manager, workspace, other)
    manager.must("rawr-install", "activate", other)
    manager.must("rawr-install", "activate", workspace)

    manager.install("rawr-install==0.1.0")
    assert manager.must("rawr-install", "--version") == "rawr-install 0.1.0\n"
    check_each_by_its_effect(manager, workspace, other)
    manager.must("rawr-install", "rollback", "--to", "0")
    assert not manager.machine.owner_file.exists() and not (manager.machine.home / "own bin/rawr").exists()


def check_each_by_its_effect(manager: Manager, workspace: Path, other: Path) -> None:
    """Owner and fallback, the list of trusted places, the event log, the history."""
    assert manager.must("rawr", "hello", cwd=manager.machine.folder) == "workspace ws\nargument hello\n"
    assert str(other) in manager.must("rawr-install", "trust", "list")
    assert '"rawr-install activate"' in manager.must("rawr-install", "events", "--json")
    history = json.loads(manager.must("rawr-install", "history", "--json"))["data"]["records"]
    assert [record["command"] for record in history][:2] == ["install", "activate"]


def test_records_of_a_newer_version_are_refused_and_left_alone(
    manager: Manager, index: Path, releases: Releases, tmp_path: Path
) -> None:
    workspace, other = make_workspace(tmp_path / "ws"), make_workspace(tmp_path / "other")
    offer(index, releases.next)
    manager.install()
    assert manager.must("rawr-install", "--version") == f"rawr-install {NEXT}\n"
    set_up(manager, workspace, other)
    for name in ("history.json", "receipt.json"):
        record = manager.machine.home / ".local/state/rawr" / name
        record.write_text(json.dumps({**json.loads(record.read_text()), "version": 2, "news": {}}))
    before = records(manager)
    offer(index, releases.this)
    manager.install(f"rawr-install=={THIS}")
    for words in (("activate", other, "--force"), ("deactivate",), ("rollback",), ("uninstall", "--yes"), ("history",)):
        refused = manager.run("rawr-install", *words, "--json")
        assert (refused.code, refused.json["error"]["code"]) == (1, "RECORD_NEWER"), words
    assert records(manager) == before
    assert manager.must("rawr", "hello", cwd=workspace) == "workspace ws\nargument hello\n"
    assert manager.must("rawr-install", "state", "enable", "@x/late", "--workspace", workspace)


WRITE = """
import sys
import rawr_install
assert rawr_install.__file__.startswith(sys.argv[1]), rawr_install.__file__
for number in range(int(sys.argv[4])):
    rawr_install.enable_plugin(sys.argv[2], f"@{sys.argv[3]}/{number}")
"""


def test_two_versions_write_one_state_at_once_and_lose_nothing(releases: Releases, tmp_path: Path) -> None:
    workspace, changes = make_workspace(tmp_path / "ws"), 60
    writers, wanted = [], set()
    for name, wheel in (("first", releases.first), ("this", releases.this)):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(tmp_path / name)
        for number in range(3):
            words = [tmp_path / name, workspace, f"{name}-{number}", str(changes)]
            env = {**os.environ, "PYTHONPATH": str(tmp_path / name), "HOME": str(tmp_path)}
            writers.append(subprocess.Popen([sys.executable, "-c", WRITE, *words], cwd=tmp_path, env=env))
            wanted |= {f"@{name}-{number}/{each}" for each in range(changes)}
    assert [writer.wait(120) for writer in writers] == [0] * 6
    assert set(enabled(workspace)) == wanted
