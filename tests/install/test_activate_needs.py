"""Activation in a fresh checkout: what it says is missing, and what --install-deps does, with a fake ``bun``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT, Machine
from tests.events.conftest import TRACE, TRACED, is_child_of_trace
from tests.machine.test_requirements import BUN_CLI, fake_bun

MANIFEST = {"packageManager": "bun@1.2.3", "engines": {"bun": "^1.2"}, "workspaces": ["apps/*"]}
# Answers its version; `install` says where and how it was called, on both streams, and does its work.
BUN = """
[ "$1" = --version ] && { echo %s; exit 0; }
echo "called in $PWD: $*"; echo problem >&2; [ -z "$TRACEPARENT" ] || echo "traced as $TRACEPARENT"
/bin/mkdir node_modules; exit %d
"""


def checkout(machine: Machine, manifest: dict[str, object] = MANIFEST) -> Path:
    root = machine.workspace("fresh one", cli=BUN_CLI)
    (root / "package.json").write_text(json.dumps(manifest))
    return root


def put_bun(machine: Machine, version: str = "1.2.3", code: int = 0) -> None:
    fake_bun(machine.bun_bin / "bun", BUN % (version, code))


def needs(machine: Machine, root: Path) -> list[str]:
    done = machine.rawr_install("activate", root, "--json")
    assert done.code == 0, done
    return [need["id"] for need in done.json["data"]["needs"]]


def test_without_bun_it_says_so_and_still_activates(machine: Machine) -> None:
    root = checkout(machine)
    done = machine.rawr_install("activate", root)
    assert done.code == 0
    assert "This checkout still needs: Bun is not on PATH" in done.out
    assert "  try: bash -c 'curl -fsSL https://bun.com/install | bash -s bun-v1.2.3'" in done.out
    assert machine.owner_file.read_text() == f"{root}\n"


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.2.3", ["dependencies.missing"]),
        ("1.2.4", ["bun.version", "dependencies.missing"]),
        ("1.1.0", ["bun.version", "bun.version", "dependencies.missing"]),
    ],
)
def test_the_bun_on_path_is_asked_and_judged(machine: Machine, version: str, expected: list[str]) -> None:
    put_bun(machine, version)
    assert needs(machine, checkout(machine)) == expected


def test_a_ready_checkout_needs_nothing(machine: Machine) -> None:
    put_bun(machine)
    root = checkout(machine)
    (root / "node_modules").mkdir()
    assert needs(machine, root) == []
    assert "still needs" not in machine.rawr_install("activate", root).out


def test_install_deps_runs_the_frozen_install_and_shows_its_output(machine: Machine) -> None:
    put_bun(machine)
    root = checkout(machine)
    done = machine.rawr_install("activate", root, "--install-deps", "--json")
    data = done.json["data"]
    assert (done.code, data["installDeps"], data["needs"]) == (0, "done", [])
    assert f"called in {root}: install --frozen-lockfile\nproblem\n" in done.err
    assert (root / "node_modules").is_dir()


@TRACED
def test_buns_install_is_a_child_of_the_callers_trace(machine: Machine) -> None:
    put_bun(machine)
    done = machine.rawr_install("activate", checkout(machine), "--install-deps", env={"TRACEPARENT": TRACE})
    assert is_child_of_trace(done.err.partition("traced as ")[2].split()[0])


def test_install_deps_runs_also_where_activation_found_all_in_place(machine: Machine) -> None:
    put_bun(machine)
    root = checkout(machine)
    assert machine.rawr_install("activate", root).code == 0
    done = machine.rawr_install("activate", root, "--install-deps")
    assert (done.code, "install --frozen-lockfile" in done.err) == (0, True)


def test_a_failed_install_is_an_error_and_the_owner_stays(machine: Machine) -> None:
    put_bun(machine, code=7)
    root = checkout(machine)
    done = machine.rawr_install("activate", root, "--install-deps", "--json")
    assert (done.code, done.json["error"]["code"]) == (1, "INSTALL_DEPS_FAILED")
    assert machine.owner_file.read_text() == f"{root}\n"
    shown = machine.rawr_install("activate", root, "--install-deps").out
    assert "installing its dependencies failed. [INSTALL_DEPS_FAILED]\n  try: " in shown


def test_install_deps_without_bun_names_what_is_missing(machine: Machine) -> None:
    root = checkout(machine)
    done = machine.rawr_install("activate", root, "--install-deps", "--json")
    error = done.json["error"]
    assert (done.code, error["code"]) == (1, "INSTALL_DEPS_FAILED")
    assert "Bun is not on PATH" in error["message"]
    [need, *_] = error["details"]["needs"]
    assert (need["id"], need["remedy"]["argv"][:2]) == ("bun.missing", ["bash", "-c"])
    assert need["remedy"]["text"].startswith("bash -c 'curl")


def test_a_dry_run_installs_nothing(machine: Machine) -> None:
    put_bun(machine)
    root = checkout(machine)
    done = machine.rawr_install("activate", root, "--install-deps", "--dry-run", "--json")
    assert (done.code, done.json["data"]["installDeps"]) == (0, "planned")
    assert not (root / "node_modules").exists()
    assert not machine.owner_file.exists()


TROUBLE = {
    "a Windows line end": ("#!/bin/sh\r\necho\r\n", "CLI_WINDOWS_LINE_END"),
    "no #!": ("echo\n", "CLI_NO_SHEBANG"),
    "an interpreter that is missing": ("#!/no/such/sh\n", "CLI_INTERPRETER_MISSING"),
    "a copy of rawr": ((PROJECT / "shims/rawr").read_text(), "SELF_EXEC"),
}


@pytest.mark.parametrize("about", TROUBLE)
def test_a_cli_that_rawr_refuses_is_refused_by_activate_with_the_same_words(machine: Machine, about: str) -> None:
    text, code = TROUBLE[about]
    root = machine.workspace("w")
    cli = root / "apps/cli/bin/run.js"
    cli.write_text(text, newline="")
    ran = machine.rawr_install("activate", root, "--json")
    assert (ran.code, ran.json["error"]["code"]) == (1, code)
    assert not machine.owner_file.exists()
    said = machine.run(sys.executable, "-P", "-m", "rawr_install", "dispatch", cwd=root)
    assert said.code == 126 and f"{ran.json['error']['message']} [{code}]" in said.err
