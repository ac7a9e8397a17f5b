"""Every remedy is true: run as printed on a copy of the machine, it removes its finding and brings no other failure.

Generated machines; what generates them is a list of the ways in which entries, owners, records, policies and workspaces
were seen to be broken.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings, strategies as st

from tests.support.machine import LINK, Machine, Ran
from tests.support.machines import (
    Lab,
    an_installation_was_interrupted,
    document,
    forked,
    leave_lock,
    state_folder,
    the_receipt_is_broken,
    validate,
)

SHIM = Path(__file__).parents[2] / "shims/rawr"
ENTRIES = (
    *("link", "other", "third", "moved", "dangling", "script", "folder", "shim", "pipx"),
    *("plain shim", "plain script", "without CLI", "none", "none"),
)
PLACES = {"bun": ".bun/bin", "first": "first", "late": "late", "local": ".local/bin"}
MACHINES = st.fixed_dictionaries(
    {
        **{place: st.sampled_from(ENTRIES) for place in PLACES},
        "order": st.permutations([*PLACES]).map(tuple),
        "on PATH": st.sets(st.sampled_from([*PLACES]), min_size=1).map(sorted),
        "owner": st.sampled_from(["ws", "other", "none", "empty", "two lines", "moved", "home", "folder"]),
        "receipt": st.sampled_from(["none", "none", "shim", "link", "activated"]),
        "records": st.sampled_from(["good", "good", "good", "broken receipt", "newer receipt", "begun"]),
        "twice on PATH": st.sampled_from(["", "", *PLACES]),
        "policy": st.sampled_from(["", "", "file", "variable", "both", "others write"]),
        "cli": st.sampled_from(["good", "good", "good", "plain", "missing", "no interpreter", "folder"]),
        "workspace": st.sampled_from(
            ["good", "good", "good", "writable", "foreign", "corrupt", "abandoned", "dependencies", "no bun"]
        ),
        "cwd": st.sampled_from(["ws", "ws", "ws", "below", "other", "home", "theirs", "sticky"]),
        "variable": st.sampled_from(["", "", "", "", "other", "home"]),
        "pnpm": st.sets(st.sampled_from(["Library/pnpm", ".local/share/pnpm"])).map(sorted),
        "set aside": st.booleans(),
        "dot_env": st.booleans(),
    }
)


def put(lab: Lab, path: Path, kind: str) -> None:
    """Make one entry of a kind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folders = {"link": "ws", "other": "other", "third": "third", "moved": "gone", "without CLI": "empty"}
    if kind in folders:
        path.symlink_to(lab.machine.folder / folders[kind] / "apps/cli/bin/run.js")
    elif kind == "dangling":
        path.symlink_to("nowhere")
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipx":
        venv = lab.home / ".local/share/pipx/venvs/rawr-install/bin"
        venv.mkdir(parents=True, exist_ok=True)
        shutil.copy(SHIM, venv / "rawr")
        path.symlink_to(venv / "rawr")
    elif kind in ("shim", "plain shim"):
        shutil.copy(SHIM, path)
    elif kind != "none":
        lab.program(path, "#!/bin/sh\necho foreign\n")
    if kind.startswith("plain"):
        path.chmod(0o644)


