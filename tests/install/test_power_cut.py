"""What a command has changed is on the disk, each thing in its turn, when the command says that it is done."""

from __future__ import annotations

import re

from tests.conftest import Machine
from tests.support.steps import lost_in_a_power_cut, need_strace, record

NAMES = {"global-rawr-owner-path", "rawr", "receipt.json", "history.json"}


def test_owner_entry_receipt_and_history_survive_a_power_cut_at_any_instant(machine: Machine) -> None:
    need_strace()
    roots = [str(machine.workspace(name)) for name in "ab"]
    machine.bun_bin.mkdir(parents=True)
    machine.entry.write_text("#!/bin/sh\n")  # somebody else's: set aside first, put back by the last command
    mode = ("--mode", "bun-symlink")
    renamed: set[str] = set()
    removed: set[str] = set()
    for words in (
        ("activate", roots[0], *mode, "--force"),
        ("activate", roots[1], *mode),
        ("rollback",),
        ("uninstall",),
    ):
        steps = record(machine, words)
        renamed |= set(re.findall(r'rename\("[^"]+", "[^"]*/([^/"]+)"\)', "\n".join(step.shown for step in steps)))
        removed |= set(re.findall(r'unlink\("[^"]*/([^/"]+)"\)', "\n".join(step.shown for step in steps)))
        lost = lost_in_a_power_cut(steps)
        assert not lost, "\n".join([f"rawr-install {words[0]}:", *lost])
    assert renamed >= NAMES and "receipt.json" in removed, "the commands no longer change what this test is about"
