"""Completion in the real shells, with the real command tree: what Tab offers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rawr_install.cli.completion import VERBS
from rawr_install.dispatch import decide
from tests.conftest import PROJECT, Machine
from tests.support.terminal import Terminal

# What was typed -> what is offered; no answer at all where the words are the workspace CLI's.
TABLE = [
    ("rawr-install ins", {"install"}),
    ("rawr-install --json doctor gl", {"global"}),
    ("rawr-install install --mo", {"--mode"}),
    ("rawr-install install --mode ", {"bun-symlink", "shim"}),
    ("rawr-install install --mode sh", {"shim"}),
    ("rawr-install uninstall --p", {"--purge"}),
    ("rawr-install install --bin-dir fol", {"folder one"}),
    ("rawr-install activate fol", {"folder one"}),
    ("rawr-install doctor global --check path.sh", {"path.shadowed"}),
    ("rawr-install completion ", {"bash", "zsh", "fish"}),
    ("rawr ins", {"install"}),
    ("rawr do", {"doctor"}),
    ("rawr comp", set()),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shells")
    (folder / "rawr-install").symlink_to(Path(sys.executable).with_name("rawr-install"))
    for shell in ("bash", "zsh", "fish"):
        words = [folder / "rawr-install", "completion", shell]
        (folder / f"script.{shell}").write_bytes(subprocess.run(words, check=True, capture_output=True).stdout)
    (folder / "folder one").mkdir()
    (folder / "file").touch()
    return folder


def shell(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def environment(place: Path) -> dict[str, str]:
    return {"HOME": str(place), "PATH": f"{place}:/usr/bin:/bin", "LANG": "C.UTF-8", "TERM": "dumb", "LS_COLORS": ""}


def ask(argv: list[str], place: Path) -> set[str]:
    done = subprocess.run(argv, cwd=place, env=environment(place), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.splitlines())


@pytest.mark.parametrize(("typed", "offered"), TABLE)
def test_fish_offers_what_fits(place: Path, typed: str, offered: set[str]) -> None:
    lines = ask([shell("fish"), "--no-config", "-c", "source ./script.fish; complete -C $argv[1]", typed], place)
    assert {line.split("\t")[0].replace("\\ ", " ").rstrip("/") for line in lines} == offered


START = {
    "bash": (["--norc", "-i"], "PS1=; source ./script.bash"),
    "zsh": (
        ["-f", "-i"],
        "PS1= PS2= RPS1=; unsetopt zle_bracketed_paste prompt_sp; autoload -U compinit; compinit -uD; . ./script.zsh",
    ),
}
ECHO = "{ printf 'GOT'; printf '<%s>' \"$@\"; echo END; }"


@pytest.fixture(scope="module", params=["bash", "zsh"])
def terminal(place: Path, request: pytest.FixtureRequest) -> Iterator[Terminal]:
    options, start = START[request.param]
    with Terminal([shell(request.param), *options], environment(place), place) as shown:
        # The functions answer Enter; Tab starts the program of that name.
        shown.type(f"{start}; rawr-install() {ECHO}; rawr() {ECHO}; echo READ''Y\n")
        shown.wait("READY")
        yield shown


@pytest.mark.slow
@pytest.mark.parametrize(("typed", "offered"), [row for row in TABLE if len(row[1]) == 1])
def test_bash_and_zsh_fill_in_the_one_thing_that_fits(terminal: Terminal, typed: str, offered: set[str]) -> None:
    terminal.type(f"{typed}\t\n")
    words = terminal.wait("END").rpartition("GOT<")[2].partition(">END")[0].split("><")
    assert {words[-1].rstrip("/")} == offered


def test_what_is_the_workspace_clis_is_not_offered(terminal: Terminal) -> None:
    terminal.type("rawr greet ins\t\n")
    assert "GOT<greet><ins>END" in terminal.wait("END")


def test_zsh_loads_it_from_a_folder_of_functions_too(place: Path, tmp_path: Path) -> None:
    (tmp_path / "_rawr-install").write_text((place / "script.zsh").read_text())
    with Terminal([shell("zsh"), "-f", "-i"], environment(place), place) as shown:
        shown.type(f"PS1=; fpath=('{tmp_path}' $fpath); autoload -U compinit; compinit -u -D; print READ''Y\n")
        shown.wait("READY")
        shown.type("rawr() { print GOT=$1 END }; rawr-install() { print GOT=$1 END }; print READ''Y\n")
        shown.wait("READY")
        for typed in ("rawr-install insta", "rawr insta"):
            shown.type(f"{typed}\t\n")
            assert "GOT=install" in shown.wait("END")


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_a_completion_of_rawr_that_is_there_already_is_kept(place: Path, name: str) -> None:
    bash = "_mine() { :; }; complete -F _mine rawr; source ./script.bash; complete -p rawr"
    zsh = "autoload -U compinit; compinit -u -D; _mine() { : }; compdef _mine rawr; source ./script.zsh"
    zsh += "; print $_comps[rawr]"
    quiet = {"bash": "--norc", "zsh": "-f"}[name]
    (line,) = ask([shell(name), quiet, "-c", {"bash": bash, "zsh": zsh}[name]], place)
    assert "_mine" in line


def test_the_verbs_of_rawr_are_those_that_dispatch_keeps() -> None:
    assert {verb.partition(":")[0] for verb in decide.VERBS} == set(VERBS.split())


def test_the_command_page_is_current(machine: Machine) -> None:
    done = machine.run(sys.executable, PROJECT / "scripts/gen_command_docs", "--check")
    assert (done.code, done.err) == (0, "")
