"""Generated machines: whatever stands where, the twin and the shell entry decide alike."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings, strategies as st

from tests.dispatch.scene import CLI, TWIN, Scene

CLIS = {
    "good": CLI,
    "env": CLI.replace("#!/bin/sh", "#! /usr/bin/env -S sh -u"),
    "no interpreter": "#!/no/such/bun\n",
    "not on PATH": "#!/usr/bin/env no-such-bun\n",
    "no first line": "echo x\n",
}
# One folder on the way from the root: its name, its three marks, and whether it is another user's.
LEVEL = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["a", "b c", "d\n", "*", "-e", "ü"]),
        "package": st.sampled_from(["file", "file", "file", "folder", "none"]),
        "plugins": st.sampled_from(["folder", "folder", "folder", "file", "none"]),
        "cli": st.sampled_from([*CLIS, "good", "good", "none", "dangling", "folder", "not executable"]),
        "foreign": st.sampled_from([False, False, False, True]),
        "listed": st.booleans(),
    }
)
MACHINE = st.fixed_dictionaries(
    {
        "levels": st.lists(LEVEL, min_size=1, max_size=4),
        "variable": st.sampled_from([None, None, None, "", "/no", "{0}", "{0}/", "{0}/.", "{0}/../{name}"]),
        "fallback": st.sampled_from([None, "1", "0"]),
        "owner": st.sampled_from([None, "", "{0}\n", "\ufeff {0} \r\n", "{0}\n{0}\n", "relative"]),
        "words": st.sampled_from([[], ["x"], ["--version"], ["--"], ["--", "install"], ["doctor"], ["", "*"]]),
        "outside": st.sampled_from([False, False, True]),
    }
)


def make_level(s: Scene, root: Path, level: dict[str, object]) -> None:
    for name, kind in (("package.json", level["package"]), ("plugins", level["plugins"])):
        if kind == "folder":
            (root / name).mkdir()
        elif kind == "file":
            (root / name).write_text("{}")
    cli, kind = s.cli(root), str(level["cli"])
    cli.parent.mkdir(parents=True)
    if kind in CLIS or kind == "not executable":
        cli.write_text(CLIS.get(kind, CLI).replace("{name}", "ws"))
        cli.chmod(0o644 if kind == "not executable" else 0o755)
    elif kind == "dangling":
        cli.symlink_to("gone")
    elif kind == "folder":
        cli.mkdir()
    if level["foreign"] and os.geteuid() == 0:
        s.give_away(root)


def build(s: Scene, plan: dict[str, object]) -> None:
    levels = plan["levels"]
    assert isinstance(levels, list)
    folder, listed = s.folder, []
    for level in levels:
        folder = folder / level["name"]
        folder.mkdir()
        make_level(s, folder, level)
        listed += [str(folder)] if level["listed"] else []
    first = s.folder / levels[0]["name"]
    s.dot_rawr("trusted-workspaces", "\n".join(listed))
    s.stand(s.folder / "outside" if plan["outside"] else folder / "sub")
    if plan["variable"] is not None:
        s.env["RAWR_WORKSPACE_ROOT"] = str(plan["variable"]).replace("{0}", str(first)).replace("{name}", first.name)
    if plan["fallback"] is not None:
        s.env["RAWR_ALLOW_GLOBAL_OWNER_FALLBACK"] = str(plan["fallback"])
    if plan["owner"] is not None:
        s.own(str(plan["owner"]).replace("{0}", str(first)))
    words = plan["words"]
    assert isinstance(words, list)
    s.argv = words


def test_the_twin_and_the_shell_entry_decide_alike(shell: str, count: Callable[[int, int], int]) -> None:
    seen: set[str] = set()

    @settings(max_examples=count(12, 1000), deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(MACHINE)
    def check(plan: dict[str, object]) -> None:
        with tempfile.TemporaryDirectory(prefix="rawr-") as folder:
            scene = Scene(Path(os.path.realpath(folder)))
            build(scene, plan)
            twin, entry = scene.run(TWIN), scene.run(shell)
            seen.add(twin.error)
        assert twin.decision == entry.decision, entry.err
        assert "Traceback" not in twin.err

    check()
    assert len(seen) > 2, "the generated machines are all alike"