def build(folder: Path, made: dict[str, Any]) -> Lab:
    lab = Lab(Machine(folder))
    other = lab.machine.workspace("other")
    lab.machine.workspace("third")
    lab.machine.workspace("empty", cli=None)
    lab.machine.entry.unlink()
    lab.machine.owner_file.unlink()
    if made["receipt"] != "none":
        words = {"shim": ("install",), "link": ("install", *LINK), "activated": ("activate", *LINK)}[made["receipt"]]
        assert forked(words, lab.ws, lab.machine.env).code == 0
        lab.machine.entry.unlink()
    for place, below in PLACES.items():
        put(lab, lab.home / below / "rawr", made[place])
        if made["set aside"] and made[place] != "none":
            (lab.home / below / "rawr.set-aside").write_text("an earlier one")
    for below in made["pnpm"]:
        lab.program(lab.home / below / "rawr")
    folders = [lab.home / PLACES[place] for place in made["order"] if place in made["on PATH"]]
    lab.machine.env["PATH"] = ":".join([*map(str, folders), str(lab.tools), "/usr/bin", "/bin"])
    if made["twice on PATH"]:
        (lab.home / "alias").symlink_to(lab.home / PLACES[made["twice on PATH"]])
        lab.machine.env["PATH"] = f"{lab.home}/alias:{lab.machine.env['PATH']}"
    break_records(lab, made["records"])
    owners = {"ws": lab.ws, "other": other, "moved": lab.machine.folder / "gone", "home": lab.home, "empty": ""}
    if made["owner"] == "folder":
        lab.machine.owner_file.unlink(missing_ok=True)
        lab.machine.owner_file.mkdir(parents=True)
    elif made["owner"] != "none":
        lab.machine.own(owners.get(made["owner"], f"{lab.ws}\n{other}"))
    break_policy(lab, made["policy"])
    break_workspace(lab, made["cli"], made["workspace"])
    theirs, sticky = lab.ws / "theirs", lab.machine.folder / "sticky"
    for folder in (theirs, sticky):
        folder.mkdir()
    os.chown(theirs, 12345, -1)
    sticky.chmod(0o1777)
    places = {"below": lab.ws / "plugins", "other": other, "home": lab.home, "theirs": theirs, "sticky": sticky}
    lab.cwd = places.get(made["cwd"], lab.ws)
    if made["variable"]:
        lab.machine.env["RAWR_WORKSPACE_ROOT"] = str(lab.machine.folder / made["variable"])
    if made["dot_env"]:
        (lab.cwd / ".env").write_text("RAWR_X=1\n")
    return lab


def break_records(lab: Lab, records: str) -> None:
    if records == "begun" and not (lab.home / ".local/state/rawr").exists():
        an_installation_was_interrupted(lab)
    elif records == "broken receipt":
        the_receipt_is_broken(lab)
    elif records == "newer receipt":
        lab.program(lab.home / ".local/state/rawr/receipt.json", '{"version": 99, "items": []}')


def break_policy(lab: Lab, policy: str) -> None:
    lab.machine.owner_file.parent.mkdir(exist_ok=True)
    if policy in ("file", "both"):
        (lab.home / ".rawr/global-owner-fallback").write_text("enabled\n")
    if policy in ("variable", "both"):
        lab.machine.env["RAWR_ALLOW_GLOBAL_OWNER_FALLBACK"] = "1"
    if policy == "others write":
        lab.machine.owner_file.parent.chmod(0o777)


def break_workspace(lab: Lab, cli: str, workspace: str) -> None:
    if cli == "plain":
        lab.cli.chmod(0o644)
    elif cli in ("missing", "folder"):
        lab.cli.unlink()
        if cli == "folder":
            lab.cli.mkdir()
    elif cli == "no interpreter":
        lab.program(lab.cli, "#!/no/such/interpreter\n")
    if workspace == "writable":
        (lab.ws / "apps").chmod(0o777)
    elif workspace == "foreign":
        os.chown(lab.ws, 12345, -1)
    elif workspace == "corrupt":
        (state_folder(lab) / "state.json").write_text("{")
    elif workspace == "abandoned":
        leave_lock(lab, 2**22 + 1)  # no process has it: the kernel's highest is 2**22
    elif workspace == "dependencies":
        lab.program(lab.tools / "bun", '#!/bin/sh\nmkdir "$4/node_modules"\n')
        (lab.ws / "package.json").write_text('{"name": "ws", "dependencies": {"left": "1"}}')
    elif workspace == "no bun":
        (lab.ws / "package.json").write_text('{"name": "ws", "engines": {"bun": ">=1"}}')
        script = lab.program(lab.home / "installer", f"rm -f {lab.tools}/bun; cp /bin/true {lab.tools}/bun\n")
        lab.program(lab.tools / "curl", f"#!/bin/sh\ncat {script}\n")


@contextmanager
def put_back(lab: Lab) -> Iterator[None]:
    """What happens inside happens to a copy: the machine stands there again afterwards, as it was."""
    saved, env = Path(f"{lab.machine.folder}.saved"), dict(lab.machine.env)
    subprocess.run(["cp", "-a", lab.machine.folder, saved], check=True)
    try:
        yield
    finally:
        shutil.rmtree(lab.machine.folder)
        saved.rename(lab.machine.folder)
        lab.machine.env = env


