"""Transcript updates: what a host says of the transcript either adds up or is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from platformless.protocol.digests import StateDigest
from platformless.protocol.engine_record import EngineRecord
from platformless.protocol.errors import UpdateRefused
from platformless.protocol.header import SessionHeader
from platformless.protocol.prompt import ChatMessage, Prompt
from platformless.protocol.seed import SeedPart, seed_commitment, session_seed
from platformless.protocol.transcript import Entry, Kind, Sampler, State, Tokens
from platformless.protocol.update import TranscriptUpdate
from tests.samples import HEADER

HOST, CLIENT = SeedPart(b"\x01" * 32), SeedPart(b"\x02" * 32)
SEEDED = SessionHeader(HEADER.terms, session_seed(HOST, CLIENT), HEADER.salt)
ENTRIES = (
    Entry(Kind.PROMPT, (1, 2), Prompt((ChatMessage("user", "Q"),)).text()),
    Entry(Kind.COMPLETION, (3, 4, 5), "A", Sampler(0.7, 40, 0.95)),
)
START = State.initial(SEEDED)
AFTER = START.extend(SEEDED, ENTRIES)
UPDATE = TranscriptUpdate(SEEDED, HOST, CLIENT, 0, ENTRIES, AFTER.tokens, AFTER.digest)
ENGINE = EngineRecord("llama-cpp-python 0.3, system 01234567", 0, 1, 32, 8, "f16", True)


@pytest.mark.parametrize("engine", [None, ENGINE])
def test_an_update_comes_back_as_it_was(engine: EngineRecord | None) -> None:
    update = replace(UPDATE, engine=engine)
    assert TranscriptUpdate.decode(update.encode()) == update


def test_an_older_host_says_nothing_of_its_engine() -> None:
    document = json.loads(UPDATE.encode())
    del document["engine"]
    assert TranscriptUpdate.decode(json.dumps(document).encode()) == UPDATE


def test_an_engine_that_cannot_be_is_refused() -> None:
    document = json.loads(replace(UPDATE, engine=ENGINE).encode())
    document["engine"]["threads"] = 0
    with pytest.raises(UpdateRefused):
        TranscriptUpdate.decode(json.dumps(document).encode())


def test_following_the_entries_gives_the_state() -> None:
    assert UPDATE.follow(START) == AFTER


def test_an_update_may_begin_where_the_reader_stands() -> None:
    between = START.append(SEEDED, ENTRIES[0])
    later = replace(UPDATE, first_entry=1, entries=ENTRIES[1:])
    assert later.follow(between) == AFTER


@pytest.mark.parametrize(
    "lie",
    [
        {"first_entry": 1},
        {"entries": ENTRIES[:1]},
        {"entries": (*ENTRIES, ENTRIES[1])},
        {"entries": (ENTRIES[0], replace(ENTRIES[1], tokens=(3, 4, 6)))},
        {"entries": (ENTRIES[0], replace(ENTRIES[1], text="B"))},
        {"entries": (ENTRIES[0], replace(ENTRIES[1], sampler=Sampler(0.8, 40, 0.95)))},
        {"tokens": Tokens(4)},
        {"state": StateDigest.zero()},
    ],
)
def test_entries_that_do_not_lead_there_are_refused(lie: dict[str, object]) -> None:
    with pytest.raises(UpdateRefused):
        replace(UPDATE, **lie).follow(START)  # type: ignore[arg-type]


def test_an_update_of_another_session_is_refused() -> None:
    with pytest.raises(UpdateRefused):
        UPDATE.follow(State.initial(HEADER))


def test_the_seed_is_made_of_both_parts() -> None:
    UPDATE.check_seed(seed_commitment(HOST), CLIENT)


@pytest.mark.parametrize(
    ("update", "commitment", "part"),
    [
        (UPDATE, seed_commitment(CLIENT), CLIENT),
        (UPDATE, seed_commitment(HOST), HOST),
        (replace(UPDATE, header=HEADER), seed_commitment(HOST), CLIENT),
        (replace(UPDATE, host_part=CLIENT), seed_commitment(HOST), CLIENT),
    ],
)
def test_a_seed_that_one_side_chose_is_refused(
    update: TranscriptUpdate, commitment: object, part: SeedPart
) -> None:
    with pytest.raises(UpdateRefused):
        update.check_seed(commitment, part)  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"{" * 1000, b'{"format":"other"}'])
def test_what_is_no_update_is_refused(data: bytes) -> None:
    with pytest.raises(UpdateRefused):
        TranscriptUpdate.decode(data)


def test_a_broken_field_is_refused() -> None:
    broken = UPDATE.encode().replace(str(UPDATE.state).encode(), b"0x12")
    with pytest.raises(UpdateRefused):
        TranscriptUpdate.decode(broken)
