"""Every place, from the environment alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from rawr_install.errors import UsageError
from rawr_install.paths import Paths


def paths(home: Path, **environ: str) -> Paths:
    return Paths.from_environ({"HOME": str(home), **environ})


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "relative/home"}])
def test_without_an_absolute_home_there_is_a_clear_error(environ: dict[str, str]) -> None:
    with pytest.raises(UsageError) as caught:
        Paths.from_environ(environ)
    assert (caught.value.code, caught.value.exit_code) == ("NO_HOME", 2)


def test_a_trailing_slash_in_home_does_not_show(tmp_path: Path) -> None:
    assert Paths.from_environ({"HOME": f"{tmp_path}/"}).owner_file == f"{tmp_path}/.rawr/global-rawr-owner-path"


def test_the_bun_bin_folder_is_found_in_buns_own_order(tmp_path: Path) -> None:
    config, cache = tmp_path / "config", tmp_path / "cache"
    (cache / ".bun").mkdir(parents=True)
    config.mkdir()
    (config / ".bunfig.toml").write_text('[install]\nglobalBinDir = "/from/xdg"\n')
    environ = {
        "BUN_INSTALL_BIN": "/bin/variable",
        "XDG_CONFIG_HOME": str(config),
        "BUN_INSTALL": "/bun",
        "XDG_CACHE_HOME": str(cache),
    }
    order = ["/bin/variable", "/from/xdg", "/bun/bin", f"{cache}/.bun/bin", f"{tmp_path}/.bun/bin"]
    found = []
    for name in [*environ, ""]:
        found.append(paths(tmp_path, **environ).bun_bin_dir)
        environ.pop(name, None)
    assert found == order


def test_the_home_bunfig_counts_where_xdg_has_none(tmp_path: Path) -> None:
    (tmp_path / ".bunfig.toml").write_text('[install]\nglobalBinDir = "~/tools"\n')
    assert paths(tmp_path, XDG_CONFIG_HOME=f"{tmp_path}/none").bun_bin_dir == f"{tmp_path}/tools"


@pytest.mark.parametrize(
    "text", ["not toml [", "[install]\n", "[install]\nglobalBinDir = 5\n", "install = 1\n", "\udcff"]
)
def test_a_bunfig_without_a_usable_folder_is_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / ".bunfig.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert paths(tmp_path).bun_bin_dir == f"{tmp_path}/.bun/bin"


def test_an_empty_variable_is_an_unset_one(tmp_path: Path) -> None:
    empty = paths(tmp_path, BUN_INSTALL_BIN="", BUN_INSTALL="", XDG_CACHE_HOME="", XDG_DATA_HOME="", XDG_CONFIG_HOME="")
    assert empty.bun_bin_dir == f"{tmp_path}/.bun/bin"
    assert empty.plugin_manager_dir == f"{tmp_path}/.local/share/@rawr/cli"


def test_the_cache_folder_counts_only_where_bun_has_used_it(tmp_path: Path) -> None:
    assert paths(tmp_path, XDG_CACHE_HOME=f"{tmp_path}/cache").bun_bin_dir == f"{tmp_path}/.bun/bin"


@pytest.mark.parametrize(
    "extra",
    [{}, {"XDG_STATE_HOME": ""}, {"XDG_STATE_HOME": "/x/state"}, {"XDG_STATE_HOME": "relative"}, {"ANDROID_ROOT": "/"}],
)
@pytest.mark.parametrize("home", ["/home/me", "/home/me/", "//home/me"])
def test_the_state_folder_is_where_platformdirs_says(
    home: str, extra: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_STATE_HOME", "ANDROID_ROOT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": home, **extra}.items():
        monkeypatch.setenv(name, value)
    said = platformdirs.user_state_dir("rawr", appauthor=False)
    assert os.path.normpath(Paths.from_environ(os.environ).state_dir) == os.path.normpath(said)


def test_the_usual_state_folder_is_known_without_importing_platformdirs() -> None:
    code = (
        "import os, sys; from rawr_install.paths import Paths; "
        "Paths.from_environ(os.environ).state_dir; sys.exit('platformdirs' in sys.modules)"
    )
    usual = sys.platform == "linux"
    done = subprocess.run([sys.executable, "-c", code], env={"HOME": "/home/me"}, check=False)
    assert done.returncode == (0 if usual else 1)
