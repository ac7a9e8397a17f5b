"""The hooks in real git repositories. The witness: an entry that was removed is back exactly where a refresh acted."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rawr_install.machine import lock as machine_lock
from tests.conftest import LINK, Machine, Ran, make_workspace

HOOK = Path(__file__).parent.parent.parent / "scripts/git-hook"
NAMES = ("post-checkout", "post-merge", "post-rewrite")
if not shutil.which("git"):
    pytest.skip("git is not installed", allow_module_level=True)


def hooks(folder: Path) -> Path:
    """A folder with the one script under the name of each hook."""
    folder.mkdir()
    for name in NAMES:
        (folder / name).symlink_to(HOOK)
    return folder


class Repository:
    """A workspace in a git repository whose hooks are ours, with a branch ``other`` that changes what matters."""

    def __init__(self, machine: Machine, made: Path | None = None) -> None:
        self.machine = machine
        self.calls = machine.folder / "calls"
        wrapper = machine.folder / "tools/rawr-install"
        wrapper.parent.mkdir()
        wrapper.write_text(f'#!/bin/sh\necho "$@" >> "{self.calls}"\nexec "{sys.executable}" -m rawr_install "$@"\n')
        wrapper.chmod(0o755)
        machine.env["PATH"] = f"{machine.bun_bin}:{wrapper.parent}:/usr/bin:/bin"
        (machine.home / ".gitconfig").write_text(
            "[user]\nname = A\nemail = a@example.org\n[init]\ndefaultBranch = main\n"
            f'[core]\nhooksPath = "{machine.folder}/hooks"\n[advice]\ndetachedHead = false\n[pull]\nrebase = false\n'
        )
        self.root = machine.folder / "work space"
        hooks(machine.folder / "hooks")
        shutil.copytree(made, self.root, symlinks=True) if made else self.make()

    def make(self) -> None:
        make_workspace(self.root)
        (self.root / "plugins/one").mkdir()
        (self.root / "plugins/one/package.json").write_text("{}\n")
        self.git("init", "-q")
        self.commit("first")
        self.git("branch", "boring")
        self.git("branch", "other")
        self.branch_change("other", "apps/cli/extra.js")
        self.branch_change("boring", "README")

    def branch_change(self, branch: str, path: str) -> None:
        self.git("switch", "-q", branch)
        self.change(path)
        self.commit(f"change {path}")
        self.git("switch", "-q", "main")

    def git(self, *words: str, cwd: Path | None = None, code: int = 0, env: dict[str, str] | None = None) -> Ran:
        done = self.machine.run("git", *words, cwd=cwd or self.root, env=env)
        assert done.code == code, done
        return done

    def change(self, path: str) -> None:
        target = self.root / path
        target.write_text((target.read_text() if target.exists() else "") + "\n")

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-qm", message)

    def own(self) -> None:
        """Make it the owner, refresh so that this commit is the one compared with, and take the entry away."""
        self.machine.own(self.root)
        assert self.machine.rawr_install("install", *LINK, cwd=self.root).code == 0
        assert self.machine.rawr_install("refresh", cwd=self.root).code == 0
        self.machine.entry.unlink()
        self.calls.unlink(missing_ok=True)

    @property
    def acted(self) -> bool:
        return os.path.lexists(self.machine.entry)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace, with its twenty runs of git behind it."""
    return Repository(Machine(tmp_path_factory.mktemp("made"))).root


@pytest.fixture
def repository(machine: Machine, made: Path) -> Repository:
    return Repository(machine, made)


def merge_commit(repository: Repository) -> None:
    repository.change("unrelated")
    repository.commit("unrelated")
    repository.git("merge", "-q", "--no-edit", "other")


def rebase(repository: Repository) -> None:
    repository.change("unrelated")
    repository.commit("unrelated")
    repository.git("rebase", "-q", "other")


