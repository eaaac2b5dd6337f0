"""From the bundles of a session's checkpoints to one verified bundle of them all."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..audit.release import trusted_images
from ..audit.verify import CLAIM_KIND as PART_KIND
from ..audit.verify import verify_bundle
from ..audit.whole_session import AggregateReport, verify_aggregate
from ..protocol.aggregate import CLAIM_KIND, AggregateClaim, aggregate_witness
from ..protocol.bundle import MAX_BUNDLE_BYTES, Bundle
from ..protocol.errors import ValueOutOfRange
from .messages import OnProgress
from .process import DEFAULT_MEMORY_BYTES, StarkProver
from .proof import MadeProof, bundle_of, require_claim, require_trusted_guest

COMPOSITE = "composite"
_OWN_BYTES = 1 << 20
"""Room for the guest's own proof, head and claim, besides the receipts of the parts."""


@dataclass(frozen=True, slots=True)
class AggregateProof(MadeProof):
    """A proof of a whole session that was made and verified."""

    verification: AggregateReport

    def to_json(self) -> dict[str, Any]:
        return self.with_verification(self.verification.to_json())


async def aggregate_bundles(
    prover: StarkProver,
    bundles: Sequence[bytes],
    *,
    receipt_kind: str = COMPOSITE,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    deadline_seconds: float = 3600,
    on_progress: OnProgress | None = None,
) -> AggregateProof:
    """Joins the bundles of consecutive checkpoints, in their order, and verifies the result as a
    stranger would.

    The client's acknowledgement of the last part is one of the whole, and is carried over.
    `receipt_kind` is what is wanted: `succinct` falls back to `composite` in a binary that cannot
    make it, which the report shows.

    Raises:
        Rejection: when a part is not accepted, before any work.
        WindowError: when the parts are not consecutive checkpoints of one session.
        ValueOutOfRange: when there are none, too many, or more bytes than a bundle may have, or
            a part's receipt is of a kind that cannot go into the whole.
        ProverError: when no proof could be made.
    """
    image = trusted_images()[PART_KIND]
    claims = [(await asyncio.to_thread(verify_bundle, data)).claim for data in bundles]
    claim = AggregateClaim.of(image, claims)
    info = await prover.info()
    for guest in (PART_KIND, CLAIM_KIND):
        require_trusted_guest(info, guest)
    possible = receipt_kind if info.succinct else COMPOSITE
    decoded = [Bundle.decode(data) for data in bundles]
    require_fitting(decoded, possible)
    with tempfile.TemporaryDirectory() as folder:
        paths = await asyncio.to_thread(_write_receipts, Path(folder), decoded)
        proof = await prover.prove(
            aggregate_witness(image, claims),
            image=CLAIM_KIND,
            assumptions=paths,
            memory_bytes=memory_bytes,
            receipt=possible,
            deadline_seconds=deadline_seconds,
            on_progress=on_progress,
        )
    require_claim(claim, proof)
    bundle = bundle_of(proof, decoded[-1].acknowledgement_signature, CLAIM_KIND)
    data = bundle.encode()
    verification = await asyncio.to_thread(verify_aggregate, data)
    return AggregateProof(bundle, data, proof, info.device, receipt_kind, verification)


def require_fitting(parts: Sequence[Bundle], receipt_kind: str) -> None:
    """Raises ValueOutOfRange when a receipt of that kind cannot be made of the parts' receipts.

    A composite one holds them, all composite as it says of itself. A succinct one resolves them.
    """
    fitting = (COMPOSITE,) if receipt_kind == COMPOSITE else (COMPOSITE, "succinct")
    for number, part in enumerate(parts):
        if part.receipt_kind not in fitting:
            raise ValueOutOfRange(
                f"receipt of part {number} does not go into a {receipt_kind} one",
                expected=" or ".join(fitting),
                got=part.receipt_kind,
            )
    total = sum(len(part.receipt) for part in parts)
    room = MAX_BUNDLE_BYTES - _OWN_BYTES
    if receipt_kind == COMPOSITE and total > room:
        raise ValueOutOfRange(
            "the proofs of the parts do not fit one bundle",
            expected=f"at most {room} bytes",
            got=total,
        )


def _write_receipts(folder: Path, parts: Sequence[Bundle]) -> list[Path]:
    paths = [folder / f"{number}.receipt" for number in range(len(parts))]
    for path, part in zip(paths, parts, strict=True):
        path.write_bytes(part.receipt)
    return paths
