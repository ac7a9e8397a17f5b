"""``completion``: the script that teaches a shell the toolkit's commands."""

from __future__ import annotations

from collections.abc import Iterator

import click

from rawr_install.cli.base import Result, command
from rawr_install.cli.command_tree import Node, Option, Values, script

# What `rawr` itself answers inside a workspace; the rest is the workspace CLI's.
VERBS = ("install", "uninstall", "activate", "deactivate", "rollback", "which", "doctor")

EXAMPLES = """
bash  eval "$(rawr-install completion bash)"       in ~/.bashrc
zsh   eval "$(rawr-install completion zsh)"        in ~/.zshrc, after compinit
fish  rawr-install completion fish | source        in ~/.config/fish/config.fish
"""


@command("completion", epilog=EXAMPLES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> Result:
    """Print the completion script for SHELL.

    It completes `rawr-install`, and of `rawr` the verbs that the toolkit
    answers. It is a fixed table: pressing Tab runs neither Python nor anything
    of a workspace. Print it again after an upgrade, or use the lines below.
    """
    text = script(shell, tree(ctx.find_root().command), VERBS)
    return Result({"shell": shell, "script": text}, text.splitlines())


def tree(found: click.Command, path: str = "") -> Node:
    """The command tree below ``found`` as plain values; loads every command's module, hidden ones are left out."""
    ctx = click.Context(found, info_name=path.rpartition(" ")[2])
    return Node(
        path,
        found.get_short_help_str(70),
        tuple(_option(param, ctx) for param in found.get_params(ctx) if _shown(param)),
        _argument(found, ctx),
        tuple(tree(child, f"{path} {name}") for name, child in _children(found, ctx)),
    )


def _children(found: click.Command, ctx: click.Context) -> Iterator[tuple[str, click.Command]]:
    if isinstance(found, click.Group):
        for name in found.list_commands(ctx):
            child = found.get_command(ctx, name)
            if child is not None and not child.hidden:
                yield name, child


def _shown(param: click.Parameter) -> bool:
    return isinstance(param, click.Option) and not param.hidden


def _option(param: click.Parameter, ctx: click.Context) -> Option:
    first_line = (getattr(param, "help", None) or "").partition("\n")[0]
    takes_value = not (getattr(param, "is_flag", False) or getattr(param, "count", False))
    names = (*param.opts, *param.secondary_opts)
    return Option(names, first_line, _values(param, ctx) if takes_value else Values())


def _argument(found: click.Command, ctx: click.Context) -> Values:
    """What the positional arguments are; the first that can be completed speaks for all."""
    values = [_values(param, ctx) for param in found.params if isinstance(param, click.Argument)]
    return next((one for one in values if one.kind != "any"), values[0] if values else Values())


def _values(param: click.Parameter, ctx: click.Context) -> Values:
    """Ask the parameter as click's own completion would, once, with nothing typed.

    A plain string that is shown as PATH or DIR is a folder; click.Path would
    judge it, with messages of its own, before the command does.
    """
    items = param.shell_complete(ctx, "")
    kinds = {item.type for item in items} - {"plain"}
    if kinds:
        return Values("dir" if kinds == {"dir"} else "file")
    if items:
        return Values("words", tuple(str(item.value) for item in items))
    return Values("dir" if (param.metavar or "").strip("[.]") in ("PATH", "DIR") else "any")
