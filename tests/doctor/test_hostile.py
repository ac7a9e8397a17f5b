"""What the doctor reads may be hostile: time and memory stay bounded, and nothing reaches the terminal raw."""

from __future__ import annotations

import os
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from rawr_install.doctor import diagnose as doctor
from rawr_install.machine import probe
from rawr_install.paths import Paths
from tests.conftest import Machine, Ran
from tests.support.machines import Lab, document, state_folder, validate

MEMORY = 400_000  # KiB of address space; an interpreter with its libraries takes about 60,000
SECONDS = 20  # of processor time
DEEP = "[" * 100_000


@pytest.fixture
def lab(machine: Machine) -> Lab:
    return Lab(machine)


def limited(lab: Lab, *words: str) -> Ran:
    """The doctor under the kernel's own limits; one that waits for ever ends with the runner's timeout."""
    script = f'ulimit -v {MEMORY} && ulimit -t {SECONDS} && exec "$@"'
    words = ("/bin/sh", "-c", script, "sh", str(lab.tools / "rawr-install"), "doctor", "global", *words)
    return lab.machine.run(*words, cwd=lab.cwd)


def sparse(path: Path, size: int, start: bytes = b"") -> None:
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(start)
    os.truncate(path, size)


def fifo(path: Path) -> None:
    if path.exists():
        path.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)


