"""A report on one screen: the verdict, what ``rawr`` does here, then what fails with its exact command, then the rest.

Prose is wrapped at the terminal's width; commands are not, so that they can be copied. Findings with one cause stand
together, above the one command that mends them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from rawr_install.dispatch.workspace import seam_status
from rawr_install.doctor.diagnose import QUIET, Report
from rawr_install.report import Finding, Line, Span, printable

if TYPE_CHECKING:
    from rawr_install.doctor.which import Chain

FOLLOWS = "rawr runs the workspace you are in."
HEALTHY = "Global rawr is configured for Bun-global execution."
FAILED = "Global rawr check failed."


def plain(text: str) -> str:
    """The text as it is: nothing in it is hidden."""
    return text


def render(
    report: Report, chain: Chain, width: int, *, every: bool, strict: bool, hide: Callable[[str], str] = plain
) -> Iterator[Line]:
    """The lines for a person; ``every`` adds what is fine, ``strict`` says that warnings count."""
    yield Span(headline(report), "ok" if report.healthy else "fail")
    if report.healthy and strict and report.warnings:
        yield Span(f"--strict: {len(report.warnings)} warning(s) count as failures.", "fail")
    yield from _wrapped(hide(_now(report, chain)), width, "")
    yield from (f"{label:<10}{hide(value)}" for label, value in _summary(report))
    shown = [finding for finding in report.answers if every or finding.status in ("crash", "fail", "warn")]
    causes = {finding.id for finding in shown}
    for finding in (each for each in shown if each.status not in QUIET and each.cause not in causes):
        yield from ("", *_group((finding, *(each for each in shown if each.cause == finding.id)), width, hide))
    if every:
        yield ""
        yield from (line for each in shown if each.status in QUIET for line in _quiet(each, width))
        yield from map(hide, _entries(report))
    elif len(report.answers) > len(shown):
        yield from ("", *_wrapped(_rest(report, len(shown)), width, ""))


def headline(report: Report) -> str:
    """The first line for a person (wire): the verdict, by the kind of entry that runs."""
    first = report.facts.command
    return FAILED if not report.healthy else FOLLOWS if first and first.kind == "shim" else HEALTHY


def _now(report: Report, chain: Chain) -> str:
    """What ``rawr`` does here now, in one sentence."""
    # Of what is there and cannot be executed, bash looks at the first, and passes over a folder.
    stuck = next((each for each in report.facts.entries if each.real), None)
    if chain.entry is None and stuck and stuck.kind != "directory":
        return f"rawr fails here: {stuck.path} is not executable, and a shell says that permission is denied."
    if chain.entry is None:
        return "No rawr is found here: a shell says that there is no such command."
    if chain.action == "foreign":
        return f"rawr runs {chain.entry.path} here, which is not the toolkit's."
    if chain.error:
        return f"rawr fails here: {chain.error.message}"
    if chain.cli is None and (lookalikes := report.facts.lookalikes):
        return f"rawr runs no CLI here: {lookalikes[0]} looks like a workspace, but has no apps/cli/bin/run.js."
    if chain.cli is None:
        return "Outside every workspace, as here, rawr runs no CLI: it says where you are, and what to do."
    return f"rawr runs {chain.cli} here: {chain.why}."


def _summary(report: Report) -> Iterator[tuple[str, str]]:
    first, owner, instance = report.facts.command, report.facts.owner, report.facts.instance
    yield "command", first.path if first else "no rawr on PATH"
    if first and first.real not in (None, first.path):
        yield "target", str(first.real)
    yield "instance", instance.root if instance else "none"
    yield "owner", owner.path or owner.status
    yield "seam", seam_status(owner, instance.root if instance else None)


def _group(findings: Iterable[Finding], width: int, hide: Callable[[str], str]) -> Iterator[Line]:
    """Findings with one cause, and what mends them."""
    for finding in findings:
        yield (Span(f"{finding.status:<6}", finding.status), finding.id)
        yield from _wrapped(hide(finding.summary), width, "      ")
    if finding.remedy:
        yield f"      {'fix:' if finding.remedy.argv else 'try:'} {hide(finding.remedy.text)}"


def _quiet(finding: Finding, width: int) -> Iterator[Line]:
    first, *rest = _wrapped(f"{finding.id}: {finding.summary}", width, "      ")
    yield (Span(finding.status, finding.status), first[len(finding.status) :])
    yield from rest


def _rest(report: Report, shown: int) -> str:
    quiet = Counter(finding.status for finding in report.answers if finding.status in QUIET)
    noted, skipped = len(report.findings) - shown, quiet["skip"]
    said = f"{quiet['ok']} more checks found nothing"
    said += f", {noted} with a note" if noted else ""
    return f"{said}{f', {skipped} skipped' if skipped else ''}: see --verbose."


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    import textwrap

    return textwrap.wrap(
        printable(text),
        max(width, 30),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _entries(report: Report) -> Iterator[str]:
    path = report.facts.path
    yield ""
    yield "Every rawr on PATH, in order:" if path.entries else "No rawr on PATH."
    for entry in path.entries:
        details = (entry.kind, entry.installer, path.versions.get(entry.path))
        yield f"  {entry.path} ({', '.join(filter(None, details))})"
        if entry.real not in (None, entry.path):
            yield f"    -> {entry.real}"
        yield from (f"    also at {place}" for place in path.also_at.get(entry.path, ()))
