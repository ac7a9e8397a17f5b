"""Any sequence of commands, from each kind of machine, ends where a model says: owner, entries and receipt.

The model knows nothing of plans: a machine is three names and what stands at each, a change is a new picture of them,
and going back is the old picture. What is not ours has a number, so that its bytes can be told to have survived.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.conftest import Machine, Ran

SHIM_FILE = Path(__file__).parent.parent.parent / "shims/rawr"
WORKSPACES = ("a", "b")
SHIM, PIPX = "shim", "pipx"  # what stands at a name: None, one of these, "link a", "foreign"


@dataclass(frozen=True)
class Picture:
    """The names and what stands there; ``listed`` is the receipt: name -> the name of what waits aside, if any."""

    owner: str | None = None
    bun: str | None = None
    local: str | None = None
    listed: tuple[tuple[str, bool], ...] = ()

    def at(self, name: str) -> str | None:
        value: str | None = getattr(self, name)
        return value

    def put(self, name: str, value: str | None, aside: bool = False) -> Picture:
        """The picture with ``value`` at ``name``, as one of the toolkit's own if there is one."""
        waits = aside or dict(self.listed).get(name, False)
        others = tuple(item for item in self.listed if item[0] != name)
        return replace(self, **{name: value}, listed=(*others, *([(name, waits)] if value else [])))


@dataclass
class Model:
    """What a machine is, and how it came to be so: (picture before the change, number of the oldest that it undid)."""

    now: Picture
    history: list[tuple[Picture, int | None]] = field(default_factory=list)
    aside_lost: bool = False

    def change(self, to: Picture, rewound: int | None = None) -> bool:
        if to == self.now:
            return False
        self.history.append((self.now, rewound))
        self.now = to
        return True

    def mode(self, asked: str | None) -> str:
        """The mode asked for, else that of the first entry of ours on PATH, else that of the last in the receipt."""
        on_path = [value for value in (self.now.bun, self.now.local) if value and value != "foreign"]
        kinds = ["link" if value.startswith("link") else SHIM for value in on_path]
        return asked or next(iter(kinds), SHIM)

    def place(self, mode: str) -> str:
        """Bun's folder, but that a shim takes the place of what runs: the first shim, else the first of ours."""
        runs = next((name for name in ("bun", "local") if self.now.at(name)), None)
        if mode == "link" or runs is None:
            return "bun"
        if self.now.at(runs) in (SHIM, PIPX):
            return runs
        return next((name for name in ("bun", "local") if (self.now.at(name) or "foreign") != "foreign"), "bun")

    def entry(self, mode: str, workspace: str, force: bool) -> Picture | str:
        """The picture with the entry, or the code of the refusal."""
        name = self.place(mode)
        value, wanted = self.now.at(name), f"link {workspace}" if mode == "link" else SHIM
        if value == wanted or (value, wanted) == (PIPX, SHIM):
            return self.now
        if value == PIPX:
            return "MANAGED_ENTRY"
        if value == "foreign" and not force:
            return "FOREIGN_ENTRY"
        return self.now.put(name, wanted, aside=value == "foreign")

    def install(self, asked: str | None, workspace: str, force: bool) -> Picture | str:
        mode = self.mode(asked)
        if mode == "link" and self.now.owner not in (None, workspace) and not force:
            return "OWNER_OTHER_INSTANCE"
        return self.entry(mode, workspace, force)

    def activate(self, asked: str | None, workspace: str, force: bool) -> Picture | str:
        made = self.entry(self.mode(asked), workspace, force)
        if isinstance(made, str) or made.owner == workspace:
            return made
        order = made.listed  # the owner is written, and listed, before the entry
        with_owner = made.put("owner", workspace)
        new = [item for item in order if item not in self.now.listed]
        listed = (*(item for item in order if item not in new and item[0] != "owner"), ("owner", False), *new)
        return replace(with_owner, listed=listed)

    def rollback(self) -> tuple[Picture, int] | str:
        limit = len(self.history)
        if self.history and self.history[-1][1] is not None:
            limit = self.history[-1][1]
        for number in reversed(range(limit)):
            before, rewound = self.history[number]
            if rewound is None and self._without_lost(before) != self.now:
                return self._without_lost(before), number
        return "NOTHING_TO_ROLL_BACK"

    def _without_lost(self, picture: Picture) -> Picture:
        """The picture, as far as it can still be had: a foreign thing whose set-aside was deleted is gone."""
        if not self.aside_lost:
            return picture
        gone = {"bun": None} if picture.bun == "foreign" else {}
        return replace(picture, **gone, listed=tuple((name, False) for name, _ in picture.listed))

    def uninstall(self) -> Picture:
        after = self.now
        for name, waits in self.now.listed:
            back = "foreign" if waits and not self.aside_lost else None
            after = replace(after, **{name: back})
        return replace(after, listed=())


