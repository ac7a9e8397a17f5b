"""What stands in for JavaScript's own functions, compared with them."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys

import pytest

from rawr_install.ecmascript import code_units, collation, encode_uri_component, iso, now, stringify, trim

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
PROGRAM = """
const given = JSON.parse(require("fs").readFileSync(0));
const hex = (text) => Buffer.from(text, "utf16le").toString("hex");
console.log(JSON.stringify({
  trimmed: given.edges.map((text) => text.trim()),
  sorted: given.names.slice().sort().map(hex),
  collated: given.ascii.slice().sort((a, b) => a.localeCompare(b, "en")),
  encoded: given.uris.map(encodeURIComponent),
  moments: given.moments.map((ms) => new Date(ms).toISOString()),
  documents: given.documents.map((text) => JSON.stringify(JSON.parse(text), null, 2)),
}));
"""
EDGES = [f"{chr(code)}x{chr(code)}" for code in (*range(1, 0x3001), 0xFEFF, 0xFFFD)]
MOMENTS = [0, 1, 999, 1_700_000_000_042, 951_782_400_000, 4_102_444_799_999]
NUMBERS = [
    0.1,
    1e21,
    123456789012345680000.0,
    1e-6,
    1.5e-7,
    -2.5e-7,
    5e-324,
    1.7976931348623157e308,
    0.00001,
    100.0,
    -0.5,
]
DOCUMENTS = [
    *map(repr, NUMBERS),
    '{"b": 1, "10": 2, "2": 3, "01": 4, "4294967294": 5, "4294967295": 6, "a": []}',
    r'["\u0000\u001f\u007f", "\ud800", "\ud83d\ude00", "é\u2028", "\\\"/\b\f\n\r\t"]',
    '{"a": {}, "b": [[], [1, null, true, false, "x"]], "c": {"d": [{"e": ""}]}}',
]


def _names(alphabet: str, number: int) -> list[str]:
    source = random.Random(5)
    return ["".join(source.choices(alphabet, k=source.randint(1, 6))) for _ in range(number)]


ASCII = "".join(map(chr, range(33, 127)))
GIVEN = {
    "edges": EDGES,
    "names": _names("aZ\uff5e\U0001f600é\ud800", 300),
    "ascii": [*_names(ASCII, 3000), *["@r/a-b", "@r/ab", "@r/a_b", "@r/aB", "@r/a1", "@r/a10", "@r/a2"]],
    "uris": _names(ASCII + " /é日\U0001f600", 300),
    "moments": MOMENTS,
    "documents": DOCUMENTS,
}


@pytest.fixture(scope="module")
def javascript() -> dict[str, list[str]]:
    done = subprocess.run(["node", "-e", PROGRAM], input=json.dumps(GIVEN), capture_output=True, text=True, check=True)
    answers: dict[str, list[str]] = json.loads(done.stdout)
    return answers


def test_white_space_is_trimmed_as_there(javascript: dict[str, list[str]]) -> None:
    assert [trim(text) for text in EDGES] == javascript["trimmed"]


def test_names_are_sorted_as_there(javascript: dict[str, list[str]]) -> None:
    ours = sorted(GIVEN["names"], key=code_units)
    assert [name.encode("utf-16-le", "surrogatepass").hex() for name in ours] == javascript["sorted"]
    assert sorted(GIVEN["ascii"], key=collation) == javascript["collated"]


def test_an_id_stands_in_a_url_as_there(javascript: dict[str, list[str]]) -> None:
    assert [encode_uri_component(text) for text in GIVEN["uris"]] == javascript["encoded"]
    with pytest.raises(UnicodeError):
        encode_uri_component("\ud800")


def test_a_moment_is_written_as_there(javascript: dict[str, list[str]]) -> None:
    assert [iso(moment) for moment in MOMENTS] == javascript["moments"]
    assert "2024" < now() < "9999" and len(now()) == len(iso(0))


def test_a_document_is_written_as_there(javascript: dict[str, list[str]]) -> None:
    assert [stringify(json.loads(text)) for text in DOCUMENTS] == javascript["documents"]


@pytest.mark.parametrize("value", [float("inf"), float("nan"), {1: 2}, [object()], {"a": b""}])
def test_what_json_does_not_have_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"JSON|not a string"):
        stringify(value)


def test_it_loads_nothing_before_it_is_needed() -> None:
    code = "import sys; before = {*sys.modules}; import rawr_install.ecmascript; print({*sys.modules} - before)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert eval(loaded) <= {"rawr_install", "rawr_install.ecmascript", "__future__"}