def clone_ahead(repository: Repository) -> None:
    """Make ``origin`` a bare clone that is one change of the CLI ahead."""
    origin, second = repository.machine.folder / "origin.git", repository.machine.folder / "second"
    repository.git("clone", "-q", "--bare", ".", str(origin))
    repository.git("remote", "add", "origin", str(origin))
    repository.git("clone", "-q", str(origin), str(second))
    (second / "apps/cli/pulled.js").write_text("\n")
    repository.git("add", "-A", cwd=second)
    repository.git("commit", "-qm", "pulled", cwd=second)
    repository.git("push", "-q", "origin", "main", cwd=second)
    repository.git("fetch", "-q", "origin")
    repository.git("branch", "-q", "--set-upstream-to=origin/main", "main")


def pull_rebase(repository: Repository) -> None:
    repository.change("unrelated")
    repository.commit("unrelated")
    repository.git("pull", "-q", "--rebase")


def amend(repository: Repository) -> None:
    repository.change("package.json")
    repository.git("commit", "-qam", "amended", "--amend")


def reset_then_anything(repository: Repository) -> None:
    repository.git("reset", "-q", "--hard", "other")
    assert not repository.acted  # git runs no hook for it
    repository.git("switch", "-q", "-c", "new-name")


def detached_rebase_stopped(repository: Repository) -> None:
    """A rebase that stops on a conflict and is gone on with."""
    repository.change("apps/cli/extra.js")
    (repository.root / "apps/cli/extra.js").write_text("mine")
    repository.commit("conflicting")
    repository.git("rebase", "-q", "other", code=1)
    repository.git("checkout", "--theirs", "apps/cli/extra.js")
    repository.git("add", "-A")
    repository.git("rebase", "--continue", env={"GIT_EDITOR": "true"})


WHAT_MATTERS: dict[str, Callable[[Repository], object]] = {
    "checkout": lambda repo: repo.git("checkout", "-q", "other"),
    "switch": lambda repo: repo.git("switch", "-q", "other"),
    "detached head": lambda repo: repo.git("checkout", "-q", "--detach", "other"),
    "checkout of one file": lambda repo: repo.git("checkout", "-q", "other", "--", "apps/cli/extra.js"),
    "fast-forward merge": lambda repo: repo.git("merge", "-q", "other"),
    "merge commit": merge_commit,
    "squash merge": lambda repo: repo.git("merge", "-q", "--squash", "other"),
    "pull": lambda repo: repo.git("pull", "-q"),
    "pull --rebase": pull_rebase,
    "rebase": rebase,
    "rebase with a conflict": detached_rebase_stopped,
    "fast-forward rebase": lambda repo: repo.git("rebase", "-q", "other"),
    "amend": amend,
    "reset, caught up by the next hook": reset_then_anything,
}


@pytest.mark.parametrize("name", WHAT_MATTERS)
def test_the_entry_is_mended_after(repository: Repository, name: str) -> None:
    if name.startswith("pull"):
        clone_ahead(repository)
    repository.own()
    WHAT_MATTERS[name](repository)
    assert repository.acted
    assert os.path.realpath(repository.machine.entry) == str(repository.root / "apps/cli/bin/run.js")


WHAT_DOES_NOT: dict[str, Callable[[Repository], object]] = {
    "checkout": lambda repo: repo.git("checkout", "-q", "boring"),
    "merge": lambda repo: repo.git("merge", "-q", "boring"),
    "new branch": lambda repo: repo.git("switch", "-q", "-c", "new-name"),
    "there and back with nothing": lambda repo: repo.git("checkout", "-q", "--detach", "main"),
}


@pytest.mark.parametrize("name", WHAT_DOES_NOT)
def test_nothing_is_done_where_no_path_that_matters_changed(repository: Repository, name: str) -> None:
    repository.own()
    WHAT_DOES_NOT[name](repository)
    assert "refresh --hook" in repository.calls.read_text()
    assert not repository.acted


def test_a_plugins_manifest_matters_and_its_source_does_not(repository: Repository) -> None:
    repository.branch_change("other", "plugins/one/package.json")
    repository.branch_change("boring", "plugins/one/source.js")
    repository.own()
    repository.git("switch", "-q", "boring")
    assert not repository.acted
    repository.git("switch", "-q", "other")
    assert repository.acted


