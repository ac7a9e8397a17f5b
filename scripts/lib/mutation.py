"""Change a module in every small way that cosmic-ray knows, in a copy, and see its tests notice each.

What they do not notice stands in docs/survivors.md, with the reason why nothing changes. Exit code 0: each mutant was
noticed or is explained; 1: one is neither, or an explanation is in vain; 2: the tests fail without a mutant.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from lib.copies import REPOSITORY, checkout, interpreter, run

DEADLINE = 240.0  # seconds for the tests of a module; a mutant without an end is noticed
# Of the operators that put ten other signs in the place of one, those that a slip of the hand would leave.
SIGNS = """
Add_Sub Sub_Add Mul_FloorDiv FloorDiv_Mul Mod_Mul BitOr_BitAnd BitAnd_BitOr USub_UAdd Delete_Not
Eq_NotEq NotEq_Eq Is_IsNot IsNot_Is Lt_LtE LtE_Lt Gt_GtE GtE_Gt
"""
# Module -> the tests that must notice, those first that most often do.
TESTS = {
    "atomic": "tests/test_atomic.py tests/test_macos.py",
    "dispatch/trust": "tests/dispatch/test_trust.py tests/test_light_imports.py "
    "tests/doctor/test_disks.py::test_where_no_modes_are_kept_no_chmod_is_advised",
    "dispatch/decide": "tests/dispatch/test_decide.py tests/test_light_imports.py",
    "machine/plan": "tests/machine/test_plan.py",
    "machine/undo": "tests/machine/test_plan.py",
    "install/transaction": "tests/install/test_transaction.py",
}


class TestsFailError(Exception):
    """The tests fail on the unchanged module, so that they cannot judge a changed one."""


def mutants(code: str) -> dict[str, str]:
    """What cosmic-ray makes of a module, as ``line`` → ``line``; without those that differ in annotations alone."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names

    found: dict[str, str] = {}
    for name in operator_names():
        operator, signs = get_operator(name), name.partition("Operator_")[2]
        if operator.arguments() or (signs and signs not in SIGNS.split()):
            continue
        for number in count():
            changed = mutate_code(code, operator(), number)
            if changed is None:
                break
            if program(changed) != program(code):
                found[change(code, changed)] = changed
    return found


def program(code: str) -> str:
    """What of a module runs: ``from __future__ import annotations`` leaves the annotations unread."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign | ast.arg):
            node.annotation = ast.Constant(None)
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
    return ast.dump(tree)


def change(code: str, changed: str) -> str:
    """The lines that differ, and the function that they are in."""
    lines = list(difflib.ndiff(code.splitlines(), changed.splitlines()))
    old, new = (" ".join(line[2:].strip() for line in lines if line[0] == sign) for sign in "-+")
    first = next(number for number, line in enumerate(line for line in lines if line[0] in " -") if line[0] == "-") + 1
    inside = [
        node.name
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.FunctionDef) and node.lineno <= first <= (node.end_lineno or 0)
    ]
    return f"{inside[-1] if inside else 'module'}: `{old}` → `{new}`"


def explained(module: str) -> dict[str, str]:
    """The survivors of a module that docs/survivors.md explains: what changed -> why nothing follows."""
    text = (REPOSITORY / "docs/survivors.md").read_text("utf-8")
    section = re.search(rf"^## {re.escape(module)}\n(.*?)(?=^## |\Z)", text, re.S | re.M)
    return dict(re.findall(r"^- (\S+: `.+` → `.+`): (\S.+)$", section[1] if section else "", re.M))


def survivors(module: str, folder: Path) -> Iterator[str]:
    """Each change of the module that its tests do not notice; goes on where a run in ``folder`` was interrupted."""
    kept, tree, file = folder / "kept", folder / "tree", f"rawr_install/{module}.py"
    for copy in (kept, tree):
        if not copy.exists():
            checkout(copy)
    python = interpreter(folder / "venv", tree)
    known = folder / f"{module.replace('/', '-')}.jsonl"
    seen = dict(map(json.loads, known.read_text().splitlines())) if known.exists() else {}
    code = (kept / file).read_text("utf-8")
    # A cache would be written by processes of which one does not see another's change within a second.
    (tree / file).with_name("__pycache__").touch()
    argv = [str(python), "-m", "pytest", "-x", "-n", "0", "-p", "no:cacheprovider", *shlex.split(TESTS[module])]
    for name, changed in {"": code, **mutants(code)}.items():
        if name not in seen:
            (tree / file).write_text(changed, "utf-8")
            seen[name] = run(argv, tree, DEADLINE) == 0
            with known.open("a") as journal:
                print(json.dumps([name, seen[name]]), file=journal)
        if not name and not seen[name]:
            raise TestsFailError(f"without a mutant, in {tree}: {shlex.join(argv)} fails")
        if name and seen[name]:
            yield name
    (tree / file).write_text(code, "utf-8")


def main() -> int:
    """Mutate the named modules, or all; print what survives and what is explained in vain."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("module", nargs="*", choices=[[], *TESTS], help="default: all of them")
    parser.add_argument("--folder", type=Path, help="keep the copy and what was found here; go on with what is here")
    options = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory(prefix="rawr-mutants-") as made:
        for module in options.module or TESTS:
            folder = (options.folder or Path(made)).resolve()
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)  # other users start programs in it
            try:
                found = set(survivors(module, folder))
            except TestsFailError as error:
                print(error, file=sys.stderr)
                return 2
            known = explained(module)
            rows = [f"survived: {name}" for name in sorted(found - set(known))]
            rows += [f"explained, but noticed or gone: {name}" for name in sorted(set(known) - found)]
            print(f"{module}: {len(found & set(known))} explained", *rows, sep="\n  ", flush=True)
            bad += len(rows)
    return 1 if bad else 0
