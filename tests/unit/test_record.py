"""Session records: what a proof is made from."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from platformless.protocol.errors import RecordFormatError
from platformless.protocol.record import SessionRecord
from platformless.protocol.transcript import State

from ..vectors.make import FILE, TRANSCRIPTS, vectors

RECORD = Path(__file__).parents[1] / "data" / "session-1000.json"


def decode(document: dict[str, Any]) -> SessionRecord:
    return SessionRecord.decode(json.dumps(document).encode())


def test_the_committed_vectors_are_what_this_code_computes() -> None:
    assert json.loads(FILE.read_text()) == vectors()


def test_the_recorded_session_has_a_thousand_tokens_of_a_real_model() -> None:
    record = SessionRecord.decode(RECORD.read_bytes())
    claim = record.window(0).claim()
    assert claim.tokens == 1000
    assert record.provenance["model_file_sha256"]
    completions = [entry for entry in record.entries if entry.kind == "completion"]
    assert len(completions) > 3
    assert all(entry.tokens and entry.text for entry in completions)


def test_checkpoints_join() -> None:
    record = decode(TRANSCRIPTS["two checkpoints"])
    first, second = record.window(0), record.window(1)
    assert second.before == first.after
    assert first.before == State.initial(first.header)


def altered(**changes: Any) -> dict[str, Any]:
    document = copy.deepcopy(TRANSCRIPTS["two checkpoints"])
    for path, value in changes.items():
        *parents, last = path.split("__")
        target: Any = document
        for part in parents:
            target = target[int(part)] if part.isdecimal() else target[part]
        target[int(last) if last.isdecimal() else last] = value
    return document


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "session-record/2"}, "not a session record"),
        ({"extra": 1}, "unknown field `extra`"),
        ({"header__extra": 1}, "unknown field `extra`"),
        ({"entries__0__kind": "answer"}, "Invalid enum value"),
        ({"entries__0__tokens": ["a"]}, "Expected `int`"),
        ({"entries__0__tokens": [-1]}, "entry 0: token id out of range"),
        ({"entries__1__sampler__top_k": -1}, "entry 1: top_k out of range"),
        ({"entries__0__sampler": None, "entries__4__text": "x"}, "entry 4: an end entry carries"),
        ({"header__host": "0x12"}, "Address of a wrong length"),
        ({"header__salt": "zz" * 32}, "Salt is not hexadecimal"),
        ({"header__price": "-1"}, "not a decimal number"),
        ({"header__session_id": str(2**256)}, "session id out of range"),
        ({"checkpoints__1__first_entry": 3}, "does not follow the one before"),
        ({"checkpoints__1__end_entry": 9}, "does not follow the one before"),
        ({"checkpoints__0__end_entry": 0}, "does not follow the one before"),
        ({"checkpoints__1__delta_digest": "0x00"}, "DeltaDigest of a wrong length"),
        ({"checkpoints": []}, "length >= 1"),
    ],
)
def test_a_broken_record_is_refused_with_the_place(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RecordFormatError) as caught:
        decode(altered(**change)).window(1)
    assert message in str(caught.value)


def test_a_record_names_its_checkpoints() -> None:
    with pytest.raises(RecordFormatError, match="no such checkpoint"):
        decode(TRANSCRIPTS["two checkpoints"]).window(2)


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"format": 1}', b"[" * 100_000, b"\xff"])
def test_what_is_not_a_record_is_refused(data: bytes) -> None:
    with pytest.raises(RecordFormatError):
        SessionRecord.decode(data)
