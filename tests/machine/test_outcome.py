"""What a plan is foretold to leave is what it leaves: the facts after its changes are those of a second look."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rawr_install.errors import RawrError
from rawr_install.machine.facts import Facts
from rawr_install.machine.outcome import after, moved_away
from rawr_install.machine.plan import Plan, Request, plan_activate, plan_install
from rawr_install.machine.probe import probe
from rawr_install.machine.probe.path_facts import with_paths
from rawr_install.paths import Paths
from tests.conftest import LINK, Machine

SHIM = Path(__file__).parent.parent.parent / "shims/rawr"
Make = Callable[[Machine, Path, Path], object]


def local_link(machine: Machine, a: Path, _b: Path) -> None:
    """A link in a folder of the user's that comes before Bun's."""
    own = machine.home / "own"
    own.mkdir()
    (own / "rawr").symlink_to(a / "apps/cli/bin/run.js")
    machine.env["PATH"] = f"{own}:{machine.env['PATH']}"


def foreign(machine: Machine, _a: Path, _b: Path) -> None:
    machine.bun_bin.mkdir(parents=True)
    machine.entry.write_text("#!/bin/sh\n")
    machine.entry.chmod(0o755)


def pipx(machine: Machine, a: Path, _b: Path) -> None:
    environment, folder = machine.home / ".local/share/pipx/venvs/rawr-install/bin", machine.home / ".local/bin"
    environment.mkdir(parents=True)
    folder.mkdir(parents=True)
    shutil.copy(SHIM, environment / "rawr")
    (folder / "rawr").symlink_to(environment / "rawr")
    machine.env["PATH"] = f"{machine.env['PATH']}:{folder}"
    machine.link(a)


def spelled_twice(machine: Machine, a: Path, _b: Path) -> None:
    (machine.folder / "spelled").symlink_to(machine.bun_bin)
    machine.env["PATH"] = f"{machine.folder / 'spelled'}/:.:{machine.env['PATH']}"
    machine.link(a)


MACHINES: dict[str, Make] = {
    "bare": lambda machine, a, b: None,
    "a link of the older scripts": lambda machine, a, b: (machine.link(b), machine.own(b)),
    "a dangling link": lambda machine, a, b: machine.link(machine.folder / "gone"),
    "a foreign file": foreign,
    "a link before Bun's folder": local_link,
    "a link before pipx's shim": pipx,
    "Bun's folder twice on PATH": spelled_twice,
    "our link": lambda machine, a, b: machine.rawr_install("activate", b, *LINK),
    "our shim": lambda machine, a, b: machine.rawr_install("activate", b),
    "our shim, its folder off PATH": lambda machine, a, b: (
        machine.env.update(PATH="/usr/bin:/bin"),
        machine.rawr_install("install"),
    ),
    "our shim, modified": lambda machine, a, b: (
        machine.rawr_install("install"),
        machine.entry.write_text("#!/bin/sh\n"),
    ),
    "our entry, removed": lambda machine, a, b: (machine.rawr_install("activate", b, *LINK), machine.entry.unlink()),
}


def look(machine: Machine, root: Path) -> Facts:
    return with_paths(probe(Paths.from_environ(machine.env), str(root), machine.env, str(root)), machine.env)


def told(facts: Facts) -> dict[str, object]:
    """What the doctor's checks and the next plan read of entries, owner and records."""
    entries = [(each.path, each.kind, each.instance, each.version, each.ours) for each in facts.entries]
    owner = facts.owner.status, facts.owner.real
    standing = {path: (each.state, each.foreign) for path, each in facts.seen.items()}
    return {
        "entries": entries,
        "also at": dict(facts.path.also_at),
        "bun": (facts.bun_entry.kind, facts.bun_entry.instance),
        "owner": owner,
        "mode": facts.mode,
        "records": (facts.records.receipt, facts.records.modified, facts.records.pending),
        "off PATH": facts.off_path and facts.off_path.path,
        "standing": {path: each for path, each in standing.items() if each[0].kind != "absent"},
    }


@pytest.mark.parametrize("words", [("install",), ("activate",), ("install", "--mode", "shim"), ("activate", *LINK)])
@pytest.mark.parametrize("name", MACHINES)
def test_the_facts_after_a_plan_are_those_of_a_second_look(machine: Machine, name: str, words: tuple[str, ...]) -> None:
    a, b = machine.workspace("a"), machine.workspace("b")
    MACHINES[name](machine, a, b)
    request, facts = Request(words[2] if len(words) > 1 else None, force=True), look(machine, a)
    plan: Plan[object] = (plan_install if words[0] == "install" else plan_activate)(facts, request)  # type: ignore[operator]
    target = ("--workspace", a) if words[0] == "install" else (a,)
    done = machine.rawr_install(*words, *target, "--force", "--json").json["data"]
    assert done["changed"] is bool(plan.changes) and [step["step"] for step in done["plan"]] == [
        step.step for step in plan.steps
    ]
    assert told(after(facts, plan.changes)) == told(look(machine, a))


def test_what_is_moved_away_is_missing_and_what_was_behind_it_comes_first(machine: Machine) -> None:
    a, b = machine.workspace("a"), machine.workspace("b")
    local_link(machine, a, b)
    machine.link(b)
    facts = look(machine, b)
    first = Path(facts.entries[0].path)
    foretold = after(facts, moved_away(facts, str(first)))
    first.rename(f"{first}.set-aside")
    assert told(foretold) == told(look(machine, b)) and foretold.entries[0].path == str(machine.entry)


def test_a_plan_that_would_be_refused_raises_the_same_error(machine: Machine) -> None:
    a, b = machine.workspace("a"), machine.workspace("b")
    foreign(machine, a, b)
    with pytest.raises(RawrError) as refused:
        plan_install(look(machine, a), Request())
    ran = machine.rawr_install("install", "--json", cwd=a)
    assert (refused.value.code, refused.value.message) == (ran.json["error"]["code"], ran.json["error"]["message"])