def run(lab: Lab, argv: list[str]) -> Ran:
    """As a person would: from a shell in the same folder that finds the toolkit."""
    env = {**lab.machine.env, "PATH": f"{lab.tools}:{lab.machine.env['PATH']}"}
    if argv[0] == "rawr-install":
        # PATH as it is: where the toolkit puts things depends on it.
        return forked(argv[1:], lab.cwd, lab.machine.env)
    return lab.machine.run(*argv, cwd=lab.cwd, env=env)


def found_in(report: dict[str, Any]) -> dict[str, str]:
    return {each["id"]: each["status"] for each in report["findings"]}


def bad(found: dict[str, str]) -> set[str]:
    return {name for name, status in found.items() if status in ("fail", "crash")}


def check_remedies(lab: Lab) -> None:
    printed = lab.doctor("--json")
    validate(printed.json)
    report = document(printed)
    before = found_in(report)
    assert "crash" not in before.values()
    assert printed.json["ok"] is not bool(bad(before))
    commands = {tuple(each["remedy"]["argv"]): [] for each in report["findings"] if each["remedy"]}
    for each in report["findings"]:
        if each["remedy"] and each["remedy"]["argv"]:
            commands[tuple(each["remedy"]["argv"])].append(each["id"])
    for argv, ids in commands.items():
        if not argv:
            continue
        with put_back(lab):
            ran = run(lab, list(argv))
            lab.log_in_again()
            after = found_in(lab.report())
        note(f"{argv} for {ids}: {before} -> {after}\n{ran.out}{ran.err}")
        assert ran.code == 0
        assert {
            name for name in ids if after.get(name, "") not in ("", "info") or after.get(name) == before[name]
        } == set()
        assert bad(after) <= bad(before)


def check_fixes(lab: Lab) -> None:
    """What one run of --fix leaves, since an earlier fix changed what would mend it, the next run mends."""
    with put_back(lab):
        for _ in range(2):
            ran = lab.doctor("--fix", "--json")
            if not ran.json["ok"] and ran.json["error"]["code"].startswith(("WORKSPACE_", "CWD_")):
                return  # nothing is changed where others can change what runs
            report = document(ran)
            note(f"{report.get('fixes')}")
            left, fixes = found_in(report), report.get("fixes", ())
            undone = [fix for fix in fixes if fix["status"] != "done"]
            assert undone == [fix for fix in fixes if set(fix["ids"]) & set(left)]
            if not undone:
                return
        raise AssertionError(undone)


def check_the_sentence(lab: Lab) -> None:
    """What the text says that rawr does here is what a shell makes of it."""
    text = " ".join(lab.doctor().out.split("\n\n")[0].split("\n")[1:])
    said = text.partition(" command   ")[0]
    # Not sh, which may be dash: where the interpreter of the first one is missing, that goes on to the next on PATH.
    ran = lab.machine.run("/bin/bash", "-c", "rawr x", cwd=lab.cwd)
    note(f"{said!r} but {ran}")
    if ran.out.startswith("workspace "):
        assert f"rawr runs {lab.machine.folder}/{ran.out.split()[1]}/apps/cli/bin/run.js here" in said
    elif ran.out == "foreign\n":
        assert "rawr runs " in said and "which is not the toolkit's" in said
    else:
        words = ("rawr fails here", "rawr runs no CLI", "No rawr is found here")
        assert [word for word in words if word in said] and "/apps/cli/bin/run.js here:" not in said
        assert ("there is no such command" in said) is ("rawr: command not found" in ran.err)
        assert ("permission is denied" in said) is ("/rawr: Permission denied" in ran.err)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a workspace to another user")
def test_every_remedy_and_every_fix_is_true_on_every_machine(count: Callable[[int, int], int]) -> None:
    @settings(
        max_examples=count(int(os.environ.get("N", 200)), 2000), deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(MACHINES)
    def holds(made: dict[str, Any]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "machine").mkdir()
            lab = build(Path(os.path.realpath(folder)) / "machine", made)
            check_remedies(lab)
            check_fixes(lab)
            check_the_sentence(lab)

    holds()
