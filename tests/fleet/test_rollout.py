"""The three playbooks on two real hosts: users of this machine, over ssh."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import snapshot
from tests.fleet.hosts import Team

pytestmark = pytest.mark.slow
FIND = "Find each user's toolkit"
CLONE = "Put the workspace there"
ENTRY = "Put the entry in place, with an owner where one is asked for"
FALLBACK = "Allow or forbid the owner's CLI outside workspaces"
DOCTOR = "Ask each user's doctor"
UNDO = "Go back where the doctor is unhealthy after this run's change"


def with_uv(team: Team, host: str) -> None:
    """Give one host's user uv, so that the role finds and takes it."""
    folder = team.homes[host] / ".local/bin"
    folder.mkdir(parents=True)
    (folder / "uv").write_bytes((Path(sys.executable).parent / "uv").read_bytes())
    (folder / "uv").chmod(0o755)
    team.give(host, team.homes[host] / ".local")


def test_a_roll_out_does_what_its_check_says_and_once_is_enough(
    team: Callable[..., Team], repository: Callable[[Team], str], wheelhouse: Path
) -> None:
    two = team(2)
    with_uv(two, "host01")
    asked = {"rawr_package": str(wheelhouse), "rawr_workspace": "~/src/ws", "rawr_workspace_repo": repository(two)}
    first = two.play("rollout", **asked, rawr_activate=True)
    assert first.code == 0, first.screen
    for host, place in (("host00", "rawr-install/venv"), ("host01", "uv/tools/rawr-install")):
        assert place in two.at(host, "readlink -f ~/.local/bin/rawr-install")
        assert two.at(host, "cd ~/src/ws && rawr hello") == "workspace ws\nargument hello\n"
        assert two.at(host, "cat ~/.rawr/global-rawr-owner-path") == f"{two.homes[host]}/src/ws\n"
    assert {row["verdict"] for row in two.report()["rows"]} <= {"healthy", "warned"}, two.report()

    different = {**asked, "rawr_fallback": "enable", "rawr_mode": "bun-symlink", "rawr_activate": True}
    before = snapshot(two.folder / "homes")
    check = two.play(str(two.site), "--check", "--diff", **different)
    assert snapshot(two.folder / "homes") == before
    second = two.play(str(two.site), "--diff", **different)
    assert (check.code, second.code) == (0, 0), check.screen + second.screen
    for host in two.hosts:
        assert check.changed(host) == second.changed(host) == [ENTRY, FALLBACK]
        assert check.diffs(host) == second.diffs(host) != {}

    again = two.play("rollout", **different)
    assert re.findall(r"changed=(\d+)", again.screen) == ["0", "0"], again.screen
    for host in two.hosts:
        assert again.changed(host) == []
        assert [each["task"] for each in again.of(host, "ok")] == [FIND, CLONE, ENTRY, FALLBACK, DOCTOR]

    gone = two.play("remove")
    assert gone.code == 0, gone.screen
    for host in two.hosts:
        left = two.at(host, "cd && find .local .rawr .bun -not -type d -not -path '*/uv*'", check=False)
        assert left == ""


def test_a_canary_whose_doctor_fails_is_rolled_back_and_stops_the_roll_out(
    team: Callable[..., Team], installed: Path
) -> None:
    two = team(2)
    for host in two.hosts:
        two.link(host, installed)
        two.workspace(host, "ws")
    shadow = two.homes["host00"] / "first"
    shadow.mkdir()
    (shadow / "rawr").write_text("#!/bin/sh\necho another rawr\n")
    (shadow / "rawr").chmod(0o755)
    with (two.homes["host00"] / ".profile").open("a") as profile:
        profile.write('PATH="$HOME/first:$PATH"\n')
    done = two.play("rollout", rawr_package="rawr-install", rawr_workspace="~/ws", rawr_activate=True)
    assert done.code != 0
    assert ENTRY in done.changed("host00")
    assert done.changed("host00")[-1] == UNDO
    assert not (two.homes["host00"] / ".rawr/global-rawr-owner-path").exists()
    assert [each for each in done.results if each["host"] == "host01"] == []
    row = two.report()["hosts"]["host00"]
    assert (row["verdict"], row["code"], row["rolledBack"]) == ("unhealthy", "GLOBAL_RAWR_MISCONFIGURED", True)
    assert "path.shadowed" in row["findings"], row
    assert f"{shadow}/rawr (foreign) comes before" in done.screen.rpartition("Stop the roll-out")[2]
    assert two.report()["hosts"]["host01"]["verdict"] == "waiting"

    asked = two.play("rollout", "--tags", "doctor", rawr_package="rawr-install")
    assert asked.code != 0, "whatever tags are asked for, a failure is one"
    assert two.report()["hosts"]["host00"]["rolledBack"] is None
    if two.ssh:
        two.write_inventory(down="host00")
        for playbook in ("rollout", "report"):
            (two.folder / "report.json").unlink()
            done = two.play(playbook, rawr_package="rawr-install")
            assert done.code == 4, done.screen  # what ansible-playbook says where a machine does not answer
            assert two.report()["hosts"]["host00"]["verdict"] == "unreachable"
            assert (playbook == "report") == two.report()["hosts"]["host01"]["asked"]
