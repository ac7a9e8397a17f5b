"""The review bundle: versions, manifest, evidence, page and verdict, on small repositories made for the purpose."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PROJECT
from tests.support.scripts import load, script

pytest.importorskip("griffe", reason="the extra rawr-install[review] is not installed")

INIT = '__version__ = "{version}"\n_PUBLIC = {{"core": {names}}}\n'
CORE = '''
from dataclasses import dataclass

@dataclass
class Options:
    timeout: float = 5.0
    _hidden: int = 0

def enable(root, name):
    """Enable."""

def _private(): ...
'''
SCHEMA = {"$schema": "x", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["a"]}


class Repository:
    """A project of this one's shape, at its first release."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self) -> None:
        self.git("init", "-q", "-b", "main")
        self.write("rawr_install/__init__.py", INIT.format(version="1.2.0", names=["Options", "enable"]))
        self.write("rawr_install/core.py", CORE)
        self.write("rawr_install/data/doc.json", json.dumps(SCHEMA))
        self.write("tests/conformance/wire.json", json.dumps({"cases": [{"id": 1, "key": "x"}]}))
        self.write(
            "rawr_install/plugins/catalog.py", 'FORBIDDEN = ("templateRole", "channel", "publishTier", "published")\n'
        )
        self.write("tests/test_core.py", "from rawr_install.core import enable\n")
        self.commit("First")
        self.git("tag", "v1.2.0")

    def git(self, *words: str) -> str:
        argv = ["git", "-C", str(self.folder), "-c", "user.name=n", "-c", "user.email=e@example.org", *words]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def replace(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def commit(self, subject: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", subject)

    def review(self, *words: str | Path, report: str = "") -> tuple[int, Any]:
        """The exit code and the whole bundle (or, where there is none, the answer); ``report`` is a test run's."""
        output = self.folder.parent / "review"
        if report:
            self.write("../junit.xml", report)
            words = ("--junit", self.folder.parent / "junit.xml")
        code, said = script("review_bundle", "--repo", self.folder, "--output", output, *words)
        return code, json.loads((output / "review.json").read_text()) if code != 2 else said


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = Repository(tmp_path_factory.mktemp("made"))
    repository.make()
    return repository.folder


@pytest.fixture
def repository(tmp_path: Path, made: Path) -> Repository:
    return Repository(Path(shutil.copytree(made, tmp_path / "repo", symlinks=True)))


def test_without_a_change_there_is_no_delta(repository: Repository) -> None:
    code, bundle = repository.review()
    assert (code, bundle["disposition"]) == (0, {"delta": "none", "verdict": "pass", "because": []})
    assert bundle["files"] == [] and bundle["delta"] == []


VERSIONS = [
    ("1.2.0", "1.2.0", "major"),
    ("1.2.0", "1.3.0", "major"),
    ("1.2.0", "2.0.0", None),
    ("1.2.0", "2.0.0.dev0", None),
    ("0.1.0", "0.1.1", "minor"),
    ("0.1.0", "0.1.1.dev0", "minor"),
    ("0.1.0", "0.2.0.dev0", None),
    ("0.9.0", "0.10.0", None),
    ("0.1.0", "1.0.0", None),
]


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after", "missing"), VERSIONS)
def test_what_breaks_needs_a_new_major_version_and_below_1_a_new_minor_one(
    repository: Repository, before: str, after: str, missing: str | None
) -> None:
    repository.replace("rawr_install/__init__.py", "1.2.0", before)
    repository.write("README.md", f"{before}\n")
    repository.commit("Another version")
    repository.git("tag", "v9.9")
    repository.replace("rawr_install/core.py", "(root, name)", "(root)")
    repository.replace("rawr_install/__init__.py", before, after)
    repository.write("CHANGELOG.md", f"## next\n\n- `enable(root)` takes no name.\n\n## {before}\n")
    seen, bundle = repository.review()
    why = [f"the Python delta breaks without a new {missing} version"] if missing else []
    assert bundle["disposition"]["delta"] == "breaking"
    assert (seen, bundle["disposition"]["because"]) == (1 if missing else 0, why)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("## 2.0.0\n\n- `enable(root)` takes no name.\n\n## 1.2.0\n", True),
        ("## 2.0.0\n\n- Call `rawr_install.enable` without a name.\n\n## 1.2.0\n", True),
        ("## 2.0.0\n\n- We enable much.\n\n## 1.2.0\n", False),
        ("## 2.0.0\n\n- `enable_all`\n\n## 1.2.0\n", False),
        ("## 2.0.0\n\n## 1.2.0\n\n- `enable` is new.\n", False),
        ("", False),
    ],
)
def test_what_breaks_is_named_in_the_changelog_of_the_coming_version(
    repository: Repository, text: str, named: bool
) -> None:
    repository.replace("rawr_install/core.py", "(root, name)", "(root)")
    repository.replace("rawr_install/__init__.py", "1.2.0", "2.0.0")
    repository.write("CHANGELOG.md", text)
    code, bundle = repository.review()
    assert (code, bundle["unannounced"]) == ((0, []) if named else (1, ["enable"]))
    assert bundle["disposition"]["because"] == ([] if named else ["CHANGELOG.md does not name what breaks: enable"])


