"""The decision itself, as a value: every case of the table again, and what the table cannot see."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import pytest

from rawr_install.dispatch.decide import GUARD_LIMIT, GUARD_VARIABLE, OWNER, VERBS, Decision, decide, next_guard
from rawr_install.errors import DispatchError
from tests.dispatch.cases import Case, T
from tests.dispatch.scene import SHIM, TWIN, Scene

# What shows only when the CLI is started: that it is this entry, or that the system refuses it.
AT_THE_START = {"SELF_EXEC", "CLI_EXEC_FAILED"}


def decided(case: Case) -> tuple[object, object] | None:
    """What was decided and what the table expects; None where only another user could decide."""
    with tempfile.TemporaryDirectory(prefix="rawr-") as folder:
        scene = Scene(Path(os.path.realpath(folder)))
        case.build(scene)
        if scene.user is not None:
            return None
        scene.finish(scene.entry(TWIN))
        cwd = None if scene.vanishes else os.path.realpath(scene.cwd)
        try:
            found = decide(tuple(scene.argv), cwd, scene.env)
        except DispatchError as error:
            return (error.code, error.exit_code), (case.error, case.code)
        if case.name.startswith("the CLI "):  # what it does afterwards is not decided here
            return found.action, "run"
        if case.runs is None:
            verb = scene.argv[:1] == ["doctor"] or (scene.argv and scene.argv[0] in VERBS)
            return (found.action, [*found.words]), ("toolkit" if verb else "greet", scene.argv)
        expected = scene.argv if case.words is None else [*case.words]
        root = os.path.basename(os.path.realpath(found.root)).replace("\n", "-")
        return (found.action, root, [*found.words]), ("run", case.runs, expected)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's files")
def test_every_case_of_the_table_is_decided_so() -> None:
    wrong = {}
    for case in T.cases:
        pair = None if case.entry_only or case.error in AT_THE_START else decided(case)
        if pair and pair[0] != pair[1]:
            wrong[case.name] = pair
    assert not wrong


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def told(scene: Scene, *argv: str) -> tuple[Decision, list[str]]:
    """The decision, and the steps that a trace would show."""
    steps: list[str] = []
    return decide(argv, os.path.realpath(scene.cwd), scene.env, steps.append), steps


def test_who_named_the_workspace_is_kept(scene: Scene) -> None:
    root = scene.workspace("ws")
    scene.stand(root)
    found, steps = told(scene, "build")
    assert (found.action, found.root, found.source, found.words) == ("run", str(root), "search", ("build",))
    assert found.cli and found.cli.path == str(scene.cli(root))
    assert steps == [
        f"workspace (search): {root}",
        f"trusted: {root}",
        f"workspace CLI: {scene.cli(root)} (started by /bin/sh)",
    ]
    scene.stand(scene.folder / "elsewhere")
    scene.env["RAWR_WORKSPACE_ROOT"] = str(root)
    assert told(scene)[0].source == "RAWR_WORKSPACE_ROOT"


def test_what_was_walked_past_and_where_the_search_began_is_told(scene: Scene) -> None:
    alike = scene.workspace("alike", cli=None)
    scene.stand(alike / "below")
    steps: list[str] = []
    with pytest.raises(DispatchError, match=re.escape(str(alike / "below"))):
        decide(("build",), str(alike / "below"), scene.env, steps.append)
    assert steps[0] == f"walked past {alike}: package.json and plugins/, no workspace CLI"
    (alike / "below/named").mkdir()
    scene.env["RAWR_WORKSPACE_ROOT"] = "named"  # relative to the current folder
    with pytest.raises(DispatchError, match=r"no package\.json file there"):
        told(scene)


def test_a_grant_is_told(scene: Scene) -> None:
    root = scene.workspace("ws")
    scene.stand(root)
    scene.env["RAWR_TRUSTED_WORKSPACES"] = str(root)
    assert f"trusted: {root} (granted)" in told(scene)[1]


def test_what_runs_under_a_grant_is_at_the_real_path_that_was_granted(scene: Scene) -> None:
    root, link = scene.workspace("ws"), scene.folder / "link"
    link.symlink_to(root)
    scene.stand(scene.folder / "outside")
    scene.env |= {"RAWR_TRUSTED_WORKSPACES": str(root), "RAWR_WORKSPACE_ROOT": str(link)}
    cli = told(scene)[0].cli
    assert cli and cli.path == str(scene.cli(root))  # another user's link may lead elsewhere by the time it starts


def test_the_owner_is_asked_only_outside_and_where_that_is_allowed(scene: Scene) -> None:
    root = scene.workspace("ws")
    scene.own(root)
    assert told(scene)[0].action == "greet"
    scene.dot_rawr("global-owner-fallback", "enabled\n")
    found, steps = told(scene, "build")
    assert (found.action, found.root, found.source) == ("run", str(root), OWNER)
    assert steps[:2] == [
        "workspace (search): none",
        f"owner fallback: enabled; owner file valid: {scene.home}/.rawr/global-rawr-owner-path",
    ]


@pytest.mark.parametrize(
    ("argv", "action"),
    [
        ((), "greet"),
        (("--help",), "greet"),
        (("--version",), "greet"),
        (("doctor", "global"), "toolkit"),
        (("doctor:global", "--json"), "toolkit"),
        (("which",), "toolkit"),
        (("--help", "me"), ""),
        (("--",), ""),
        (("--", "install"), ""),
        (("doctor",), ""),
        (("global",), ""),
    ],
)
def test_what_is_the_toolkits_outside_every_workspace(argv: tuple[str, ...], action: str, scene: Scene) -> None:
    if action:
        found, steps = told(scene, *argv)
        assert (found.action, found.words) == (action, argv)
        assert steps[-1] == (
            f"{argv[0]}: a command of the toolkit"
            if action == "toolkit"
            else "no workspace: the toolkit says where you are"
        )
    else:
        with pytest.raises(DispatchError, match="workspace") as raised:
            told(scene, *argv)
        assert raised.value.code == "NO_WORKSPACE"


def test_a_mark_grows_with_each_exec_up_to_its_limit_and_starts_anew_in_a_child() -> None:
    mine = f"{os.getpid()}:"
    mark: str | None = ""
    for number in range(1, GUARD_LIMIT + 1):
        mark = next_guard(mark or "")
        assert mark == mine + "x" * number
    assert next_guard(mark or "") is None
    assert f":{'x' * GUARD_LIMIT}*" in SHIM.read_text(), "the shell entry has another limit"
    assert next_guard(f"1{mine}xxxxxxxx") == next_guard("nonsense") == f"{mine}x"


def test_a_cli_that_goes_on_replacing_itself_is_stopped(scene: Scene) -> None:
    scene.stand(scene.workspace("ws"))
    scene.env[GUARD_VARIABLE] = f"{os.getpid()}:" + "x" * (GUARD_LIMIT - 1)
    assert told(scene)[0].action == "run"
    scene.env[GUARD_VARIABLE] += "x"
    with pytest.raises(DispatchError) as raised:
        told(scene)
    assert (raised.value.code, raised.value.exit_code) == ("DISPATCH_LOOP", 126)
