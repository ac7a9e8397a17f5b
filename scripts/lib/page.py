"""The review bundle as one page for five minutes: who may be broken, what is new, what nothing proves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

WHO = {
    "Python": "who imports the library",
    "command line": "who calls `rawr-install`",
    "error code": "who matches on error codes",
    "JSON": "who reads the documents",
    "dependency": "who installs it",
    "wire": "the TypeScript programs",
}
MOST = 12  # rows of one list; the rest is in the JSON


def page(bundle: dict[str, Any]) -> str:
    """The bundle for a person."""
    end, version, files = bundle["disposition"], bundle["version"], bundle["files"]
    lines = [
        f"# Review: {version['before']} → {version['after']}",
        "",
        f"**{end['verdict'].upper()}**: {'; '.join(end['because']) or 'nothing stands against it'}",
        "",
        f"Commit `{bundle['tree']}`, {len(files)} files, against `{bundle['base'][:12]}`.",
        "Every row of these lists, and every file with owner, reason and tests, is in `review.json` beside this page.",
        "",
        *_section("What may break whom", _by_part(bundle["delta"], True), "Nothing that anybody holds on to."),
        *_section("What is new", _by_part(bundle["delta"], False), "Nothing that is seen from outside."),
        *_section(
            "What is unproven", unproven(bundle), "Nothing: each promise of the contract was proven on this commit."
        ),
        *(
            "## Where",
            "",
            "| slice | files | owners | promises proven | tests passed | seconds |",
            "|---|---|---|---|---|---|",
        ),
        *(_slice_row(name, bundle) for name in sorted({row["slice"] for row in files} | {"C1", "C2", "C3", "C4"})),
        "",
        *_section(
            "Decisions", (f"{each['id']} {each['status']}: {each['rationale']}" for each in bundle["decisions"]), ""
        ),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _section(title: str, rows: Iterable[str], nothing: str) -> list[str]:
    rows = list(rows)
    return [f"## {title}", "", *([f"- {row}" for row in rows] or [nothing]), ""]


def _by_part(changes: list[dict[str, Any]], breaks: bool) -> Iterator[str]:
    """What breaks is a row each; of what is new the names suffice."""
    for part, who in WHO.items():
        mine = [each for each in changes if each["part"] == part and each["breaks"] == breaks]
        if breaks:
            yield from capped([f"{who}: `{each['name']}` {each['what']}" for each in mine])
        elif mine:
            names = capped([f"`{each['name']}`" for each in mine])
            yield f"{part}: {', '.join(names)}"


def capped(rows: list[str]) -> list[str]:
    return rows if len(rows) <= MOST else [*rows[: MOST - 1], f"and {len(rows) - MOST + 1} more"]


def unproven(bundle: dict[str, Any]) -> Iterator[str]:
    """What no test run showed: gates, files without tests, and what was skipped."""
    if not bundle["gates"]:
        yield "everything: no test run was given (`--junit`)"
        return
    for gate in bundle["gates"]:
        if gate["problem"]:
            yield f"{gate['gate']}: {gate['problem']}"
    passed = {name for name, counts in bundle["tests"].items() if counts["passed"]}
    rows = [
        row for row in bundle["files"] if row["status"] != "deleted" and row["path"].endswith((".py", "rawr", ".sh"))
    ]
    if bare := [f"`{row['path']}`" for row in rows if row["tests"] not in passed]:
        yield f"no test that passed is linked to {', '.join(capped(bare))}"
    yield from capped([f"skipped {count} times: {why}" for why, count in bundle["skipped"].items()])


def _slice_row(name: str, bundle: dict[str, Any]) -> str:
    mine = [row for row in bundle["files"] if row["slice"] == name]
    checks = [check["pass"] for row in bundle["gates"] if row["gate"] == name for check in row["checks"]]
    seen = [bundle["tests"][each] for each in {row["tests"] for row in mine} if each in bundle["tests"]]
    counts = [f"{sum(each[key] for each in seen):g}" for key in ("passed", "seconds")]
    owners = ", ".join(sorted({row["owner"] for row in mine if row["status"] != "deleted"}))
    return f"| {name} | {len(mine)} | {owners} | {sum(checks)} of {len(checks)} | {' | '.join(counts)} |"
