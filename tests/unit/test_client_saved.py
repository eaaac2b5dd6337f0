"""A saved session comes back as it was, or not at all."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from platformless.client.errors import SavedStateBroken
from platformless.client.saved import SavedSession
from platformless.client.turns import Exchange
from platformless.client.verifying import VerifiedTranscript
from platformless.protocol.digests import WeightsRoot
from platformless.protocol.errors import RecordFormatError
from platformless.protocol.exported import ExportedTranscript
from platformless.protocol.secrecy import PublicKeyBytes

from .test_client_verifying import COMMITMENT, ENGINE, ENTRIES, EXCHANGE, FRESH, HEADER, NEW, first

HOST_KEY = PublicKeyBytes.of(b"\x05" * 32)


def later() -> VerifiedTranscript:
    return first().asking(Exchange("Where?", 10, "At s"))


@pytest.mark.parametrize(
    "transcript",
    [
        NEW,
        NEW.greeted(COMMITMENT, 0, None, FRESH).asking(EXCHANGE),
        first(),
        later(),
        replace(first(), engine=ENGINE),
        replace(NEW, agreed=replace(NEW.agreed, weights_root=WeightsRoot(b"\x01" * 32))),
    ],
)
def test_a_session_comes_back_as_it_was(transcript: VerifiedTranscript) -> None:
    saved = SavedSession(HOST_KEY, transcript)
    assert SavedSession.decode(saved.encode()) == saved


def test_an_older_file_says_nothing_of_how_an_answer_was_to_be_drawn() -> None:
    fields = json.loads(SavedSession(HOST_KEY, first().asking(EXCHANGE)).encode())
    for name in ("sampler", "new_context"):
        del fields["unsettled"][0][name]
    (exchange,) = SavedSession.decode(json.dumps(fields).encode()).transcript.unsettled
    assert exchange == replace(EXCHANGE, sampler=None, new_context=None)


def test_an_older_file_says_nothing_of_the_hosts_engine() -> None:
    fields = json.loads(SavedSession(HOST_KEY, first()).encode())
    del fields["engine"]
    assert SavedSession.decode(json.dumps(fields).encode()).transcript == first()


def test_an_auditor_reads_the_file_as_it_is() -> None:
    transcript = replace(first(), engine=ENGINE)
    exported = ExportedTranscript.decode(SavedSession(HOST_KEY, transcript).encode())
    assert exported == ExportedTranscript(HEADER, ENTRIES, ENGINE)


def test_an_auditor_needs_an_answer() -> None:
    with pytest.raises(RecordFormatError):
        ExportedTranscript.decode(SavedSession(HOST_KEY, NEW).encode())


def test_distrust_is_not_forgotten() -> None:
    saved = SavedSession(HOST_KEY, first(), distrust="CLT-411 another text")
    assert SavedSession.decode(saved.encode()).distrust == "CLT-411 another text"


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"format":"client-session/2"}', b"\xff"])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(SavedStateBroken):
        SavedSession.decode(data)


@pytest.mark.parametrize(
    "change",
    [
        {"tokens": 8},
        {"state": "0x" + "00" * 32},
        {"state": None},
        {"header": None},
        {"entries": []},
        {"session_id": "8x"},
        {"price": "-1x"},
        {"client_part": "0x00"},
        {"engine": {"threads": 1}},
        {"engine": {**ENGINE.to_json(), "threads": 0}},
        {"more": 1},
    ],
)
def test_what_does_not_add_up_is_refused(change: dict[str, object]) -> None:
    fields = json.loads(SavedSession(HOST_KEY, first()).encode())
    with pytest.raises(SavedStateBroken):
        SavedSession.decode(json.dumps({**fields, **change}).encode())


def test_a_changed_entry_is_noticed() -> None:
    fields = json.loads(SavedSession(HOST_KEY, first()).encode())
    fields["entries"][1]["text"] = "A ship"
    with pytest.raises(SavedStateBroken, match="another state"):
        SavedSession.decode(json.dumps(fields).encode())