def test_refresh_without_a_hook_makes_up_for_a_reset(repository: Repository) -> None:
    repository.own()
    repository.git("reset", "-q", "--hard", "other")
    done = repository.machine.rawr_install("refresh", "--json", cwd=repository.root)
    assert (done.code, repository.acted) == (0, True)
    assert done.json["data"]["changedPaths"] == ["apps/cli/extra.js"]
    assert done.json["data"]["reason"] == "refreshed"
    again = repository.machine.rawr_install("refresh", "--json", cwd=repository.root / "plugins").json["data"]
    assert (again["changedPaths"], again["steps"]) == ([], [])


@pytest.mark.parametrize("words", [(), ("--hook", "post-merge", "main", "other")])
def test_a_dry_run_changes_nothing_and_forgets_nothing(repository: Repository, words: tuple[str, ...]) -> None:
    repository.own()
    repository.git("reset", "-q", "--hard", "other")
    before = repository.machine.tree()
    done = repository.machine.rawr_install("refresh", "--dry-run", "--json", *words, cwd=repository.root)
    assert (done.code, done.json["data"]["reason"]) == (0, "planned")
    assert any(str(repository.machine.entry) in step for step in done.json["data"]["steps"])
    events = {path for path in repository.machine.tree() if "events" in path}
    assert {k: v for k, v in repository.machine.tree().items() if k not in events and not k.endswith("rawr")} == {
        k: v for k, v in before.items() if k not in events and not k.endswith("rawr")
    }
    assert not repository.acted


def test_another_worktree_of_the_owners_repository_is_left_alone(repository: Repository) -> None:
    repository.own()
    inside = repository.root / ".worktrees/two"
    repository.git("worktree", "add", "-q", str(inside), "other")
    repository.git("checkout", "-q", "--detach", "main", cwd=inside)
    assert not repository.acted


def test_a_linked_worktree_can_be_the_owner(repository: Repository) -> None:
    tree = repository.machine.folder / "linked"
    repository.git("worktree", "add", "-q", str(tree), "boring")
    (tree / "plugins").mkdir(exist_ok=True)
    repository.root = tree
    repository.own()
    repository.git("merge", "-q", "--no-edit", "other")
    assert repository.acted
    assert os.path.realpath(repository.machine.entry).startswith(str(tree))


def test_another_clone_starts_no_program_at_all(repository: Repository) -> None:
    repository.own()
    clone = repository.machine.folder / "clone"
    repository.git("clone", "-q", str(repository.root), str(clone))
    repository.git("checkout", "-q", "--detach", "origin/other", cwd=clone)
    assert not repository.acted
    assert not repository.calls.exists()


def test_a_workspace_below_the_top_level_is_refreshed(repository: Repository) -> None:
    nested = make_workspace(repository.root / "nested/ws")
    repository.commit("nested")
    repository.git("switch", "-q", "-c", "deep")
    repository.change("nested/ws/package.json")
    repository.commit("deep")
    repository.git("switch", "-q", "main")
    repository.root, top = nested, repository.root
    repository.own()
    repository.git("merge", "-q", "other", cwd=top)  # apps/cli of the outer workspace
    assert not repository.acted
    repository.git("merge", "-q", "--no-edit", "deep", cwd=top)
    assert repository.acted


@pytest.mark.parametrize("text", ["\ufeff{root}\n", "  {root}  \r\n", "{root}", "{link}\n"])
def test_the_owner_file_is_read_by_its_whole_grammar(repository: Repository, text: str) -> None:
    link = repository.machine.folder / "other spelling"
    link.symlink_to(repository.root)
    repository.own()
    repository.machine.owner_file.write_text(text.format(root=repository.root, link=link))
    repository.git("switch", "-q", "other")
    assert repository.acted


def test_variables_that_name_a_workspace_do_not_count(repository: Repository) -> None:
    elsewhere = make_workspace(repository.machine.folder / "elsewhere")
    repository.own()
    repository.git("switch", "-q", "other", env={"RAWR_WORKSPACE_ROOT": str(elsewhere)})
    assert os.path.realpath(repository.machine.entry) == str(repository.root / "apps/cli/bin/run.js")


