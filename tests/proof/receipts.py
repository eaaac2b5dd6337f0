"""Receipts taken apart and forged, byte by byte.

A receipt is bincode (fixed-size integers, little-endian) of RISC Zero's `InnerReceipt`: a `u32`
variant; for variant 0 (composite) the number of segments (`u64`), and for each the seal (`u64`
length, then words), the index (`u32`), the name of the hash function, and so on.
"""

from __future__ import annotations

import hashlib
import struct

COMPOSITE, SUCCINCT, GROTH16, FAKE = 0, 1, 2, 3
_SEAL_LENGTH_AT = 4 + 8
SEAL_AT = _SEAL_LENGTH_AT + 8


def seal_range(receipt: bytes) -> range:
    """Positions of the first segment's seal."""
    variant, segments, words = struct.unpack_from("<IQQ", receipt)
    assert (variant, segments) == (COMPOSITE, 1)
    return range(SEAL_AT, SEAL_AT + 4 * words)


_HASH_FUNCTION = struct.pack("<Q", 9) + b"poseidon2"


def split_segments(receipt: bytes, parameters: bytes) -> tuple[bytes, list[bytes], bytes]:
    """The variant, the segments, and what follows them: no assumptions, and `parameters`.

    A segment is its seal, its index and the name of its hash function, then fields of no fixed
    length; so a segment ends where the next seal's length stands, found by the text after it.
    """
    tail = struct.pack("<Q", 0) + parameters
    assert receipt.endswith(tail)
    end = len(receipt) - len(tail)
    [count] = struct.unpack_from("<Q", receipt, 4)
    starts = [_SEAL_LENGTH_AT]
    while len(starts) < count:
        at = starts[-1]
        while not _is_segment(receipt, at := at + 1, len(starts)):
            pass
        starts.append(at)
    ends = [*starts[1:], end]
    return receipt[:4], [receipt[a:b] for a, b in zip(starts, ends, strict=True)], tail


def split_assumptions(receipt: bytes, parts: list[bytes]) -> tuple[bytes, bytes]:
    """What stands before the receipts of the assumptions, and after them, in a composite receipt
    that rests on `parts`. The last one assumed comes first."""
    before, count, after = receipt.partition(struct.pack("<Q", len(parts)) + parts[-1])
    assert count
    rest = b"".join(parts[-2::-1])
    assert after.startswith(rest)
    return before, after[len(rest) :]


def renumbered(segment: bytes, index: int) -> bytes:
    """The segment with another index."""
    [words] = struct.unpack_from("<Q", segment)
    at = 8 + 4 * words
    return segment[:at] + struct.pack("<I", index) + segment[at + 4 :]


def _is_segment(receipt: bytes, at: int, index: int) -> bool:
    """Whether segment number `index` begins at `at`."""
    [words] = struct.unpack_from("<Q", receipt, at)
    after = at + 8 + 4 * words
    label = struct.pack("<I", index) + _HASH_FUNCTION
    return after < len(receipt) and receipt[after : after + len(label)] == label


def fake_receipt(image_id: bytes, journal: bytes) -> bytes:
    """What RISC Zero's dev mode makes: the right claim, and no proof of it."""
    return struct.pack("<II", FAKE, 1) + ok_claim_digest(image_id, journal)


def ok_claim_digest(image_id: bytes, journal: bytes) -> bytes:
    """Digest of the claim "`image_id` halted with success and published `journal`"."""
    output = _tagged("risc0.Output", [hashlib.sha256(journal).digest(), bytes(32)])
    halted = _tagged("risc0.SystemState", [bytes(32)], [0])
    return _tagged("risc0.ReceiptClaim", [bytes(32), image_id, halted, output], [0, 0])


def assumptions_digest(claims: list[bytes]) -> bytes:
    """Digest of the list of assumptions that each of these claims is proven, the last one first."""
    found = bytes(32)
    for claim in claims:
        assumption = _tagged("risc0.Assumption", [claim, bytes(32)])
        found = _tagged("risc0.Assumptions", [assumption, found])
    return found


def _tagged(tag: str, digests: list[bytes], words: list[int] | None = None) -> bytes:
    """RISC Zero's `tagged_struct`: digest of the tag, digests, words, number of digests."""
    data = hashlib.sha256(tag.encode()).digest() + b"".join(digests)
    data += b"".join(struct.pack("<I", word) for word in words or [])
    return hashlib.sha256(data + struct.pack("<H", len(digests))).digest()
