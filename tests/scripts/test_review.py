"""The review bundle: deltas, manifest, evidence and the verdict, on small repositories made for the purpose."""

from __future__ import annotations

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

    def review(self, *words: str | Path) -> tuple[int, Any]:
        """The exit code and the whole bundle (or, where there is none, the answer)."""
        output = self.folder.parent / "review"
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
    assert (code, bundle["disposition"]["verdict"], bundle["disposition"]["delta"]) == (0, "pass", "none")
    assert bundle["symbols"]["symbols"] == ["Options", "Options.timeout", "enable", "enable(name)", "enable(root)"]
    assert bundle["files"] == []


ADDITIVE = {
    "a new function": ("core.py", "def _private", "def disable(root): ...\ndef _private", ["disable", "disable(root)"]),
    "an optional parameter": ("core.py", "root, name)", "root, name, wait=1)", ["enable(wait)"]),
    "a field with a default": (
        "core.py",
        "den: int = 0",
        "den: int = 0\n    durable: bool = True",
        ["Options.durable"],
    ),
}
BREAKING = {
    "a removed function": ("core.py", "def enable(root, name):", "def _enable(root, name):", "object_removed"),
    "a removed parameter": ("core.py", "(root, name)", "(root)", "parameter_removed"),
    "a required parameter": ("core.py", "(root, name)", "(root, name, wait)", "parameter_added_required"),
    "a removed field": ("core.py", "timeout: float = 5.0", "_timeout: float = 5.0", "object_removed"),
    "another default": ("core.py", "timeout: float = 5.0", "timeout: float = 9.0", "changed"),
    "a name that is no longer public": ("__init__.py", "'Options', ", "", "object_removed"),
}


def symbols(repository: Repository, name: str, old: str, new: str) -> Any:
    """The delta of the symbols after one edit."""
    before = repository.folder.parent / "before"
    shutil.copytree(repository.folder, before)
    repository.replace(f"rawr_install/{name}", old, new)
    return load("interface_delta.py").symbols(before, repository.folder)


@pytest.mark.parametrize("case", ADDITIVE)
def test_what_comes_is_additive(repository: Repository, case: str) -> None:
    name, old, new, added = ADDITIVE[case]
    repository.replace("rawr_install/__init__.py", "'enable'", "'enable', 'disable'")
    delta = symbols(repository, name, old, new)
    assert (delta["delta"], delta["added"], delta["breaking"]) == ("additive", added, [])


@pytest.mark.parametrize("case", BREAKING)
def test_what_breaks_users_is_breaking(repository: Repository, case: str) -> None:
    name, old, new, kind = BREAKING[case]
    delta = symbols(repository, name, old, new)
    assert delta["delta"] == "breaking"
    assert any(kind in row["kind"] for row in delta["breaking"])


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
    why = [f"a breaking delta of the symbols without a new {missing} version"] if missing else []
    assert bundle["symbols"]["delta"] == bundle["disposition"]["delta"] == "breaking"
    assert (seen, bundle["disposition"]["because"]) == (1 if missing else 0, why)


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
    head = subprocess.run(["git", "-C", str(tmp_path / "clone"), "rev-parse", "HEAD"], capture_output=True, text=True)
    (tmp_path / "clone/build/junit.xml").write_text(junit(head.stdout.strip()))
    return tmp_path / "clone"


def delete_public_name(project: Path, name: str) -> None:
    path = project / "rawr_install/__init__.pyi"
    (line,) = re.findall(rf"^ +{name} as {name},\n", path.read_text(), re.M)
    path.write_text(path.read_text().replace(line, ""))


def because(project: Path, argv: list[str]) -> tuple[int, list[str]]:
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
    assert (code, why) == (1, ["a breaking delta of the symbols without a new minor version"])