def test_a_lost_commit_counts_as_a_change(repository: Repository) -> None:
    repository.own()
    (record,) = repository.machine.home.rglob("refreshed.json")
    record.write_text(json.dumps({"root": str(repository.root), "commit": "0123456789" * 4}))
    repository.git("switch", "-q", "boring")
    assert repository.acted


@pytest.mark.parametrize("record", ["{", '{"root": "ROOT", "commit": "--output=pwned"}'])
def test_a_broken_record_falls_back_to_what_git_said(repository: Repository, record: str) -> None:
    repository.own()
    (file,) = repository.machine.home.rglob("refreshed.json")
    file.write_text(record.replace("ROOT", str(repository.root)))
    repository.git("switch", "-q", "boring")
    assert not repository.acted
    file.write_text(record.replace("ROOT", str(repository.root)))
    repository.git("switch", "-q", "other")
    assert repository.acted
    assert not (repository.root / "pwned").exists()


def test_what_the_checkout_needs_is_said_in_the_hook(repository: Repository) -> None:
    repository.git("switch", "-q", "other")
    (repository.root / "package.json").write_text('{"workspaces": ["apps/*"]}\n')
    repository.commit("needs dependencies")
    repository.git("switch", "-q", "main")
    repository.own()
    done = repository.git("switch", "-q", "other")
    assert "are not installed (no node_modules). Try: bun install --frozen-lockfile" in done.err


# -- never failing the git command -------------------------------------------


def test_a_machine_without_the_toolkit_notices_nothing(repository: Repository) -> None:
    repository.own()
    done = repository.git("switch", "-q", "other", env={"PATH": "/usr/bin:/bin"})
    assert (done.out, done.err) == ("", "")


@pytest.mark.parametrize("variables", [{"HOME": ""}, {"HOME": "/nonexistent"}])
def test_an_odd_home_fails_no_git_command(repository: Repository, variables: dict[str, str]) -> None:
    done = repository.machine.run(
        repository.machine.folder / "hooks/post-checkout", "main", "other", "1", cwd=repository.root, env=variables
    )
    assert (done.code, done.out, done.err) == (0, "", "")


@pytest.mark.parametrize("body", ["exit 3", "kill -9 $$", "echo oops >&2; exit 1"])
def test_a_toolkit_that_fails_does_not_fail_git(repository: Repository, body: str) -> None:
    repository.own()
    (repository.machine.folder / "tools/rawr-install").write_text(f"#!/bin/sh\n{body}\n")
    repository.git("switch", "-q", "other")
    repository.git("merge", "-q", "--no-edit", "boring")
    repository.git("commit", "-q", "--amend", "--no-edit")


def test_a_foreign_entry_is_a_line_on_stderr_and_is_tried_again(repository: Repository) -> None:
    repository.own()
    repository.machine.entry.write_text("mine")
    done = repository.git("switch", "-q", "other")
    assert "FOREIGN_ENTRY" in done.err
    assert repository.machine.entry.read_text() == "mine"
    repository.machine.entry.unlink()
    repository.git("switch", "-q", "-c", "later")
    assert repository.acted


def test_a_held_machine_lock_is_a_line_on_stderr(repository: Repository) -> None:
    repository.own()
    (lock,) = repository.machine.home.rglob("install.lock")
    with machine_lock.locked(str(lock), "test", 5):
        done = repository.git("switch", "-q", "other")
    assert "not refreshed:" in done.err
    assert not repository.acted


@pytest.mark.parametrize("variables", [{"HOME": ""}, {"HOME": "relative"}])
def test_called_for_a_hook_it_never_exits_with_a_failure(machine: Machine, variables: dict[str, str]) -> None:
    done = machine.rawr_install("refresh", "--hook", "post-merge", "a", "b", env=variables)
    assert (done.code, done.out, "NO_HOME" in done.err) == (0, "", True)
    assert machine.rawr_install("refresh", env=variables).code == 2


@pytest.mark.parametrize("old", ["0" * 40, "--output=pwned", "HEAD@{99}", "", "no such branch"])
def test_an_odd_old_commit_is_no_failure(repository: Repository, old: str) -> None:
    repository.own()
    done = repository.machine.rawr_install("refresh", "--hook", "post-checkout", old, "HEAD", cwd=repository.root)
    assert (done.code, done.out) == (0, "")
    assert not (repository.root / "pwned").exists()


