"""History and receipt are read as any input: nothing is obeyed that the toolkit never writes."""

from __future__ import annotations

import copy
import json
import os
import random
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from rawr_install.errors import RawrError
from rawr_install.machine.records import Item, Record, read_history, read_receipt
from tests.conftest import LINK, Machine, Ran
from tests.support.machines import forked

VICTIM = "/the/victim"
NASTY: tuple[object, ...] = (
    *(None, True, False, 0, -1, 1.5, 1 << 70, float("nan")),
    *("", " ", "\0", "\ud800", "\udcff", "a\nb", "\x1b[2J", "x" * 5000, "rawr", "owner", "receipt", "entry"),
    *(VICTIM, VICTIM + "/../rawr", "//rawr/", "../rawr", "~/rawr"),
    *([], [[]], {}, {"kind": "file"}, [None]),
)


@pytest.fixture
def used(machine: Machine) -> Machine:
    """A machine with every kind of record: a file set aside, two owners, a rollback."""
    machine.env["RAWR_EVENTS"] = "off"
    machine.bun_bin.mkdir(parents=True)
    machine.entry.write_text("foreign")
    a, b = (str(machine.workspace(name)) for name in "ab")
    for words in (("activate", a, "--force", *LINK), ("activate", b), ("rollback",), ("activate", b)):
        assert machine.rawr_install(*words, "--yes").code == 0
    return machine


def state(machine: Machine, name: str) -> Path:
    return machine.home / ".local/state/rawr" / name


