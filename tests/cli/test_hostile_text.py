"""Whatever the machine and the words hold, a terminal is shown text: no control character, BiDi mark or line end."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import Phase, given, settings, strategies as st

from tests.cli.commands import LINES
from tests.conftest import Machine
from tests.support.plugins import make_plugin

NASTY = [
    "\x1b]0;t\x07",
    "\x1b[2J",
    "\r",
    "\n",
    "\n  try: rm -rf ~",
    "\nor rm -rf ~",
    "\u202e",
    "\u2066",
    "\u200b",
    "\udc80",
    "\x9b",
    "\u2028",
]
NAMES = st.lists(
    st.sampled_from(NASTY) | st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=2
)
WORDS = {
    "trust add": "{}",
    "trust remove": "{}",
    "state enable": "{}",
    "plugins web enable": "{}",
    "schema": "{}",
    "completion": "{}",
}
MORE = (
    ("{}",),
    ("events", "--since", "{}"),
    ("events", "--verbose"),
    ("doctor", "global", "--verbose"),
    ("doctor", "global", "--check", "{}"),
    ("install", "--bin-dir", "{}", "--dry-run"),
    ("activate", "{}"),
    ("state", "show", "--workspace", "{}"),
    ("which", "{}"),
    ("--{}",),
)


def hostile(folder: Path, name: str) -> Machine:
    """A machine on which everything that a program reads and tells again is called ``name``."""
    machine = Machine(folder)
    root = machine.workspace(name, cli="#!/bin/sh\n")
    make_plugin(root, "web", "one", exports={"./web": "./w.ts"})
    shutil.copytree(root / "plugins/web/one", root / "plugins/web" / name)
    state = root / ".rawr/state/state.json"
    state.parent.mkdir(parents=True)
    ids = [f"{name} a".encode("utf-8", "replace").decode()]
    state.write_text(json.dumps({"version": 1, "plugins": {"enabled": ids, "lastUpdatedAt": name}}))
    machine.own("")
    machine.owner_file.write_bytes(os.fsencode(name))
    machine.link(root)
    foreign = folder / name / "bin"
    foreign.mkdir()
    (foreign / "rawr").write_text("#!/bin/sh\n")
    (foreign / "rawr").chmod(0o755)
    machine.env |= {"PATH": f"{foreign}:{machine.env['PATH']}", "RAWR_EVENTS": name.replace("\0", "")}
    log = machine.home / ".local/state/rawr/events.jsonl"
    log.parent.mkdir(parents=True)
    event = {"eventId": name, "ts": name, "type": f"run.failed{name}", "workflowId": name, "detail": name, name: name}
    log.write_bytes(json.dumps(event).encode() + b"\n" + os.fsencode(name) + b"\n")
    return machine


def lines() -> list[tuple[str, ...]]:
    known = ((line, WORDS.get(" ".join(line.split()[:-1]))) for line in LINES)
    return [*((*line.split()[:-1], word) if word else tuple(line.split()) for line, word in known), *MORE]


@pytest.mark.slow
@settings(max_examples=4, phases=[Phase.generate])
@given(name=NAMES.map(lambda parts: "x" + "".join(parts)).filter(lambda name: len(os.fsencode(name)) < 100))
def test_a_terminal_is_shown_text_alone(name: str) -> None:
    with TemporaryDirectory() as folder:
        machine = hostile(Path(os.path.realpath(folder)), name)
        root = machine.folder / name
        (root / "apps/cli/bin/run.js").chmod(0o644)  # the remedy names it
        for number, words in enumerate((*lines(), ("dispatch", "build"), ("dispatch", "build"), ("state", "show"))):
            env = {"RAWR_WORKSPACE_ROOT": name} if number > len(lines()) else {}
            ran = machine.rawr_install(*(word.replace("{}", name) for word in words), cwd=root, env=env)
            for line in (ran.out + ran.err).split("\n"):
                assert line.isprintable(), (words, line)
            assert "Traceback" not in ran.err and "[INTERNAL_ERROR]" not in ran.err, (words, ran.err)
            ways = [line for line in ran.err.split("\n") if line.startswith(("  try: rm", "   or rm"))]
            assert not ways, (words, ran.err)