@pytest.mark.parametrize("home", ["core/__init__.py", "room/core.py", "room/core/__init__.py"])
def test_a_public_name_may_move_within_the_package(repository: Repository, home: str) -> None:
    before = repository.folder.parent / "before"
    shutil.copytree(repository.folder, before)
    (repository.folder / "rawr_install/core.py").unlink()
    repository.write("rawr_install/room/__init__.py", "")
    repository.write(f"rawr_install/{home}", CORE)
    module = home.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    repository.replace("rawr_install/__init__.py", '"core"', f'"{module}"')
    delta = load("interface_delta.py").symbols(before, repository.folder)
    assert (delta["delta"], delta["added"], delta["breaking"]) == ("none", [], [])


def test_what_is_private_may_change(repository: Repository) -> None:
    delta = symbols(repository, "core.py", "def _private(): ...", "def _other(): ...")
    assert (delta["delta"], delta["added"], delta["breaking"]) == ("none", [], [])


SCHEMAS = {
    "a property that goes": ({"properties": {"a": {"type": "string"}}}, "breaking", "/properties/b"),
    "another type": (
        {"properties": {**SCHEMA["properties"], "a": {"type": "number"}}},
        "breaking",
        "/properties/a/type",
    ),  # type: ignore[dict-item]
    "a guarantee that goes": ({"required": []}, "breaking", "/required"),
    "a guarantee that comes": ({"required": ["a", "b"]}, "additive", "/required"),
    "a property that comes": ({"properties": {**SCHEMA["properties"], "c": {}}}, "additive", "/properties/c"),  # type: ignore[dict-item]
    "another description": ({"description": "new"}, "none", ""),
}


@pytest.mark.parametrize("case", SCHEMAS)
def test_a_schema_is_compared_as_its_reader_sees_it(repository: Repository, case: str) -> None:
    change, delta, at = SCHEMAS[case]
    repository.write("rawr_install/data/doc.json", json.dumps({**SCHEMA, **change}))
    code, bundle = repository.review()
    assert (bundle["schemas"]["delta"], code) == (delta, 1 if delta == "breaking" else 0)
    rows = bundle["schemas"]["breaking"] + bundle["schemas"]["added"]
    assert [row["at"] for row in rows] == ([at] if at else [])


def test_a_schema_that_goes_is_breaking(repository: Repository) -> None:
    (repository.folder / "rawr_install/data/doc.json").unlink()
    code, bundle = repository.review()
    assert (code, bundle["schemas"]["breaking"][0]["what"]) == (1, "removed")


@pytest.mark.parametrize(
    ("document", "drift"),
    [
        ({"cases": [{"id": 1, "key": "x"}, {"id": 2}]}, []),
        ({"cases": [{"id": 1, "key": "x", "more": 1}], "new": 1}, []),
        ({"cases": [{"id": 1, "key": "y"}]}, ["/cases/0/key"]),
        ({"cases": [{"id": 1}]}, ["/cases/0/key"]),
        ({"cases": []}, ["/cases"]),
        ({}, ["/cases"]),
    ],
)
def test_a_recorded_wire_document_may_only_grow(repository: Repository, document: Any, drift: list[str]) -> None:
    repository.write("tests/conformance/wire.json", json.dumps(document))
    repository.replace("rawr_install/__init__.py", "1.2.0", "2.0.0")
    code, bundle = repository.review()
    assert [row["at"] for row in bundle["nonDrift"]["changed"]] == drift
    assert code == (1 if drift else 0)


def test_the_manifest_names_reason_and_tests(repository: Repository) -> None:
    repository.replace("rawr_install/core.py", '"""Enable."""', '"""Enable a plugin."""')
    repository.commit("Say what enable does | briefly")
    repository.write("docs/new.md", "text\n")
    (repository.folder / "rawr_install/data/doc.json").unlink()
    _, bundle = repository.review()
    rows = {row["path"]: (row["status"], row["reason"], row["tests"]) for row in bundle["files"]}
    assert rows == {
        "docs/new.md": ("added", "not committed yet", []),
        "rawr_install/core.py": ("modified", "Say what enable does | briefly", ["tests/test_core.py"]),
        "rawr_install/data/doc.json": ("deleted", "not committed yet", []),
    }
    page = (repository.folder.parent / "review/review.md").read_text()
    row = "| `rawr_install/core.py` | modified | Say what enable does \\| briefly | `tests/test_core.py` |"
    assert row in page.splitlines()
    assert page.startswith("# Review bundle\n\n**FAIL**")


