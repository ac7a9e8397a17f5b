"""Completion in the real shells: what Tab offers, with no program started."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from rawr_install.cli.base import command, group
from rawr_install.cli.command_tree import Node, script
from rawr_install.cli.completion import VERBS as REAL_VERBS, tree
from rawr_install.cli.main import root as real_root
from rawr_install.dispatch import decide as dispatch
from tests.conftest import PROJECT, Machine
from tests.support.terminal import Terminal

VERBS = ("install", "doctor")


@group("root")
def root() -> None:
    """Everything."""


@command("install", changes=True)
@click.argument("place", type=click.Path(file_okay=False), required=False)
@click.option("--mode", "-m", type=click.Choice(["bun-symlink", "shim"]), help="It's the [kind] of `entry`: $HOME.")
@click.option("--bin-dir", metavar="DIR", help="A folder.")
@click.option("--log", type=click.Path(), help="A file.")
@click.option("--to", type=int, help="A number.")
@click.option("--secret", hidden=True)
def install(**_options: object) -> None:
    """Link a workspace; it's quick."""


@group("doctor")
def doctor() -> None:
    """Look."""


@command("global")
@click.option("--check", type=click.Choice(["path.shadowed", "owner.status"]), multiple=True)
def doctor_global(**_options: object) -> None:
    """Look at: everything."""


@command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh"]))
def completion(**_options: object) -> None:
    """Print."""


doctor.add_command(doctor_global)
for made in (install, doctor, completion):
    root.add_command(made)

