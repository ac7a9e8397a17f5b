"""Everything that a reviewer of a change needs: one page, and the tables behind it as JSON.

    scripts/review_bundle [BASE] [--repo PATH] [--head REV] [--output DIR] [--junit FILE]

Compares the working tree (or --head) with the newest release tag, or with BASE while no release is tagged: all that
users hold on to, and every changed file by slice, with its owner, its reason and its tests. The evidence is a test run.

Exit code 0: may be merged; 1: it may not (review.md says why); 2: it cannot be judged (no release tag and no BASE, a
shallow clone, a part that cannot be read).
"""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as Xml
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lib import delta
from lib.copies import REPOSITORY
from lib.evidence import Evidence
from lib.git import GitError, base_of, changed_files, checkout, reasons, revision, tree_name
from lib.page import page
from lib.slices import room_of, slice_of, tests_of

LEGACY_KEYS = ("templateRole", "channel", "publishTier", "published")
# The checks that look at keys which peers read; their results are quoted as evidence.
WIRE_CHECKS = ("lock.record", "format.bytes", "format.unknown-keys", "owner.grammar", "doctor.document", "event.shape")


def manifest(repo: Path, base: str, head: str | None, tree: Path) -> list[dict[str, str]]:
    """Every changed file, by slice."""
    why = reasons(repo, base, head)
    rows = [
        {"slice": slice_of(path), "path": path, "owner": room_of(path), "status": status}
        | {"reason": why.get(path, "not committed yet"), "tests": tests_of(path, tree)}
        for path, status in changed_files(repo, base, head).items()
    ]
    return sorted(rows, key=lambda row: (row["slice"], row["path"]))


def triggers(tree: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The conditional decisions, measured by the tree's own script; and what stands against the tree."""
    own = tree / "scripts/assess_conditional_triggers"
    argv = [sys.executable, str(own if own.exists() else REPOSITORY / "scripts" / own.name), "--check"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    if done.returncode not in (0, 1):
        raise ValueError(
            f"the conditional decisions could not be measured: {(done.stdout + done.stderr).strip()[-300:]}"
        )
    document = json.loads(done.stdout)
    against = [f"{each['id']} is due" for each in document["decisions"] if each["status"] == "due"]
    return document["decisions"], against + ["the record of the conditional decisions is out of date"] * document[
        "changed"
    ]


def legacy_keys(tree: Path) -> Iterator[str]:
    """Where a manifest of ours carries a forbidden key, where the package could make one, and which it would read."""
    for path in sorted(tree.rglob("package.json")):
        if not {"tests", "node_modules", ".venv", "build"} & {*path.relative_to(tree).parts}:
            keys = json.loads(path.read_text("utf-8")).get("rawr", {})
            yield from (f"{path.relative_to(tree)}: rawr.{key}" for key in LEGACY_KEYS if key in keys)
    refused: list[ast.AST] = []
    for path in sorted((tree / delta.PACKAGE).rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
        for node in nodes:
            if isinstance(node, ast.Assign) and any(getattr(each, "id", "") == "FORBIDDEN" for each in node.targets):
                refused += ast.walk(node)
        for node in nodes:
            key = node.value if isinstance(node, ast.Constant) else getattr(node, "arg", None)
            if key in LEGACY_KEYS and node not in refused:
                yield f"{path.relative_to(tree)}:{getattr(node, 'lineno', 0)}: {key}"
    read = {getattr(node, "value", None) for node in refused if isinstance(node, ast.Constant)}
    yield from (f"no reader of manifests refuses rawr.{key}" for key in LEGACY_KEYS if key not in read)


def collect(options: argparse.Namespace, before: Path, after: Path, base: str) -> dict[str, Any]:
    """The whole bundle, with the verdict."""
    head = revision(options.repo, options.head or "HEAD")
    tree = head if options.head else tree_name(options.repo)
    evidence = Evidence(options.junit) if options.junit else None
    files = manifest(options.repo, base, options.head, after)
    changes = delta.compare(before, after)
    decisions, against = triggers(after)
    was, now = delta.version(before), delta.version(after)
    gates = evidence.gates(tree) if evidence else []
    bundle: dict[str, Any] = {
        "schemaVersion": 2,
        "base": base,
        "head": head,
        "tree": tree,
        "version": {"before": was, "after": now},
        "delta": [asdict(change) for change in changes],
        "unannounced": delta.unannounced(after, was, {each.quoted for each in changes if each.breaks and each.quoted}),
        "legacyKeys": list(legacy_keys(after)),
        "wireKeys": [row for gate in gates for row in gate["checks"] if row["id"] in WIRE_CHECKS],
        "gates": gates,
        "skipped": evidence.skipped() if evidence else {},
        "tests": {name: evidence.counts(name) for name in sorted({row["tests"] for row in files} - {""})}
        if evidence
        else {},
        "decisions": decisions,
        "files": files,
    }
    broken = {change.part for change in changes if change.breaks and change.quoted}
    why = [f"the {part} delta breaks without a new {delta.needed(was)} version" for part in sorted(broken)]
    why = [] if delta.may_break(was, now) else why
    why += [f"CHANGELOG.md does not name what breaks: {name}" for name in bundle["unannounced"]]
    why += [f"a recorded wire document: {each.name} {each.what}" for each in changes if each.part == "wire"]
    why += [f"the gate {row['gate']} failed: {row['problem']}" for row in gates if row["problem"]]
    why += against + [f"a legacy key: {row}" for row in bundle["legacyKeys"]]
    kind = "breaking" if any(each.breaks for each in changes) else "additive" if changes else "none"
    return {**bundle, "disposition": {"delta": kind, "verdict": "fail" if why else "pass", "because": why}}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", nargs="?", metavar="BASE", help="the commit to compare with while no release is tagged")
    parser.add_argument("--repo", type=Path, default=REPOSITORY)
    parser.add_argument("--head", help="a commit to judge in place of the working tree (needed in a bare clone)")
    parser.add_argument("--output", type=Path, default=Path("build/review"))
    parser.add_argument("--junit", type=Path, help="pytest's --junitxml of the test run that is the evidence")
    options = parser.parse_args()
    try:
        return judge(options)
    except ModuleNotFoundError as error:
        problem = f"{error.name} is not installed; try: pip install -e '.[review]'"
    except (GitError, OSError, SyntaxError, ValueError, Xml.ParseError, subprocess.TimeoutExpired) as error:
        problem = f"{type(error).__name__}: {error}"
    print(json.dumps({"verdict": "unknown", "error": problem}))
    return 2


def judge(options: argparse.Namespace) -> int:
    base = base_of(options.repo, options.head or "HEAD", options.base)
    with tempfile.TemporaryDirectory(prefix="rawr-review-") as made:
        folder, after = Path(made), options.repo.resolve()
        before = checkout(options.repo, base, folder / "before")
        if options.head:
            after = checkout(options.repo, revision(options.repo, options.head), folder / "after")
        bundle = collect(options, before, after, base)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "review.json").write_text(json.dumps(bundle, indent=2) + "\n", "utf-8")
    (options.output / "review.md").write_text(page(bundle), "utf-8")
    print(json.dumps({**bundle["disposition"], "files": len(bundle["files"]), "output": str(options.output)}))
    return 0 if bundle["disposition"]["verdict"] == "pass" else 1