STARTS: dict[str, Picture] = {
    "bare": Picture(),
    "of the older scripts": Picture(owner="a", bun="link a"),
    "with pipx's rawr": Picture(local=PIPX),
    "with pipx's rawr and an older link before it": Picture(owner="b", bun="link b", local=PIPX),
    "with somebody's rawr": Picture(bun="foreign"),
    "with somebody's rawr before pipx's": Picture(bun="foreign", local=PIPX),
}
ASKED = st.sampled_from([None, "shim", "bun-symlink"])
PLACE = st.sampled_from(WORKSPACES)


class Sequences(RuleBasedStateMachine):
    """The commands on real files, beside the model."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory(ignore_cleanup_errors=True)
        self.machine = Machine(Path(os.path.realpath(self.folder.name)))
        self.local = self.machine.home / ".local/bin/rawr"
        self.machine.env |= {"RAWR_EVENTS": "off", "PATH": f"{self.machine.bun_bin}:{self.local.parent}:/usr/bin:/bin"}
        for name in WORKSPACES:
            self.machine.workspace(name)
        self.upgrades = 0

    def teardown(self) -> None:
        self.folder.cleanup()

    @initialize(start=st.sampled_from(sorted(STARTS)))
    def begin(self, start: str) -> None:
        self.model = Model(STARTS[start])
        if self.model.now.owner:
            self.machine.own(self.machine.folder / self.model.now.owner)
        if self.model.now.bun == "foreign":
            self.machine.bun_bin.mkdir(parents=True)
            self.machine.entry.write_text("somebody's")
            self.machine.entry.chmod(0o755)
        elif self.model.now.bun:
            self.machine.link(self.machine.folder / self.model.now.bun.removeprefix("link "))
        if self.model.now.local:
            self.pipx()

    def pipx(self) -> None:
        """What ``pipx install`` and ``pipx upgrade`` leave: an environment's script, and a link to it."""
        script = self.machine.home / ".local/share/pipx/venvs/rawr-install/bin/rawr"
        for folder in (script.parent, self.local.parent):
            folder.mkdir(parents=True, exist_ok=True)
        script.unlink(missing_ok=True)
        shutil.copy(SHIM_FILE, script)
        with open(script, "a") as file:
            file.write(f"# {self.upgrades}\n")
        self.local.unlink(missing_ok=True)
        self.local.symlink_to(script)

    def run(self, *words: str | Path) -> Ran:
        ran = self.machine.rawr_install(*words, "--yes", "--json")
        assert "INTERNAL_ERROR" not in ran.out and "Traceback" not in ran.err, ran
        return ran

    def expect(self, wanted: Picture | str, *words: str | Path, rewound: int | None = None) -> dict[str, Any]:
        ran = self.run(*words)
        if isinstance(wanted, str):
            assert (ran.code, ran.json["error"]["code"]) == (1, wanted), ran
            return {}
        changed = self.model.change(wanted, rewound)
        assert ran.code == 0 and ran.json["data"]["changed"] is changed, ran
        data: dict[str, Any] = ran.json["data"]
        return data

    @rule(asked=ASKED, workspace=PLACE, force=st.booleans())
    def install(self, asked: str | None, workspace: str, force: bool) -> None:
        options = [*(["--mode", asked] if asked else []), *(["--force"] if force else [])]
        wanted = self.model.install(asked and asked.replace("bun-sym", ""), workspace, force)
        self.expect(wanted, "install", "--workspace", self.machine.folder / workspace, *options)

    @rule(asked=ASKED, workspace=PLACE, force=st.booleans())
    def activate(self, asked: str | None, workspace: str, force: bool) -> None:
        options = [*(["--mode", asked] if asked else []), *(["--force"] if force else [])]
        wanted = self.model.activate(asked and asked.replace("bun-sym", ""), workspace, force)
        self.expect(wanted, "activate", self.machine.folder / workspace, *options)

    @rule()
    def deactivate(self) -> None:
        self.expect(self.model.now.put("owner", None), "deactivate")

    @rule()
    def rollback(self) -> None:
        wanted = self.model.rollback()
        lost = self.model.aside_lost and not isinstance(wanted, str)
        if isinstance(wanted, str):
            self.expect(wanted, "rollback")
            return
        number = wanted[1]
        before = [self.model.history[index][0].bun for index in range(number, len(self.model.history))]
        done = self.expect(wanted[0], "rollback", rewound=number)
        if lost and before[0] == "foreign":
            assert any("cannot be put back" in note for note in done["notes"]), done

    @rule()
    def uninstall(self) -> None:
        left = dict(self.model.now.listed)
        done = self.expect(self.model.uninstall(), "uninstall")
        assert {Path(path).name for path in done["removed"]} == {
            "global-rawr-owner-path" if name == "owner" else "rawr" for name in left
        }

    @precondition(lambda self: self.model.now.local == PIPX)
    @rule()
    def pipx_upgrade(self) -> None:
        self.upgrades += 1
        self.pipx()

    @precondition(lambda self: any(self.machine.bun_bin.glob("rawr.before*")))
    @rule()
    def the_user_deletes_what_was_set_aside(self) -> None:
        for path in self.machine.bun_bin.glob("rawr.before*"):
            path.unlink()
        self.model.aside_lost = True

    @invariant()
    def the_machine_is_as_the_model_says(self) -> None:
        if not hasattr(self, "model"):
            return
        now = self.model.now
        assert self.found() == {"owner": now.owner, "bun": now.bun, "local": now.local}
        assert not list(self.machine.home.rglob("*.tmp"))
        receipt = self.machine.home / ".local/state/rawr/receipt.json"
        items = json.loads(receipt.read_text())["items"] if receipt.exists() else []
        places = {str(self.machine.entry): "bun", str(self.local): "local", str(self.machine.owner_file): "owner"}
        listed = [(places[item["path"]], item["setAside"] is not None) for item in items]
        assert sorted(listed) == sorted(now.listed)
        waiting = [item["setAside"] for item in items if item["setAside"]]
        assert self.model.aside_lost or all(map(os.path.lexists, waiting)), items

    def found(self) -> dict[str, str | None]:
        owner = self.machine.owner_file
        return {
            "owner": Path(owner.read_text().strip()).name if owner.exists() else None,
            "bun": self.standing(self.machine.entry),
            "local": self.standing(self.local),
        }

    def standing(self, path: Path) -> str | None:
        if not os.path.lexists(path):
            return None
        if path.is_symlink():
            target = os.readlink(path)
            return PIPX if "/pipx/venvs/" in target else f"link {Path(target).parents[3].name}"
        return "foreign" if path.read_text() == "somebody's" else SHIM


@pytest.mark.slow
def test_any_sequence_from_each_machine_ends_where_the_model_says(count: Callable[[int, int], int]) -> None:
    checks = list(HealthCheck)
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Sequences,
        settings=settings(
            max_examples=count(25, 500), stateful_step_count=10, deadline=None, suppress_health_check=checks
        ),
    )
