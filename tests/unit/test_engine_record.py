"""What a host says of its engine: in deltas, updates and exported transcripts."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from platformless.node.sessions.metering import Meter
from platformless.protocol import delta as deltas
from platformless.protocol.delta import SignedDelta
from platformless.protocol.engine_record import EngineRecord
from platformless.protocol.errors import DeltaFormatError, RecordFormatError, ValueOutOfRange
from platformless.protocol.exported import ExportedTranscript
from platformless.protocol.transcript import Entry, Kind
from tests.proof.conftest import RECORD

from ..samples import HEADER
from .test_metering import RULES

RECORDED = EngineRecord("llama-cpp-python 0.3, system 01234567", 0, 1, 32, 8, "f16", True)
KEY = b"\x01" * 32


def answered(meter: Meter) -> Meter:
    return meter.add(Entry(Kind.COMPLETION, tuple(range(RULES.minimum_claim)), "said"))


def test_a_delta_says_it_under_its_digest() -> None:
    cut, _ = answered(Meter.start(HEADER, RULES).run_by(RECORDED)).cut()
    assert cut.delta.engine == RECORDED
    other = replace(cut.delta, engine=replace(RECORDED, threads=2))
    assert cut.delta.digest() != other.digest()
    assert cut.window.delta_digest == cut.delta.digest()
    read = deltas.decode(deltas.encode(deltas.sign(cut.delta, KEY)))
    assert isinstance(read, SignedDelta)
    assert read.delta == cut.delta


def test_a_delta_without_it_is_what_it_was() -> None:
    cut, _ = answered(Meter.start(HEADER, RULES)).cut()
    assert cut.delta.engine is None
    assert "engine" not in cut.delta.content()


def test_a_checkpoint_that_two_nodes_were_at_says_nothing() -> None:
    """The one that goes on does not know how the other was set."""
    resumed = answered(Meter.start(HEADER, RULES)).run_by(RECORDED)
    first, meter = resumed.cut()
    second, _ = answered(meter).cut()
    assert (first.delta.engine, second.delta.engine) == (None, RECORDED)


@pytest.mark.parametrize(
    "change",
    [{"threads": 0}, {"batch_tokens": 0}, {"sequences": -1}, {"kv_type": ""}, {"gpu_layers": -2}],
)
def test_a_record_that_says_nothing_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(ValueOutOfRange):
        replace(RECORDED, **change)  # type: ignore[arg-type]
    cut, _ = answered(Meter.start(HEADER, RULES).run_by(RECORDED)).cut()
    document = json.loads(deltas.encode(deltas.sign(cut.delta, KEY)))
    document["engine"] |= change
    with pytest.raises(DeltaFormatError):
        deltas.decode(json.dumps(document).encode())


def test_a_session_record_has_a_transcript() -> None:
    transcript = ExportedTranscript.decode(RECORD.read_bytes())
    assert transcript.engine is None
    assert sum(entry.billed for entry in transcript.entries) == 1000


def test_what_it_does_not_know_is_passed_over() -> None:
    document = json.loads(RECORD.read_bytes()) | {
        "format": "client-session/1",
        "engine": {**RECORDED.to_json(), "later": 1},
        "later": [],
    }
    assert ExportedTranscript.decode(json.dumps(document).encode()).engine == RECORDED


@pytest.mark.parametrize(
    "change",
    [
        {"format": "session-record/2"},
        {"header": None},
        {"entries": [{"kind": "end", "tokens": [1]}]},
        {"engine": {**RECORDED.to_json(), "threads": 0}},
        {"engine": {**RECORDED.to_json(), "llama_cpp": "x" * 65}},
    ],
)
def test_what_is_no_transcript_is_refused(change: dict[str, object]) -> None:
    document = json.loads(RECORD.read_bytes()) | change
    with pytest.raises(RecordFormatError):
        ExportedTranscript.decode(json.dumps(document).encode())


def test_what_is_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformless.protocol.exported.MAX_TRANSCRIPT_BYTES", 100)
    with pytest.raises(RecordFormatError, match="too large"):
        ExportedTranscript.decode(RECORD.read_bytes())


def test_nesting_without_end_is_refused() -> None:
    with pytest.raises(RecordFormatError):
        ExportedTranscript.decode(b'{"entries":' + b"[" * 1_000_000)