def test_outside_the_owner_refresh_says_so(machine: Machine) -> None:
    plain = machine.workspace("plain")
    assert machine.rawr_install("refresh", "--json", cwd=plain).json["data"]["reason"] == "no-owner"
    machine.own(machine.workspace("owner"))
    done = machine.rawr_install("refresh", cwd=plain)
    assert (done.code, "is not the machine's owner" in done.out) == (0, True)


def test_what_refresh_has_done_is_told_with_the_home_as_a_tilde(machine: Machine) -> None:
    root = make_workspace(machine.home / "owner")
    machine.own(root)
    first, _, third, *_ = machine.rawr_install("refresh", cwd=root).out.splitlines()
    assert (first, third) == ("Owner: ~/owner", "write ~/.bun/bin/rawr")


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox", "ksh", "mksh", "yash", "zsh"])
def test_every_shell_runs_the_hooks(machine: Machine, shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    tool = machine.bun_bin / "rawr-install"
    tool.parent.mkdir(parents=True)
    tool.write_text('#!/bin/sh\necho "$@"\nexit 9\n')
    tool.chmod(0o755)
    root = machine.workspace("work space")
    machine.own(root)
    for hook in hooks(machine.folder / "hooks").iterdir():
        argv = [program, *(["sh"] if shell == "busybox" else []), hook, "1", "other", "1"]
        assert machine.run(*argv, cwd=machine.home) == Ran(0, "", "")
        here = machine.run(*argv, cwd=root)
        assert (here.code, here.out.split()[:3], here.err) == (0, ["refresh", "--hook", hook.name], "")


@pytest.mark.parametrize("hook", NAMES)
def test_the_installed_toolkit_prints_the_hook_files(machine: Machine, scripts: Path, hook: str) -> None:
    for done in (
        machine.run(scripts / "rawr-install", "refresh", "--print-hook", hook),
        machine.rawr_install("refresh", "--print-hook", hook),
    ):
        assert (done.code, done.out) == (0, HOOK.read_text().replace("hook=${0##*/}", f"hook={hook}"))


def test_nothing_starts_that_the_repositorys_config_names(repository: Repository) -> None:
    repository.own()
    witness = repository.machine.folder / "started"
    program = repository.machine.folder / "tools/witness"
    program.write_text(f'#!/bin/sh\necho "$0 $@" >> "{witness}"\ncat\n')
    program.chmod(0o755)
    repository.git("merge", "-q", "other")
    witness.unlink(missing_ok=True)
    for name in (
        "core.fsmonitor",
        "diff.external",
        "filter.x.clean",
        "diff.x.textconv",
        "core.pager",
        "core.sshCommand",
    ):
        repository.git("config", name, str(program))
    repository.git("config", "pager.diff-tree", "true")
    (repository.root / ".git/info").mkdir(exist_ok=True)
    (repository.root / ".git/info/attributes").write_text("* filter=x diff=x\n")
    repository.change("package.json")
    hook = repository.machine.rawr_install(
        "refresh", "--hook", "post-merge", "HEAD", "HEAD", "--json", cwd=repository.root
    )
    asked = repository.machine.rawr_install("refresh", "--json", cwd=repository.root)
    assert hook.code == 0 and asked.json["data"]["acted"] is True
    assert not witness.exists(), witness.read_text()


def test_in_a_removed_folder_refresh_says_so(machine: Machine) -> None:
    gone = machine.folder / "gone"
    gone.mkdir()
    argv = [
        "sh",
        "-c",
        f'rmdir {gone}; exec "$@"',
        "sh",
        sys.executable,
        "-P",
        "-m",
        "rawr_install",
        "refresh",
        "--json",
    ]
    ran = machine.run(*argv, cwd=gone)
    assert (ran.code, ran.json["error"]["code"]) == (2, "CWD_GONE")
    gone.mkdir()
    hooked = machine.run(*argv[:-1], "--hook", "post-checkout", "HEAD", "HEAD", cwd=gone)
    assert (hooked.code, "[CWD_GONE]" in hooked.err) == (0, True)
