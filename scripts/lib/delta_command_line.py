"""Commands and options as click describes them, error codes as the docs list them, and what must be installed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from lib.delta import PACKAGE, Change, of_sets

DESCRIBE = f"""
import json, click, {PACKAGE}
from {PACKAGE}.cli.main import root
print({PACKAGE}.__file__)
print(json.dumps(root.to_info_dict(click.Context(root)), default=str))
"""
NARROW = ("boolean", "datetime", "float", "integer", "uuid")  # click's types that do not take every text


def changes(before: Path, after: Path) -> Iterator[Change]:
    """Every difference between two checkouts, seen from a shell."""
    yield from command_changes(commands(before), commands(after))
    yield from code_changes(codes(before), codes(after))
    yield from requirement_changes(requirements(before), requirements(after))


def commands(root: Path) -> dict[str, dict[str, Any]]:
    """Each command, option and argument by its words, with what a caller can rely on."""
    if not (root / PACKAGE / "cli").is_dir():
        return {}
    argv = [sys.executable, "-P", "-c", DESCRIBE]
    asked = subprocess.run(argv, env={"PYTHONPATH": str(root)}, cwd="/", capture_output=True, text=True, timeout=60)
    file, _, description = asked.stdout.partition("\n")
    if asked.returncode or not Path(file).is_relative_to(root):
        raise ValueError(f"the commands of {root} cannot be described: {asked.stderr.strip()[-300:] or file}")
    return dict(_described(json.loads(description), "rawr-install"))


def _described(command: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, {}
    for each in command["params"]:
        is_option = each["param_type_name"] == "option"
        kind = each["type"]["name"] if each["type"]["name"].startswith(NARROW) else "text"
        facts = {
            "required": each["required"],
            "takes": "nothing" if each.get("is_flag") or each.get("count") else kind,
            "times": "many" if each["multiple"] or each["nargs"] == -1 else each["nargs"],
            "choices": each["type"].get("choices"),
            "default": each["default"],
        }
        for name in [*each["opts"], *each["secondary_opts"]] if is_option else [each["name"].upper()]:
            if not each.get("hidden") and "--help" not in each["opts"]:
                yield f"{path} {name}", facts
    for name, child in command.get("commands", {}).items():
        if not child["hidden"]:
            yield from _described(child, f"{path} {name}")


def command_changes(old: dict[str, dict[str, Any]], new: dict[str, dict[str, Any]]) -> Iterator[Change]:
    """What goes, becomes required or takes less breaks a caller; what comes does not."""
    for each in of_sets("command line", old, new):
        demanded = new.get(each.name, {}).get("required") and each.name.rpartition(" ")[0] in old
        yield Change(each.part, each.name, "added, required", True, each.name.split()[-1]) if demanded else each
    for name in old.keys() & new.keys():
        yield from _facts_changes(name, old[name], new[name])


def _facts_changes(name: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    for fact in old.keys() & new.keys():
        was, now = old[fact], new[fact]
        if was == now:
            continue
        if fact == "choices" and was and now:
            for value in sorted({*was} ^ {*now}, key=str):
                gone = value in was
                what = f"{value} {'is no longer' if gone else 'is'} a choice"
                yield Change("command line", name, what, gone, name.split()[-1])
        else:
            widens = (fact, now) in {("required", False), ("takes", "text"), ("times", "many"), ("choices", None)}
            what = f"{fact} {was} became {now}"
            yield Change("command line", name, what, not widens or was == "nothing", name.split()[-1])


def codes(root: Path) -> dict[str, set[int]]:
    """Error code -> exit codes, of every table in the docs whose first column is ``code``; none where none is told."""
    found: dict[str, set[int]] = {}
    for page in sorted((root / "docs").glob("*.md")):
        for table in re.findall(r"^\| (?:error )?code \|.*\n(?:\|.*\n?)+", page.read_text("utf-8"), re.M):
            for row in table.splitlines():
                first, exits = (
                    re.findall(r"^\| (.*?) \|(?: ([\d, ]+) \|)?", row)[0] if row.startswith("| ") else ("", "")
                )
                for code in re.findall(r"`([A-Z][A-Z0-9_]+)`", first):
                    found.setdefault(code, set()).update(map(int, re.findall(r"\d+", exits)))
    return found


def code_changes(old: dict[str, set[int]], new: dict[str, set[int]]) -> Iterator[Change]:
    """A code that goes, or comes with another exit code, breaks who matches on it."""
    yield from of_sets("error code", old, new)
    for code in old.keys() & new.keys():
        for status in sorted(new[code] - old[code]) if old[code] else ():
            yield Change("error code", code, f"may exit with {status}", True, code)


def requirements(root: Path) -> dict[str, SpecifierSet]:
    """What must be installed: the Python, and each distribution."""
    path = root / "pyproject.toml"
    project = tomllib.loads(path.read_text("utf-8"))["project"] if path.exists() else {}
    found = {"requires-python": SpecifierSet(project["requires-python"])} if "requires-python" in project else {}
    wanted = map(Requirement, project.get("dependencies", ()))
    return found | {each.name: each.specifier for each in wanted}


def requirement_changes(old: dict[str, SpecifierSet], new: dict[str, SpecifierSet]) -> Iterator[Change]:
    """A version that is no longer admitted breaks an environment that has it."""
    for name in sorted(old.keys() | new.keys()):
        was, now = old.get(name), new.get(name)
        if was is None or now is None:
            yield Change("dependency", name, "added" if was is None else "removed", False)
            continue
        bounds = {each.version.removesuffix(".*") for each in (*was, *now)}
        if lost := sorted(each for each in bounds if was.contains(each, True) and not now.contains(each, True)):
            yield Change("dependency", name, f"{lost[0]} is no longer enough or admitted", True, name)
        elif was != now:
            yield Change("dependency", name, f"{was} became {now}", False)
