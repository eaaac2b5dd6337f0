"""Parts of an answer come each once, whole and in order, or not at all."""

from __future__ import annotations

import os

import pytest

from platformless.client.errors import AnswerUnreadable, ChunkOutOfOrder
from platformless.client.receiving import SealedAnswer
from platformless.protocol.envelope import (
    FINAL_ASSOCIATED,
    UPDATE_ASSOCIATED,
    chunk_associated,
    seal_message,
)
from platformless.protocol.replies import EncryptedChunk, EncryptedResponse, SealedPayload

KEY = b"\x01" * 32


def sealed(
    content: bytes, associated: bytes, index: int | None = None, key: bytes = KEY
) -> SealedPayload:
    message = seal_message(content, key, nonce=os.urandom(24), associated=associated)
    return SealedPayload.of(message, index)


def chunk(
    index: int, text: str | bytes, *, at: int | None = None, key: bytes = KEY, final: bool = False
) -> EncryptedChunk:
    """A chunk; `at` is the index that it says in the clear."""
    content = text if isinstance(text, bytes) else text.encode()
    payload = sealed(content, chunk_associated(index), index if at is None else at, key)
    return EncryptedChunk(tokens=1, payload=payload, final=final)


def finish(word: str, associated: bytes = FINAL_ASSOCIATED) -> EncryptedResponse:
    return EncryptedResponse(payload=sealed(word.encode(), associated))


def test_chunks_in_order_are_the_answer() -> None:
    answer = SealedAnswer(KEY)
    texts = [answer.chunk(chunk(0, "A ")), answer.chunk(chunk(1, "töwer"))]
    assert texts == ["A ", "töwer"]
    assert answer.chunk(chunk(2, "", final=True)) == ""
    assert answer.finish(finish("stop")) == "stop"


@pytest.mark.parametrize(
    "second",
    [
        chunk(0, "again"),
        chunk(2, "after a gap"),
        chunk(0, "again, as if it were the next", at=1),
        chunk(1, "in place, said to be elsewhere", at=2),
        chunk(1, "text in the last", final=True),
    ],
)
def test_a_gap_a_repetition_or_another_order_is_refused(second: EncryptedChunk) -> None:
    answer = SealedAnswer(KEY)
    answer.chunk(chunk(0, "A "))
    with pytest.raises(ChunkOutOfOrder):
        answer.chunk(second)


def test_nothing_follows_the_last_chunk() -> None:
    answer = SealedAnswer(KEY)
    answer.chunk(chunk(0, "", final=True))
    with pytest.raises(ChunkOutOfOrder):
        answer.chunk(chunk(1, "more"))


def test_an_answer_does_not_end_in_the_middle() -> None:
    answer = SealedAnswer(KEY)
    answer.chunk(chunk(0, "A "))
    with pytest.raises(ChunkOutOfOrder):
        answer.finish(finish("stop"))


def test_an_answer_may_end_before_its_first_chunk() -> None:
    assert SealedAnswer(KEY).finish(finish("cancelled")) == "cancelled"


@pytest.mark.parametrize(
    "broken",
    [
        chunk(0, "of another key", key=b"\x02" * 32),
        chunk(0, b"\xff"),
        EncryptedChunk(tokens=1, payload=SealedPayload("zz", "00" * 24, b"chunk_0".hex(), 0)),
        EncryptedChunk(tokens=1, payload=SealedPayload("00", "00" * 23, b"chunk_0".hex(), 0)),
    ],
)
def test_what_cannot_be_opened_is_refused(broken: EncryptedChunk) -> None:
    with pytest.raises(AnswerUnreadable):
        SealedAnswer(KEY).chunk(broken)


def test_a_chunk_is_no_finish_and_a_finish_no_transcript() -> None:
    with pytest.raises(ChunkOutOfOrder):
        SealedAnswer(KEY).finish(finish("stop", chunk_associated(0)))
    with pytest.raises(ChunkOutOfOrder):
        SealedAnswer(KEY).update(sealed(b"{}", FINAL_ASSOCIATED))


def test_an_update_has_its_form() -> None:
    with pytest.raises(AnswerUnreadable):
        SealedAnswer(KEY).update(sealed(b"{}", UPDATE_ASSOCIATED))
