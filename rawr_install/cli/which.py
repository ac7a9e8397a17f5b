"""``rawr-install which``: what would run, and why."""

from __future__ import annotations

import os

import click

from rawr_install.cli.base import Result, command, error_lines
from rawr_install.cli.screen.terminal import stdout


@command(
    "which",
    context_settings={"ignore_unknown_options": True},
    epilog="""
rawr-install which                    what `rawr` runs here
rawr-install which doctor global      which program answers that
rawr-install which --json
""",
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND]...")
def which(words: tuple[str, ...]) -> Result:
    """Show the chain from `rawr COMMAND...` to the program that starts: entry, links, workspace, CLI, interpreter.

    Nothing is run. Options after COMMAND are part of it, except --json; after `--` everything is.
    """
    from rawr_install.dispatch.workspace import current_folder
    from rawr_install.doctor import which as chain

    found = chain.follow(words, current_folder(), os.environ)
    lines = chain.tree(found, ascii_only=not stdout().unicode)
    if found.error is None:
        return Result(found.to_json(), lines)
    found.error.details = {**(found.error.details or {}), **found.to_json()}
    return Result(None, [*lines, *error_lines(found.error)], error=found.error)
