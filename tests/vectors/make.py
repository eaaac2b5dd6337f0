"""Writes the vectors that Python and Rust share: `python -m tests.vectors.make`.

Inputs are fixed, so the file changes only when a layout does.
"""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

from platformless.protocol.aggregate import AggregateClaim, aggregate_witness
from platformless.protocol.claim import SessionClaim
from platformless.protocol.digests import ImageId
from platformless.protocol.record import SessionRecord
from platformless.protocol.transcript import State

from ..proof.receipts import assumptions_digest, ok_claim_digest

FILE = Path(__file__).with_name("session-claim.json")
SAMPLER = {
    "temperature": 0.7,
    "top_k": 40,
    "top_p": 0.95,
    "min_p": 0.05,
    "repeat_penalty": 1.1,
    "repeat_last_n": 64,
    "frequency_penalty": 0.0,
    "presence_penalty": 0.5,
}

# Word positions in a witness (guest/claim/src/layout.rs), for the broken ones.
CHECKPOINT, ENTRIES_BEFORE, TOKENS_BEFORE, LAST_KIND, ENTRY_COUNT = 96, 98, 100, 102, 103
FIRST_ENTRY = 128
NUMBER, KIND, TOKEN_COUNT, SAMPLER_AT = 0, 1, 2, 3


def tokens(count: int, step: int) -> list[int]:
    return [(index * step + 17) % 49152 for index in range(count)]


def prompt(count: int, text: str = "What is a lighthouse?") -> dict[str, Any]:
    return {"kind": "prompt", "tokens": tokens(count, 31), "text": text}


def completion(count: int, text: str = "A tower with a light. 🗼") -> dict[str, Any]:
    return {"kind": "completion", "tokens": tokens(count, 7), "text": text, "sampler": SAMPLER}


def record(entries: list[dict[str, Any]], *ends: int) -> dict[str, Any]:
    starts = (0, *ends[:-1])
    return {
        "format": "session-record/1",
        "header": {
            "chain_id": 84532,
            "marketplace": "0x" + "11" * 20,
            "session_id": str(2**200 + 7),
            "host": "0x" + "22" * 20,
            "client": "0x" + "33" * 20,
            "model_id": "0x" + hashlib.sha256(b"model").hexdigest(),
            "weights_root": "0x" + hashlib.sha256(b"weights").hexdigest(),
            "price": "5000",
            "seed": "0x" + hashlib.sha256(b"seed").hexdigest(),
            "salt": "0x" + hashlib.sha256(b"salt").hexdigest(),
        },
        "entries": entries,
        "checkpoints": [
            {
                "first_entry": start,
                "end_entry": end,
                "delta_digest": "0x" + hashlib.sha256(b"delta %d" % end).hexdigest(),
                "trace_root": "0x" + hashlib.sha256(b"trace %d" % end).hexdigest(),
            }
            for start, end in zip(starts, ends, strict=True)
        ],
    }


# Token counts around the ends of SHA-256 blocks and of the guest's 1,024-byte buffer.
TRANSCRIPTS = {
    "one prompt": record([prompt(1)], 1),
    "empty completion": record([prompt(3), completion(0)], 2),
    "two checkpoints": record(
        [prompt(12), completion(100), prompt(9), completion(150), {"kind": "end"}], 2, 5
    ),
    "block edges": record([completion(n) for n in (9, 10, 11, 12, 13, 25, 26, 27, 28, 29)], 10),
    "buffer edges": record([completion(n) for n in (105, 106, 107, 233, 234, 490, 491, 1000)], 8),
    "window for an end": record([prompt(2), completion(2), {"kind": "end"}], 2, 3),
    "three checkpoints": record([completion(n) for n in (5, 6, 7)], 1, 2, 3),
}


def transcript_vector(name: str, document: dict[str, Any]) -> dict[str, Any]:
    decoded = SessionRecord.decode(json.dumps(document).encode())
    header = decoded.session_header()
    windows = [decoded.window(number) for number in range(len(decoded.checkpoints))]
    entries = [entry for window in windows for entry in window.entries]
    states = [State.initial(header)]
    for entry in entries:
        states.append(states[-1].append(header, entry))
    return {
        "name": name,
        "record": document,
        "header_digest": header.digest().value.hex(),
        "entry_digests": [entry.digest(header, n).value.hex() for n, entry in enumerate(entries)],
        "states": [state.digest.value.hex() for state in states],
        "checkpoints": [
            {"witness": window.witness().hex(), "claim": window.claim().encode().hex()}
            for window in windows
        ],
    }


