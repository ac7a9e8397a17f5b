"""What each command plans on each machine, by values: ``plans.json`` holds it.

``python -m tests.machine.test_plan`` writes the file again; read what changed before you commit it.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rawr_install.errors import RawrError
from rawr_install.machine import plan, records
from rawr_install.machine.change import Change
from rawr_install.machine.facts import Facts
from rawr_install.machine.plan import Plan, Request, plan_activate, plan_install
from rawr_install.machine.probe import probe_setup
from rawr_install.machine.undo import plan_deactivate, plan_rollback, plan_uninstall
from rawr_install.paths import Paths
from tests.conftest import LINK, Machine
from tests.machine.test_outcome import MACHINES, SHIM as SHIPPED, foreign, pipx

PLANS = Path(__file__).with_name("plans.json")
REQUESTS = {
    "as it is": Request(),
    "as it is, by force": Request(force=True),
    "a shim": Request("shim"),
    "a shim, by force": Request("shim", force=True),
    "a link": Request("bun-symlink"),
    "a link, by force": Request("bun-symlink", force=True),
    "a link elsewhere": Request("bun-symlink", "{home}/own/", force=True),
    "a shim elsewhere": Request("shim", "{home}/off", force=True),
}
MORE: dict[str, Callable[[Machine, Path, Path], object]] = {
    "another owner": lambda machine, a, b: machine.own(b),
    "an owner that is gone": lambda machine, a, b: machine.own(machine.folder / "gone"),
    "an owner that is no path": lambda machine, a, b: machine.own("../b"),
    "an owner file that is a folder": lambda machine, a, b: (machine.home / ".rawr/global-rawr-owner-path").mkdir(
        parents=True
    ),
    "a file in the place of ~/.rawr": lambda machine, a, b: (machine.home / ".rawr").write_text(""),
    "a file in the place of Bun's folder": lambda machine, a, b: (machine.home / ".bun").write_text(""),
    "this owner": lambda machine, a, b: machine.own(a),
    "a workspace that others can write": lambda machine, a, b: a.chmod(0o777),
    "a CLI that is not executable": lambda machine, a, b: (a / "apps/cli/bin/run.js").chmod(0o644),
    "a CLI for Bun, which is not there": lambda machine, a, b: write_cli(a, "#!/usr/bin/env bun\n"),
    "a CLI for a program that is not there": lambda machine, a, b: write_cli(a, "#!/nowhere/node\n"),
    "no CLI": lambda machine, a, b: (a / "apps/cli/bin/run.js").unlink(),
    "a history of three": lambda machine, a, b: (
        machine.rawr_install("activate", a, *LINK),
        machine.rawr_install("activate", b, *LINK),
        machine.rawr_install("deactivate"),
    ),
    "a foreign file set aside": lambda machine, a, b: set_aside(machine),
    "two foreign files set aside": lambda machine, a, b: (set_aside(machine), set_aside(machine)),
    "a foreign file set aside, then gone": lambda machine, a, b: (set_aside(machine), lose(machine)),
    "a foreign file set aside, gone after more changes": lambda machine, a, b: (
        set_aside(machine),
        machine.rawr_install("activate", b),
        machine.rawr_install("deactivate"),
        lose(machine),
    ),
    "a foreign file set aside, and another in its place": lambda machine, a, b: (
        set_aside(machine),
        foreign_again(machine),
    ),
    "a foreign file put back": lambda machine, a, b: (set_aside(machine), machine.rawr_install("uninstall", "--yes")),
    "a foreign file put back, and lost": lambda machine, a, b: (
        set_aside(machine),
        machine.rawr_install("uninstall", "--yes"),
        machine.entry.unlink(),
    ),
    "a foreign file put back, its other name taken again": lambda machine, a, b: (
        set_aside(machine),
        machine.rawr_install("uninstall", "--yes"),
        (machine.bun_bin / "rawr.before-rawr-install").write_text("another"),
    ),
    "a foreign file over ours, set aside and gone, and another in its place": lambda machine, a, b: (
        machine.rawr_install("install"),
        set_aside(machine),
        lose(machine),
        foreign_again(machine),
    ),
    "an owner file that is a link": lambda machine, a, b: (
        machine.own(b),
        machine.owner_file.rename(machine.home / "dotfile"),
        machine.owner_file.symlink_to(machine.home / "dotfile"),
        machine.rawr_install("activate", a),
        machine.rawr_install("activate", b),
    ),
    "an owner file that is a link, turned elsewhere since": lambda machine, a, b: (
        MORE["an owner file that is a link"](machine, a, b),
        machine.owner_file.unlink(),
        (machine.home / "another").write_text(f"{b}\n"),
        machine.owner_file.symlink_to(machine.home / "another"),
    ),
    "a foreign file of ours": lambda machine, a, b: (machine.rawr_install("install"), foreign_again(machine)),
    "another owner, told to the user alone": lambda machine, a, b: (machine.own(b), machine.owner_file.chmod(0o600)),
    "a foreign file before a link": lambda machine, a, b: (foreign(machine, a, b), elsewhere_too(machine, b)),
    "pipx's shim before a link": lambda machine, a, b: (
        pipx(machine, a, b),
        machine.env.update(PATH=f"{machine.home / '.local/bin'}:{machine.env['PATH']}"),
    ),
    "a link of a relative folder on PATH": lambda machine, a, b: (
        elsewhere_too(machine, b),
        machine.env.update(PATH=f"{os.path.relpath(machine.home / 'own')}:/usr/bin:/bin"),
    ),
    "our link in another folder": lambda machine, a, b: machine.rawr_install(
        "install", *LINK, "--workspace", b, "--bin-dir", machine.home / "own"
    ),
    "our links in two other folders": lambda machine, a, b: [
        machine.rawr_install("install", *LINK, "--workspace", b, "--bin-dir", machine.home / folder)
        for folder in ("own", "too")
    ],
    "our shims in two other folders": lambda machine, a, b: [
        machine.rawr_install("install", "--mode", "shim", "--bin-dir", machine.home / folder)
        for folder in ("own", "too")
    ],
    "our link, spelled in another way": lambda machine, a, b: (
        machine.link(a),
        machine.entry.unlink(),
        machine.entry.symlink_to(os.path.relpath(a / "apps/cli/bin/run.js", machine.bun_bin)),
    ),
    "our link to what is no workspace any more": lambda machine, a, b: (
        machine.rawr_install("activate", b, *LINK),
        (b / "plugins").rmdir(),
    ),
    "our shim, with another mode": lambda machine, a, b: (
        machine.rawr_install("install"),
        machine.entry.chmod(0o775),
    ),
    "pipx's shim where a link is asked for": lambda machine, a, b: (
        pipx(machine, a, b),
        (machine.home / ".local/bin").rename(machine.home / "own"),
    ),
    "our shim, of an older version": lambda machine, a, b: (
        machine.rawr_install("install"),
        machine.entry.write_text(machine.entry.read_text() + "# older\n"),
    ),
    "our shim, forgotten": lambda machine, a, b: (
        machine.rawr_install("install"),
        shutil.rmtree(machine.home / ".local/state/rawr"),
    ),
    "our shim, as it is shipped": lambda machine, a, b: (
        machine.rawr_install("install"),
        shutil.copy(SHIPPED, machine.entry),
    ),
    "a shim as it is shipped, and ours elsewhere": lambda machine, a, b: (
        machine.rawr_install("install", "--mode", "shim", "--bin-dir", machine.home / "own"),
        machine.bun_bin.mkdir(parents=True),
        shutil.copy(SHIPPED, machine.entry),
    ),
    "what pipx put in the place of our shim since": lambda machine, a, b: (
        machine.rawr_install("install", "--mode", "shim", "--bin-dir", machine.home / "own"),
        renewed(machine, machine.home / "own/rawr"),
    ),
    "what pipx put in the place of ours since, over a foreign file set aside": lambda machine, a, b: (
        set_aside(machine),
        renewed(machine, machine.entry),
    ),
}


def renewed(machine: Machine, entry: Path) -> None:
    """Another program's rawr, put there by pipx."""
    program = machine.home / ".local/share/pipx/venvs/other/bin/rawr"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho theirs\n")
    program.chmod(0o755)
    entry.unlink()
    entry.symlink_to(program)


