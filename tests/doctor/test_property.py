"""Generated machines: text and JSON agree, and both agree with the rule as the contract words it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st

from rawr_install.report import printable
from tests.conftest import Machine
from tests.support.machines import MARK, Lab, document, link_decides, validate

FAILED, LINKED = "Global rawr check failed.", "Global rawr is configured for Bun-global execution."
FOLLOWS = "rawr runs the workspace you are in."
ENTRIES = ("link", "link", "other", "dangling", "foreign", "folder", "shim", "not executable", "none")
MACHINES = st.fixed_dictionaries(
    {
        "bun": st.sampled_from(ENTRIES),
        "first": st.sampled_from(ENTRIES),
        "bun on PATH": st.booleans(),
        "owner": st.sampled_from(["ws", "other", "none", "empty", "two lines", "gone", "home"]),
        "cli": st.sampled_from(["good", "good", "good", "not executable", "missing"]),
        "cwd": st.sampled_from(["ws", "ws", "below", "other", "home"]),
        "variable": st.sampled_from(["", "", "", "ws", "other", "home"]),
        "bun moved": st.booleans(),
        "pnpm": st.booleans(),
        "fallback": st.booleans(),
    }
)


def put(lab: Lab, path: Path, kind: str) -> None:
    """Make one entry of a kind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    targets = {"link": lab.cli, "other": lab.machine.folder / "other/apps/cli/bin/run.js", "dangling": Path("nowhere")}
    if kind in targets:
        path.symlink_to(targets[kind])
    elif kind == "folder":
        path.mkdir()
    elif kind != "none":
        lab.program(path, f"#!/bin/sh\n# {MARK}\n" if kind == "shim" else "#!/bin/sh\n")
        path.chmod(0o644 if kind == "not executable" else 0o755)


def build(folder: Path, made: dict[str, Any]) -> Lab:
    lab = Lab(Machine(folder))
    other = lab.machine.workspace("other")
    places = {"ws": lab.ws, "below": lab.ws / "plugins", "other": other, "home": lab.home}
    lab.machine.entry.unlink()
    if made["bun moved"]:
        lab.machine.env["BUN_INSTALL_BIN"] = str(lab.home / "moved")
    bun = lab.home / "moved" if made["bun moved"] else lab.machine.bun_bin
    put(lab, bun / "rawr", made["bun"])
    put(lab, lab.home / "first/rawr", made["first"])
    folders = [lab.home / "first", *([bun] if made["bun on PATH"] else []), lab.tools]
    if made["pnpm"]:
        lab.program(lab.home / "Library/pnpm/rawr")
        folders.insert(1, lab.home / "Library/pnpm")
    lab.machine.env["PATH"] = ":".join([*map(str, folders), "/usr/bin", "/bin"])
    owners = {"ws": lab.ws, "other": other, "empty": "", "two lines": f"{lab.ws}\n{other}", "gone": "/no/such"}
    lab.machine.owner_file.unlink()
    if made["owner"] != "none":
        lab.machine.own(owners.get(made["owner"], lab.home))
    if made["cli"] != "good":
        lab.cli.chmod(0o644) if made["cli"] == "not executable" else lab.cli.unlink()
    if made["fallback"]:
        (lab.home / ".rawr/global-owner-fallback").write_text("enabled\n")
    if made["variable"]:
        lab.machine.env["RAWR_WORKSPACE_ROOT"] = str(places[made["variable"]])
    lab.cwd = places[made["cwd"]]
    return lab


def healthy(lab: Lab, made: dict[str, Any]) -> bool:
    """The rule, worked out from the disk in another way than the product's."""
    current = instance(lab, made)
    found = shutil.which("rawr", path=lab.machine.env["PATH"])
    refused = made["variable"] == "home" or (made["variable"] == "ws" and made["cli"] == "missing")
    if found is None or refused:
        return False
    if current is None:  # nothing to lead to: any entry of ours will do
        return MARK in Path(found).read_text() or found_is_link(found)
    cli = current / "apps/cli/bin/run.js"
    if not os.access(cli, os.X_OK) or MARK in Path(found).read_text():
        return os.access(cli, os.X_OK)
    bun = Path(lab.machine.env.get("BUN_INSTALL_BIN", lab.machine.bun_bin)) / "rawr"
    return os.path.realpath(found) == str(cli) == os.path.realpath(bun)


def found_is_link(found: str) -> bool:
    return os.path.islink(found) and os.path.realpath(found).endswith("/apps/cli/bin/run.js")


def headline(lab: Lab, ok: bool) -> str:
    found = shutil.which("rawr", path=lab.machine.env["PATH"])
    return FAILED if not ok or not found else FOLLOWS if MARK in Path(found).read_text() else LINKED


def instance(lab: Lab, made: dict[str, Any]) -> Path | None:
    other, ws = lab.machine.folder / "other", lab.ws if made["cli"] != "missing" else None
    named = {"home": None, "other": other, "ws": ws}
    if made["variable"]:
        return named[made["variable"]]
    owner = {"ws": lab.ws, "other": other}.get(made["owner"])
    if made["cwd"] == "home":
        return owner
    if made["cwd"] == "other":
        return other
    return ws or (owner if owner == other else lab.ws)  # lab.ws: it still looks like a workspace


def test_text_json_and_the_rule_agree_on_every_machine(count: Callable[[int, int], int]) -> None:
    @settings(max_examples=count(20, 1000), deadline=None, suppress_health_check=list(HealthCheck))
    @given(MACHINES)
    def agree(made: dict[str, Any]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            lab = build(Path(os.path.realpath(folder)), made)
            printed, text = lab.doctor("--json"), lab.doctor()
            validate(printed.json)
            assert printed.json["ok"] is healthy(lab, made)
            assert printed.code == text.code == (0 if printed.json["ok"] else 1)
            assert text.out.split("\n")[0] == headline(lab, printed.json["ok"])
            findings = document(printed)["findings"]
            said = {each["id"] for each in findings if each["status"] == "info"}
            assert link_decides(document(printed)).keys() == said & {"entry.link-decides"}
            assert printed.json["ok"] is not any(each["status"] == "fail" for each in findings)
            told = [each["summary"] for each in findings if each["status"] in ("fail", "warn", "crash")]
            flat = " ".join(text.out.split())
            assert all(" ".join(printable(summary).split()) in flat for summary in told)
            assert text.out.count("\nfail  ") + text.out.count("\nwarn  ") == len(told)
            warned = [each["summary"] for each in findings if each["status"] == "warn"]
            assert printed.json.get("warnings", []) == warned

    agree()