def changed(witness: bytes, *changes: tuple[int, int]) -> bytes:
    """The witness with some of its words (position, value) replaced."""
    words = list(struct.unpack(f"<{len(witness) // 4}I", witness))
    for position, value in changes:
        words[position] = value
    return struct.pack(f"<{len(words)}I", *words)


def broken_witnesses() -> list[dict[str, str]]:
    """Witnesses that the guest must refuse, each for its own reason."""
    decoded = SessionRecord.decode(json.dumps(TRANSCRIPTS["two checkpoints"]).encode())
    first, second = decoded.window(0).witness(), decoded.window(1).witness()
    # The end entry of `second` takes two blocks at its end; its sixteen first words are one.
    end_at = len(second) // 4 - 32
    two_ends = changed(second[:-128] + second[-128:] * 2, (ENTRY_COUNT, 4))
    cases = {
        "empty": ("GST-001", b""),
        "prologue cut": ("GST-001", first[:500]),
        "last block missing": ("GST-001", first[:-64]),
        "more entries announced": ("GST-001", changed(first, (ENTRY_COUNT, 3))),
        "chain id over 64 bits": ("GST-002", changed(first, (5, 1))),
        "marketplace over 20 bytes": ("GST-002", changed(first, (10, 1))),
        "host over 20 bytes": ("GST-002", changed(first, (26, 1))),
        "client over 20 bytes": ("GST-002", changed(first, (34, 1))),
        "first checkpoint after entries": ("GST-003", changed(first, (ENTRIES_BEFORE, 1))),
        "first checkpoint after tokens": ("GST-003", changed(first, (TOKENS_BEFORE, 1))),
        "first checkpoint after a kind": ("GST-003", changed(first, (LAST_KIND, 2))),
        "later checkpoint from the start": ("GST-003", changed(first, (CHECKPOINT, 1))),
        "later checkpoint called first": ("GST-003", changed(second, (CHECKPOINT, 0))),
        "no entries": ("GST-004", changed(first, (ENTRY_COUNT, 0))),
        "after the end": ("GST-005", changed(second, (LAST_KIND, 3))),
        "entry after an end": ("GST-005", two_ends),
        "kind none": ("GST-006", changed(first, (FIRST_ENTRY + KIND, 0))),
        "unknown kind": ("GST-006", changed(first, (FIRST_ENTRY + KIND, 4))),
        "end with tokens": ("GST-007", changed(first, (FIRST_ENTRY + KIND, 3))),
        "token count too large": ("GST-007", changed(first, (FIRST_ENTRY + TOKEN_COUNT, 2**25))),
        "token sum overflows": (
            "GST-007",
            changed(second, (TOKENS_BEFORE, 2**32 - 1), (TOKENS_BEFORE + 1, 2**32 - 1)),
        ),
        "entry number overflows": (
            "GST-007",
            changed(second, (ENTRIES_BEFORE, 2**32 - 1)),
        ),
        "end entry with tokens at the end": (
            "GST-007",
            changed(second, (end_at + TOKEN_COUNT, 1)),
        ),
    }
    return [
        {"name": name, "fault": fault, "witness": witness.hex()}
        for name, (fault, witness) in cases.items()
    ]


def overridden_witnesses() -> list[dict[str, str]]:
    """Witnesses in which the host writes what the guest derives: the claim stays the same."""
    window = SessionRecord.decode(json.dumps(TRANSCRIPTS["one prompt"]).encode()).window(0)
    witness, claim = window.witness(), window.claim().encode().hex()
    # One prompt of one token: 20 words, then 12 words of padding.
    cases = {
        "entry number": changed(witness, (FIRST_ENTRY + NUMBER, 77)),
        "sampler of a prompt": changed(witness, (FIRST_ENTRY + SAMPLER_AT, 1)),
        "padding": changed(witness, *((FIRST_ENTRY + word, 0xFFFFFFFF) for word in range(20, 32))),
    }
    return [
        {"name": name, "witness": altered.hex(), "claim": claim} for name, altered in cases.items()
    ]


