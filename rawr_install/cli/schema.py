"""``rawr-install schema``: the JSON Schemas of what the toolkit prints."""

from __future__ import annotations

import json
from importlib.resources import files

import click

from rawr_install.cli.base import Result, command
from rawr_install.report import to_text

NAMES = ("doctor-global", "envelope")


@command(
    "schema",
    epilog="""
rawr-install schema doctor-global     the document of `doctor global --json`
rawr-install schema envelope          the envelope that every --json document comes in
""",
)
@click.argument("name", type=click.Choice(NAMES))
def schema(name: str) -> Result:
    """Print a JSON Schema (draft 2020-12); fields are only ever added."""
    document = json.loads(files("rawr_install").joinpath(f"data/{name}.schema.json").read_text("utf-8"))
    return Result(document, to_text(document).split("\n"))
