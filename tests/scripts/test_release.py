"""The scripts that a release is made with, on a copy of the project in a clone of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT

HOOK = """
import os
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

class Hook(BuildHookInterface):
    def initialize(self, version, build_data):
        with open("rawr_install/where.py", "w") as file:
            file.write(f"HERE = {os.getcwd()!r}\\n")
"""


class Clone:
    """A repository with one commit, and this environment as its ``.venv``."""

    def __init__(self, folder: Path, *parts: str) -> None:
        self.folder = folder
        for part in parts:
            source, target = PROJECT / part, folder / part
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
        (folder / ".venv").symlink_to(sys.prefix)
        (folder / ".gitignore").write_text(".venv\n__pycache__/\n")
        self.git("init", "--quiet")

    def git(self, *words: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", *who, *words], cwd=self.folder, check=True, capture_output=True)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "Everything")

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(argv, cwd=self.folder, capture_output=True, text=True, timeout=300)


@pytest.fixture
def sources(tmp_path: Path) -> Clone:
    return Clone(tmp_path / "clone", "pyproject.toml", "rawr_install", "shims", "scripts", "README.md", "LICENSE")


@pytest.mark.slow
def test_what_is_built_is_what_is_committed_the_same_each_time(sources: Clone) -> None:
    sources.commit()
    (sources.folder / "rawr_install/astray.py").write_text("")
    first = sources.run("scripts/release/build", "one")
    assert first.returncode == 0, first.stdout + first.stderr
    made = {path.name: path.read_bytes() for path in (sources.folder / "one").iterdir()}
    assert len(made) == 2 and not any(b"astray" in content for content in made.values())
    assert sources.run("scripts/release/build", "two").returncode == 0
    assert {path.name: path.read_bytes() for path in (sources.folder / "two").iterdir()} == made


BREAKAGES = {
    "a build that notes its folder": ("differ", "hatch_build.py", HOOK),
    "a package more in the wheel": ("W202", "other/__init__.py", ""),
    "no description": ("long_description", "other.md", ""),
}
EDITS = {
    "hatch_build.py": ("[tool.hatch.version]", "[tool.hatch.build.hooks.custom]\n\n[tool.hatch.version]"),
    "other/__init__.py": ('packages = ["rawr_install"', 'packages = ["other", "rawr_install"'),
    "other.md": ('readme = "README.md"\n', ""),
}


@pytest.mark.slow
@pytest.mark.parametrize("breakage", BREAKAGES)
def test_what_differs_or_is_not_fit_for_an_index_is_not_let_through(sources: Clone, breakage: str) -> None:
    said, name, content = BREAKAGES[breakage]
    (sources.folder / name).parent.mkdir(exist_ok=True)
    (sources.folder / name).write_text(content)
    project = sources.folder / "pyproject.toml"
    text = project.read_text().replace('include = ["rawr_install"', f'include = ["{name}", "rawr_install"')
    project.write_text(text.replace(*EDITS[name]))
    sources.commit()
    done = sources.run("scripts/release/build")
    assert done.returncode != 0 and said in done.stdout + done.stderr, done.stdout + done.stderr
    assert not (sources.folder / "dist").exists()


LOG = "# Changelog\n\n## 1.2.0 (2030-01-31)\n\n### Added\n\n- A thing.\n\n## 1.1.0\n\n- Before.\n"
NOTES = {
    "v1.2.0": ({}, 0, "### Added\n\n- A thing.\n"),
    "v1.1.0": ({}, 1, "the tag is v1.1.0, but the package's version is 1.2.0\n"),
    "1.2.0": ({}, 1, "the tag is 1.2.0, but the package's version is 1.2.0\n"),
    "v1.2.0 unreleased": ({"CHANGELOG.md": "## 1.2.0 (unreleased)\n"}, 1, "CHANGELOG.md has no section 1.2.0\n"),
    "v1.2.0 with a fragment left": (
        {"changelog.d/+x.added.md": "A thing.\n"},
        1,
        "not in the changelog yet: +x.added.md; run: towncrier build --version 1.2.0\n",
    ),
}


@pytest.mark.parametrize("case", NOTES)
def test_the_notes_of_a_release_are_its_section_and_the_tag_has_to_fit(case: str, tmp_path: Path) -> None:
    files, code, said = NOTES[case]
    base = {"rawr_install/__init__.py": '__version__ = "1.2.0"\n', "CHANGELOG.md": LOG, "changelog.d/README.md": "?"}
    clone = Clone(tmp_path, "scripts/release/notes")
    for name, text in {**base, **files}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    done = clone.run(sys.executable, "scripts/release/notes", case.partition(" ")[0])
    assert (done.returncode, done.stdout + done.stderr) == (code, said)