def leaves(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value inside, containers too."""
    yield way
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from leaves(value[key], (*way, key))


def with_value(document: Any, way: tuple[Any, ...], value: object) -> Any:
    if not way:
        return value
    changed = copy.deepcopy(document)
    inner = changed
    for key in way[:-1]:
        inner = inner[key]
    inner[way[-1]] = value
    return changed


def spoiled(document: Any, victim: str) -> Iterator[Any]:
    for way in leaves(document):
        for nasty in NASTY:
            value = nasty.replace(VICTIM, victim) if isinstance(nasty, str) else nasty
            yield with_value(document, way, value)


@pytest.mark.parametrize("name", ["history.json", "receipt.json"])
def test_a_value_of_a_record_is_what_the_toolkit_writes_or_the_record_is_refused(used: Machine, name: str) -> None:
    read: Callable[[str], Any] = read_history if name == "history.json" else read_receipt
    file = state(used, name)
    written = json.loads(file.read_text())
    if name == "history.json":
        written["records"] = written["records"][::2]  # a set-aside and a rollback: every kind of value
    refused = read_all = 0
    for document in spoiled(written, str(used.home / "victim")):
        file.write_text(json.dumps(document), encoding="ascii")
        try:
            names_are_ours(read(str(file)))
            read_all += 1
        except RawrError as error:
            assert error.code in (name.split(".")[0].upper() + "_UNREADABLE", "RECORD_NEWER"), error
            refused += 1
    assert refused > 300 > 20 < read_all, (refused, read_all)


def names_are_ours(found: list[Record] | tuple[Item, ...]) -> None:
    for each in found:
        for path, role, backup in (
            [(each.path, each.role, each.setAside)]
            if isinstance(each, Item)
            else [(change.path, change.role, change.backup) for change in each.changes]
        ):
            assert os.path.isabs(path) and role in ("owner", "entry", "receipt")
            assert role != "entry" or os.path.basename(path) == "rawr"
            assert backup is None or backup.startswith(path + ".before-rawr-install")


COMMANDS = (("rollback", "--to", "0"), ("uninstall",), ("activate", "a"), ("history",), ("doctor", "global"))


def tried(machine: Machine, words: tuple[str, ...]) -> Ran:
    yes = () if words[0] in ("history", "doctor") else ("--yes",)
    return forked([*words, *yes, "--json"], machine.folder, machine.env)


@pytest.mark.parametrize("name", ["history.json", "receipt.json"])
def test_no_command_breaks_on_a_spoiled_record_or_touches_what_it_names(
    used: Machine, name: str, count: Callable[[int, int], int]
) -> None:
    victim = used.home / "victim"
    victim.write_text("mine")
    file = state(used, name)
    documents = list(spoiled(json.loads(file.read_text()), str(victim)))
    chance = random.Random(name)
    before = file.read_text()
    for document in chance.sample(documents, count(25, 600)):
        file.write_text(json.dumps(document), encoding="ascii")
        ran = tried(used, chance.choice(COMMANDS))
        assert ran.code in (0, 1, 2) and "INTERNAL_ERROR" not in ran.out and "Traceback" not in ran.err, (document, ran)
        assert json.loads(ran.out) and victim.read_text() == "mine", (document, ran)
        file.write_text(before)


@pytest.mark.parametrize("command", [("rollback", "--to", "0"), ("uninstall",)], ids=lambda words: words[0])
@pytest.mark.parametrize("role", ["owner", "receipt"])
def test_a_file_that_a_record_names_as_the_toolkits_own_and_is_not_stays(
    used: Machine, command: tuple[str, ...], role: str
) -> None:
    victim = used.home / "victim"
    victim.write_text("mine")
    for name in ("history.json", "receipt.json"):
        own = str(used.owner_file if role == "owner" else state(used, "receipt.json"))
        state(used, name).write_text(state(used, name).read_text().replace(json.dumps(own), json.dumps(str(victim))))
    if command[0] == "uninstall":
        items = json.loads(state(used, "receipt.json").read_text())

        items["items"].append(
            {"path": str(victim), "role": role, "kind": "file", "fingerprint": sha256(b"mine").hexdigest()}
        )
        state(used, "receipt.json").write_text(json.dumps(items))
    tree = used.tree()
    ran = tried(used, command)
    code = "RECEIPT_UNREADABLE" if command[0] == "uninstall" else "HISTORY_UNREADABLE"
    assert (ran.code, ran.json["error"]["code"]) == (1, code)
    assert str(victim) in ran.json["error"]["message"] and used.tree() == tree


def test_a_pending_record_that_names_another_file_is_not_carried_out(used: Machine) -> None:
    victim = used.home / "victim"
    victim.write_text("mine")
    document = json.loads(state(used, "history.json").read_text())
    change = {"role": "owner", "path": str(victim), "before": {"kind": "absent"}}
    change["after"] = {"kind": "file", "text": "mine", "mode": 0o644}
    document["records"].append(
        {"id": 99, "at": "now", "command": "activate", "status": "pending", "changes": [change, change]}
    )
    document["records"][-1]["changes"][1] = change | {"after": {"kind": "link", "target": "/never"}}
    state(used, "history.json").write_text(json.dumps(document))
    ran = tried(used, ("deactivate",))
    assert (ran.code, ran.json["error"]["code"]) == (1, "HISTORY_UNREADABLE") and victim.read_text() == "mine"


@pytest.mark.parametrize("name", ["history.json", "receipt.json"])
def test_a_record_of_a_newer_toolkit_is_refused_and_left_alone(used: Machine, name: str) -> None:
    document = json.loads(state(used, name).read_text()) | {"version": 2, "more": 1}
    state(used, name).write_text(json.dumps(document))
    tree = used.tree()
    for words in (("activate", "b"), ("uninstall",), ("rollback",)):
        ran = tried(used, words)
        assert (ran.code, ran.json["error"]["code"]) == (1, "RECORD_NEWER"), ran
    assert used.tree() == tree


@pytest.mark.parametrize("name", ["history.json", "receipt.json"])
def test_a_pipe_in_a_records_place_is_not_waited_for(used: Machine, name: str) -> None:
    state(used, name).unlink()
    os.mkfifo(state(used, name))
    for words in (("history",), ("activate", "b"), ("doctor", "global")):
        assert tried(used, words).code in (0, 1)
    code = name.split(".")[0].upper() + "_UNREADABLE"
    assert tried(used, ("activate", "b")).json["error"]["code"] == code
