"""Between ``rawr`` and a direct start of the workspace CLI a program can tell no difference but one variable."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.dispatch.scene import SHELLS, TWIN, Scene
from tests.support.masked import needs_proc

GUARD = "RAWR_DISPATCH_GUARD"
READY = "#!/bin/sh\necho ready\nexec sleep 60\n"
# /proc/PID/environ is the environment as execve(2) handed it over, before this shell touched its own.
ENVIRON = "#!/bin/sh\ncat /proc/$$/environ\nexit\n"
DESCRIPTORS = f"#!{sys.executable} -IS\nimport os\nprint(sorted(os.listdir('/proc/self/fd')))\n"


def prepare(scene: Scene, runner: str, cli: str) -> tuple[Path, Path]:
    """A workspace with this CLI, ``rawr`` for the runner; returns both programs."""
    root = scene.workspace("ws", cli=cli)
    scene.stand(root / "a/b")
    return scene.entry(runner), scene.cli(root)


def start(scene: Scene, *argv: str | Path, **more: Any) -> subprocess.Popen[bytes]:
    options: dict[str, Any] = {"cwd": scene.cwd, "env": scene.env, "stdin": subprocess.DEVNULL} | more
    return subprocess.Popen(argv, stdout=subprocess.PIPE, **options)


def output(scene: Scene, *argv: str | Path, **more: Any) -> bytes:
    with start(scene, *argv, **more) as process:
        assert process.stdout is not None
        data = process.stdout.read()
    assert process.returncode == 0
    return data


def test_the_workspace_cli_has_the_process_id_of_rawr(scene: Scene, runner: str) -> None:
    rawr, _ = prepare(scene, runner, "#!/bin/sh\necho $$\n")
    with start(scene, rawr) as process:
        assert process.stdout is not None
        assert int(process.stdout.read()) == process.pid


def test_every_exit_code_reaches_the_parent(scene: Scene, runner: str, count: Callable[[int, int], int]) -> None:
    rawr, _ = prepare(scene, runner, "#!/bin/sh\nexit $1\n")
    step = count(15, 1) if runner == TWIN else 1
    codes = range(0, 256, step)
    seen = [subprocess.run([rawr, str(code)], cwd=scene.cwd, env=scene.env).returncode for code in codes]
    assert seen == list(codes)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGKILL", "SIGHUP", "SIGQUIT"])
def test_the_parent_sees_death_by_a_signal_that_was_sent_to_rawr(scene: Scene, runner: str, name: str) -> None:
    rawr, _ = prepare(scene, runner, READY)
    with start(scene, rawr) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(getattr(signal, name))
    assert process.returncode == -getattr(signal, name)


@pytest.mark.parametrize("name", ["TERM", "INT", "KILL", "SEGV"])
def test_the_parent_sees_death_by_a_signal_of_the_clis_own(scene: Scene, runner: str, name: str) -> None:
    rawr, _ = prepare(scene, runner, f"#!/bin/sh\nulimit -c 0\nkill -{name} $$\nsleep 60\n")
    with start(scene, rawr) as process:
        pass
    assert process.returncode == -getattr(signal, f"SIG{name}")


def test_a_reader_that_goes_away_ends_the_cli(scene: Scene, runner: str) -> None:
    # Python ignores SIGPIPE; passed on, that would let `rawr ... | head` run for ever.
    rawr, _ = prepare(scene, runner, "#!/usr/bin/env -S yes rawr\n")
    with start(scene, rawr) as process:
        assert process.stdout is not None
        process.stdout.read(10)
        process.stdout.close()
    assert process.returncode == -signal.SIGPIPE


@needs_proc
@pytest.mark.parametrize("ignored", [(), (signal.SIGINT, signal.SIGHUP)])
def test_ignored_and_blocked_signals_are_those_of_a_direct_start(
    scene: Scene, runner: str, ignored: tuple[signal.Signals, ...]
) -> None:
    rawr, cli = prepare(scene, runner, "#!/usr/bin/env -S grep -h ^Sig[BIC] /proc/self/status\n")

    def ignore() -> None:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)

    assert output(scene, rawr, preexec_fn=ignore) == output(scene, cli, preexec_fn=ignore)


def test_a_mebibyte_of_binary_stdin_arrives(scene: Scene, runner: str) -> None:
    rawr, _ = prepare(scene, runner, "#!/bin/sh\nexec cat\n")
    data = os.urandom(1 << 20)
    done = subprocess.run([rawr], cwd=scene.cwd, env=scene.env, input=data, stdout=subprocess.PIPE)
    assert done.stdout == data


def test_of_stdin_rawr_itself_reads_nothing(scene: Scene, runner: str) -> None:
    prepare(scene, runner, "#!/bin/sh\ndd bs=3 count=1 2>/dev/null\n")
    (scene.folder / "input").write_text("abcdefgh")
    with open(scene.folder / "input", "rb") as file:
        assert output(scene, "/bin/sh", "-c", "rawr; echo; rawr; echo; cat", stdin=file) == b"abc\ndef\ngh"


@needs_proc
def test_odd_and_long_arguments_arrive_byte_for_byte(scene: Scene, runner: str) -> None:
    rawr, cli = prepare(scene, runner, "#!/bin/sh\ncat /proc/$$/cmdline\nexit\n")
    words = ["", "a b", "*", "\n", "\\", "--", "-n", "x" * 100_000, "", "$(id)", "ü"]
    if runner != "yash":  # which holds only characters of the locale
        words.append(os.fsdecode(b"\xff\xfe"))
    assert output(scene, rawr, *words) == b"\0".join(os.fsencode(word) for word in ["/bin/sh", str(cli), *words, ""])


@needs_proc
def test_the_working_folder_is_the_callers_even_when_it_has_no_name(scene: Scene, runner: str) -> None:
    rawr, _ = prepare(scene, runner, "#!/bin/sh\nexec readlink /proc/self/cwd\n")
    (scene.folder / "link").symlink_to(scene.cwd)
    assert output(scene, rawr, cwd=scene.folder / "link").decode() == f"{scene.cwd}\n"


def environment(data: bytes) -> dict[bytes, bytes]:
    return dict(line.split(b"=", 1) for line in data.split(b"\0") if line)


# Exported names that a script might use for itself, and the ones that shells keep.
CROWDED = {name: f"my {name}" for name in ("root", "cli", "toolkit", "d", "i", "line", "self", "name", "guard")}


@needs_proc
@pytest.mark.parametrize(
    "extra", [{}, CROWDED, {"EMPTY": "", "MULTI": "a\nb", "ODD.NAME": "1"}, {"OLDPWD": None}], ids=str
)
def test_the_environment_gains_one_variable_and_is_else_untouched(
    scene: Scene, runner: str, extra: dict[str, str | None]
) -> None:
    rawr, _ = prepare(scene, runner, ENVIRON)
    (scene.folder / "link").symlink_to(scene.cwd)
    scene.cwd = scene.folder / "link"
    given = {
        "PWD": str(scene.cwd),
        "OLDPWD": "/usr",
        "SHLVL": "3",
        "_": "/usr/bin/x",
        "TRACEPARENT": "00-a-b-01",
    } | extra
    scene.env = {name: value for name, value in (scene.env | given).items() if value is not None}
    seen = environment(output(scene, rawr))
    assert re.fullmatch(rb"\d+:x", seen.pop(os.fsencode(GUARD)))
    expected = what_the_shell_itself_does(scene, runner)
    if runner.startswith("bash"):  # which keeps `_` to itself once it has run any command
        del expected[b"_"]
    assert seen == expected


@needs_proc
def test_the_protocol_of_the_hand_over_does_not_reach_the_cli(scene: Scene, shell: str) -> None:
    rawr, cli = prepare(scene, shell, ENVIRON)
    cli.rename(scene.folder / "real-cli")
    cli.symlink_to(scene.folder / "real-cli")  # which the entry leaves to the toolkit
    scene.env["RAWR_ENTRY_PROTOCOL"] = "7"
    assert os.fsencode(GUARD) in environment(output(scene, rawr))
    assert b"RAWR_ENTRY_PROTOCOL" not in environment(output(scene, rawr))


def what_the_shell_itself_does(scene: Scene, runner: str) -> dict[bytes, bytes]:
    """The environment behind a bare ``exec`` in the same shell: some keep SHLVL or ``_``, or drop what is no name."""
    given = {os.fsencode(name): os.fsencode(value) for name, value in scene.env.items()}
    if runner == TWIN:
        return given
    seen = environment(output(scene, bare_exec(scene, runner), scene.folder / "ws/apps/cli/bin/run.js"))
    if runner == "dash":  # the reference: dash itself changes nothing but names that no shell can hold
        assert seen == {name: value for name, value in given.items() if b"." not in name}
    return seen


def bare_exec(scene: Scene, shell: str) -> Path:
    """A script under the shell that does nothing but exec its arguments."""
    bare = scene.folder / "bare"
    bare.write_text(f'#!{scene.interpreter(shell)}\nexec "$@"\n')
    bare.chmod(0o755)
    return bare


@needs_proc
def test_no_descriptor_is_leaked_and_none_is_lost(scene: Scene, runner: str) -> None:
    rawr, cli = prepare(scene, runner, DESCRIPTORS)
    kept = os.open("/dev/null", os.O_RDONLY)
    try:
        through, direct = (output(scene, program, pass_fds=[kept]) for program in (rawr, cli))
    finally:
        os.close(kept)
    assert through == direct and f"'{kept}'".encode() in direct


@needs_proc
@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- 2>&-"])
def test_closed_standard_streams_stay_closed(scene: Scene, shell: str, closed: str) -> None:
    rawr, cli = prepare(scene, shell, "#!/usr/bin/env -S ls /proc/self/fd\n")
    # Not a direct start: without stderr, bash leaves its script open as descriptor 2.
    bare = bare_exec(scene, shell)
    through = output(scene, "/bin/sh", "-c", f"exec {rawr} {closed}")
    assert through == output(scene, "/bin/sh", "-c", f"exec {bare} {cli} {closed}")


def traced(scene: Scene, *argv: str | Path) -> list[str]:
    """The calls that make or replace processes while ``argv`` runs, as strace tells them."""
    strace = shutil.which("strace")
    if not strace or subprocess.run([strace, "-o", "/dev/null", "true"], capture_output=True).returncode:
        pytest.skip("strace is not installed or may not trace here")
    log = scene.folder / "log"
    calls = "trace=fork,vfork,clone,clone3,execve,execveat"
    options = ["-f", "-e", calls, "-e", "signal=none", "-o", log]
    subprocess.run([strace, *options, *argv], cwd=scene.cwd, env=scene.env, capture_output=True)
    return [line.split(maxsplit=1)[1] for line in log.read_text().splitlines()]


def started(calls: list[str]) -> list[str]:
    return [line.split('"')[1] for line in calls if line.startswith("execve(") and line.endswith("= 0")]


def test_the_success_path_forks_nothing_and_execs_once(scene: Scene, shell: str) -> None:
    rawr, cli = prepare(scene, shell, "#!/usr/bin/env true\n")
    calls = traced(scene, rawr, "word")
    assert not [line for line in calls if not line.startswith(("execve(", "+++"))]
    assert started(calls)[:2] == [str(rawr), str(cli)]


def test_a_compiled_cli_needs_no_python(scene: Scene, shell: str) -> None:
    scene.toolkit = ""
    _, cli = prepare(scene, shell, "")
    cli.write_bytes(Path("/bin/echo").read_bytes())
    assert scene.run(shell).decision == (0, "build --fast\n", "")


def test_on_macos_a_mach_o_file_is_what_is_compiled(scene: Scene, shell: str) -> None:
    if shell == "yash":
        pytest.skip("yash reads only characters of the locale, and leaves the rest to the fallback")
    dyld = scene.folder / "dyld"
    dyld.touch()
    scene.edit_entry = lambda text: text.replace("/usr/lib/dyld", str(dyld))
    rawr, cli = prepare(scene, shell, "")
    for magic, tried in (("cffaedfe0700", True), ("cafebabe0000", True), ("7f454c460201", False)):
        cli.write_bytes(bytes.fromhex(magic) + bytes(60))
        calls = traced(scene, rawr)
        assert any(line.startswith(f'execve("{cli}"') for line in calls[:2]) == tried, calls


def test_an_entry_that_is_its_own_cli_is_seen_before_it_is_run(scene: Scene, shell: str) -> None:
    rawr, cli = prepare(scene, shell, "")
    cli.unlink()
    cli.symlink_to(rawr)
    programs = started(traced(scene, rawr, "word"))
    assert programs[:2] == [str(rawr), str(rawr.parent / "rawr-install")]


def test_the_shells_of_the_table_are_the_shells_that_they_say(scene: Scene, shell: str) -> None:
    probe = scene.folder / "probe"
    interpreter = scene.interpreter(shell)
    probe.write_text(f'#!{interpreter}\necho "${{BASH_VERSION-}}${{ZSH_VERSION-}}${{KSH_VERSION-}}" && set -o\n')
    probe.chmod(0o755)
    told = output(scene, probe).decode()
    wanted = {"bash": r"^\d", "bash-posix": r"^\d(.|\n)*posix\s+on", "zsh": r"^\d", "mksh": "MIRBSD|LEGACY"}
    wanted["ksh"] = r"93u\+"
    assert re.search(wanted.get(shell, r"^\n"), told) and SHELLS[shell][0] in os.path.realpath(interpreter.split()[0])
