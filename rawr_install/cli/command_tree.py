"""The command tree as plain values, and the completion scripts made of it. Pure but for reading its templates.

A command path is spelled ``" doctor global"``: every word with a blank before
it, so that the root is the empty string and a child is its parent plus
``" name"``. The shells look words up in one table by that spelling.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

_sh = shlex.quote


@dataclass(frozen=True)
class Values:
    """What may follow an option or stand as an argument: ``kind`` is ``words``, ``dir``, ``file``, ``any`` or ``""``
    (nothing may)."""

    kind: str = ""
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Option:
    """An option's spellings, its help, and what follows it."""

    names: tuple[str, ...]
    help: str
    values: Values = Values()


@dataclass(frozen=True)
class Node:
    """A command: its path, its help, its options, what its arguments are, and its subcommands."""

    path: str
    help: str
    options: tuple[Option, ...]
    argument: Values = Values()
    children: tuple[Node, ...] = ()

    @property
    def name(self) -> str:
        return self.path.rpartition(" ")[2]

    def walk(self) -> Iterator[Node]:
        """This node and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


def script(shell: str, tree: Node, verbs: Sequence[str]) -> str:
    """The completion script for ``shell``; ``verbs`` are the root's commands that ``rawr`` answers too."""
    parts = {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](tree, verbs)
    text = files("rawr_install").joinpath(f"data/completion.{shell}").read_text("utf-8")
    for name, value in {**parts, "VERB_PATTERN": "|".join(verbs)}.items():
        text = text.replace(f"@{name}@", value)
    return text


def _bash(tree: Node, verbs: Sequence[str]) -> dict[str, str]:
    rows = []
    for node in tree.walk():
        subs = " ".join(child.name for child in node.children)
        opts = " ".join(name for option in node.options for name in option.names if name.startswith("--"))
        rows.append(f"    {_sh(node.path)}) subs={_sh(subs)} opts={_sh(opts)}{_bash_values(node.argument)} ;;")
        for keys, option in _valued(node):
            rows.append(f"    {'|'.join(map(_sh, keys))}){_bash_values(option.values)} ;;")
    return {"COMMANDS": f"    {_pattern(tree)}) ;;", "TABLE": "\n".join(rows), "VERBS": " ".join(verbs)}


def _bash_values(values: Values) -> str:
    return f" kind={values.kind} vals={_sh(' '.join(values.words))}" if values.kind else ""


def _zsh(tree: Node, verbs: Sequence[str]) -> dict[str, str]:
    rows = []
    for node in tree.walk():
        subs = " ".join(_described(child.name, child.help) for child in node.children)
        opts = " ".join(_described(name, option.help) for option in node.options for name in option.names)
        rows.append(f"    ({_sh(node.path)}) subs=({subs}) opts=({opts}){_zsh_values(node.argument)} ;;")
        for keys, option in _valued(node):
            rows.append(f"    ({'|'.join(map(_sh, keys))}){_zsh_values(option.values)} ;;")
    shared = "\n".join(f"        {_described(node.name, node.help)}" for node in tree.children if node.name in verbs)
    return {"COMMANDS": f"    ({_pattern(tree)}) ;;", "TABLE": "\n".join(rows), "VERBS": shared}


def _zsh_values(values: Values) -> str:
    return f" kind={values.kind} vals=({' '.join(map(_sh, values.words))})" if values.kind else ""


def _described(name: str, text: str) -> str:
    return _sh(name.replace(":", "\\:") + ":" + text)


def _fish(tree: Node, verbs: Sequence[str]) -> dict[str, str]:
    lines = [line for node in tree.walk() for line in _fish_node("rawr-install", node)]
    for node in tree.children:
        if node.name in verbs:
            lines.append(_fish_line("rawr", "", f"-a {node.name}", node.help))
            lines += [line for below in node.walk() for line in _fish_node("rawr", below)]
    cases = " ".join(_fish_quote(node.path) for node in tree.walk() if node.path)
    return {"COMMANDS": f"            case {cases}", "TABLE": "\n".join(lines)}


def _fish_node(program: str, node: Node) -> Iterator[str]:
    for child in node.children:
        yield _fish_line(program, node.path, f"-a {child.name}", child.help)
    for option in node.options:
        names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
        yield _fish_line(program, node.path, names + _fish_values(option.values, " -r"), option.help)
    if node.argument.kind not in ("", "any"):
        yield _fish_line(program, node.path, _fish_values(node.argument, "").strip(), "")


def _fish_values(values: Values, required: str) -> str:
    if values.kind == "words":
        return f"{required} -f -a {_fish_quote(' '.join(values.words))}"
    if values.kind == "dir":
        return f"{required} -f -a '(__fish_complete_directories)'"
    return {"": "", "file": f"{required} -F", "any": f"{required} -f"}[values.kind]


def _fish_line(program: str, path: str, what: str, text: str) -> str:
    condition = _fish_quote(f"__rawr_install_at {_fish_quote(path)}")
    return f"complete -c {program} -n {condition} {what}" + (f" -d {_fish_quote(text)}" if text else "")


def _fish_quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _valued(node: Node) -> Iterator[tuple[list[str], Option]]:
    """The options that take a value, with the look-up keys ``path --option``."""
    for option in node.options:
        if option.values.kind:
            yield [f"{node.path} {name}" for name in option.names], option


def _pattern(tree: Node) -> str:
    return "|".join(_sh(node.path) for node in tree.walk() if node.path)
