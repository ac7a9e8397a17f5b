"""A report on one screen: the verdict first, then what fails with its exact command, then warnings, then the rest.

Prose is wrapped at the terminal's width; commands are not, so that they can be
copied. Everything found on the machine is escaped: a path may carry a
terminal's escape codes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from rawr_install.doctor.diagnose import Report
from rawr_install.report import Finding, printable

COLOURS = {"fail": "31", "crash": "35", "warn": "33", "ok": "32", "info": "36", "skip": "2"}
LABEL_WIDTH = 10
QUIET = ("ok", "skip")


class Style(NamedTuple):
    """What the terminal can show: columns, colour, and characters beyond ASCII."""

    width: int = 80
    colour: bool = False
    encoding: str = "utf-8"

    def paint(self, text: str, status: str) -> str:
        return f"\x1b[1;{COLOURS[status]}m{text}\x1b[0m" if self.colour else text

    def plain(self, text: str) -> str:
        """``text`` without control characters and without what the encoding cannot carry."""
        return printable(text).encode(self.encoding, "backslashreplace").decode(self.encoding)


def render(report: Report, style: Style, every: bool = False, strict: bool = False) -> list[str]:
    """The lines for a person; ``every`` adds what is fine, ``strict`` says that warnings count."""
    return list(_lines(report, style, every, strict))


def _lines(report: Report, style: Style, every: bool, strict: bool) -> Iterator[str]:
    yield style.paint(report.headline, "ok" if report.healthy else "fail")
    if report.healthy and strict and report.warnings:
        yield style.paint(f"--strict: {len(report.warnings)} warning(s) count as failures.", "fail")
    yield from _summary(report.wire, style)
    shown = [finding for finding in report.all_findings if every or finding.status in ("crash", "fail", "warn")]
    for finding in (each for each in shown if each.status not in QUIET):
        yield from ("", *_finding(finding, style))
    if every:
        yield ""
        yield from (line for each in shown if each.status in QUIET for line in _quiet(each, style))
        yield from _entries(report.wire, style)
    elif len(report.all_findings) > len(shown):
        yield from ("", _rest(report, len(shown)))


def _rest(report: Report, shown: int) -> str:
    quiet = Counter(finding.status for finding in report.all_findings if finding.status in QUIET)
    noted, skipped = len(report.findings) - shown, quiet["skip"]
    said = f"{quiet['ok']} more checks found nothing"
    said += f", {noted} with a note" if noted else ""
    return f"{said}{f', {skipped} skipped' if skipped else ''}: see --verbose."


def _summary(wire: Mapping[str, object], style: Style) -> Iterator[str]:
    target = wire["commandPathReal"] if wire["commandPathReal"] != wire["commandPath"] else None
    yield from _row("command", wire["commandPath"] or "no rawr on PATH", style)
    if target:
        yield from _row("target", target, style)
    yield from _row("instance", wire["currentInstanceRoot"] or "none", style)
    yield from _row("owner", wire["ownerWorkspacePath"] or wire["ownerFileStatus"], style)
    yield from _row("seam", wire["aliasInstanceSeamStatus"], style)


def _row(label: str, value: object, style: Style) -> Iterator[str]:
    yield f"{label:<{LABEL_WIDTH}}{style.plain(str(value))}"


def _finding(finding: Finding, style: Style) -> Iterator[str]:
    yield f"{style.paint(f'{finding.status:<6}', finding.status)}{finding.id}"
    yield from _wrapped(finding.summary, style, "      ")
    if finding.remedy:
        label = "fix:" if finding.remedy.argv else "try:"
        yield f"      {label} {style.plain(finding.remedy.text)}"


def _quiet(finding: Finding, style: Style) -> Iterator[str]:
    first, *rest = _wrapped(f"{finding.id}: {finding.summary}", style, "      ")
    yield style.paint(finding.status, finding.status) + first[len(finding.status) :]
    yield from rest


def _wrapped(text: str, style: Style, indent: str) -> list[str]:
    import textwrap

    return textwrap.wrap(
        style.plain(text),
        max(style.width, 30),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _entries(wire: Mapping[str, object], style: Style) -> Iterator[str]:
    entries = wire["entries"]
    yield ""
    yield "Every rawr on PATH, in order:" if entries else "No rawr on PATH."
    for entry in entries if isinstance(entries, list) else ():
        details = ", ".join(str(entry[key]) for key in ("kind", "installer", "version") if entry[key])
        yield style.plain(f"  {entry['path']} ({details})")
        if entry["real"] not in (None, entry["path"]):
            yield style.plain(f"    -> {entry['real']}")
        for path in entry["alsoAt"]:
            yield style.plain(f"    also at {path}")