@pytest.mark.parametrize(
    ("path", "text", "is_linked"),
    [
        ("rawr_install/core.py", "from rawr_install import core, other", True),
        ("rawr_install/core.py", "import rawr_install.core as c", True),
        ("rawr_install/core.py", "from rawr_install.core2 import x", False),
        ("rawr_install/core.py", "from rawr_install import score", False),
        ("rawr_install/cli/which.py", 'machine.rawr_install("which")', True),
        ("rawr_install/which.py", 'machine.rawr_install("which")', False),
        ("scripts/review_bundle", 'script("review_bundle")', True),
        ("docs/x.md", "x.md", False),
    ],
)
def test_a_test_is_linked_by_what_it_imports_or_runs(path: str, text: str, is_linked: bool) -> None:
    assert load("review_bundle").linked(path, {"tests/test_a.py": text}) == (["tests/test_a.py"] if is_linked else [])


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


def test_a_legacy_key_in_a_manifest_fails(repository: Repository) -> None:
    repository.write("rawr_install/data/sample/package.json", '{"rawr": {"kind": "web", "channel": "x"}}')
    code, bundle = repository.review()
    assert code == 1
    assert bundle["legacyKeys"]["found"] == ["rawr_install/data/sample/package.json: rawr.channel"]


def junit(commit: str, *, failures: int = 0, skipped: int = 0, unproven: str = "") -> str:
    """The report of a run of five tests, made of ``commit``, which proves every promise but ``unproven``."""
    cases = []
    for slice_name, ids in load("lib/slices.py").REQUIRED.items():
        for name in ids:
            found = f'<property name="contract" value="{slice_name} {name} a sentence"/>'
            bad = "<skipped/>" if name == unproven else ""
            cases.append(f"<testcase><properties>{found}</properties>{bad}</testcase>")
    head = f'<properties><property name="commit" value="{commit}"/></properties>'
    counts = f'tests="5" failures="{failures}" errors="0" skipped="{skipped}" time="3.0"'
    return f"<testsuites><testsuite {counts}>{head}{''.join(cases)}</testsuite></testsuites>"


NO_EVIDENCE: dict[str, tuple[dict[str, Any], list[str]]] = {
    "all of it holds": ({}, []),
    "a test failed": ({"failures": 1}, ["the gate tests failed: 1 failed"]),
    "everything was skipped": ({"skipped": 5}, ["the gate tests failed: nothing was run"]),
    "a promise was skipped": ({"unproven": "rollback"}, ["the gate C3 failed: not proven: rollback"]),
    "another tree": ({"commit": "abc"}, ["the gate tests failed: made of abc"]),
}


@pytest.mark.parametrize("case", NO_EVIDENCE)
def test_a_test_run_is_evidence_only_of_its_own_commit_and_of_what_it_proved(repository: Repository, case: str) -> None:
    change, because = NO_EVIDENCE[case]
    words = {"commit": repository.git("rev-parse", "HEAD").strip(), **change}
    repository.write("../junit.xml", junit(words.pop("commit"), **words))
    code, bundle = repository.review("--junit", repository.folder.parent / "junit.xml")
    assert (code, bundle["disposition"]["because"]) == (1 if because else 0, because)
    assert [row["gate"] for row in bundle["gates"]] == ["tests", "C1", "C2", "C3", "C4"]


def test_a_report_that_cannot_be_read_is_no_verdict(repository: Repository) -> None:
    repository.write("../junit.xml", "no xml")
    assert repository.review("--junit", repository.folder.parent / "junit.xml")[0] == 2
