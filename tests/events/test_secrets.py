"""The log keeps nothing that a command was given, and nothing at all of a command that changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rawr_install.events.redaction import redacted
from tests.cli.commands import LINES, settled
from tests.conftest import Machine

pytestmark = pytest.mark.contract("C2", "log.secrets", "what a command was given is not in the log")

SECRETS = ("hunter2", "s3cr3t")
GIVEN = (
    "https://me:hunter2@host.example/s3cr3t",
    "/nowhere?token=hunter2&more=s3cr3t",
    "nowhere?token=hunter2 s3cr3t",
    "it's hunter2\n s3cr3t",
)
LINES_GIVEN: tuple[Callable[[str], tuple[str, ...]], ...] = (
    lambda given: ("activate", given),
    lambda given: ("install", "--workspace", given, "--mode", "bun-symlink"),
    lambda given: ("install", f"--workspace={given}"),
    lambda given: ("install", "--bin-dir", f"/proc/{given}"),
    lambda given: ("state", "enable", "x", "--workspace", given),
    lambda given: ("trust", "add", given),
    lambda given: ("plugins", "web", "enable", given),
    lambda given: ("rollback", "--to", given),
    lambda given: ("refresh", "--hook", "post-merge", given, given),
)


def log_of(machine: Machine) -> str:
    path = machine.home / ".local/state/rawr/events.jsonl"
    return path.read_text() if path.exists() else ""


@pytest.mark.parametrize("given", GIVEN)
def test_the_log_has_nothing_that_a_failed_command_was_given(machine: Machine, given: str) -> None:
    root = machine.workspace(f"ws?token={SECRETS[0]}&{SECRETS[1]}", cli=None)
    for line in LINES_GIVEN:
        machine.rawr_install(*line(given), "--yes", cwd=root)
    for name in ("RAWR_WORKSPACE_ROOT", "RAWR_HQ_ROOT"):
        machine.rawr_install("state", "enable", "x", env={name: given})
        machine.rawr_install("activate", "--yes", env={name: str(root)})
    machine.rawr_install("activate", root, "--yes")
    log = log_of(machine).splitlines()
    assert any('"WORKSPACE_CLI_MISSING"' in line for line in log)
    assert [line for line in log if any(secret in line for secret in SECRETS)] == []


def test_words_of_the_message_itself_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["rawr-install", "state", "enable", "a", "--workspace=/srv/a", "."])
    said = "state enable failed: a is at /srv/a/apps and in http://u:p@h/?q=1."
    assert redacted(said, "rawr-install state enable") == "state enable failed: … is at …/apps and in http://…h/…"


@pytest.mark.slow
def test_a_command_that_changes_nothing_records_nothing(machine: Machine) -> None:
    settled(machine)
    more = ("refresh --print-hook post-merge", "refresh --hook post-merge a b", "doctor global --fix")
    wrong = ("rollback --wait x", "state enable", "events --nope")
    for line in (*LINES, *more, *wrong, "plugins status --repair"):
        if line in ("rollback", "plugins web enable one --force"):
            continue  # each is a change: the way back and forth, and passing over the gate
        for _ in range(2):
            before = log_of(machine)
            machine.rawr_install(*line.split(), "--json", cwd=machine.folder / "ws")
        assert log_of(machine) == before, line
