"""A run that did not fit one segment: its proofs belong together, in one order.

That a prover with less memory makes several is shown by `tests/pipeline/test_sample_proof.py`.
"""

from __future__ import annotations

import struct

import msgspec
import pytest

from platformless.audit.errors import (
    GuestFailed,
    ImageMismatch,
    InvalidSeal,
    MalformedReceipt,
    Rejection,
)
from platformless.audit.sample import verify_sample
from platformless.audit.sandbox import Verifier
from platformless.protocol.bundle import Bundle

from .conftest import SAMPLED_BUNDLE
from .receipts import renumbered, split_segments


def test_segments_cannot_be_dropped_swapped_or_repeated(verifier: Verifier) -> None:
    bundle = Bundle.decode(SAMPLED_BUNDLE.read_bytes())
    head, segments, tail = split_segments(bundle.receipt, bundle.verifier_parameters)
    first, *middle, last = segments
    assert middle
    arrangements: list[tuple[list[bytes], type[Rejection]]] = [
        ([first], GuestFailed),
        ([first, *middle], GuestFailed),
        ([last], MalformedReceipt),
        ([renumbered(last, 0)], ImageMismatch),
        ([last, *middle, first], MalformedReceipt),
        ([renumbered(last, 0), *middle, renumbered(first, len(middle) + 1)], InvalidSeal),
        ([first, renumbered(last, 1)], InvalidSeal),
        ([*segments, last], MalformedReceipt),
        ([first, *(renumbered(one, at + 1) for at, one in enumerate(segments))], InvalidSeal),
        ([], InvalidSeal),
    ]
    for arranged, error in arrangements:
        receipt = head + struct.pack("<Q", len(arranged)) + b"".join(arranged) + tail
        forged = msgspec.structs.replace(bundle, receipt=receipt).encode()
        with pytest.raises(error):
            verify_sample(forged, verifier=verifier)
    # The pieces put together as they were are the receipt.
    assert head + struct.pack("<Q", len(segments)) + b"".join(segments) + tail == bundle.receipt
