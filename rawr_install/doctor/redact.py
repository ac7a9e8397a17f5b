"""A report for pasting in public: the home folder is shown as ``~``. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rawr_install.doctor.diagnose import Report
from rawr_install.report import Finding


class Redaction:
    """Replaces the home folder, under each of its names, by ``~`` wherever a path below it appears."""

    def __init__(self, *homes: str) -> None:
        names = [re.escape(home) for home in homes if home.strip("/")]
        # A path ends at a separator or at something that no further name could continue.
        self._home = re.compile(f"(?:{'|'.join(names)})(?![\\w.-])") if names else None

    def report(self, report: Report) -> Report:
        """The report, redacted as a whole."""
        findings = tuple(map(self.finding, report.all_findings))
        return report._replace(wire=self.mapping(report.wire), all_findings=findings)

    def finding(self, finding: Finding) -> Finding:
        remedy = finding.remedy
        if remedy:
            remedy = remedy._replace(text=self.text(remedy.text), argv=tuple(map(self.text, remedy.argv)))
        return finding._replace(
            summary=self.text(finding.summary), evidence=self.mapping(finding.evidence), remedy=remedy
        )

    def text(self, text: str) -> str:
        return self._home.sub("~", text) if self._home else text

    def mapping(self, values: Mapping[str, object]) -> dict[str, object]:
        return {self.text(key): self.value(value) for key, value in values.items()}

    def value(self, value: object) -> object:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return self.mapping(value)
        if isinstance(value, Sequence):
            return [self.value(item) for item in value]
        return value
