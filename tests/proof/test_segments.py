"""A run that does not fit one segment: proven in several, which belong together in one order."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import msgspec
import pytest

from platformless.audit.errors import (
    GuestFailed,
    ImageMismatch,
    InvalidSeal,
    MalformedReceipt,
    Rejection,
)
from platformless.audit.sandbox import Verifier
from platformless.audit.verify import verify_bundle
from platformless.protocol.bundle import Bundle
from platformless.prover.messages import Executed, Progress, SegmentProven
from platformless.prover.process import StarkProver
from platformless.prover.proof import ProofReport, prove_window

from ..samples import window_of
from .receipts import renumbered, split_segments

WINDOW = window_of(7150, 10)
BUDGET_BYTES = 700 << 20
"""Room for segments of 2^16 cycles; in one segment the run would take 2^17."""


@pytest.fixture(scope="module")
def proven(prover_binary: Path) -> tuple[ProofReport, list[Progress]]:
    events: list[Progress] = []

    async def prove() -> ProofReport:
        async with StarkProver(prover_binary) as prover:
            return await prove_window(
                prover, WINDOW, memory_bytes=BUDGET_BYTES, on_progress=events.append
            )

    return asyncio.run(prove()), events


def test_several_segments_prove_one_claim(proven: tuple[ProofReport, list[Progress]]) -> None:
    report, events = proven
    assert report.proof.segments == len(report.proof.segment_po2) == 2
    assert report.verification.claim == WINDOW.claim()
    assert report.proof.peak_memory_bytes < BUDGET_BYTES
    assert isinstance(events[0], Executed)
    done = [event.done for event in events[1:] if isinstance(event, SegmentProven)]
    assert done == list(range(1, report.proof.segments + 1))
    assert isinstance(events[-1], SegmentProven)
    assert events[-1].cycles_done == report.proof.total_cycles


def test_segments_cannot_be_dropped_swapped_or_repeated(
    proven: tuple[ProofReport, list[Progress]], verifier: Verifier
) -> None:
    bundle = Bundle.decode(proven[0].data)
    head, segments, tail = split_segments(bundle.receipt, bundle.verifier_parameters)
    first, last = segments
    arrangements: list[tuple[list[bytes], type[Rejection]]] = [
        ([first], GuestFailed),
        ([last], MalformedReceipt),
        ([renumbered(last, 0)], ImageMismatch),
        ([last, first], MalformedReceipt),
        ([renumbered(last, 0), renumbered(first, 1)], InvalidSeal),
        ([first, last, last], MalformedReceipt),
        ([first, renumbered(first, 1), renumbered(last, 2)], InvalidSeal),
        ([], InvalidSeal),
    ]
    for arranged, error in arrangements:
        receipt = head + struct.pack("<Q", len(arranged)) + b"".join(arranged) + tail
        forged = msgspec.structs.replace(bundle, receipt=receipt).encode()
        with pytest.raises(error):
            verify_bundle(forged, verifier=verifier)
    # The pieces put together as they were are the receipt.
    assert head + struct.pack("<Q", len(segments)) + b"".join(segments) + tail == bundle.receipt
