"""Claims and bundles of sampled cells, with a stand-in for the receipt.

A real proof of one cell of every kind takes minutes. `StandIn` takes the place of the verifier for
these receipts alone: it accepts what `bundle_of` sealed, for the journal that was sealed, and
nothing else. That the released verifier accepts real ones, `tests/proof` shows.
"""

from __future__ import annotations

from hashlib import sha256

from platformless.audit.errors import InvalidSeal
from platformless.audit.release import trusted_images
from platformless.audit.sandbox import ReceiptKinds, Usage, Verifier, released_verifier
from platformless.audit.verify import ZKVM
from platformless.protocol.arithmetic.operations import Reference
from platformless.protocol.bundle import Bundle
from platformless.protocol.claim import SessionClaim
from platformless.protocol.digests import ImageId
from platformless.protocol.sample.beacon import beacon_block
from platformless.protocol.sample.claim import SampleClaim, sampled_cells
from platformless.protocol.sample.facts import ModelFactsDigest
from platformless.protocol.sample.plan import COVERED_KINDS, SamplePlan
from platformless.protocol.trace.cells import Span
from platformless.protocol.trace.challenge import Beacon
from platformless.protocol.trace.layout import TraceLayout
from platformless.protocol.trace.settings import TraceSettingsDigest
from platformless.protocol.transcript import Tokens

from .vectors.make_trace import SMOLLM2

SUBMITTED_IN = 1_000
BEACON = Beacon(sha256(b"a block").digest())
FACTS = ModelFactsDigest(sha256(b"facts of a model").digest())


class StandIn(Verifier):
    """Accepts the receipts of `bundle_of`."""

    def __init__(self) -> None:
        """Compiles nothing."""

    def parameters(self, kind: ReceiptKinds) -> bytes:
        return released_verifier().parameters(kind)

    def verify(
        self,
        receipt: bytes,
        journal: bytes,
        image_id: ImageId,
        allowed: ReceiptKinds,  # noqa: ARG002
    ) -> Usage:
        if image_id != trusted_images()["sample"] or receipt != _receipt(journal):
            raise InvalidSeal("not a receipt of the stand-in")
        return Usage(0, 0)


def plan_of(draws: int, positions: int) -> SamplePlan:
    """So many cells of every kind, from everywhere."""
    return SamplePlan.of(dict.fromkeys(COVERED_KINDS, draws), Span(0, positions))


def claim_of(
    checkpoint: SessionClaim,
    *,
    positions: int = 100,
    first_entry: int = 0,
    tokens_before: int = 0,
    draws: int = 2,
    beacon_number: int = beacon_block(SUBMITTED_IN),
    beacon: Beacon = BEACON,
    model: ModelFactsDigest = FACTS,
) -> SampleClaim:
    """What an honest host claims of a checkpoint."""
    layout = TraceLayout(SMOLLM2, positions)
    plan = plan_of(draws, positions)
    return SampleClaim(
        header_digest=checkpoint.header_digest,
        terms=checkpoint.terms,
        tokens_after=checkpoint.tokens_after,
        state_after=checkpoint.state_after,
        first_entry=first_entry,
        tokens_before=Tokens(tokens_before),
        layout=layout,
        trace_root=checkpoint.trace_root,
        settings=TraceSettingsDigest(sha256(b"settings").digest()),
        reference=Reference.AVX2,
        model=model,
        beacon_number=beacon_number,
        beacon=beacon,
        covered=plan.covered,
        cells=sampled_cells(plan, layout),
    )


def bundle_of(claim: SampleClaim) -> Bundle:
    """The bundle that publishes a claim."""
    journal = claim.encode()
    return Bundle(
        claim_kind="sample",
        assurance="sampled",
        image_id=trusted_images()["sample"].value,
        zkvm=ZKVM,
        verifier_parameters=released_verifier().parameters(ReceiptKinds.COMPOSITE),
        receipt_kind="composite",
        journal=journal,
        receipt=_receipt(journal),
    )


def _receipt(journal: bytes) -> bytes:
    return b"a stand-in for a receipt" + sha256(journal).digest()