# Word positions in the witness of an aggregate: one block, then parts of 136 words.
PART_COUNT, FIRST_PART, PART_WORDS = 8, 16, 136
PART_IMAGE = ImageId(hashlib.sha256(b"session guest").digest())


def claims_of(name: str) -> list[SessionClaim]:
    decoded = SessionRecord.decode(json.dumps(TRANSCRIPTS[name]).encode())
    return [decoded.window(number).claim() for number in range(len(decoded.checkpoints))]


def aggregate_vector(name: str, claims: list[SessionClaim]) -> dict[str, Any]:
    assumed = [ok_claim_digest(PART_IMAGE.value, claim.encode()) for claim in claims]
    return {
        "name": name,
        "witness": aggregate_witness(PART_IMAGE, claims).hex(),
        "claim": AggregateClaim.of(PART_IMAGE, claims).encode().hex(),
        "assumed": [digest.hex() for digest in assumed],
        "assumptions": assumptions_digest(assumed).hex(),
    }


def aggregate_vectors() -> list[dict[str, Any]]:
    """Claims that the guest `aggregate` joins."""
    two = claims_of("two checkpoints")
    three = claims_of("three checkpoints")
    return [
        aggregate_vector("one checkpoint", claims_of("one prompt")),
        aggregate_vector("two checkpoints", two),
        aggregate_vector("the second alone", two[1:]),
        aggregate_vector("three checkpoints", three),
        aggregate_vector("the last two", three[1:]),
    ]


def part_word(part: int, word: int) -> int:
    """Position of the last 32 bits of a claim word of a part, in the witness of an aggregate."""
    return FIRST_PART + part * PART_WORDS + 8 * word + 7


def broken_aggregates() -> list[dict[str, str]]:
    """Witnesses that the guest `aggregate` must refuse, each for its own reason."""
    first, second, third = claims_of("three checkpoints")

    def witness(*claims: SessionClaim) -> bytes:
        return aggregate_witness(PART_IMAGE, claims)

    both = witness(first, second)
    cases = {
        "empty": ("GST-101", b""),
        "opening cut": ("GST-101", both[:60]),
        "part missing": ("GST-101", changed(both, (PART_COUNT, 3))),
        "part cut": ("GST-101", both[:-4]),
        "no parts": ("GST-102", changed(both, (PART_COUNT, 0))),
        "too many parts": ("GST-103", changed(both, (PART_COUNT, 501))),
        "part of another kind": ("GST-104", changed(both, (part_word(0, 0) - 1, 2 << 24))),
        "part of another version": ("GST-104", changed(both, (part_word(1, 0), 2 << 24))),
        "more in the word of the kind": ("GST-104", changed(both, (part_word(1, 0) - 7, 1))),
        "other header": ("GST-105", changed(both, (part_word(1, 1), 1))),
        **{
            f"other term {word - 2}": ("GST-105", changed(both, (part_word(1, word), 1)))
            for word in range(2, 10)
        },
        "part repeated": ("GST-106", witness(first, first)),
        "parts swapped": ("GST-106", witness(second, first)),
        "part dropped": ("GST-106", witness(first, third)),
        "number over 64 bits": ("GST-106", changed(both, (part_word(1, 10) - 7, 1))),
        "other state before": ("GST-107", changed(both, (part_word(1, 13), 1))),
        "other tokens before": ("GST-108", changed(both, (part_word(1, 11), 1))),
    }
    return [
        {"name": name, "fault": fault, "witness": data.hex()}
        for name, (fault, data) in cases.items()
    ]


def vectors() -> dict[str, Any]:
    return {
        "transcripts": [transcript_vector(name, item) for name, item in TRANSCRIPTS.items()],
        "overridden": overridden_witnesses(),
        "broken": broken_witnesses(),
        "aggregates": aggregate_vectors(),
        "broken_aggregates": broken_aggregates(),
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(vectors(), indent=1) + "\n")
