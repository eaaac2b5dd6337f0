"""The report of a replay: values only.

Findings are data; `AUD-…` codes are those of `audit.session.errors`. A finding that speaks against
the transcript makes `accepted` false; the others say what could not be told.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ...protocol.digests import WeightsRoot
from .checks import Agreement, TextCheck
from .modes import ReplayMode
from .verdict import Outcome, Verdict

MODEL_FOREIGN = "AUD-401"
PROMPT_FOREIGN = "AUD-402"
TEXT_FOREIGN = "AUD-403"
EXACT_MISMATCH = "AUD-410"
NOT_THIS_MODEL = "AUD-411"
OUT_OF_REACH = "AUD-412"
PAST_ITS_END = "AUD-413"
TOO_FEW = "AUD-420"
NOT_EXACT = "AUD-421"
PROMPT_UNCHECKED = "AUD-422"
_REMARKS = frozenset({TOO_FEW, NOT_EXACT, PROMPT_UNCHECKED})


@dataclass(frozen=True, slots=True)
class ReplayFinding:
    """One thing that was found; which token it is about, where it is about one."""

    code: str
    message: str
    expected: str | None = None
    got: str | None = None
    entry: int | None = None
    token: int | None = None
    """Place in the entry."""

    @property
    def speaks_against(self) -> bool:
        """Whether it is more than a remark on what the replay could not tell."""
        return self.code not in _REMARKS

    def to_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "message": self.message,
            "expected": self.expected,
            "got": self.got,
            "entry": self.entry,
            "token": self.token,
        }


@dataclass(frozen=True, slots=True)
class TokenTable:
    """All completion tokens, a column each: 32 bytes a token."""

    entry: array[int] = field(default_factory=lambda: array("I"))
    index: array[int] = field(default_factory=lambda: array("I"))
    position: array[int] = field(default_factory=lambda: array("Q"))
    token: array[int] = field(default_factory=lambda: array("I"))
    chosen: array[int] = field(default_factory=lambda: array("I"))
    """What the replay chooses."""
    margin: array[float] = field(default_factory=lambda: array("d"))
    """In logits (`engine.margins`)."""

    def __len__(self) -> int:
        return len(self.token)

    def mismatches(self) -> list[int]:
        """Rows where another token was chosen."""
        return [row for row, margin in enumerate(self.margin) if margin > 0]


@dataclass(frozen=True, slots=True)
class ModelFile:
    """What was replayed with."""

    name: str
    sha256: bytes
    weights_root: WeightsRoot
    expected_root: WeightsRoot
    """The header's; zero: the session is bound to no weights."""

    @property
    def bound(self) -> bool:
        return not self.expected_root.is_zero

    @property
    def matches(self) -> bool:
        return not self.bound or self.weights_root == self.expected_root

    def to_json(self) -> dict[str, Any]:
        return {
            "file": self.name,
            "sha256": self.sha256.hex(),
            "weights_root": str(self.weights_root),
            "expected_root": str(self.expected_root) if self.bound else None,
        }


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay shows."""

    mode: ReplayMode
    mode_reason: str
    build: str
    """The llama.cpp that replayed."""
    model: ModelFile
    tokens: TokenTable
    prompts: tuple[TextCheck, ...]
    answers: tuple[TextCheck, ...]
    cut_answers: tuple[int, ...]
    """Entries whose answer ends where the model would have gone on: a limit, a stop string, a
    client that left, or a host that cut it short."""
    context_tokens: int
    """Tokens that were decoded, prompts included."""
    seconds: float
    """Of the replay itself, without loading and hashing the model."""
    verdict: Verdict
    findings: tuple[ReplayFinding, ...]

    @property
    def accepted(self) -> bool:
        """Whether nothing speaks against the transcript."""
        return not any(one.speaks_against for one in self.findings)

    @property
    def replayed(self) -> bool:
        """Whether the tokens are shown to be the model's answers to what the prompts say: enough of
        them, every prompt checked, and nothing against."""
        checked = all(one.agreement is not Agreement.NOT_CHECKED for one in self.prompts)
        return self.accepted and checked and self.verdict.outcome is Outcome.CONSISTENT

    @property
    def tokens_per_second(self) -> float:
        return self.context_tokens / self.seconds if self.seconds else 0.0

    def to_json(self) -> dict[str, Any]:
        """Without the single tokens, but for those that differ (at most 100)."""
        return {
            "mode": self.mode.value,
            "mode_reason": self.mode_reason,
            "build": self.build,
            "model": self.model.to_json(),
            "completion_tokens": len(self.tokens),
            "context_tokens": self.context_tokens,
            "seconds": round(self.seconds, 3),
            "tokens_per_second": round(self.tokens_per_second, 1),
            "prompts": [one.to_json() for one in self.prompts],
            "answers": [one.to_json() for one in self.answers],
            "cut_answers": list(self.cut_answers),
            "verdict": self.verdict.to_json(),
            "mismatches": _rows(self.tokens, self.tokens.mismatches()[:100]),
            "findings": [one.to_json() for one in self.findings],
        }


def _rows(table: TokenTable, rows: Sequence[int]) -> list[dict[str, Any]]:
    return [
        {
            "entry": table.entry[row],
            "index": table.index[row],
            "token": table.token[row],
            "chosen": table.chosen[row],
            "margin": table.margin[row],
        }
        for row in rows
    ]
