"""Every command once, with words that it understands; held complete by ``test_streams``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from rawr_install.cli.main import root
from tests.conftest import Machine
from tests.support.plugins import make_plugin

ARGUMENTS = {
    "trust add": ".",
    "trust remove": ".",
    "state enable": "x",
    "state disable": "x",
    "plugins web enable": "one --force",
    "plugins web disable": "one",
    "schema": "envelope",
    "completion": "bash",
}
SLOW = ("tour",)


def leaves(command: click.Command = root, path: tuple[str, ...] = ()) -> Iterator[str]:
    """The command paths that click knows."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found
            yield from leaves(found, (*path, name))
    else:
        yield " ".join(path)


LINES = tuple(f"{path} {ARGUMENTS.get(path, '')}".strip() for path in leaves() if path not in SLOW)


def settled(machine: Machine) -> Machine:
    """A machine where every line of :data:`LINES` has something to do in the workspace ``ws``."""
    make_plugin(machine.workspace("ws"), "web", "one", exports={"./web": "./w.ts"})
    machine.env["PATH"] += f":{machine.folder}"
    assert machine.rawr_install("activate", "ws", "--yes").code == 0
    return machine
