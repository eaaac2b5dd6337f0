"""What an audit finds: each with a code, a severity, what was expected and got, and its meaning.

Codes `AUD-…` are listed in `errors`; the others come from what was checked (`VER-…`, `RCV-…`,
`STO-…`, `PRO-…`). `meanings` has the sentence for a person.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ...errors import PlatformlessError
from .meanings import meaning_of

_LONGEST_TEXT = 500


class Severity(StrEnum):
    """How much a finding weighs."""

    ERROR = "error"
    """The session is not accepted."""
    WARNING = "warning"
    """Accepted, but a person should look."""
    NOTE = "note"
    """Something that was not checked, or is worth knowing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found. Texts are short: what came from outside is cut."""

    code: str
    severity: Severity
    message: str
    expected: str | None = None
    got: str | None = None
    checkpoint: int | None = None
    """Number of the checkpoint, from 0; None when it is about the session."""

    @classmethod
    def of(
        cls,
        error: PlatformlessError,
        severity: Severity = Severity.ERROR,
        checkpoint: int | None = None,
    ) -> Finding:
        """The finding that an error is."""
        return cls(
            error.code,
            severity,
            _short(error.message),
            None if error.expected is None else _short(error.expected),
            None if error.got is None else _short(error.got),
            checkpoint,
        )

    @property
    def meaning(self) -> str:
        """What it means to a person."""
        return meaning_of(self.code)

    def to_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "severity": self.severity.value,
            "message": self.message,
            "expected": self.expected,
            "got": self.got,
            "meaning": self.meaning,
            "checkpoint": self.checkpoint,
        }


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors, then warnings, then notes; within these by checkpoint."""
    rank = {severity: number for number, severity in enumerate(Severity)}
    return tuple(
        sorted(
            findings,
            key=lambda one: (rank[one.severity], -1 if one.checkpoint is None else one.checkpoint),
        )
    )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"
