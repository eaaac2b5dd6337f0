"""What stark-prover says, as typed values (docs/stark-prover.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from ..decoding import decode_json
from .errors import ProverCrashed


class ProverInfo(Struct, frozen=True):
    """What a binary is and can do."""

    version: str
    zkvm: str
    images: dict[str, str]
    """Name of each built-in guest to its image id, hex."""
    device: str
    """`cpu` or `cuda`."""
    succinct: bool
    """Whether it can make succinct receipts."""
    max_request_bytes: int


class Execution(Struct, frozen=True):
    """What a proof would take. Cycles count one execution, padded to whole segments in total."""

    image_id: str
    journal: str
    segments: int
    segment_po2: list[int]
    """log2 of the cycles of each segment."""
    user_cycles: int
    paging_cycles: int
    reserved_cycles: int
    total_cycles: int
    memory_bytes: int
    """Memory that proving the largest segment takes, by stark-prover's model."""


class Proof(Execution, frozen=True):
    """A finished proof."""

    receipt: bytes
    """`InnerReceipt`, bincode."""
    receipt_kind: str
    verifier_parameters: str
    prove_seconds: Annotated[float, Meta(ge=0)]
    """Execution included."""
    peak_memory_bytes: int


class Executed(Struct, frozen=True):
    """The guest ran; proving begins."""

    execution: Execution


class SegmentProven(Struct, frozen=True):
    """One more segment is done."""

    done: int
    total: int
    cycles_done: int
    cycles_total: int
    elapsed_seconds: float


Progress = Executed | SegmentProven
OnProgress = Callable[[Progress], None]


class Fault(Struct, frozen=True):
    code: str
    message: str
    expected: Any = None
    got: Any = None


ABSENT = msgspec.Raw(b"")


class Reply(Struct, frozen=True):
    """One line of output. `result` stays undecoded: its type is the request's."""

    id: str | None = None
    event: str | None = None
    result: msgspec.Raw = ABSENT
    error: Fault | None = None


def decode_reply(line: bytes) -> Reply:
    """Raises ProverCrashed when the line is not a reply."""
    try:
        return decode_json(line, Reply)
    except msgspec.DecodeError as error:
        raise ProverCrashed(
            "stark-prover wrote a line that is not a reply", got=repr(line[:200])
        ) from error


def decode_progress(reply: Reply, line: bytes) -> Progress | None:
    """The progress in an event; None for an event that this version does not know."""
    try:
        if reply.event == "executed":
            return Executed(decode_json(line, Execution))
        if reply.event == "segment":
            return decode_json(line, SegmentProven)
    except msgspec.DecodeError as error:
        raise ProverCrashed("stark-prover wrote an event that does not decode") from error
    return None
