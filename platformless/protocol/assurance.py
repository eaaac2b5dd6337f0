"""What a claim guarantees, and what it does not: one row a component."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Assurance(StrEnum):
    """Level of a claim. No claim says more than its level."""

    ACCOUNTING = "accounting"
    """The guest recomputed the transcript's commitment and the token count."""
    SAMPLED = "sampled"
    """Besides, cells of the model's arithmetic, drawn by a block that came later, were opened and
    recomputed in a guest."""
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

SAMPLE_COVERAGE = (
    Component(
        "drawn cells",
        Coverage.PROVEN,
        "each follows from its inputs by the named arithmetic, with the weights of the root",
    ),
    Component(
        "other cells",
        Coverage.SAMPLED,
        "of a kind of which a fraction f deviates, k draws meet one with 1 - (1 - f)^k",
    ),
    Component(
        "tokens of the trace",
        Coverage.PROVEN,
        "they are those of the transcript's entries from the first entry to the state after",
    ),
    Component(
        "choice of tokens",
        Coverage.NOT_COVERED,
        "that the answer's tokens follow from the logits is for a replay",
    ),
    Component(
        "earlier contexts",
        Coverage.NOT_COVERED,
        "tokens before the first entry are in no cell; that a context began there is not shown",
    ),
    Component(
        "model facts",
        Coverage.NOT_COVERED,
        "sizes and the tensors' places are carried; whoever has the file makes their digest anew",
    ),
    Component(
        "beacon",
        Coverage.NOT_COVERED,
        "that it is the hash of its block, behind the submission, is for whoever has the chain",
    ),
    Component(
        "trace root in the checkpoint",
        Coverage.NOT_COVERED,
        "that it was fixed before the beacon stands in the checkpoint's own claim",
    ),
    Component(
        "privacy of the witness",
        Coverage.NOT_COVERED,
        "composite receipts are not promised to hide their private input",
    ),
)
"""Coverage of a `sample` claim, level `sampled`, by itself: an audit checks what it can besides."""
