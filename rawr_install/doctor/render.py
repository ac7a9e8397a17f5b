"""A report on one screen: the verdict first, then what fails with its exact command, then warnings, then the rest.

Prose is wrapped at the terminal's width; commands are not, so that they can be
copied.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from rawr_install.doctor.diagnose import Report
from rawr_install.report import Finding, Line, Span, printable

LABEL_WIDTH = 10
QUIET = ("ok", "skip")


def render(report: Report, width: int, every: bool = False, strict: bool = False) -> list[Line]:
    """The lines for a person; ``every`` adds what is fine, ``strict`` says that warnings count."""
    return list(_lines(report, width, every, strict))


def _lines(report: Report, width: int, every: bool, strict: bool) -> Iterator[Line]:
    yield Span(report.headline, "ok" if report.healthy else "fail")
    if report.healthy and strict and report.warnings:
        yield Span(f"--strict: {len(report.warnings)} warning(s) count as failures.", "fail")
    yield from _summary(report.wire)
    shown = [finding for finding in report.all_findings if every or finding.status in ("crash", "fail", "warn")]
    for finding in (each for each in shown if each.status not in QUIET):
        yield from ("", *_finding(finding, width))
    if every:
        yield ""
        yield from (line for each in shown if each.status in QUIET for line in _quiet(each, width))
        yield from _entries(report.wire)
    elif len(report.all_findings) > len(shown):
        yield from ("", _rest(report, len(shown)))


def _rest(report: Report, shown: int) -> str:
    quiet = Counter(finding.status for finding in report.all_findings if finding.status in QUIET)
    noted, skipped = len(report.findings) - shown, quiet["skip"]
    said = f"{quiet['ok']} more checks found nothing"
    said += f", {noted} with a note" if noted else ""
    return f"{said}{f', {skipped} skipped' if skipped else ''}: see --verbose."


def _summary(wire: Mapping[str, object]) -> Iterator[str]:
    target = wire["commandPathReal"] if wire["commandPathReal"] != wire["commandPath"] else None
    yield from _row("command", wire["commandPath"] or "no rawr on PATH")
    if target:
        yield from _row("target", target)
    yield from _row("instance", wire["currentInstanceRoot"] or "none")
    yield from _row("owner", wire["ownerWorkspacePath"] or wire["ownerFileStatus"])
    yield from _row("seam", wire["aliasInstanceSeamStatus"])


def _row(label: str, value: object) -> Iterator[str]:
    yield f"{label:<{LABEL_WIDTH}}{value}"


def _finding(finding: Finding, width: int) -> Iterator[Line]:
    yield (Span(f"{finding.status:<6}", finding.status), finding.id)
    yield from _wrapped(finding.summary, width, "      ")
    if finding.remedy:
        label = "fix:" if finding.remedy.argv else "try:"
        yield f"      {label} {finding.remedy.text}"


def _quiet(finding: Finding, width: int) -> Iterator[Line]:
    first, *rest = _wrapped(f"{finding.id}: {finding.summary}", width, "      ")
    yield (Span(finding.status, finding.status), first[len(finding.status) :])
    yield from rest


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


def _entries(wire: Mapping[str, object]) -> Iterator[str]:
    entries = wire["entries"]
    yield ""
    yield "Every rawr on PATH, in order:" if entries else "No rawr on PATH."
    for entry in entries if isinstance(entries, list) else ():
        details = ", ".join(str(entry[key]) for key in ("kind", "installer", "version") if entry[key])
        yield f"  {entry['path']} ({details})"
        if entry["real"] not in (None, entry["path"]):
            yield f"    -> {entry['real']}"
        for path in entry["alsoAt"]:
            yield f"    also at {path}"
