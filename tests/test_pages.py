"""What the pages show is run as it stands there: a page cannot drift from the program.

A ``console`` block is a session of bash: a command that shows no output must succeed, one that does must print just
that, where ``…`` stands for anything. A ``python`` block must end well. What is set up for a page stands in it as an
invisible block. All blocks of a page share one home, ``/home/me``.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser

from tests.conftest import PROJECT, Machine

pytestmark = pytest.mark.slow
PAGES = [
    page
    for page in (PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").rglob("*.md")))
    if re.search(r"^```(console|python)$", page.read_text(), re.M)
]
WORKSPACE = "from rawr_install.demo.sample import create; import sys, os; create(p := sys.argv[1], os.path.basename(p))"
# Sample values in a page stand for others of their kind.
KINDS = (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", r"\d+\.\d s", r"process \d+")


class Session:
    """A home in which a page's blocks are run, one after the other."""

    def __init__(self, machine: Machine, scripts: Path | None) -> None:
        self.machine = machine
        self.places = machine.folder / "cwd"
        self.places.write_text(str(PROJECT if scripts is None else machine.home))
        tools, local = machine.folder / "tools", machine.home / ".local/bin"
        tools.mkdir()
        local.mkdir(parents=True)
        for name in ("pipx", "python"):
            (tools / name).symlink_to(Path(sys.executable).with_name(name))
        for name in ("rawr", "rawr-install") if scripts else ():
            (local / name).symlink_to(scripts / name)  # as pipx makes them
        machine.env["PATH"] = f"{local}:{machine.bun_bin}:{tools}:/usr/bin:/bin"
        # Where packages come from is this machine's affair.
        index = ("PIP_", "UV_", "SSL_")
        machine.env.update({name: value for name, value in os.environ.items() if name.startswith(index)})

    def console(self, example: Example) -> str | None:
        steps = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", example.parsed, re.M)
        script = [
            "exec 2>&1",
            f"workspace() {{ {sys.executable} -c '{WORKSPACE}' \"$1\"; }}",
            f"cd \"$(cat '{self.places}')\"",
        ]
        for command, _ in steps:
            typed = f"timeout --preserve-status -s INT 1 {command}" if "Ctrl-C" in command else command
            script.append(f"{typed}\nprintf '\\036%s\\036' $?")
        done = self.machine.run("/bin/bash", "-c", "\n".join(["exec 2>&1", *script, f"pwd > '{self.places}'"]))
        parts = done.out.split("\x1e")
        faults = [
            f"$ {command}\n{said}(exit code {code})"
            for (command, shown), said, code in zip(steps, parts[::2], parts[1::2], strict=False)
            if not (re.fullmatch(pattern(shown), said) if shown.strip() else code == "0")
        ]
        return "\n".join(faults) or None

    def python(self, example: Example) -> str | None:
        done = self.machine.run(sys.executable, "-c", example.parsed)
        return done.err if done.code else None


def pattern(shown: str) -> str:
    """The regular expression of what a page shows."""
    parts = re.split(f"(…|{'|'.join(KINDS)})", shown.rstrip("\n"))
    kinds = {"…": "(?s:.*)"}
    made = [
        kinds.get(part) or next((kind for kind in KINDS if re.fullmatch(kind, part)), re.escape(part)) for part in parts
    ]
    return "".join(made) + r"\n*"


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A home with a short path, like a real one: a table folds what is too long for a line."""
    with tempfile.TemporaryDirectory() as folder:
        yield Machine(Path(folder))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_a_page_shows_what_happens(page: Path, machine: Machine, scripts: Path) -> None:
    session = Session(machine, None if page.name == "README.md" else scripts)
    copy = machine.folder / page.name
    home = page.read_text().replace("/home/me", str(machine.home))
    copy.write_text(home.replace("/path/to/workspace", f"{machine.home}/code/my-workspace"))
    parsers = [CodeBlockParser("console", session.console), CodeBlockParser("python", session.python)]
    examples = list(Sybil(parsers, path=str(machine.folder)).parse(copy).examples())
    assert examples
    for example in examples:
        example.evaluate()
