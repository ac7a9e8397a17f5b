"""``rawr-install doctor global``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from rawr_install.cli.base import Result, command, group, log
from rawr_install.cli.screen.terminal import stdout
from rawr_install.errors import RawrError, UsageError
from rawr_install.events.log import Run
from rawr_install.paths import Paths
from rawr_install.report import Line, to_json

if TYPE_CHECKING:
    from rawr_install.doctor.diagnose import Report
    from rawr_install.doctor.fixes import Fix
    from rawr_install.doctor.redact import Redaction
    from rawr_install.machine.facts import Facts, Shell


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
    report = _look(workspace, login_shell, (*only, *ids))
    fixes: tuple[Fix, ...] = ()
    if fix:
        fixes, report = _mend(report, ids, dry_run, yes, lambda: _look(workspace, login_shell))
    return _result(
        report.only(only), fixes, every=view["verbose"] or bool(only), strict=view["strict"], redact=view["redact"]
    )


def _look(workspace: str | None, login_shell: bool, named: tuple[str, ...] = ()) -> Report:
    """One look; raises UsageError where no check has a name of ``named``."""
    from rawr_install.dispatch.workspace import current_folder
    from rawr_install.doctor.diagnose import diagnose, known
    from rawr_install.machine.probe import probe

    known(named)
    paths = Paths.from_environ(os.environ)
    shells: tuple[Shell, ...] = ()
    if login_shell:
        from rawr_install.doctor.login_shell import ask

        shells = ask(os.environ)
    facts = probe(paths, current_folder(), os.environ, workspace, shells)
    return diagnose(facts, _look_closer)


def _look_closer(facts: Facts) -> Facts:
    from rawr_install.machine.probe.path_facts import with_paths

    try:
        return with_paths(facts, os.environ)
    except RawrError:  # every command that is planned would end with it
        return facts


def _mend(
    report: Report, ids: tuple[str, ...], dry_run: bool, yes: bool, look: Callable[[], Report]
) -> tuple[tuple[Fix, ...], Report]:
    """The fixes, and what a second look found after them."""
    from rawr_install.doctor import fixes
    from rawr_install.install import policy

    planned = fixes.plan(report.answers, ids)
    if report.facts.instance:
        policy.require_trust(report.facts.instance.root, os.environ)
    if dry_run or not planned or not _agreed(planned, yes):
        return planned, report
    with Run("rawr-install doctor global --fix") as record:
        done = tuple(fixes.execute(fix, os.environ) for fix in planned)
        report = look()
        done = fixes.found_again(done, {finding.id for finding in report.findings})
        if failed := [name for fix in done if fix.status == "failed" for name in fix.ids]:
            record.failure = RawrError(f"Not mended: {', '.join(failed)}.", code="FIX_FAILED")
    return done, report


def _agreed(planned: tuple[Fix, ...], yes: bool) -> bool:
    """Ask on a terminal; without one, or with --yes, the option itself is the consent."""
    if yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    for fix in planned:
        for line in fix.lines():
            log(line)
    return click.confirm("Run these commands?", err=True)


def _result(report: Report, fixes: tuple[Fix, ...], *, every: bool, strict: bool, redact: bool) -> Result:
    from rawr_install.doctor.document import document, error

    hide = _redaction() if redact else None
    data = {**document(report, every), **({"fixes": to_json(fixes)} if fixes else {})}
    lines = _lines(report, fixes, every, strict, hide.text if hide else str)
    failure, warnings = error(report, strict), report.warnings
    if hide:
        data, warnings = {key: hide.document(value) for key, value in data.items()}, tuple(map(hide.text, warnings))
    if failure:
        failure.details = data
    return Result(data, lines, warnings, failure, told=True)


def _lines(
    report: Report, fixes: tuple[Fix, ...], every: bool, strict: bool, hide: Callable[[str], str]
) -> Iterator[Line]:
    """What a person reads; nothing of it is worked out before it is printed."""
    from rawr_install.doctor.render import render
    from rawr_install.doctor.which import follow

    chain = follow((), report.facts.cwd, os.environ)
    yield from render(report, chain, stdout().width, every=every, strict=strict, hide=hide)
    yield from ("",) if fixes else ()
    yield from (hide(line) for fix in fixes for line in fix.lines())


def _redaction() -> Redaction:
    from rawr_install.doctor.redact import Redaction

    home = Paths.from_environ(os.environ).home
    return Redaction(home, os.path.realpath(home))


doctor.add_command(doctor_global)


def _list() -> Result:
    from rawr_install.doctor.checks import CHECKS

    width = max(map(len, CHECKS))
    rows = [{"id": check.id, "title": check.title} for check in CHECKS.values()]
    return Result({"checks": rows}, [f"{check.id:<{width}}  {check.title}" for check in CHECKS.values()])
