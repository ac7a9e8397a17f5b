"""What ``rawr`` says: what was looked at, the way out, the notice of the fallback, and the trace."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rawr_install.dispatch.messages import by_its_owner
from tests.dispatch.scene import NOBODY, TWIN, Scene

# Build a scene that is refused; the fragments are what its message must name.
REFUSALS: dict[str, tuple[Callable[[Scene], object], tuple[str, ...]]] = {}


def refused(*fragments: str) -> Callable[[Callable[[Scene], object]], Callable[[Scene], object]]:
    def add(build: Callable[[Scene], object]) -> Callable[[Scene], object]:
        REFUSALS[build.__name__] = (build, fragments)
        return build

    return add


@refused("in {cwd} or any folder above it", "cd into a workspace", "rawr-install fallback enable")
def no_workspace(s: Scene) -> None:
    s.cwd = Path("/usr/share")


@refused("{folder}/ws ", "no workspace CLI")
def only_a_lookalike(s: Scene) -> None:
    s.stand(s.workspace("ws ", cli=None) / "sub")


@refused("RAWR_HQ_ROOT", "/usr", "no package.json", "unset RAWR_HQ_ROOT")
def bad_variable(s: Scene) -> None:
    s.env["RAWR_HQ_ROOT"] = "/usr"


@refused("{folder}/ws/apps/cli/bin/run.js", "is not executable", "chmod +x {folder}/ws/apps/cli/bin/run.js")
def not_executable(s: Scene) -> None:
    s.cli(s.stand(s.workspace("ws"))).chmod(0o644)


@refused("no-such-bun", "is not on PATH", "install no-such-bun")
def no_interpreter(s: Scene) -> None:
    s.stand(s.workspace("ws", cli="#!/usr/bin/env no-such-bun\n"))


@refused("{folder}/ws/apps/cli/bin/run.js", "Windows line end", "sed -i 's/\\r$//' {folder}/ws/apps/cli/bin/run.js")
def windows_line_end(s: Scene) -> None:
    s.stand(s.workspace("ws", cli="#!/bin/sh\r\necho\r\n"))


@refused("no such folder as the owner", "{folder}/home/.rawr/global-rawr-owner-path", "rawr-install activate PATH")
def vanished_owner(s: Scene) -> None:
    s.own("/no such folder as the owner\n")
    s.env["RAWR_ALLOW_GLOBAL_OWNER_FALLBACK"] = "1"


@refused("replaced itself", "{folder}/ws/apps/cli/bin/run.js")
def loop(s: Scene) -> None:
    s.stand(s.workspace("ws", cli='#!/bin/sh\nexec rawr "$@"\n'))


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_names_what_was_looked_at_and_the_way_out(name: str, scene: Scene) -> None:
    build, fragments = REFUSALS[name]
    build(scene)
    answer = scene.run("dash")
    wanted = [text.replace("{cwd}", str(scene.cwd)).replace("{folder}", str(scene.folder)) for text in fragments]
    assert [text for text in wanted if text not in answer.err] == []
    first, *others = answer.err.splitlines()
    assert first.startswith("rawr: ") and first.endswith("]") and answer.out == ""
    assert others and all(line.startswith("  ") for line in others)


@pytest.mark.parametrize("trouble", ["not executable", "a Windows line end"])
def test_the_remedy_of_a_cli_that_cannot_start_mends_it(scene: Scene, trouble: str) -> None:
    cli = scene.cli(scene.stand(scene.workspace("my ws")))
    if trouble == "not executable":
        cli.chmod(0o644)
    else:
        cli.write_bytes(cli.read_bytes().replace(b"\n", b"\r\n"))
    remedy = scene.run("dash").err.splitlines()[1].removeprefix("  try: ")
    subprocess.run(["/bin/sh", "-c", remedy], check=True)
    assert scene.run("dash").code == 0


def test_a_path_cannot_send_escape_codes_to_the_terminal(scene: Scene) -> None:
    evil = "evil\x1b[31m\nrawr: all is well"
    scene.env["RAWR_ALLOW_GLOBAL_OWNER_FALLBACK"] = "1"
    scene.own(scene.workspace("owner\x1b[2J"))
    scene.stand(scene.folder / evil)
    notice = scene.run("dash")
    assert (notice.code, len(notice.err.splitlines())) == (0, 1)
    scene.env["RAWR_ALLOW_GLOBAL_OWNER_FALLBACK"] = "0"
    error = scene.run("dash")
    assert "\x1b" not in notice.err + error.err and "\\x1b" in notice.err and "\\x1b" in error.err
    assert not [line for line in error.err.splitlines() if line.startswith("rawr: all is well")]


def test_bare_rawr_outside_a_workspace_says_where_you_are_and_what_to_do(scene: Scene, runner: str) -> None:
    scene.argv = []
    answer = scene.run(runner)
    assert str(scene.cwd) in answer.out
    assert {"cd into a workspace", "rawr-install fallback enable", "rawr doctor global"} <= {
        line.strip().split("   ")[0].rstrip() for line in answer.out.splitlines()
    }


def test_the_version_outside_a_workspace_is_one_line_on_stdout(scene: Scene, runner: str) -> None:
    scene.argv = ["--version"]
    answer = scene.run(runner)
    assert answer.out.startswith("rawr-install ") and answer.out.count("\n") == 1
    assert "no workspace here" in answer.err


def trace(scene: Scene, runner: str = "dash") -> list[str]:
    scene.env["RAWR_TRACE"] = "1"
    lines = scene.run(runner).err.splitlines()
    return [line.removeprefix("rawr: trace: ") for line in lines if line.startswith("rawr: trace: ")]


def test_the_trace_tells_each_step_to_the_cli(scene: Scene) -> None:
    root = scene.workspace("ws")
    alike = scene.stand(scene.workspace("ws/alike", cli=None))
    steps = trace(scene)
    assert steps[:-1] == [
        f"walked past {alike}: package.json and plugins/, no workspace CLI",
        f"workspace (search): {root}",
        f"trusted: {root}",
        f"workspace CLI: {scene.cli(root)} (started by /bin/sh)",
    ]
    assert steps[-1].startswith("RAWR_DISPATCH_GUARD marks process ") and steps[-1].endswith("; exec")


def test_the_trace_tells_why_nothing_was_run(scene: Scene) -> None:
    assert trace(scene) == [
        "workspace (search): none",
        "owner fallback: not enabled",
        "refused: NO_WORKSPACE, exit 127",
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's files")
def test_the_trace_ends_at_a_workspace_that_is_not_trusted(scene: Scene) -> None:
    root = scene.stand(scene.workspace("ws"))
    scene.give_away(root)
    assert os.stat(root).st_uid == NOBODY
    assert trace(scene) == [f"workspace (search): {root}", "refused: WORKSPACE_NOT_TRUSTED, exit 126"]


def test_the_trace_of_the_owner_fallback_names_the_owner_file(scene: Scene) -> None:
    owner = scene.own(scene.workspace("owner"))
    scene.env["RAWR_ALLOW_GLOBAL_OWNER_FALLBACK"] = "1"
    assert trace(scene, TWIN)[1] == f"owner fallback: enabled; owner file valid: {owner}"


@pytest.mark.parametrize("place", ["beside", "recorded", "on PATH", "in ~/.local/bin"])
def test_the_toolkit_is_found_where_it_may_be_and_nearest_first(scene: Scene, shell: str, place: str) -> None:
    scene.toolkit = ""
    rawr = scene.entry(shell)
    folders = {
        "beside": scene.bin,
        "recorded": scene.folder / "it's recorded",
        "on PATH": scene.folder / "path",
        "in ~/.local/bin": scene.home / ".local/bin",
    }
    # A toolkit at each place from `place` on, each of which says where it is: the first must win.
    for name in list(folders)[list(folders).index(place) :]:
        folders[name].mkdir(parents=True, exist_ok=True)
        (folders[name] / "rawr-install").write_text(f'#!/bin/sh\necho "{name}: $*"\n')
        (folders[name] / "rawr-install").chmod(0o755)
    recorded = shlex.quote(str(folders["recorded"] / "rawr-install"))
    rawr.write_text(rawr.read_text().replace("\ntoolkit=''\n", f"\ntoolkit={recorded}\n"))
    scene.env["PATH"] = f"{folders['on PATH']}:/usr/bin:/bin"
    done = subprocess.run([rawr, "install", "--dry-run"], cwd=scene.cwd, env=scene.env, capture_output=True, text=True)
    assert done.stdout == f"{place}: install --dry-run\n"


def test_without_the_toolkit_a_verb_says_how_to_reinstall_it(scene: Scene) -> None:
    scene.toolkit = ""
    scene.argv = ["install"]
    lines = scene.run("dash").err.splitlines()
    assert lines[0].startswith("rawr: `install` is a command of the toolkit")
    assert lines[1] == "  try: install rawr-install again, from where it came"


PIPX, UV = "/x/pipx/venvs/rawr-install/bin/python", "/x/uv/tools/rawr-install/bin/python"


@pytest.mark.parametrize(
    ("toolkit", "remedy"),
    [
        (f"#!{PIPX}\n", "pipx reinstall rawr-install"),
        (f'#!/bin/sh\n\'\'\'exec\' "{PIPX}" "$0" "$@"\n', "pipx reinstall rawr-install"),
        (f"#!{UV}\n", "install rawr-install again, from where it came, with: uv tool install --force"),
        ("#!/x/venv/bin/python\n", "install rawr-install again, from where it came"),
    ],
)
def test_without_its_python_the_installer_is_named_by_where_the_toolkit_lies(
    scene: Scene, shell: str, toolkit: str, remedy: str
) -> None:
    scene.toolkit = toolkit
    scene.argv = ["install"]
    assert scene.run(shell).err.splitlines()[1:] == [f"  try: {remedy}"]


def test_a_copy_remembers_the_installer_of_a_toolkit_that_was_removed(scene: Scene) -> None:
    scene.toolkit = ""
    scene.edit_entry = lambda text: text.replace(
        "\ntoolkit=''\n", f"\ntoolkit='{os.path.dirname(PIPX)}/rawr-install'\n"
    )
    scene.argv = ["install"]
    said = "  try: install rawr-install again, from where it came, with: pipx install"
    assert scene.run("dash").err.splitlines()[1:] == [said]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's files")
def test_through_sudo_a_toolkit_of_the_users_is_named_and_the_way_out_is_without_sudo(scene: Scene) -> None:
    scene.env["SUDO_UID"] = str(NOBODY)
    scene.finish = lambda entry: scene.give_away(entry.parent / "rawr-install")
    scene.argv = ["activate"]
    said, remedy = scene.run("dash").err.splitlines()
    assert f"{scene.bin}/rawr-install is another user's" in said
    assert remedy == "  try: run it without sudo, or install rawr-install for yourself"


def test_an_entry_started_by_its_bare_name_takes_no_toolkit_from_the_current_folder(scene: Scene, shell: str) -> None:
    rawr = scene.entry(shell)
    (scene.cwd / "rawr-install").write_text("#!/bin/sh\necho stolen\n")
    (scene.cwd / "rawr-install").chmod(0o755)
    (scene.bin / "rawr-install").unlink()
    # `sh rawr` finds a script in the current folder, with a $0 that has no slash.
    (scene.cwd / "rawr").write_text(rawr.read_text())
    words = [*scene.interpreter(shell).split(), "rawr", "install"]
    done = subprocess.run(words, cwd=scene.cwd, env=scene.env, capture_output=True, text=True)
    assert done.returncode == 127 and "stolen" not in done.stdout and "[TOOLKIT_GONE]" in done.stderr


def test_what_is_not_read_by_anybody_is_no_traceback(scene: Scene, runner: str) -> None:
    scene.entry(runner)
    for words, expected in (("build", "127"), ("--help", "0"), ("--version", "0")):
        for closed in ("2>&-", "2>/dev/full"):
            shell = f"rawr {words} {closed} >out; echo $?"
            done = subprocess.run(
                ["/bin/sh", "-c", shell], cwd=scene.cwd, env=scene.env, capture_output=True, text=True
            )
            assert (done.stdout.strip(), done.stderr) == (expected, "")
            assert words != "build" or (scene.cwd / "out").read_text() == ""


def test_a_full_disk_under_the_greeting_is_an_error_of_one_line(scene: Scene, runner: str) -> None:
    scene.entry(runner)
    shell = ["/bin/sh", "-c", "rawr --help >/dev/full"]
    done = subprocess.run(shell, cwd=scene.cwd, env=scene.env, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1) and "[OUTPUT_FAILED]" in done.stderr


def test_a_reader_of_the_greeting_may_go_away(scene: Scene, runner: str) -> None:
    scene.entry(runner)
    done = subprocess.run(
        ["/bin/sh", "-c", "{ sleep 0.2; rawr --help; } | true"], cwd=scene.cwd, env=scene.env, capture_output=True
    )
    assert done.stderr == b""


def test_a_folder_that_the_locale_cannot_print_is_escaped(scene: Scene, runner: str) -> None:
    scene.stand(scene.folder / "日本")
    scene.env["PYTHONIOENCODING"] = "latin-1"
    scene.argv = []
    answer = scene.run(runner)
    assert answer.code == 0 and "\\u65e5\\u672c" in answer.out


def test_what_the_owner_is_to_run_can_be_run_as_it_is_printed(tmp_path: Path) -> None:
    cli = tmp_path / "a folder; with 'signs'" / "run.js"
    cli.parent.mkdir()
    cli.touch(0o644)
    subprocess.run(["/bin/sh", "-c", by_its_owner(str(cli)).partition(": ")[2]], check=True)
    assert os.access(cli, os.X_OK)