def write_cli(root: Path, text: str) -> None:
    (root / "apps/cli/bin/run.js").write_text(text)


def elsewhere_too(machine: Machine, root: Path) -> None:
    """A link in a folder of the user's that comes last on PATH."""
    own = machine.home / "own"
    own.mkdir()
    (own / "rawr").symlink_to(root / "apps/cli/bin/run.js")
    machine.env["PATH"] = f"{machine.env['PATH']}:{own}"


def foreign_again(machine: Machine) -> None:
    machine.bun_bin.mkdir(parents=True, exist_ok=True)
    machine.entry.unlink(missing_ok=True)
    machine.entry.write_text("#!/bin/sh\necho theirs\n")
    machine.entry.chmod(0o755)


def set_aside(machine: Machine) -> None:
    foreign_again(machine)
    machine.rawr_install("install", "--force", "--mode", "shim", "--bin-dir", machine.bun_bin)


def lose(machine: Machine) -> None:
    for path in machine.bun_bin.glob("rawr?*"):
        path.unlink()


def planned(machine: Machine, make: Callable[[], Plan[Any]]) -> dict[str, Any]:
    """A plan or refusal, with the machine's own folder left out."""
    try:
        made = make()
    except RawrError as error:
        return shown(machine, {"refused": error.code, "remedy": error.remedy, "details": error.details})
    assert [step.path for step in made.steps] == [change.path for change in made.changes]
    steps = [
        (each.role, each.before.kind, f"{each.after.kind} {each.after.mode:o}", each.path, each.backup or listed(each))
        for each in made.changes
    ]
    notes = [note.partition(" and runs")[0] for note in made.notes]
    result = {key: value for key, value in made.result._asdict().items() if value}
    return shown(machine, {"steps": steps, "result": result, "notes": notes, "rewound": made.rewound})


