"""``rawr-install which``: what would run, and why."""

from __future__ import annotations

import locale
import os

import click

from rawr_install.cli.base import Outcome, command
from rawr_install.cli.doctor import terminal_style
from rawr_install.report import remedy_text


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
def which(words: tuple[str, ...]) -> Outcome:
    """Show the chain from `rawr COMMAND...` to the program that starts: entry, links, workspace, CLI, interpreter.

    Nothing is run. Options after COMMAND are part of it, except --json; after `--` everything is.
    """
    from rawr_install.doctor import which as chain
    from rawr_install.machine import probe

    found = chain.follow(words, probe.current_folder(), os.environ)
    style = terminal_style()
    ascii_only = not all(name.lower().startswith("utf") for name in (style.encoding, locale.getencoding()))
    lines = [style.plain(line) for line in chain.tree(found, ascii_only)]
    if found.error is None:
        return Outcome(found.to_json(), lines)
    found.error.details = {**(found.error.details or {}), **found.to_json()}
    told = [f"rawr: {found.error.message} [{found.error.code}]"]
    told += [f"  try: {text}" for text in (remedy_text(found.error),) if text]
    return Outcome(None, [*lines, *map(style.plain, told)], error=found.error)
