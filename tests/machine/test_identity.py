"""One folder with two real paths: one instance for ownership and the doctor, two places for trust."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import LINK, Machine, Ran

WITHIN = ("unshare", "--mount", *(["--user", "--map-root-user"] if os.geteuid() != 0 else []))


class Bound:
    """A machine with the workspace ``ws``, which is seen at ``other/ws`` as well."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.first = machine.workspace("ws")
        self.second = machine.folder / "other/ws"
        self.second.mkdir(parents=True)
        if not shutil.which("unshare") or self.at(self.first, "true").code != 0:
            pytest.skip("a bind mount needs unshare (util-linux) and the right to mount")

    def at(self, folder: Path, *argv: str | Path) -> Ran:
        """Run a program in ``folder``, by that name, where the second one is mounted."""
        script = f'mount --bind "{self.first}" "{self.second}" && cd "{folder}" && exec "$@"'
        return self.machine.run(*WITHIN, "sh", "-c", script, "sh", *argv)

    def rawr_install(self, folder: Path, *words: str | Path) -> Ran:
        return self.at(folder, sys.executable, "-m", "rawr_install", *words)


@pytest.fixture
def bound(machine: Machine) -> Bound:
    return Bound(machine)


@pytest.mark.parametrize("mode", [LINK, ("--mode", "shim")], ids=["link", "shim"])
def test_both_names_are_one_owner_and_one_entry(bound: Bound, mode: tuple[str, ...]) -> None:
    assert bound.rawr_install(bound.first, "activate", *mode).code == 0
    before = bound.machine.owner_file.read_bytes()
    for words in (("activate", *mode), ("install", *mode)):
        done = bound.rawr_install(bound.second, *words, "--json")
        assert (done.code, done.json["data"]["changed"]) == (0, False), done.out
    assert bound.machine.owner_file.read_bytes() == before == f"{bound.first}\n".encode()
    report = bound.rawr_install(bound.second, "doctor", "global", "--json")
    data = report.json["data"]
    assert (report.code, data["currentInstanceRoot"]) == (0, str(bound.second))
    assert data["ownerMatchesCurrentInstanceByRealpath"] is True
    assert data["aliasInstanceSeamStatus"] == "owner-current-instance"
    assert not [finding for finding in data["findings"] if finding["status"] in ("warn", "fail")]


def test_refresh_acts_under_either_name(bound: Bound) -> None:
    for words in (("init", "-q"), ("add", "-A"), ("-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "x")):
        subprocess.run(["git", *words], cwd=bound.first, check=True)
    assert bound.rawr_install(bound.first, "activate").code == 0
    for folder in (bound.second, bound.second / "apps/cli"):
        assert bound.rawr_install(folder, "refresh", "--json").json["data"]["reason"] == "refreshed"
    assert bound.machine.owner_file.read_text() == f"{bound.first}\n"


def test_a_hard_link_to_the_cli_makes_no_second_name(bound: Bound) -> None:
    twin = bound.machine.workspace("twin", cli=None)
    os.link(bound.first / "apps/cli/bin/run.js", twin / "apps/cli/bin/run.js")
    assert bound.rawr_install(bound.first, "activate", *LINK).code == 0
    report = bound.rawr_install(twin, "doctor", "global", "--json").json["error"]["details"]
    assert report["ownerMatchesCurrentInstanceByRealpath"] is False
    assert "entry.other-instance" in [finding["id"] for finding in report["findings"]]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_trust_in_one_name_is_none_in_the_other(bound: Bound) -> None:
    subprocess.run(["chown", "-R", "12345", bound.first], check=True)
    policy = bound.machine.owner_file.parent
    policy.mkdir(mode=0o700)
    (policy / "trusted-workspaces").write_text(f"{bound.first}\n")
    shim = Path(__file__).parents[2] / "shims/rawr"
    assert bound.at(bound.first, shim, "hello").out == "workspace ws\nargument hello\n"
    refused = bound.at(bound.second, sys.executable, "-m", "rawr_install", "dispatch", "hello")
    assert refused.code == 126 and "[WORKSPACE_NOT_TRUSTED]" in refused.err
    assert bound.at(bound.second, shim, "hello").code == 126
    assert bound.rawr_install(bound.second, "activate", "--json").json["error"]["code"] == "WORKSPACE_NOT_TRUSTED"
