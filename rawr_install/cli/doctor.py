"""``rawr-install doctor global``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from rawr_install.cli.base import Outcome, command, group
from rawr_install.paths import Places

if TYPE_CHECKING:
    from rawr_install.screen import Style


@group("doctor", help="Find out why rawr misbehaves.")
def doctor() -> None:
    """The group; its one command is ``global``."""


EXAMPLES = """\
rawr-install doctor global                   the verdict, and what to do
rawr-install doctor global --json --redact   for a bug report
rawr-install doctor global --fix --dry-run   what --fix would run
rawr-install doctor global --check path.shadowed --check bun.missing
"""


@command("global", epilog=EXAMPLES)
@click.option("--workspace", metavar="PATH", help="Judge this workspace instead of the current folder's.")
@click.option("--verbose", "-v", is_flag=True, help="Show every check, also those that found nothing.")
@click.option("--check", "only", metavar="ID", multiple=True, help="Report only this check (may be repeated).")
@click.option("--list-checks", is_flag=True, help="List the checks and stop.")
@click.option("--strict", is_flag=True, help="Exit 1 on warnings too.")
@click.option("--redact", is_flag=True, help="Show the home folder as ~, for pasting in public.")
def doctor_global(
    workspace: str | None, verbose: bool, only: tuple[str, ...], list_checks: bool, strict: bool, redact: bool
) -> Outcome:
    """Say whether the rawr on PATH leads to the current instance, and if not, why and what to do.

    Reads only: no network, no subprocess, nothing written.
    """
    from rawr_install import doctor, probe, screen

    if list_checks:
        return _list()
    places = Places.from_environ(os.environ)
    facts = probe.look(places, probe.current_folder(), os.environ, workspace)
    report = doctor.diagnose(facts, only)
    if redact:
        report = doctor.redacted(report, places.home, os.path.realpath(places.home))
    every = verbose or bool(only)
    return Outcome(
        report.data(every),
        screen.render(report, terminal_style(), every, strict),
        report.warnings,
        report.error(strict, every),
        told=True,
    )


doctor.add_command(doctor_global)


def _list() -> Outcome:
    from rawr_install.checks import CHECKS

    width = max(map(len, CHECKS))
    rows = [{"id": check.id, "title": check.title} for check in CHECKS.values()]
    return Outcome({"checks": rows}, [f"{check.id:<{width}}  {check.title}" for check in CHECKS.values()])


def terminal_style() -> Style:
    """What stdout can show; colour only on a terminal and without NO_COLOR (no-color.org)."""
    from rawr_install.screen import Style

    terminal = sys.stdout.isatty()
    colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Style(_width(terminal), colour, sys.stdout.encoding or "ascii")


def _width(terminal: bool) -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns if terminal else 80
    except (OSError, ValueError):
        return 80