# What was typed -> what is offered; no answer at all where the words are the workspace CLI's.
TABLE = [
    ("rawr-install ", {"install", "doctor", "completion"}),
    ("rawr-install in", {"install"}),
    ("rawr-install doctor ", {"global"}),
    ("rawr-install --json doctor gl", {"global"}),
    ("rawr-install install --m", {"--mode"}),
    ("rawr-install install --mode ", {"bun-symlink", "shim"}),
    ("rawr-install install --mode sh", {"shim"}),
    ("rawr-install install --mode=sh", {"shim"}),
    ("rawr-install install -m b", {"bun-symlink"}),
    ("rawr-install install --mode shim --y", {"--yes"}),
    ("rawr-install install --sec", set()),
    ("rawr-install install --to ", set()),
    ("rawr-install install fol", {"folder one"}),
    ("rawr-install install --bin-dir fol", {"folder one"}),
    ("rawr-install install --log fi", {"file"}),
    ("rawr-install doctor global --check pa", {"path.shadowed"}),
    ("rawr-install completion ", {"bash", "zsh"}),
    ("rawr in", {"install"}),
    ("rawr do", {"doctor"}),
    ("rawr comp", set()),
    ("rawr install --mode s", {"shim"}),
    ("rawr doctor global --check ow", {"owner.status"}),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shells")
    for shell in ("bash", "zsh", "fish"):
        (folder / f"script.{shell}").write_text(script(shell, tree(root), VERBS))
    (folder / "folder one").mkdir()
    (folder / "file").touch()
    return folder


def shell(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def environment(place: Path) -> dict[str, str]:
    # No rawr, no rawr-install and no Python on PATH: a completion that starts one shows an error.
    return {"HOME": str(place), "PATH": "/nonexistent", "LANG": "C.UTF-8", "TERM": "dumb", "LS_COLORS": ""}


BASH = """
source ./script.bash
line=$1
COMP_LINE=$line COMP_POINT=${#line}
# Split as readline does: blanks separate, "=" and ":" stand alone.
COMP_WORDS=() rest=$line
for word in ${line//=/ = }; do COMP_WORDS+=("$word"); done
case $line in *' ') COMP_WORDS+=('') ;; esac
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
spec=$(complete -p "${COMP_WORDS[0]}"); set -- ${spec##*-F}
"$1"
[ ${#COMPREPLY[@]} -eq 0 ] || printf '%s\\n' "${COMPREPLY[@]}"
"""
FISH = "source ./script.fish; complete -C $argv[1]"


def ask(argv: list[str], place: Path) -> set[str]:
    done = subprocess.run(argv, cwd=place, env=environment(place), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.splitlines())


@pytest.mark.parametrize(("typed", "offered"), TABLE)
def test_bash_offers_what_fits(place: Path, typed: str, offered: set[str]) -> None:
    assert ask([shell("bash"), "--norc", "-c", BASH, "bash", typed], place) == offered


@pytest.mark.parametrize(("typed", "offered"), TABLE)
def test_fish_offers_what_fits(place: Path, typed: str, offered: set[str]) -> None:
    lines = ask([shell("fish"), "--no-config", "-c", FISH, typed], place)
    words = {line.split("\t")[0].replace("\\ ", " ").rstrip("/").removeprefix("--mode=") for line in lines}
    assert words == (offered or words & {"file", "script.bash", "script.zsh", "script.fish", "folder one"})


ZSH_ROW = [(typed, offered) for typed, offered in TABLE if len(offered) == 1]


@pytest.fixture(scope="module")
def zsh(place: Path) -> Terminal:  # type: ignore[misc]
    with Terminal([shell("zsh"), "-f", "-i"], environment(place), place) as terminal:
        terminal.type(
            "PS1='' PS2='' RPS1=''; unsetopt zle_bracketed_paste prompt_sp; autoload -U compinit; compinit -u -D\n"
        )
        terminal.type("source ./script.zsh; rawr-install() { print -rn 'GOT='; print -rl -- \"$@\"; print END }\n")
        terminal.type("functions[rawr]=$functions[rawr-install]; print READ''Y\n")
        terminal.wait("READY")
        yield terminal


@pytest.mark.parametrize(("typed", "offered"), ZSH_ROW)
def test_zsh_fills_in_the_one_thing_that_fits(zsh: Terminal, typed: str, offered: set[str]) -> None:
    zsh.type(f"{typed}\t\n")
    got = zsh.wait("END").partition("GOT=")[2].partition("END")[0].split("\n")
    (word,) = offered
    assert got[-2].rstrip("/").removeprefix("--mode=") == word


def test_zsh_lists_commands_with_their_help(zsh: Terminal) -> None:
    zsh.type("rawr-install \t")
    shown = zsh.wait("Link a workspace; it's quick.")  # install: the last of the list
    assert "Look." in shown
    zsh.type("\x15")


def test_zsh_loads_it_from_a_folder_of_functions_too(place: Path, tmp_path: Path) -> None:
    (tmp_path / "_rawr-install").write_text((place / "script.zsh").read_text())
    with Terminal([shell("zsh"), "-f", "-i"], environment(place), place) as terminal:
        terminal.type(f"PS1=; fpath=('{tmp_path}' $fpath); autoload -U compinit; compinit -u -D; print READ''Y\n")
        terminal.wait("READY")
        terminal.type("rawr() { print GOT=$1 END }; rawr-install() { print GOT=$1 END }; print READ''Y\n")
        terminal.wait("READY")
        for typed in ("rawr insta", "rawr-install insta", "rawr insta"):
            terminal.type(f"{typed}\t\n")
            assert "GOT=install" in terminal.wait("END")


def test_bash_completes_on_a_real_terminal(place: Path) -> None:
    with Terminal([shell("bash"), "--norc", "-i"], environment(place), place) as terminal:
        terminal.type(
            "PS1=; source ./script.bash; rawr-install() { printf 'GOT=<%s>' \"$@\"; echo END; }; echo READ''Y\n"
        )
        terminal.wait("READY")
        terminal.type("rawr-install doc\tglo\t--check=pa\t\n")
        assert "GOT=<doctor>GOT=<global>GOT=<--check=path.shadowed>" in terminal.wait("END")
        terminal.type("rawr-install install --bin-dir fol\t\n")
        assert "GOT=<folder one/>" in terminal.wait("END")


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_a_completion_of_rawr_that_is_there_already_is_kept(place: Path, name: str) -> None:
    bash = "_mine() { :; }; complete -F _mine rawr; source ./script.bash; complete -p rawr"
    zsh = "autoload -U compinit; compinit -u -D; _mine() { : }; compdef _mine rawr; source ./script.zsh"
    zsh += "; print $_comps[rawr]"
    quiet = {"bash": "--norc", "zsh": "-f"}[name]
    (line,) = ask([shell(name), quiet, "-c", {"bash": bash, "zsh": zsh}[name]], place)
    assert "_mine" in line


def test_hostile_help_text_stays_text_in_every_shell(place: Path) -> None:
    shown = ask([shell("fish"), "--no-config", "-c", FISH, "rawr-install install --mo"], place)
    assert shown == {"--mode\tIt's the [kind] of `entry`: $HOME."}


# -- the real command tree ----------------------------------------------------


def words_below(node: Node) -> set[str]:
    return {child.name for child in node.children}


def test_the_printed_script_knows_every_command_and_option(machine: Machine) -> None:
    """Asked in bash, path by path, the script offers what the command line itself has."""
    printed = machine.rawr_install("completion", "bash", "--json").json["data"]
    assert printed["shell"] == "bash"
    (machine.folder / "script.bash").write_text(printed["script"])
    nodes = list(tree(real_root).walk())
    assert {"install", "doctor", "tour"} <= words_below(nodes[0])
    for node in nodes:
        line = f"rawr-install{node.path} "
        offered = ask([shell("bash"), "--norc", "-c", BASH, "bash", line + "--"], machine.folder)
        assert offered == {name for option in node.options for name in option.names if name.startswith("--")}
        if node.children:
            assert ask([shell("bash"), "--norc", "-c", BASH, "bash", line], machine.folder) == words_below(node)


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_every_shell_takes_the_real_script(machine: Machine, name: str) -> None:
    done = machine.rawr_install("completion", name)
    (machine.folder / f"script.{name}").write_text(done.out)
    assert (done.code, done.err) == (0, "")
    assert ask([shell(name), "-n", f"script.{name}"], machine.folder) == set()


def test_checks_and_folders_are_offered_in_the_real_tree(machine: Machine) -> None:
    nodes = {node.path: node for node in tree(real_root).walk()}
    check = next(option for option in nodes[" doctor global"].options if "--check" in option.names)
    assert {"entry.dangling", "owner.vanished"} <= set(check.values.words)
    assert nodes[" activate"].argument.kind == "dir"


def test_the_verbs_of_rawr_are_those_that_dispatch_keeps() -> None:
    assert {verb.partition(":")[0] for verb in dispatch.VERBS} == set(REAL_VERBS)


def test_the_command_page_is_current(machine: Machine) -> None:
    done = machine.run(sys.executable, PROJECT / "scripts/gen_command_docs", "--check")
    assert (done.code, done.err) == (0, "")