def test_a_changed_default_of_a_field_is_named_by_its_class(repository: Repository) -> None:
    repository.replace("rawr_install/core.py", "timeout: float = 5.0", "timeout: float = 9.0")
    repository.replace("rawr_install/__init__.py", "1.2.0", "2.0.0")
    assert repository.review()[1]["unannounced"] == ["Options"]


def test_a_schema_that_breaks_is_named_as_the_command_names_it(repository: Repository) -> None:
    repository.write("rawr_install/data/doc.json", json.dumps({**SCHEMA, "required": []}))
    repository.replace("rawr_install/__init__.py", "1.2.0", "2.0.0")
    assert repository.review()[1]["unannounced"] == ["doc"]
    repository.write("CHANGELOG.md", "- The schema `doc` does not promise `a` any more.\n\n## 1.2.0\n")
    assert repository.review()[0] == 0


# -- what CI itself runs ---------------------------------------------------------------


def ci_call() -> list[str]:
    """The words of the review in ``.ci/run``, with this interpreter as its Python."""
    (line,) = [line for line in (PROJECT / ".ci/run").read_text().splitlines() if "scripts/review_bundle" in line]
    python, *words = shlex.split(line)
    assert python == ".venv/bin/python"
    return [sys.executable, *words]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A full clone of this project, with the report of a test run that went well."""
    # Another user's clone (a container's mount) may be read, too; `-c` would not reach the process that serves it.
    (tmp_path / "gitconfig").write_text("[safe]\ndirectory = *\n")
    trusting = os.environ | {"GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig")}
    asked = ["git", "-C", str(PROJECT), "rev-parse", "--is-shallow-repository"]
    said = subprocess.run(asked, env=trusting, capture_output=True, text=True).stdout.strip()
    if said != "false":
        pytest.skip("this is a shallow clone" if said else "this is no git clone")
    subprocess.run(["git", "clone", "-q", str(PROJECT), str(tmp_path / "clone")], env=trusting, check=True)
    (tmp_path / "clone/build").mkdir()
    return tmp_path / "clone"


def delete_public_name(project: Path, name: str) -> None:
    path = project / "rawr_install/__init__.pyi"
    (line,) = re.findall(rf"^ +{name} as {name},\n", path.read_text(), re.M)
    path.write_text(path.read_text().replace(line, ""))


def because(project: Path, argv: list[str]) -> tuple[int, list[str]]:
    """The verdict on what is in the clone, as if all its tests had passed."""
    git = ["git", "-C", str(project), "-c", "user.name=n", "-c", "user.email=e@example.org"]
    subprocess.run([*git, "commit", "-aqm", "Edit", "--allow-empty"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    (project / "build/junit.xml").write_text(junit(head))
    done = subprocess.run(argv, cwd=project, capture_output=True, text=True, timeout=300)
    return done.returncode, json.loads(done.stdout)["because"]


@pytest.mark.slow
def test_ci_fails_when_a_public_name_is_deleted(project: Path) -> None:
    assert because(project, ci_call()) == (0, [])
    delete_public_name(project, "enable_plugin")
    code, why = because(project, ci_call())
    assert (code, why) == (1, ["CHANGELOG.md does not name what breaks: enable_plugin"])


@pytest.mark.slow
def test_ci_fails_when_what_breaks_would_be_a_patch_release(project: Path) -> None:
    delete_public_name(project, "enable_plugin")
    path = project / "rawr_install/__init__.py"
    path.write_text(re.sub('__version__ = ".+"', '__version__ = "0.1.1"', path.read_text()))
    log = project / "CHANGELOG.md"
    log.write_text(f"- `enable_plugin` goes.\n{log.read_text()}")
    code, why = because(project, ci_call())
    assert code == 1 and "the Python delta breaks without a new minor version" in why


def test_every_file_has_slice_owner_reason_and_tests(repository: Repository) -> None:
    repository.replace("rawr_install/core.py", '"""Enable."""', '"""Enable a plugin."""')
    repository.write("rawr_install/state/lock.py", "")
    repository.write("tests/state/test_lock.py", "")
    repository.commit("Say what enable does | briefly")
    repository.write("docs/events.md", "text\n")
    (repository.folder / "rawr_install/data/doc.json").unlink()
    _, bundle = repository.review()
    rows = [
        tuple(row[key] for key in ("slice", "path", "owner", "status", "reason", "tests")) for row in bundle["files"]
    ]
    said = "Say what enable does | briefly"
    assert rows == [
        ("C1", "rawr_install/core.py", "foundation", "modified", said, "tests/test_core.py"),
        ("C1", "rawr_install/state/lock.py", "state", "added", said, "tests/state"),
        ("C1", "tests/state/test_lock.py", "state", "added", said, "tests/state/test_lock.py"),
        ("C2", "docs/events.md", "events", "added", "not committed yet", ""),
        ("C3", "rawr_install/data/doc.json", "data", "deleted", "not committed yet", ""),
    ]


def test_the_page_says_on_one_screen_what_may_break_what_is_new_and_what_is_unproven(repository: Repository) -> None:
    repository.replace("rawr_install/core.py", "(root, name)", "(root)")
    repository.write("rawr_install/core.py", (repository.folder / "rawr_install/core.py").read_text() + "\n")
    for number in range(40):
        repository.write(f"rawr_install/room/module{number}.py", "")
    repository.commit("Much")
    repository.review(report=junit(repository.git("rev-parse", "HEAD"), skipped=2, unproven="rollback"))
    page = (repository.folder.parent / "review/review.md").read_text()
    assert page.startswith("# Review: 1.2.0 → 1.2.0\n\n**FAIL**: the Python delta breaks without a new major version; ")
    assert "- who imports the library: `core.enable` parameter removed" in page
    assert "- C3: not proven: rollback\n" in page
    assert "`rawr_install/room/module0.py`" in page and "and 29 more" in page
    assert "- skipped 2 times: no such shell" in page
    assert len(page.splitlines()) < 60


def test_every_file_of_this_project_has_a_slice_and_every_module_tests() -> None:
    slices = load("lib/slices.py")
    files = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True).stdout.split()
    assert {slices.slice_of(path) for path in files} <= {"C1", "C2", "C3", "C4", "C5"}
    modules = [path for path in files if path.startswith("rawr_install/") and path.endswith(".py")]
    assert [path for path in modules if (PROJECT / path).exists() and not slices.tests_of(path, PROJECT)] == []


def test_the_base_is_the_newest_release_tag_else_the_commit_that_was_named(repository: Repository) -> None:
    first = repository.git("rev-parse", "HEAD")
    repository.git("tag", "-d", "v1.2.0")
    for number, tag in enumerate(("v1.10.0", "1.9.0", "v2.0.0rc1", "nightly")):
        repository.write("rawr_install/new.py", f"number = {number}\n")
        repository.commit("Next")
        repository.git("tag", "-a", tag, "-m", tag)
    repository.git("branch", "elsewhere", first)
    assert repository.review("elsewhere")[1]["base"] == repository.git("rev-parse", "v1.10.0^{commit}")
    for tag in ("v1.10.0", "1.9.0"):
        repository.git("tag", "-d", tag)
    assert repository.review("elsewhere")[1]["base"] == first


def test_a_release_on_another_branch_is_no_base(repository: Repository) -> None:
    first = repository.git("rev-parse", "HEAD")
    repository.git("checkout", "-q", "-b", "other")
    repository.write("rawr_install/new.py", "")
    repository.commit("Elsewhere")
    repository.git("tag", "v3.0.0")
    repository.git("checkout", "-q", "main")
    assert repository.review()[1]["base"] == first


def test_without_a_release_and_a_named_commit_nothing_can_be_judged(repository: Repository) -> None:
    repository.git("tag", "-d", "v1.2.0")
    code, said = repository.review()
    assert (code, said["verdict"]) == (2, "unknown")
    assert "no release is tagged" in said["error"]


def test_a_shallow_clone_cannot_be_judged(repository: Repository, tmp_path: Path) -> None:
    repository.write("rawr_install/new.py", "")
    repository.commit("Second")
    repository.git("clone", "-q", "--depth=1", f"file://{repository.folder}", str(tmp_path / "shallow"))
    for base in ([], ["HEAD"], ["v1.2.0"]):
        code, said = script("review_bundle", *base, "--repo", tmp_path / "shallow", "--output", tmp_path)
        assert (code, said["verdict"]) == (2, "unknown")
        assert "git fetch --unshallow --tags" in said["error"]


def test_a_bare_clone_can_be_judged(repository: Repository, tmp_path: Path) -> None:
    repository.write("rawr_install/new.py", "")
    repository.commit("Second")
    repository.git("clone", "-q", "--bare", str(repository.folder), str(tmp_path / "bare"))
    argv = ["--repo", tmp_path / "bare", "--head", "main", "--output", tmp_path / "two"]
    code, said = script("review_bundle", *argv)
    assert (code, said["files"]) == (0, 1)


@pytest.mark.parametrize("base", ["no-such-revision", "--output=/tmp/x", "HEAD:rawr_install"])
def test_a_base_that_is_no_commit_cannot_be_judged(repository: Repository, base: str) -> None:
    repository.git("tag", "-d", "v1.2.0")
    code, said = repository.review("--", base)
    assert (code, said["verdict"]) == (2, "unknown")


LEGACY = {
    "in a manifest": (
        ("rawr_install/data/sample/package.json", '{"rawr": {"kind": "web", "channel": "x"}}'),
        "rawr_install/data/sample/package.json: rawr.channel",
    ),
    "where one is made": (
        ("rawr_install/demo.py", 'RAWR = {"kind": "web",\n        "published": True}\n'),
        "rawr_install/demo.py:2: published",
    ),
    "where one is made by a call": (
        ("rawr_install/demo.py", "made = dict(channel=1)\n"),
        "rawr_install/demo.py:1: channel",
    ),
    "where one is read": (
        ("rawr_install/plugins/catalog.py", 'FORBIDDEN = ("templateRole", "publishTier", "published")\n'),
        "no reader of manifests refuses rawr.channel",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", LEGACY)
def test_a_legacy_key_fails(repository: Repository, case: str) -> None:
    edit, found = LEGACY[case]
    repository.write(*edit)
    code, bundle = repository.review()
    assert (code, bundle["disposition"]["because"]) == (1, [f"a legacy key: {found}"])


@pytest.mark.parametrize(
    ("status", "changed", "code", "because"),
    [
        ("deferred", False, 0, []),
        ("due", False, 1, ["D-009 is due"]),
        ("executed", True, 1, ["the record of the conditional decisions is out of date"]),
    ],
)
def test_the_verdict_of_the_triggers_is_the_bundles(
    repository: Repository, status: str, changed: bool, code: int, because: list[str]
) -> None:
    decisions = [{"id": "D-009", "status": status, "rationale": "measured"}]
    document = json.dumps({"decisions": decisions, "changed": changed})
    repository.write("scripts/assess_conditional_triggers", f"print({document!r})\nraise SystemExit({code})\n")
    seen, bundle = repository.review()
    assert (seen, bundle["disposition"]["because"], bundle["decisions"]) == (code, because, decisions)


def test_triggers_that_cannot_be_measured_are_no_verdict(repository: Repository) -> None:
    repository.write("scripts/assess_conditional_triggers", "raise SystemExit(2)\n")
    assert repository.review()[0] == 2


def junit(commit: str, *, failed: int = 0, skipped: int = 0, passed: bool = True, unproven: str = "") -> str:
    """The report of a run made of ``commit`` in which every promise is proven but ``unproven``."""
    cases = []
    for slice_name, ids in load("lib/slices.py").REQUIRED.items():
        for name in ids if passed else ():
            found = f'<property name="contract" value="{slice_name} {name} a sentence"/>'
            bad = "<failure/>" if name == unproven else ""
            cases.append(
                f'<testcase classname="tests.test_core" time="0.5"><properties>{found}</properties>{bad}</testcase>'
            )
    cases += ['<testcase classname="tests.test_core"><failure/></testcase>'] * failed
    cases += ['<testcase classname="tests.room"><skipped message="no such shell"/></testcase>'] * skipped
    head = f'<properties><property name="commit" value="{commit}"/></properties>'
    return f'<testsuites><testsuite time="3.0">{head}{"".join(cases)}</testsuite></testsuites>'


NO_EVIDENCE: dict[str, tuple[dict[str, Any], str]] = {
    "all of it holds": ({}, ""),
    "a test failed": ({"failed": 1}, "the gate tests failed: 1 failed"),
    "everything was skipped": ({"skipped": 5, "passed": False}, "the gate tests failed: nothing ran"),
    "nothing was there": ({"passed": False}, "the gate tests failed: nothing ran"),
    "a promise that was not kept": ({"unproven": "rollback"}, "the gate C3 failed: not proven: rollback"),
    "another commit": ({"commit": "abc"}, "the gate tests failed: made of abc"),
    "no commit": ({"commit": ""}, "the gate tests failed: made of an unknown tree"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", NO_EVIDENCE)
def test_a_test_run_is_evidence_only_of_its_own_commit_and_of_what_it_proved(repository: Repository, case: str) -> None:
    change, because = NO_EVIDENCE[case]
    words = {"commit": repository.git("rev-parse", "HEAD"), **change}
    text = junit(words.pop("commit"), **words)
    code, bundle = repository.review(report=text)
    assert code == (1 if because else 0)
    assert (because in bundle["disposition"]["because"]) is bool(because)
    assert [row["gate"] for row in bundle["gates"]] == ["tests", "C1", "C2", "C3", "C4"]
    whole = bundle["gates"][0]
    assert whole["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert whole["counts"]["seconds"] == whole["counts"]["passed"] * 0.5 + 0.5 * bool(change.get("unproven"))


def test_a_run_of_a_commit_is_no_evidence_of_what_was_changed_since(repository: Repository) -> None:
    repository.write("rawr_install/more.py", "")
    code, bundle = repository.review(report=junit(repository.git("rev-parse", "HEAD")))
    assert code == 1 and "the gate tests failed: made of" in bundle["disposition"]["because"][0]


def test_a_run_says_what_it_was_made_of(repository: Repository, tmp_path: Path) -> None:
    git = load("lib/git.py")
    head = repository.git("rev-parse", "HEAD")
    assert git.tree_name(repository.folder) == head
    repository.write("new", "")
    assert git.tree_name(repository.folder) == f"{head} with changes"


def test_a_report_that_cannot_be_read_is_no_verdict(repository: Repository) -> None:
    assert repository.review(report="no xml")[0] == 2
