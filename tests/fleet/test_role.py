"""The role and its modules beyond the roll-out: several users, tags, codes, one wheel, homes without ssh."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import make_workspace, snapshot
from tests.fleet.hosts import Team, run

pytestmark = pytest.mark.slow
TRUST = "Trust other users' workspaces"
ENTRY = "Put the entry in place, with an owner where one is asked for"


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder of root's, above which nobody else can write."""
    folder = Path(tempfile.mkdtemp(prefix="rawr-fleet-", dir="/opt"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.full
def test_one_host_s_users_are_each_set_up_as_themselves(
    team: Callable[..., Team], installed: Path, shared: Path
) -> None:
    two = team(2)
    if not two.ssh:
        pytest.skip("needs root and useradd")
    for host in two.hosts:
        two.link(host, installed)
    workspace = make_workspace(shared / "ws")
    run("chown", "-R", "nobody:", workspace)
    become = "ansible_become_method=su ansible_python_interpreter=/usr/bin/python3"
    two.inventory.write_text(f"shared ansible_connection=local {become}\n")
    asked: dict[str, object] = {"rawr_package": "rawr-install", "rawr_users": list(two.users.values())}
    asked |= {"rawr_workspace": str(workspace), "rawr_activate": True, "rawr_trust": [str(workspace)]}
    check = two.play(str(two.site), "--check", "--diff", **asked)
    done = two.play(str(two.site), "--diff", **asked)
    assert (check.code, done.code) == (0, 0), check.screen + done.screen
    assert check.changed("shared") == done.changed("shared") == [TRUST, ENTRY]
    assert check.diffs("shared") == done.diffs("shared")
    for host, home in two.homes.items():
        assert two.at(host, "cat ~/.rawr/global-rawr-owner-path") == f"{workspace}\n"
        assert two.at(host, "cat ~/.rawr/trusted-workspaces") == f"{workspace}\n"
        assert {path.stat().st_uid for path in (home / ".rawr").iterdir()} == {home.stat().st_uid}
    doctor = two.play(str(two.site), "--tags", "doctor", **asked)
    assert [each["task"] for each in doctor.of("shared", "ok")] == [
        "Find each user's toolkit",
        "Ask each user's doctor",
    ]
    assert len(doctor.of("shared", "ok")[-1]["results"]) == 2


def test_a_command_s_failure_is_the_toolkit_s_and_its_plan_writes_nothing(
    module: Callable[..., dict[str, Any]], home: Path, programs: Path, installed: Path
) -> None:
    (programs / "rawr-install").symlink_to(installed / "bin/rawr-install")
    (programs / "rawr").symlink_to(installed / "bin/rawr")
    for name in ("one", "two"):
        make_workspace(home / name)
    told = module("rawr_install", argv=["activate", "~/nowhere"])
    assert (told["failed"], told["code"]) == (True, "NOT_A_WORKSPACE")
    assert module("rawr_install", argv=["activate", "--nonsense"])["code"] == "USAGE"

    before = snapshot(home)
    plan = module("rawr_install", check=True, argv=["activate", "~/one"])
    assert plan["changed"] is True
    assert snapshot(home) == before
    assert module("rawr_install", argv=["activate", "~/one"])["diff"] == plan["diff"]
    for check in (True, False):
        assert module("rawr_install", check=check, argv=["activate", "~/one"])["changed"] is False


def test_only_the_newest_change_is_rolled_back(
    module: Callable[..., dict[str, Any]], home: Path, programs: Path, installed: Path
) -> None:
    (programs / "rawr-install").symlink_to(installed / "bin/rawr-install")
    owner = home / ".rawr/global-rawr-owner-path"
    changes = []
    for name in ("one", "two"):
        make_workspace(home / name)
        changes.append(module("rawr_install", argv=["activate", f"~/{name}"])["change"])
    left = module("rawr_install", argv=["rollback"], newest=changes[0])
    assert (left["changed"], left["left"]) == (False, True)
    assert owner.read_text() == f"{home}/two\n"
    assert module("rawr_install", argv=["rollback"], newest=changes[1])["changed"] is True
    assert owner.read_text() == f"{home}/one\n"


@pytest.mark.full
def test_homes_without_ssh_get_one_wheel_and_what_it_needs_from_an_index(
    team: Callable[..., Team], wheelhouse: Path
) -> None:
    two = team(2, ssh=False)
    two.exports = f"PIP_NO_INDEX=1 PIP_FIND_LINKS={wheelhouse}"
    two.write_inventory()
    (wheel,) = wheelhouse.glob("rawr_install-*.whl")
    for host in two.hosts:
        two.workspace(host, "ws")
    asked = {"rawr_package": str(wheel), "rawr_workspace": "~/ws", "rawr_activate": True}
    check = two.play("rollout", "--check", **asked)
    assert check.code == 0, check.screen
    assert check.changed("host00") == ["Install the toolkit"]
    done = two.play("rollout", **asked)
    assert done.code == 0, done.screen
    for host in two.hosts:
        assert two.at(host, "cd ~/ws && rawr hello") == "workspace ws\nargument hello\n"
    assert two.play(str(two.site), rawr_state="absent", **asked).changed("host01") == [
        "Remove what the toolkit put there",
        "Remove the toolkit",
    ]
    assert two.play(str(two.site), rawr_state="absent", **asked).changed("host01") == []
