"""What a claim guarantees, and what it does not: one row a component."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Assurance(StrEnum):
    """Level of a claim. No claim says more than its level."""

    ACCOUNTING = "accounting"
    """The guest recomputed the transcript's commitment and the token count."""
    REPLAYED = "replayed"
    """Besides, an auditor with the model file re-ran the transcript. Stands in reports alone: no
    bundle gives it."""


class Coverage(StrEnum):
    """How a component of a session is covered."""

    PROVEN = "proven"
    SAMPLED = "sampled"
    CHECKED = "checked"
    """By this auditor, who can show it to nobody else: others do it again."""
    NOT_COVERED = "not covered"


@dataclass(frozen=True, slots=True)
class Component:
    """One row of the table."""

    name: str
    coverage: Coverage
    meaning: str


ACCOUNTING_COVERAGE = (
    Component(
        "token count",
        Coverage.PROVEN,
        "the billed tokens are exactly the completion tokens between the two states",
    ),
    Component(
        "transcript",
        Coverage.PROVEN,
        "the state after extends the state before by the committed entries, in order",
    ),
    Component(
        "session terms",
        Coverage.PROVEN,
        "chain, marketplace, session, host, client, model id and price are those of the header",
    ),
    Component(
        "text",
        Coverage.NOT_COVERED,
        "committed by its digest; that the tokens spell it is for whoever has it to check",
    ),
    Component(
        "model arithmetic",
        Coverage.NOT_COVERED,
        "that this model, prompt and sampler produce these tokens is not proven",
    ),
    Component(
        "delivery",
        Coverage.NOT_COVERED,
        "that the client received the tokens is shown only by its acknowledgement",
    ),
    Component(
        "delta and trace",
        Coverage.NOT_COVERED,
        "their digests stand in the claim; their content is not proven",
    ),
    Component(
        "privacy of the witness",
        Coverage.NOT_COVERED,
        "composite receipts are not promised to hide their private input",
    ),
)
"""Coverage of a `session` claim, level `accounting`."""
