"""A toolkit that lies in a cache installs nothing, and says how to install it where it stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from rawr_install.machine.origin import install_command, is_cached, reinstall
from tests.conftest import PROJECT, Machine

GIT = {"url": "https://example.org/x.git", "vcs_info": {"vcs": "git", "commit_id": "a1b2", "requested_revision": "v1"}}
PIN = {"url": "https://example.org/x.git", "vcs_info": {"vcs": "git", "commit_id": "a1b2"}}
HERE = PROJECT.as_uri()


@pytest.mark.parametrize(
    ("direct_url", "source"),
    [
        (GIT, ("git+https://example.org/x.git@v1",)),
        (PIN, ("git+https://example.org/x.git@a1b2",)),
        ({"url": "https://example.org/x.whl", "archive_info": {}}, ("https://example.org/x.whl",)),
        ({"url": HERE, "dir_info": {}}, (str(PROJECT),)),
        ({"url": HERE, "dir_info": {"editable": True}}, ("--editable", str(PROJECT))),
        ({"url": "file:///no/such.whl", "archive_info": {}}, None),
        ({}, None),
        ([], None),
        ({"url": 1, "vcs_info": "x"}, None),
    ],
)
def test_the_command_names_the_source_that_was_recorded(direct_url: object, source: tuple[str, ...] | None) -> None:
    text = json.dumps(direct_url)
    assert install_command(text, "pipx") == (("pipx", "install", *source) if source else ())
    assert install_command(text, "uv") == (("uv", "tool", "install", *source) if source else ())


def test_without_a_record_there_is_no_command() -> None:
    assert install_command("", "uv") == install_command("{", "pipx") == ()


def test_what_lies_in_a_cache(tmp_path: Path) -> None:
    tagged = tmp_path / "anywhere/of/them"
    tagged.mkdir(parents=True)
    (tmp_path / "anywhere/CACHEDIR.TAG").touch()
    assert is_cached(str(tagged), {}) and is_cached("/home/me/.cache/pipx/1a2b", {})
    assert is_cached("/Users/me/Library/Caches/uv/archive-v0/x", {}) and is_cached("/c/x", {"XDG_CACHE_HOME": "/c"})
    (tmp_path / "CACHEDIR.TAG").touch()
    assert is_cached(str(tmp_path / "venv"), {})
    (tmp_path / "CACHEDIR.TAG").rename(tmp_path / "anywhere/of/CACHEDIR.TAG")  # as uv tags an environment itself
    (tmp_path / "anywhere/CACHEDIR.TAG").unlink()
    assert not is_cached(str(tmp_path / "anywhere/of"), {"XDG_CACHE_HOME": "", "UV_CACHE_DIR": "relative"})


def test_what_installed_it_installs_it_again() -> None:
    assert reinstall("/home/me/.local/share/pipx/venvs/rawr-install/bin/rawr-install")[1][0] == "pipx"
    assert reinstall("/home/me/.local/share/uv/tools/rawr-install/bin/rawr-install")[1][0] == "uv"
    assert reinstall("/srv/venv/bin/rawr-install") == ("install rawr-install again, from where it came", ())


@pytest.fixture
def cached(machine: Machine) -> Path:
    """The Python of an environment in a cache that has this toolkit."""
    environment = machine.home / ".cache/uv/archive-v0/1a2b"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "toolkit.pth").write_text("\n".join([str(PROJECT), *(path for path in sys.path if "site-p" in path)]))
    info = packages / "rawr_install-9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rawr-install\nVersion: 9\n")
    (info / "INSTALLER").write_text("uv\n")
    return environment / "bin/python"


def record(python: Path, direct_url: Mapping[str, object]) -> None:
    (info,) = python.parent.parent.glob("lib/python*/site-packages/rawr_install-9.dist-info")
    (info / "direct_url.json").write_text(json.dumps(direct_url))


def test_neither_install_nor_activate_runs_from_a_cache(machine: Machine, cached: Path) -> None:
    root = machine.workspace("a")
    machine.env["RAWR_EVENTS"] = "off"
    before = machine.tree()
    for words in (("install",), ("install", "--dry-run"), ("activate", root)):
        ran = machine.run(cached, "-m", "rawr_install", *words, "--json")
        assert (ran.code, ran.json["error"]["code"]) == (1, "TOOLKIT_NOT_INSTALLED")
        remedy = ran.json["error"]["details"]["remedy"]
        assert remedy["argv"] == [] and "from where it came" in remedy["text"]
    assert machine.tree() == before
    record(cached, GIT)
    refused = machine.run(cached, "-m", "rawr_install", "install", "--json").json["error"]
    assert refused["details"]["remedy"]["argv"] == ["uv", "tool", "install", "git+https://example.org/x.git@v1"]


@pytest.mark.slow
def test_what_names_no_toolkit_runs_from_a_cache_and_so_does_all_in_the_tours_own_home(
    machine: Machine, cached: Path
) -> None:
    machine.rawr_install("activate", machine.workspace("a"))
    for words in (("doctor", "global"), ("deactivate",), ("rollback",), ("uninstall", "--yes")):
        assert machine.run(cached, "-m", "rawr_install", *words).code == 0, words
    home = machine.folder / "rawr-tour-1"
    home.mkdir()
    ran = machine.run(cached, "-m", "rawr_install", "install", env={"HOME": str(home), "PATH": os.defpath})
    assert ran.code == 0, ran
