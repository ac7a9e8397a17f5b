"""The package's functions and the calls between them, as far as names show it. Reads source, runs nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Function:
    """One function or method; ``name`` is ``module:function`` or ``module:Class.method``."""

    name: str
    node: FunctionNode | ast.Lambda
    source: str
    calls: list[str] = field(default_factory=list)
    forwards_to: str | None = None
    decorated_by: list[str] = field(default_factory=list)


@dataclass
class Registration:
    """A function that somebody else will call: a handler given to ``registrar`` in ``module``."""

    registrar: str
    module: str
    handler: str


REGISTRARS = {
    "atexit.register",
    "os.register_at_fork",
    "signal.signal",
    "sys.addaudithook",
    "threading.excepthook",
    "weakref.finalize",
}
HOOK_ATTRIBUTES = {"sys.excepthook", "sys.unraisablehook", "threading.excepthook"}


class Module:
    """One parsed file: what its names mean, its functions, its registrations."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.tree = ast.parse(text)
        self.lines = text.splitlines()
        self.aliases = dict(_imports(self.tree))
        self.local = {node.name for node in self.tree.body if isinstance(node, FunctionNode | ast.ClassDef)}
        self.functions = [self._function(node, prefix) for node, prefix in _functions(self.tree)]
        self.registrations = list(self._registrations())

    def _function(self, node: FunctionNode, prefix: str) -> Function:
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        made = Function(f"{self.name}:{prefix}{node.name}", node, self._source(first, node.end_lineno))
        made.calls = [self.resolve(call.func, prefix) for call in ast.walk(node) if isinstance(call, ast.Call)]
        made.forwards_to = self._forwards_to(node, prefix)
        for decorator in node.decorator_list:
            made.decorated_by.append(
                self.resolve(decorator.func if isinstance(decorator, ast.Call) else decorator, prefix)
            )
        return made

    def resolve(self, node: ast.expr, prefix: str = "") -> str:
        """What an expression names: ``module:function`` in the package, else its dotted name (``os.replace``)."""
        dotted = _dotted(node)
        head, _, rest = dotted.partition(".")
        if head in ("self", "cls") and prefix:
            return f"{self.name}:{prefix}{rest}"
        if head in self.local and not rest:
            return f"{self.name}:{head}"
        target = self.aliases.get(head, head)
        if ":" in target:
            return target if not rest else f"{target}.{rest}"
        return (
            f"{target.removeprefix('package ')}:{rest}"
            if target.startswith("package ")
            else ".".join(part for part in (target, rest) if part)
        )

    def _forwards_to(self, node: FunctionNode, prefix: str) -> str | None:
        """The one function that this one hands its own parameters to, doing nothing else."""
        body = [statement for statement in node.body if not _is_docstring(statement) and not _is_import(statement)]
        if len(body) != 1 or not isinstance(body[0], ast.Return | ast.Expr):
            return None
        call = body[0].value.value if isinstance(body[0].value, ast.Await) else body[0].value
        if not isinstance(call, ast.Call):
            return None
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        if not all(isinstance(_bare(value), ast.Name | ast.Attribute | ast.Constant) for value in given):
            return None
        return self.resolve(call.func, prefix)

    def _registrations(self) -> Iterator[Registration]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and self.resolve(node.func) in REGISTRARS:
                handlers = [*node.args, *(keyword.value for keyword in node.keywords)]
                for handler in handlers:
                    named = isinstance(handler, ast.Name | ast.Attribute | ast.Lambda) and self._handler(handler)
                    if named and ":" in named:
                        yield Registration(self.resolve(node.func), self.name, named)
            if isinstance(node, ast.Assign) and self.resolve(node.targets[0]) in HOOK_ATTRIBUTES:
                yield Registration(self.resolve(node.targets[0]), self.name, self._handler(node.value))

    def _handler(self, node: ast.expr) -> str:
        if not isinstance(node, ast.Lambda):
            return self.resolve(node)
        made = Function(f"{self.name}:<lambda {ast.unparse(node)}>", node, self._source(node.lineno, node.end_lineno))
        made.calls = [self.resolve(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)]
        self.functions.append(made)
        return made.name

    def _source(self, first: int, last: int | None) -> str:
        """These lines and the comment right above them."""
        above = first - 2
        while above >= 0 and self.lines[above].lstrip().startswith("#"):
            above -= 1
        return "\n".join(self.lines[above + 1 : last])


class Package:
    """Every module of a package, and the functions by name."""

    def __init__(self, root: Path) -> None:
        self.modules = [
            Module(path.relative_to(root.parent).with_suffix("").as_posix().replace("/", "."), path.read_text("utf-8"))
            for path in sorted(root.rglob("*.py"))
        ]
        self.functions = {each.name: each for module in self.modules for each in module.functions}
        self.registrations = [each for module in self.modules for each in module.registrations]

    def reached(self, name: str) -> set[str]:
        """Everything that the function calls, directly or through functions of the package."""
        seen: set[str] = set()
        waiting = [name]
        while waiting:
            function = self.functions.get(waiting.pop())
            for call in function.calls if function else ():
                if call not in seen:
                    seen.add(call)
                    waiting.append(call)
        return seen

    def chain(self, name: str) -> list[str]:
        """The wrappers from ``name`` down to the function that does the work, which is left out."""
        found: list[str] = []
        function = self.functions.get(name)
        while function and function.name not in found:
            layers = [decorator for decorator in function.decorated_by if decorator in self.functions]
            found += [f"@{decorator}" for decorator in layers]
            if function.forwards_to not in self.functions:
                break
            found.append(function.name)
            function = self.functions[str(function.forwards_to)]
        return found


def _functions(tree: ast.Module) -> Iterator[tuple[FunctionNode, str]]:
    for node in tree.body:
        if isinstance(node, FunctionNode):
            yield node, ""
        elif isinstance(node, ast.ClassDef):
            yield from ((inner, f"{node.name}.") for inner in node.body if isinstance(inner, FunctionNode))


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.asname or alias.name.partition(".")[0], alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield alias.asname or alias.name, _imported(node.module, alias.name)


def _imported(module: str, name: str) -> str:
    """A submodule (``from package import module``) is marked, so that ``module.f`` becomes ``package.module:f``."""
    if module.partition(".")[0] == "rawr_install":
        return f"package {module}.{name}" if module.count(".") == 0 else f"{module}:{name}"
    return f"{module}.{name}"


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def _bare(value: ast.expr) -> ast.expr:
    return value.value if isinstance(value, ast.Starred) else value


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_import(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Import | ast.ImportFrom)