def loop(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(path.name)


def receipt(lab: Lab) -> Path:
    return lab.home / ".local/state/rawr/receipt.json"


ATTACKS: dict[str, tuple[Callable[[Lab], None], str | None]] = {
    "an owner file of 1 GiB": (lambda lab: sparse(lab.machine.owner_file, 1 << 30), "owner.unreadable"),
    "an owner file that is a pipe": (lambda lab: fifo(lab.machine.owner_file), "owner.unreadable"),
    "an owner file that is a loop": (lambda lab: loop(lab.machine.owner_file), "owner.unreadable"),
    "an owner that is a loop": (
        lambda lab: (lab.machine.own(lab.home / "l"), loop(lab.home / "l"))[0],
        "owner.vanished",
    ),
    "a CLI package of 100 MiB": (lambda lab: sparse(lab.ws / "apps/cli/package.json", 100 << 20, b"{"), None),
    "a CLI package that is a pipe": (lambda lab: fifo(lab.ws / "apps/cli/package.json"), None),
    "a package of 100 MiB": (lambda lab: sparse(lab.ws / "package.json", 100 << 20, b"{"), "package.unreadable"),
    "a package 100,000 deep": (
        lambda lab: (lab.ws / "package.json").write_text('{"name": ' + DEEP) and None,
        "package.unreadable",
    ),
    "a CLI package 100,000 deep": (lambda lab: (lab.ws / "apps/cli/package.json").write_text(DEEP) and None, None),
    "a bunfig of 1 GiB": (lambda lab: sparse(lab.ws / "bunfig.toml", 1 << 30, b'preload = "x"\n'), None),
    "a bunfig 100,000 deep": (lambda lab: (lab.ws / "bunfig.toml").write_text("preload = " + DEEP) and None, None),
    "a global bunfig 100,000 deep": (lambda lab: (lab.home / ".bunfig.toml").write_text("a = " + DEEP) and None, None),
    "a .env that is a pipe": (lambda lab: fifo(lab.ws / ".env"), None),
    "a .env of 1 GiB": (lambda lab: sparse(lab.ws / ".env", 1 << 30, b"RAWR_X=1\n"), "project.env-file"),
    "a CLI that is a pipe": (lambda lab: fifo(lab.cli), "workspace.cli-not-executable"),
    "a CLI that is a loop": (lambda lab: loop(lab.cli), "workspace.cli-missing"),
    "a CLI of 1 GiB": (lambda lab: (sparse(lab.cli, 1 << 30, b"#!/bin/sh\n"), lab.cli.chmod(0o755))[1], None),
    "an entry that is a pipe": (lambda lab: fifo(lab.machine.entry), "entry.foreign"),
    "an entry that is a loop": (lambda lab: loop(lab.machine.entry), "entry.dangling"),
    "a state of 1 GiB": (lambda lab: sparse(state_folder(lab) / "state.json", 1 << 30), "state.unreadable"),
    "a state that is a pipe": (lambda lab: fifo(state_folder(lab) / "state.json"), "state.unreadable"),
    "a lock that is a pipe": (lambda lab: fifo(state_folder(lab) / "state.lock"), "state.lock-unreadable"),
    "a receipt of 1 GiB": (
        lambda lab: sparse(receipt(lab), 1 << 30),
        "receipt.unreadable",
    ),
    "a receipt that is a pipe": (lambda lab: fifo(receipt(lab)), "receipt.unreadable"),
    "a receipt 100,000 deep": (
        lambda lab: lab.program(receipt(lab), DEEP) and None,
        "receipt.unreadable",
    ),
    "a history 100,000 deep": (
        lambda lab: lab.program(lab.home / ".local/state/rawr/history.json", DEEP) and None,
        "history.unreadable",
    ),
    "a fallback policy that is a pipe": (lambda lab: fifo(lab.home / ".rawr/global-owner-fallback"), None),
    "a trust list of 1 GiB": (lambda lab: sparse(lab.home / ".rawr/trusted-workspaces", 1 << 30), None),
    "a home that is no folder": (lambda lab: lab.machine.env.update(HOME=str(lab.cli)), "entry.outside-bun"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_survived_in_bounded_time_and_memory(lab: Lab, attack: str) -> None:
    make, finding = ATTACKS[attack]
    make(lab)
    printed = limited(lab, "--json").json
    validate(printed)
    report = printed["data"] if printed["ok"] else printed["error"]["details"]
    found = {each["id"]: each["status"] for each in report["findings"]}
    assert finding is None or finding in found
    assert "crash" not in found.values()


ESCAPE = "\x1b]0;owned\x07\x1b[2Jé\udcff\u202e"


def test_escape_codes_in_paths_are_shown_harmlessly(lab: Lab) -> None:
    evil = lab.machine.workspace(f"ws{ESCAPE}", cli="#!/bin/sh\n")
    lab.machine.link(evil)
    lab.machine.owner_file.write_bytes(os.fsencode(f"/gone/{ESCAPE}\n"))
    lab.program(lab.first_on_path(lab.home / f"bin{ESCAPE}") / "rawr")
    lab.cwd = evil
    for words in ((), ("--verbose",), ("--json",), ("--fix", "--dry-run"), ("--redact",)):
        shown = lab.machine.rawr_install("doctor", "global", *words, cwd=lab.cwd)
        assert not {"\x1b", "\x07", "\u202e"} & set(shown.out + shown.err)
    assert "\\x1b]0;owned" in lab.machine.rawr_install("doctor", "global", cwd=lab.cwd).out
    assert "\x1b" not in lab.machine.rawr_install("which", cwd=lab.cwd).out


def test_a_path_as_long_as_the_kernel_allows_is_read(lab: Lab) -> None:
    lab.machine.env["PATH"] = ":".join(f"/p/{number}" for number in range(9_000)) + ":" + lab.machine.env["PATH"]
    found = {each["id"]: each["evidence"] for each in document(limited(lab, "--json"))["findings"]}
    assert found["path.too-long"]["skipped"] > 4_000


def test_many_folders_on_path_cost_bounded_memory(lab: Lab) -> None:
    path = ":".join(f"/p/{number}" for number in range(200_000))
    environ = {**lab.machine.env, "PATH": f"{lab.machine.env['PATH']}:{path}"}
    tracemalloc.start()
    report = doctor.diagnose(probe.probe(Paths.from_environ(environ), str(lab.ws), environ))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert report.healthy
    assert [finding.id for finding in report.findings] == ["path.too-long", "entry.link-decides"]
    assert peak < 40 * len(path)


def test_the_same_folder_a_thousand_times_is_one_folder(lab: Lab) -> None:
    lab.machine.env["PATH"] = ":".join([lab.machine.env["PATH"]] * 1000)
    assert lab.found() == {}
    assert len(lab.report()["entries"]) == 1
