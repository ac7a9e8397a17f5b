"""npm ranges as Bun versions meet them; expected values follow the semver grammar that npm documents."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from rawr_install.machine import npm_range
from rawr_install.machine.requirements import satisfies

FITS = [
    # range, versions inside, versions outside
    ("1.2.3", ["1.2.3", "v1.2.3", "1.2.3+abc"], ["1.2.4", "1.2.2", "1.2.3-rc.1"]),
    ("=1.2.3", ["1.2.3"], ["1.2.4"]),
    ("v1.2.3", ["1.2.3"], ["1.2.4"]),
    ("", ["0.0.1", "9.9.9"], []),
    ("*", ["0.0.1", "1.0.0-canary.1"], []),
    ("1", ["1.0.0", "1.99.0"], ["0.9.9", "2.0.0"]),
    ("1.x", ["1.0.0", "1.99.0"], ["0.9.9", "2.0.0"]),
    ("1.2", ["1.2.0", "1.2.99"], ["1.1.9", "1.3.0"]),
    ("1.2.X", ["1.2.0", "1.2.99"], ["1.1.9", "1.3.0"]),
    ("1.*.7", ["1.0.0", "1.9.9"], ["2.0.0"]),
    ("^1.2.3", ["1.2.3", "1.9.0", "1.3.0-canary.1"], ["1.2.2", "2.0.0", "2.0.0-rc.1"]),
    ("^1.2", ["1.2.0", "1.9.0"], ["1.1.9", "2.0.0"]),
    ("^1", ["1.0.0", "1.9.0"], ["2.0.0"]),
    ("^0.2.3", ["0.2.3", "0.2.9"], ["0.3.0", "0.2.2"]),
    ("^0.0.3", ["0.0.3"], ["0.0.4", "0.0.2"]),
    ("^0.0", ["0.0.0", "0.0.9"], ["0.1.0"]),
    ("^0", ["0.0.0", "0.9.9"], ["1.0.0"]),
    ("^0.x", ["0.0.0", "0.9.9"], ["1.0.0"]),
    ("^1.2.3-beta.2", ["1.2.3-beta.2", "1.2.3-beta.4", "1.2.3", "1.4.0"], ["1.2.3-beta.1", "1.2.3-alpha.9", "2.0.0"]),
    ("~1.2.3", ["1.2.3", "1.2.9"], ["1.3.0", "1.2.2"]),
    ("~1.2", ["1.2.0", "1.2.9"], ["1.3.0"]),
    ("~1", ["1.0.0", "1.9.9"], ["2.0.0"]),
    ("~0.2.3", ["0.2.3", "0.2.9"], ["0.3.0"]),
    ("~>1.2.3", ["1.2.9"], ["1.3.0"]),
    (">=1.2.3", ["1.2.3", "2.0.0"], ["1.2.2", "1.2.3-rc.1"]),
    (">= 1.2", ["1.2.0"], ["1.1.99"]),
    (">1.2.3", ["1.2.4"], ["1.2.3"]),
    (">1.2", ["1.3.0"], ["1.2.9"]),
    (">1", ["2.0.0"], ["1.9.9"]),
    ("<1.2.3", ["1.2.2"], ["1.2.3", "1.2.3-rc.1"]),
    ("<1.2", ["1.1.9"], ["1.2.0"]),
    ("<=1.2.3", ["1.2.3"], ["1.2.4"]),
    ("<=1.2", ["1.2.9"], ["1.3.0"]),
    (">=1.1.0 <2", ["1.1.0", "1.9.9"], ["1.0.9", "2.0.0"]),
    (">=1.1.0<2.0.0", ["1.1.0"], ["2.0.0"]),
    ("1.2.3 - 2.3.4", ["1.2.3", "2.3.4"], ["1.2.2", "2.3.5"]),
    ("1.2 - 2.3", ["1.2.0", "2.3.9"], ["1.1.9", "2.4.0"]),
    ("1 - 2", ["1.0.0", "2.9.9"], ["0.9.0", "3.0.0"]),
    ("^1.0.0 || ^3.0.0", ["1.5.0", "3.1.0"], ["2.0.0", "4.0.0"]),
    ("1.0.0||2.0.0", ["1.0.0", "2.0.0"], ["1.5.0"]),
    ("<1.0.0 || >=2.3.1 <2.4.5", ["0.9.0", "2.4.0"], ["1.0.0", "2.4.5"]),
    (">x", [], ["1.0.0", "0.0.0"]),
    (">=*", ["0.0.0", "1.0.0"], []),
]
CASES = [
    *((text, version, True) for text, inside, _outside in FITS for version in inside),
    *((text, version, False) for text, _inside, outside in FITS for version in outside),
]


@pytest.mark.parametrize(("text", "version", "fits"), CASES)
def test_a_version_is_judged_as_npm_ranges_say(text: str, version: str, fits: bool) -> None:
    assert satisfies(version, text) is fits


@pytest.mark.parametrize(
    "text", ["latest", "1.2.3.4", ">>1", "1.2.", "^", "workspace:*", "01.2.3", "1 -", "a || 1", "^-1"]
)
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a version"):
        npm_range.specifiers(text)


@pytest.mark.parametrize("text", ["1", "1.2", "1.x.3", "canary", ""])
def test_a_version_needs_its_three_numbers(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        npm_range.pep440(text)


# -- beside npm's own judge, where node and npm are installed --------------------

JUDGE = """
const semver = require(process.argv[1]);
const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(cases.map(([v, r]) => semver.validRange(r) === null ? null : semver.satisfies(v, r))));
"""


def npms_semver() -> str | None:
    """The semver package that npm brings along (or Debian's node-semver)."""
    npm = shutil.which("npm")
    beside = [Path(os.path.realpath(npm)).parent.parent / "node_modules/semver"] if npm else []
    return next((str(path) for path in [*beside, Path("/usr/share/nodejs/semver")] if path.is_dir()), None)


def made_up(random: Random) -> tuple[str, str]:
    def version() -> str:
        return ".".join(random.choice("00123") for _ in range(3))

    def partial() -> str:
        numbers = version().split(".")[: random.choice((1, 2, 3, 3))]
        return ".".join([*numbers[:-1], random.choice((numbers[-1], numbers[-1], numbers[-1], random.choice("xX*")))])

    def alternative() -> str:
        if random.random() < 0.15:
            return f"{partial()} - {partial()}"
        signs = ("", "^", "~", ">", "<", ">=", "<=", "=", "~>", "^ ", ">= ", "v")
        return " ".join(random.choice(signs) + partial() for _ in range(random.choice((1, 1, 2))))

    return version(), random.choice((" || ", "||")).join(alternative() for _ in range(random.choice((1, 1, 2))))


def test_npm_comes_to_the_same_judgement(count: Callable[[int, int], int]) -> None:
    node, semver = shutil.which("node"), npms_semver()
    if node is None or semver is None:
        pytest.skip("node or npm is not installed")
    random = Random(5)
    cases = [made_up(random) for _ in range(count(2_000, 50_000))]
    asked = subprocess.run(
        [node, "-e", JUDGE, semver], input=json.dumps(cases), capture_output=True, text=True, check=True
    )
    answers = json.loads(asked.stdout)
    assert {True, False} <= set(answers)
    for (version, wanted), answer in zip(cases, answers, strict=True):
        assert satisfies(version, wanted) is answer, (version, wanted)
