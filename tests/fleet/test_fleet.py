"""Fifty hosts: a roll-out that is killed, goes on, changes nothing any more, and meets broken machines."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fleet.hosts import Team, run

pytestmark = pytest.mark.full
DOWN, FULL, READ_ONLY, FOREIGN, BROKEN = "host44", "host45", "host46", "host47", "host48"
FAULTY = (DOWN, FULL, READ_ONLY, FOREIGN, BROKEN)


@pytest.fixture
def fifty(ansible: Path, team: Callable[..., Team]) -> Team:
    if ansible != Path(sys.executable).parent:
        pytest.skip("minutes: fifty hosts meet the newest ansible-core only")
    made = team(50)
    if not made.ssh:
        pytest.skip("needs root, useradd and sshd")
    # On the hosts' PATH, so the role takes it: fifty venvs made by pip take minutes.
    (made.programs / "uv").write_bytes((Path(sys.executable).parent / "uv").read_bytes())
    (made.programs / "uv").chmod(0o755)
    return made


def mount(team: Team, host: str, *options: str) -> None:
    """Put a mount over the host's home; it goes with the team."""
    run("mount", *options, team.homes[host])


def fill(team: Team, host: str) -> None:
    """The host's home becomes a small disk of its own with nothing left on it."""
    home = team.homes[host]
    kept = team.folder / "kept"
    run("cp", "-a", home, kept)
    mount(team, host, "-t", "tmpfs", "-o", "size=64m,mode=755", "tmpfs")
    run("cp", "-a", f"{kept}/.", home)
    run("sh", "-c", f"cat /dev/zero > {home}/full", check=False)


def test_fifty_hosts(fifty: Team, repository: Callable[[Team], str], wheelhouse: Path) -> None:
    asked = {"rawr_package": str(wheelhouse), "rawr_workspace": "~/ws", "rawr_workspace_repo": repository(fifty)}
    asked |= {"rawr_activate": True}

    killed = fifty.start("rollout", **asked)
    end = time.monotonic() + 400
    while sum(each["task"].startswith("Put the entry") for each in fifty.played()) < 9 and time.monotonic() < end:
        time.sleep(0.2)
    assert killed.poll() is None
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait(10)

    on = fifty.play("rollout", **asked)
    assert on.code == 0, on.screen[-5000:]
    assert fifty.report()["counts"]["healthy"] + fifty.report()["counts"]["warned"] == 50
    for host in fifty.hosts:
        assert fifty.at(host, "cd ~/ws && rawr x") == "workspace ws\nargument x\n"
        assert len(history(fifty, host)) == 1

    again = fifty.play("rollout", **asked)
    for host in fifty.hosts:
        assert again.changed(host) == []
        assert len(again.of(host, "ok")) == 4  # find, workspace, entry, doctor: a task for each step

    broken_machines(fifty, asked)


def history(team: Team, host: str) -> list[object]:
    return list(json.loads(team.at(host, "rawr-install history --json"))["data"]["records"])


def broken_machines(fifty: Team, asked: dict[str, object]) -> None:
    """A change of the owner everywhere, with five broken machines in the last batch; then they are mended."""
    for host in fifty.hosts:
        fifty.workspace(host, "other", **({"cli": None} if host == BROKEN else {}))
    fill(fifty, FULL)
    mount(fifty, READ_ONLY, "--bind", str(fifty.homes[READ_ONLY]))
    run("mount", "-o", "remount,bind,ro", fifty.homes[READ_ONLY])
    foreign = fifty.homes[FOREIGN] / ".local/bin/rawr"
    ours = foreign.readlink()
    foreign.unlink()
    foreign.write_text("#!/bin/sh\necho a foreign rawr\n")
    foreign.chmod(0o755)
    fifty.give(FOREIGN, foreign)
    fifty.write_inventory(down=DOWN)
    different = {**asked, "rawr_workspace": "~/other", "rawr_workspace_repo": ""}
    done = fifty.play("rollout", **different)
    assert done.code != 0
    rows = fifty.report()["hosts"]
    for host in fifty.hosts:
        owner = "ws" if host in FAULTY else "other"
        assert fifty.at(host, "cat ~/.rawr/global-rawr-owner-path") == f"{fifty.homes[host]}/{owner}\n", rows[host]
        if host not in FAULTY:
            assert rows[host]["verdict"] in ("healthy", "warned"), rows[host]
    assert {host: (rows[host]["verdict"], rows[host]["code"]) for host in FAULTY} == {
        DOWN: ("unreachable", None),
        FULL: ("failed", "DISK_FULL"),
        READ_ONLY: ("failed", "READ_ONLY_FILE_SYSTEM"),
        FOREIGN: ("failed", "FOREIGN_ENTRY"),
        BROKEN: ("failed", "WORKSPACE_CLI_MISSING"),
    }
    assert foreign.read_text().endswith("echo a foreign rawr\n")

    told = fifty.play("report")
    assert told.code == 4  # what ansible-playbook says where a host does not answer
    rows = fifty.report()["hosts"]
    assert (rows[DOWN]["verdict"], rows[FOREIGN]["verdict"]) == ("unreachable", "unhealthy")
    assert all(rows[host]["asked"] for host in fifty.hosts if host != DOWN)

    foreign.unlink()
    foreign.symlink_to(ours)
    (fifty.homes[FULL] / "full").unlink()
    run("mount", "-o", "remount,bind,rw", fifty.homes[READ_ONLY])
    shutil.rmtree(fifty.homes[BROKEN] / "other")
    fifty.workspace(BROKEN, "other")
    fifty.write_inventory()
    mended = fifty.play("rollout", "--limit", ",".join(FAULTY), **different)
    assert mended.code == 0, mended.screen[-5000:]
    for host in FAULTY:
        assert fifty.at(host, "cat ~/.rawr/global-rawr-owner-path") == f"{fifty.homes[host]}/other\n"