def listed(change: Change) -> str:
    """What a receipt lists, and what waits beside it."""
    items = records.receipt_in(change.after, change.path) if change.role == "receipt" else ()
    return ", ".join(f"{item.path} ({item.setAside})" if item.setAside else item.path for item in items)


def shown(machine: Machine, value: Any) -> Any:
    return json.loads(json.dumps(value, default=str).replace(str(machine.folder), ""))


def everything(name: str, folder: Path) -> dict[str, Any]:
    """What every command plans on the machine called ``name``."""
    machine = Machine(folder)
    a, b = machine.workspace("a"), machine.workspace("b")
    {**MACHINES, **MORE}[name](machine, a, b)
    paths = Paths.from_environ(machine.env)
    history = records.read_history(paths.history_file)

    def look(request: Request = REQUESTS["as it is"], root: Path | None = a) -> Facts:
        return probe_setup(paths, history, str(root) if root else None, request.bin_dir)

    plans: dict[str, Callable[[], Plan[Any]]] = {
        "deactivate": lambda: plan_deactivate(look()),
        "uninstall": lambda: plan_uninstall(look()),
        **{f"rollback --to {to}": lambda to=to: plan_rollback(look(), to) for to in (None, 0, 1, 9)},  # type: ignore[misc]
    }
    for request, asked in REQUESTS.items():
        filled = asked._replace(bin_dir=asked.bin_dir and asked.bin_dir.format(home=machine.home))
        plans[f"activate, {request}"] = lambda filled=filled: plan_activate(look(filled), filled)  # type: ignore[misc]
        plans[f"install, {request}"] = lambda filled=filled: plan_install(look(filled), filled)  # type: ignore[misc]
    plans["install, outside"] = lambda: plan_install(look(root=None), Request("shim"))
    found: dict[str, list[str]] = {}
    for command, make in plans.items():
        found.setdefault(json.dumps(planned(machine, make)), []).append(command)
    return {"; ".join(commands): json.loads(made) for made, commands in found.items()}


@pytest.mark.parametrize("name", [*MACHINES, *MORE])
def test_on_each_machine_each_command_plans_what_is_written_down(name: str, tmp_path: Path) -> None:
    now, written = everything(name, tmp_path), json.loads(PLANS.read_text())[name]
    assert now == written, "if it is meant: python -m tests.machine.test_plan"


def test_the_remedy_for_a_foreign_file_names_the_folder_that_was_asked_for(machine: Machine) -> None:
    (machine.home / "own").mkdir()
    (machine.home / "own/rawr").write_text("theirs")
    paths = Paths.from_environ(machine.env)
    bin_dir = str(machine.home / "own")
    with pytest.raises(RawrError) as refused:
        plan_install(probe_setup(paths, (), None, bin_dir), Request("shim", bin_dir))
    words = ("rawr-install", "install", "--mode", "shim", "--bin-dir", bin_dir, "--force")
    assert (refused.value.code, refused.value.remedy) == ("FOREIGN_ENTRY", words)


@pytest.mark.parametrize("root", ["/w ", "/w\n", "/a\nb", "/a\rb", "/\udcff", ""])
def test_a_path_that_the_owner_file_cannot_hold_is_refused(root: str) -> None:
    with pytest.raises(RawrError) as refused:
        plan._owner_line(root)
    assert refused.value.code == "WORKSPACE_PATH_UNSUITABLE"
    assert plan._owner_line("/a b/ü") == "/a b/ü\n".encode()


if __name__ == "__main__":
    made = {}
    for each in [*MACHINES, *MORE]:
        with tempfile.TemporaryDirectory() as made_for_it:
            made[each] = everything(each, Path(made_for_it).resolve())
    rows = {
        name: [f"  {json.dumps(key)}: {json.dumps(plan)}" for key, plan in plans.items()]
        for name, plans in made.items()
    }
    machines = [f"{json.dumps(name)}: {{\n" + ",\n".join(plans) + "\n }" for name, plans in rows.items()]
    PLANS.write_text("{\n " + ",\n ".join(machines) + "\n}\n")
