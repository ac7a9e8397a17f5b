"""The collection as a thing that is built, installed and read about."""

from __future__ import annotations

import json
import os
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.hosts import PROJECT, run

pytestmark = pytest.mark.slow
PAGE = PROJECT / "docs/team.md"


def described(ansible: Path, collections: Path, home: Path) -> dict[str, Any]:
    """The role's variables, as Ansible's own help has them."""
    env = {
        "HOME": str(home),
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
    }
    told = run(ansible / "ansible-doc", "-t", "role", "--json", "rawr.toolkit.rawr", env=env).stdout
    return dict(json.loads(told)["rawr.toolkit.rawr"]["entry_points"]["main"]["options"])


def test_the_page_the_help_and_the_defaults_name_the_same_variables(
    ansible: Path, collections: Path, tmp_path: Path
) -> None:
    import yaml  # ansible-core's

    options = described(ansible, collections, tmp_path)
    defaults = yaml.safe_load((PROJECT / "fleet/roles/rawr/defaults/main.yml").read_text())
    assert {name: option.get("default") for name, option in options.items()} == {"rawr_package": None, **defaults}
    assert set(re.findall(r"^\| `(rawr_\w+)`", PAGE.read_text(), re.MULTILINE)) == set(options)


def test_the_inventory_on_the_page_is_one(ansible: Path, collections: Path, tmp_path: Path) -> None:
    (tmp_path / "inventory.ini").write_text(re.findall(r"```ini\n(.*?)```", PAGE.read_text(), re.DOTALL)[0])
    env = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    told = run(ansible / "ansible-inventory", "-i", tmp_path / "inventory.ini", "--list", env=env).stdout
    known = json.loads(told)["_meta"]["hostvars"]
    assert len(known) == 3
    assert known["ci-01.example.com"]["rawr_users"] == ["runner"]
    asked = {name for host in known.values() for name in host if name.startswith("rawr_")}
    assert asked <= set(described(ansible, collections, tmp_path))


def test_it_installs_from_the_repository(ansible: Path, tmp_path: Path) -> None:
    if not (PROJECT / ".git").exists():
        pytest.skip("needs a checkout")
    run("git", "clone", "-q", PROJECT, tmp_path / "clone")
    env = {**os.environ, "HOME": str(tmp_path)}
    where = f"git+file://{tmp_path}/clone#/fleet/"
    run(ansible / "ansible-galaxy", "collection", "install", "-p", tmp_path / "installed", where, env=env)
    installed = tmp_path / "installed/ansible_collections/rawr/toolkit"
    assert (installed / "roles/rawr/tasks/main.yml").exists()


def test_the_wheel_has_nothing_of_it(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.startswith("rawr_install/") for name in names)
    assert not [name for name in names if "fleet" in name or name.endswith((".yml", ".j2"))]
