"""What users hold on to, in two checkouts of the project: how the second differs, and what of that breaks them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.version import Version

PACKAGE = "rawr_install"


@dataclass(frozen=True)
class Change:
    """One difference: of which part, what it is called, what became of it, and what a changelog would quote."""

    part: str
    name: str
    what: str
    breaks: bool
    quoted: str = ""


def compare(before: Path, after: Path) -> list[Change]:
    """Every difference of all that users hold on to; what breaks comes first."""
    from lib import delta_command_line, delta_documents, delta_names

    found = [
        *delta_names.changes(before, after),
        *delta_command_line.changes(before, after),
        *delta_documents.schemas(before, after),
        *delta_documents.wire(before, after),
    ]
    return sorted(dict.fromkeys(found), key=lambda each: (not each.breaks, each.part, each.name, each.what))


def of_sets(part: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    """What went, which breaks, and what came, which does not."""
    for name in old.keys() - new.keys():
        yield Change(part, name, "removed", True, name.split()[-1])
    for name in new.keys() - old.keys():
        yield Change(part, name, "added", False)


def assigned(root: Path, name: str) -> Any:
    """The literal that the package's ``__init__`` assigns to ``name``; None where there is none."""
    path = root / PACKAGE / "__init__.py"
    tree = ast.parse(path.read_text("utf-8")) if path.exists() else ast.Module([], [])
    for node in tree.body:
        if isinstance(node, ast.Assign) and name in (each.id for each in node.targets if isinstance(each, ast.Name)):
            return ast.literal_eval(node.value)
    return None


def version(root: Path) -> str:
    """The package's version; ``0.0.0`` before there was one."""
    return str(assigned(root, "__version__") or "0.0.0")


def needed(before: str) -> str:
    """The part of the version that must rise before users of ``before`` may be broken."""
    return "major" if Version(before).major >= 1 else "minor"


def may_break(before: str, after: str) -> bool:
    """Whether ``after`` may break users of ``before``: a new major version, below 1.0 a new minor one."""
    kept = 1 if needed(before) == "major" else 2
    return Version(after).release[:kept] > Version(before).release[:kept]


def unannounced(root: Path, before: str, names: set[str]) -> list[str]:
    """Those of ``names`` that neither the changelog above the section of ``before`` nor a fragment quotes."""
    path = root / "CHANGELOG.md"
    news = path.read_text("utf-8").partition(f"\n## {before}")[0] if path.exists() else ""
    news += "".join(fragment.read_text("utf-8") for fragment in (root / "changelog.d").glob("*.*.md"))
    quoted = {word for code in re.findall(r"`([^`]+)`", news) for word in re.findall(r"[\w-]+", code)}
    return sorted(names - quoted)
