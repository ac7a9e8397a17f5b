"""``rawr-install doctor global``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

import click

from rawr_install.cli.base import Result, command, group, log
from rawr_install.cli.terminal import stdout
from rawr_install.errors import RawrError, UsageError
from rawr_install.events.log import Run
from rawr_install.paths import Paths

if TYPE_CHECKING:
    from rawr_install.doctor.diagnose import Report
    from rawr_install.doctor.fixes import Fix
    from rawr_install.machine.facts import Shell

LIST = ("rawr-install", "doctor", "global", "--list-checks")


@group("doctor", help="Find out why rawr misbehaves.")
def doctor() -> None:
    """The group; its one command is ``global``."""


EXAMPLES = """\
rawr-install doctor global                   the verdict, and what to do
rawr-install doctor global --json --redact   for a bug report
rawr-install doctor global --fix --dry-run   what --fix would run
rawr-install doctor global --check path.shadowed --check bun.missing
"""


def _ids(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """What shell completion offers for an ID."""
    from rawr_install.doctor.checks import CHECKS

    return [name for name in CHECKS if name.startswith(incomplete)]


@command("global", epilog=EXAMPLES)
@click.argument("ids", nargs=-1, metavar="[ID]...", shell_complete=_ids)
@click.option("--workspace", metavar="PATH", help="Judge this workspace instead of the current folder's.")
@click.option("--verbose", "-v", is_flag=True, help="Show every check, also those that found nothing.")
@click.option(
    "--check",
    "only",
    metavar="ID",
    multiple=True,
    shell_complete=_ids,
    help="Report only this check (may be repeated).",
)
@click.option("--list-checks", is_flag=True, help="List the checks and stop.")
@click.option("--strict", is_flag=True, help="Exit 1 on warnings too.")
@click.option(
    "--fix", is_flag=True, help="Run the reversible remedies (of the findings ID..., or of all), then look again."
)
@click.option("--dry-run", is_flag=True, help="With --fix: print the plan and change nothing.")
@click.option("--yes", "-y", is_flag=True, help="With --fix: do not ask first.")
@click.option("--redact", is_flag=True, help="Show the home folder as ~, for pasting in public.")
@click.option("--login-shell", is_flag=True, help="Also ask a login shell what it would find (starts one).")
def doctor_global(
    ids: tuple[str, ...],
    workspace: str | None,
    only: tuple[str, ...],
    list_checks: bool,
    fix: bool,
    dry_run: bool,
    yes: bool,
    login_shell: bool,
    **view: bool,
) -> Result:
    """Say whether the rawr on PATH leads to the current instance, and if not, why and what to do.

    Reads only, unless --fix is given: no network, no subprocess, nothing written.
    """
    if list_checks:
        return _list()
    if not fix and (ids or dry_run or yes):
        raise UsageError(
            "ID..., --dry-run and --yes go with --fix.", remedy=("rawr-install", "doctor", "global", "--fix")
        )
    look = Look(workspace, only, login_shell)
    report = look()
    fixes: tuple[Fix, ...] = ()
    if fix:
        fixes = _mend(look(every=True), ids, dry_run, yes)
        report = report if dry_run else look()
    return _outcome(report, fixes, every=view["verbose"] or bool(only), strict=view["strict"], redact=view["redact"])


class Look(NamedTuple):
    """How to look, so that one can look again after a fix."""

    workspace: str | None
    only: tuple[str, ...]
    login_shell: bool

    def __call__(self, every: bool = False) -> Report:
        from rawr_install.doctor import diagnose as doctor
        from rawr_install.machine import probe

        paths = Paths.from_environ(os.environ)
        shells = _shells(paths) if self.login_shell else ()
        facts = probe.probe(paths, probe.current_folder(), os.environ, self.workspace, shells)
        return doctor.diagnose(facts, () if every else self.only)


def _mend(report: Report, ids: tuple[str, ...], dry_run: bool, yes: bool) -> tuple[Fix, ...]:
    from rawr_install.doctor import checks, fixes
    from rawr_install.install import policy

    if unknown := sorted(set(ids) - set(checks.CHECKS)):
        raise UsageError(f"No such check: {', '.join(unknown)}.", code="UNKNOWN_CHECK", remedy=LIST)
    planned = fixes.plan(report.all_findings, ids)
    if root := report.wire["currentInstanceRootReal"]:
        policy.require_trust(str(root), os.environ)
    if dry_run or not planned or not _agreed(planned, yes):
        return planned
    with Run("rawr-install doctor global --fix") as record:
        done = tuple(fixes.execute(fix, os.environ) for fix in planned)
        if failed := [name for fix in done if fix.status == "failed" for name in fix.ids]:
            record.failure = RawrError(f"Not mended: {', '.join(failed)}.", code="FIX_FAILED")
    return done


def _agreed(planned: tuple[Fix, ...], yes: bool) -> bool:
    """Ask on a terminal; without one, or with --yes, the option itself is the consent."""
    if yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    for fix in planned:
        for line in fix.lines():
            log(line)
    return click.confirm("Run these commands?", err=True)


def _outcome(report: Report, fixes: tuple[Fix, ...], *, every: bool, strict: bool, redact: bool) -> Result:
    from rawr_install.doctor import render as screen

    if fixes:
        report = report._replace(wire={**report.wire, "fixes": [fix.to_json() for fix in fixes]})
    told = [line for fix in fixes for line in fix.lines()]
    if redact:
        from rawr_install.doctor.redact import Redaction

        hide = Redaction(*_homes())
        report, told = hide.report(report), [hide.text(line) for line in told]
    lines = [*screen.render(report, stdout().width, every, strict), *(("", *told) if told else ())]
    return Result(report.data(every), lines, report.warnings, report.error(strict, every), told=True)


def _homes() -> tuple[str, ...]:
    home = Paths.from_environ(os.environ).home
    return (home, os.path.realpath(home))


def _shells(paths: Paths) -> tuple[Shell, ...]:
    from rawr_install.doctor import login_shell as shells

    return shells.ask(paths.environ)


doctor.add_command(doctor_global)


def _list() -> Result:
    from rawr_install.doctor.checks import CHECKS

    width = max(map(len, CHECKS))
    rows = [{"id": check.id, "title": check.title} for check in CHECKS.values()]
    return Result({"checks": rows}, [f"{check.id:<{width}}  {check.title}" for check in CHECKS.values()])
