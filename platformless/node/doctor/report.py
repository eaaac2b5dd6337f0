"""All findings together: as text, as JSON, and as an exit status."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from ...console import plain
from .finding import Finding, Level

_COLOURS = {
    Level.OK: "green",
    Level.WARNING: "yellow",
    Level.ERROR: "bold red",
    Level.SKIPPED: "dim",
}
_LEVEL_WIDTH, _NAME_WIDTH = 9, 16


@dataclass(frozen=True, slots=True)
class Report:
    """What the doctor says."""

    findings: tuple[Finding, ...]

    def count(self, level: Level) -> int:
        return Counter(finding.level for finding in self.findings)[level]

    @property
    def exit_status(self) -> int:
        """0; 1 when there is an error."""
        return 1 if self.count(Level.ERROR) else 0

    @property
    def outcome(self) -> str:
        """The worst level but `skipped`."""
        for level in (Level.ERROR, Level.WARNING):
            if self.count(level):
                return str(level.value)
        return str(Level.OK.value)

    def to_json(self) -> dict[str, Any]:
        """Fields are only ever added."""
        return {
            "findings": [
                {
                    "name": finding.name,
                    "level": finding.level.value,
                    "says": finding.says,
                    "advice": finding.advice or None,
                }
                for finding in self.findings
            ],
            "counts": {level.value: self.count(level) for level in Level},
        }

    def lines(self) -> list[str]:
        """A line a finding, as markup, and one that counts them."""
        counted = ", ".join(
            f"{self.count(level)} {level.value}" for level in Level if self.count(level)
        )
        return [*map(_line, self.findings), counted]


def _line(finding: Finding) -> str:
    level = f"[{_COLOURS[finding.level]}]{finding.level.value:<{_LEVEL_WIDTH}}[/]"
    says = " ".join(finding.says.split())
    advice = f" -> {finding.advice}" if finding.advice else ""
    return f"{level}{finding.name:<{_NAME_WIDTH}}{plain(says + advice)}"
