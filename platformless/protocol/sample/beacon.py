"""The block that draws: which one it is, and whether it asks for a proof at all.

The trace root is fixed by the transaction that submits the checkpoint's proof. The beacon is the
hash of the block `BEACON_DELAY_BLOCKS` behind the one that holds it: neither the host nor the
auditor chooses which. Of hosts that prove one checkpoint in N the same hash says which:

    draw    tagged_sha256("sample-checkpoint", trace root + state after + beacon): its first eight
            bytes, a u64, little-endian
    drawn   where draw < floor(2^64 / N)

So what is drawn for one in N is drawn for every smaller N: a host that proves more satisfies an
auditor who asks for less.
"""

from __future__ import annotations

from ..digests import StateDigest, TraceRoot, tagged_sha256
from ..errors import ValueOutOfRange
from ..trace.challenge import Beacon
from ..words import U32_MAX, in_range

BEACON_DELAY_BLOCKS = 4
_DRAWN = 8
_RANGE = 1 << (8 * _DRAWN)


def beacon_block(submitted_in: int) -> int:
    """Number of the block whose hash draws the cells of a checkpoint.

    Args:
        submitted_in: Number of the block that holds the submission of its proof.
    """
    return submitted_in + BEACON_DELAY_BLOCKS


def is_drawn(root: TraceRoot, state_after: StateDigest, beacon: Beacon, one_in: int) -> bool:
    """Whether a checkpoint must have a proof of sampled cells where one in `one_in` must.

    Raises:
        ValueOutOfRange: for a `one_in` of 0.
    """
    if in_range("one in", one_in, U32_MAX) == 0:
        raise ValueOutOfRange("one in", expected="at least 1", got=0)
    payload = root.value + state_after.value + beacon.value
    drawn = tagged_sha256("sample-checkpoint", payload)[:_DRAWN]
    return int.from_bytes(drawn, "little") < _RANGE // one_in
