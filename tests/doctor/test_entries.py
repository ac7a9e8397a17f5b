"""Every ``rawr`` on PATH: what it is, where it leads, and what is no shadow."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Machine
from tests.support.machines import Lab, link_decides

SHIM = Path(__file__).parents[2] / "shims/rawr"


@pytest.fixture
def lab(machine: Machine) -> Lab:
    return Lab(machine)


def shown(lab: Lab, *fields: str) -> list[tuple[Any, ...]]:
    return [tuple(entry[field] for field in fields) for entry in lab.report()["entries"]]


def test_each_kind_is_told_apart_in_the_order_of_path(lab: Lab) -> None:
    (lab.ws / "apps/cli/package.json").write_text(json.dumps({"version": "3.2.1"}))
    made = {
        lab.home / ".local/share/mise/shims": "version-manager",
        lab.home / ".volta/bin": "version-manager",
        lab.home / ".local/share/pnpm": "pnpm-shim",
        lab.home / "project/node_modules/.bin": "npm-shim",
        lab.home / "foreign": "foreign",
    }
    for folder in made:
        lab.program(folder / "rawr")
    (lab.home / "late").mkdir()
    (lab.home / "late/rawr").symlink_to("nowhere")
    lab.machine.env["PATH"] += "".join(f":{folder}" for folder in (*made, lab.home / "late"))
    assert shown(lab, "path", "kind", "ours", "instance", "version") == [
        (str(lab.machine.entry), "workspace-link", True, str(lab.ws), "3.2.1"),
        *((str(folder / "rawr"), kind, False, None, None) for folder, kind in made.items()),
        (str(lab.home / "late/rawr"), "dangling", False, None, None),
    ]


@pytest.mark.parametrize(("place", "installer"), [("pipx/venvs/rawr-install", "pipx"), ("uv/tools/rawr-install", "uv")])
def test_a_link_of_pipx_or_uv_is_our_shell_entry_with_its_version(lab: Lab, place: str, installer: str) -> None:
    environment = lab.home / ".local/share" / place
    (environment / "lib/python3.12/site-packages/rawr_install-9.8.7.dist-info").mkdir(parents=True)
    (environment / "bin").mkdir()
    shutil.copy(SHIM, environment / "bin/rawr")
    lab.program(environment / "bin/rawr-install")
    folder = lab.first_on_path(lab.home / ".local/bin")
    for name in ("rawr", "rawr-install"):
        (folder / name).symlink_to(environment / "bin" / name)
    assert shown(lab, "path", "kind", "installer", "version")[0] == (str(folder / "rawr"), "shim", installer, "9.8.7")
    assert lab.found() == {"path.two-installs": "info"}


def test_one_real_file_is_one_entry_however_many_names_lead_to_it(lab: Lab) -> None:
    (lab.home / "alias").symlink_to(lab.machine.bun_bin)
    (lab.home / "bin").mkdir()
    (lab.home / "bin/rawr").symlink_to(lab.cli)
    lab.machine.env["PATH"] += f":{lab.machine.bun_bin}:{lab.home}/alias:{lab.home}/bin:{lab.machine.bun_bin}/"
    [(path, also)] = shown(lab, "path", "alsoAt")
    assert path == str(lab.machine.entry)
    assert also == [f"{lab.home}/alias/rawr", f"{lab.home}/bin/rawr", f"{lab.machine.bun_bin}/rawr"]
    assert lab.found() == {}


def test_a_version_managers_shim_that_leads_to_us_is_ours(lab: Lab) -> None:
    shims = lab.first_on_path(lab.home / ".local/share/mise/shims")
    (shims / "rawr").symlink_to(lab.cli)
    assert shown(lab, "kind", "ours") == [("workspace-link", True)]
    assert lab.found() == {}
    (shims / "rawr").unlink()
    (shims / "rawr").symlink_to(SHIM)
    assert lab.found() == {"path.two-installs": "info"}


def test_the_instance_has_one_name_however_one_came_to_it(lab: Lab) -> None:
    (lab.home / "alias").symlink_to(lab.ws)
    lab.cwd = lab.home
    for words in (("--workspace", "alias"), ("--workspace", f"{lab.home}/alias/"), ("--workspace", "../ws")):
        report = lab.report(*words)
        assert (report["currentInstanceRoot"], report["currentInstanceRootReal"]) == (str(lab.ws), str(lab.ws))
        assert {each["id"]: each["status"] for each in report["findings"]} == link_decides(report)


def test_outside_every_workspace_the_owner_is_judged(lab: Lab) -> None:
    lab.cwd = lab.home
    assert lab.report()["currentInstanceRoot"] == str(lab.ws)
    alike = lab.home / "javascript"
    (alike / "plugins").mkdir(parents=True)
    (alike / "package.json").write_text("{}")
    lab.cwd = alike
    assert lab.report()["currentInstanceRoot"] == str(lab.ws)
    lab.machine.owner_file.unlink()
    report = lab.report()
    assert report["currentInstanceRoot"] == str(alike)
    assert "workspace.cli-missing" in {each["id"] for each in report["findings"]}
