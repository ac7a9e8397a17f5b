"""The two escalation criteria are measured, and the disposition agrees with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.scripts import SCRIPTS, script

CHAIN = '''
def work(value):
    total = value + 1
    return total
def first(value):
    """Hand on."""
    return work(value)
def second(value):
    return first(value)
'''
METHODS = """
class C:
    def a(self, x):
        return self.b(x)
    def b(self, x):
        return self.c(x)
    def c(self, x):
        return self.d(x)
    def d(self, x):
        y = x
        return y
"""
THIRD = "def third(value, more=1):\n    return second(value)\n"
HOOK = "import atexit, os\ndef tidy():\n    {0}\natexit.register(tidy)\n"


def assess(root: Path, modules: dict[str, str], *words: str | Path) -> tuple[int, Any]:
    for name, text in modules.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "rawr_install").mkdir(exist_ok=True)
    return script("assess_conditional_triggers", "--root", root, *words)


def criterion(document: Any, number: int) -> tuple[int, bool]:
    found = document["criteria"][number]
    return found["measured"], found["met"]


DEPTHS = {
    "no functions": ("", 0, False),
    "two wrappers": (CHAIN, 2, False),
    "three wrappers": (CHAIN + THIRD, 3, True),
    "a dedupe comment inside": (CHAIN + THIRD.replace("    return", "    # dedupe: a name for\n    return"), 3, False),
    "a dedupe comment above": (CHAIN + "# Dedupe: kept for callers\n" + THIRD, 3, False),
    "a marker without a reason": (CHAIN + "# dedupe:\n" + THIRD, 3, True),
    "one that works in between": (CHAIN.replace("return work(value)", "return work(value + 1)") + THIRD, 2, False),
    "a wrapper of somebody else's function": ("import os\ndef f(p):\n    return os.stat(p)\n", 0, False),
    "a circle": ("def f(x):\n    return g(x)\ndef g(x):\n    return f(x)\n", 2, False),
    "methods": (
        METHODS,
        3,
        True,
    ),
    "decorators of ours": (
        CHAIN + "def one(f):\n    g = f\n    return g\n@one\n@first\n@one\ndef decorated():\n    x = 1\n    return x\n",
        3,
        True,
    ),
}


@pytest.mark.parametrize("case", DEPTHS)
def test_the_depth_of_wrappers_is_measured(tmp_path: Path, case: str) -> None:
    source, depth, met = DEPTHS[case]
    code, document = assess(tmp_path, {"rawr_install/a.py": source})
    assert criterion(document, 0) == (depth, met)
    assert (code, document["disposition"]) == ((1, "triggered") if met else (0, "deferred"))


@pytest.mark.parametrize("how", ["from rawr_install.a import second", "from rawr_install import a"])
def test_a_chain_across_modules_is_followed(tmp_path: Path, how: str) -> None:
    call = "second" if how.endswith("second") else "a.second"
    modules = {"rawr_install/a.py": CHAIN, "rawr_install/b.py": f"{how}\ndef third(value):\n    return {call}(value)\n"}
    _, document = assess(tmp_path, modules)
    assert document["criteria"][0]["evidence"] == [
        {
            "chain": ["rawr_install.b:third", "rawr_install.a:second", "rawr_install.a:first"],
            "dedupe": None,
        }
    ]


HOOKS = {
    "no side effect": ("rawr_install/a.py", HOOK.format("return None"), 0),
    "a side effect": ("rawr_install/a.py", HOOK.format("os.unlink('x')"), 1),
    "a side effect further down": (
        "rawr_install/a.py",
        HOOK.format("deeper()") + "def deeper():\n    os.unlink('x')\n",
        1,
    ),
    "a contract": ("rawr_install/a.py", HOOK.format("os.unlink('x')  # idempotent: gone is gone"), 0),
    "a contract without a reason": ("rawr_install/a.py", HOOK.format("os.unlink('x')  # idempotent:"), 1),
    "a lambda": ("rawr_install/a.py", "import signal, os\nsignal.signal(2, lambda *a: os.kill(1, 2))\n", 1),
    "an exception hook": (
        "rawr_install/a.py",
        "import sys, os\ndef h(*a):\n    os.rename('a', 'b')\nsys.excepthook = h\n",
        1,
    ),
    "no registration": ("rawr_install/a.py", "import os\ndef hook():\n    os.unlink('x')\n", 0),
    "a shell hook that runs a program": ("scripts/githooks/post-merge", "#!/bin/sh\nif :; then rm -f x; fi\n", 1),
    "a shell hook that assigns and runs": ("scripts/githooks/post-merge", "#!/bin/sh\nx=1 git fetch\n", 1),
    "a shell hook of builtins": ("scripts/githooks/post-merge", "#!/bin/sh\n# rm\necho hi; exit 0\n", 0),
    "a shell hook with a contract": ("scripts/hooks/x", "#!/bin/sh\n# Idempotent: cleans a cache\nrm -f x\n", 0),
}


@pytest.mark.parametrize("case", HOOKS)
def test_hooks_with_side_effects_need_a_contract(tmp_path: Path, case: str) -> None:
    name, text, measured = HOOKS[case]
    code, document = assess(tmp_path, {name: text})
    assert criterion(document, 1) == (measured, measured > 0)
    assert (code, document["disposition"]) == ((1, "triggered") if measured else (0, "deferred"))


def test_the_file_is_deterministic_and_written_only_when_it_changes(tmp_path: Path) -> None:
    _, first = assess(tmp_path, {"rawr_install/a.py": CHAIN})
    path = tmp_path / "docs/dispositions/conditional-triggers.json"
    before = (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino)
    _, second = assess(tmp_path, {"rawr_install/b.py": "# a comment moves no measure\n"})
    assert (first["changed"], second["changed"]) == (True, False)
    assert (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) == before
    assert str(tmp_path) not in path.read_text()
    _, third = assess(tmp_path, {"rawr_install/a.py": CHAIN + THIRD})
    assert third["changed"]
    assert json.loads(path.read_text())["disposition"] == "triggered"


def test_check_writes_nothing_and_notices_a_stale_file(tmp_path: Path) -> None:
    assert assess(tmp_path, {"rawr_install/a.py": CHAIN}, "--check")[0] == 1
    assert not (tmp_path / "docs").exists()
    assess(tmp_path, {})
    assert assess(tmp_path, {}, "--check")[0] == 0
    path = tmp_path / "docs/dispositions/conditional-triggers.json"
    path.write_text(path.read_text().replace("deferred", "triggered"))
    assert assess(tmp_path, {}, "--check")[0] == 1


@pytest.mark.parametrize("broken", ["absent", "syntax"])
def test_what_cannot_be_measured_is_no_verdict(tmp_path: Path, broken: str) -> None:
    if broken == "syntax":
        (tmp_path / "rawr_install").mkdir()
        (tmp_path / "rawr_install/a.py").write_text("def broken(:\n")
    code, document = script("assess_conditional_triggers", "--root", tmp_path)
    assert code == 2
    assert "disposition" not in document


def test_the_recorded_disposition_of_this_project_agrees_with_the_measures(tmp_path: Path) -> None:
    _, measured = script("assess_conditional_triggers", "--disposition", tmp_path / "fresh.json")
    recorded = json.loads((SCRIPTS.parent / "docs/dispositions/conditional-triggers.json").read_text())
    assert recorded["disposition"] == measured["disposition"]
    assert [row["met"] for row in recorded["criteria"]] == [row["met"] for row in measured["criteria"]]
    assert (recorded["disposition"] == "triggered") == any(row["met"] for row in recorded["criteria"])
