"""The checkpoints of a session as the chain has them: in events, and in the contract's storage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from ..chain.events import ProofSubmitted
from ..chain.session import ProofRecord
from ..protocol.digests import ProofHash
from ..protocol.transcript import Tokens
from .errors import EventMismatch


@dataclass(frozen=True, slots=True)
class CheckpointOnChain:
    """A checkpoint as the chain has it."""

    number: int
    tokens_before: Tokens
    tokens: Tokens
    proof_hash: ProofHash
    delta_cid: str
    proof_cid: str | None
    """Only events tell it; None when the node shows no event for this proof."""
    event: ProofSubmitted | None
    record: ProofRecord | None
    """The same in the contract's storage; None when there is none of this number."""

    @property
    def tokens_after(self) -> Tokens:
        return Tokens(self.tokens_before + self.tokens)


def places(
    events: Sequence[ProofSubmitted], records: Sequence[ProofRecord]
) -> list[CheckpointOnChain]:
    """Every proof that events or the contract's storage know: a node may hide events."""
    found, before = list[CheckpointOnChain](), Tokens(0)
    for number, (event, record) in enumerate(zip_longest(events, records)):
        known = event or record
        proof_cid = None if event is None else event.proof_cid
        found.append(
            CheckpointOnChain(
                number,
                before,
                known.tokens,
                known.proof_hash,
                known.delta_cid,
                proof_cid,
                event,
                record,
            )
        )
        before = found[-1].tokens_after
    return found


def require_same_record(place: CheckpointOnChain) -> None:
    """Events come from the node's log index, records from the contract's storage. A record without
    an event still names its delta."""
    event, record = place.event, place.record
    if event is None:
        return
    told = (event.proof_hash, event.tokens, event.delta_cid)
    kept = (record.proof_hash, record.tokens, record.delta_cid) if record is not None else None
    if told != kept:
        raise EventMismatch(
            f"event and contract differ on checkpoint {place.number}", expected=kept, got=told
        )
