"""The encrypted parts of one answer: opened in their order, or refused.

Pure but for its own place in the answer. Each part carries its place as associated data; the host
cannot be made to say one thing in the place of another.
"""

from __future__ import annotations

from ..protocol.envelope import (
    FINAL_ASSOCIATED,
    UPDATE_ASSOCIATED,
    chunk_associated,
    encrypted_from_hex,
    open_message,
)
from ..protocol.errors import EnvelopeBroken, UpdateRefused
from ..protocol.replies import EncryptedChunk, EncryptedResponse, SealedPayload
from ..protocol.update import TranscriptUpdate
from .errors import AnswerUnreadable, ChunkOutOfOrder


class SealedAnswer:
    """Opens the parts of one answer under a session key, in the order they must come in."""

    def __init__(self, session_key: bytes) -> None:
        self._key = session_key
        self._chunks = 0
        self._final = False
        self._finished = False

    def chunk(self, frame: EncryptedChunk) -> str:
        """The text of the next chunk.

        Raises:
            ChunkOutOfOrder, AnswerUnreadable
        """
        if self._final or self._finished:
            raise ChunkOutOfOrder("a chunk after the last one", got=frame.payload.index)
        if frame.payload.index != self._chunks:
            raise ChunkOutOfOrder(
                "a chunk is missing, repeated or in another place",
                expected=self._chunks,
                got=frame.payload.index,
            )
        text = _text(self._open(frame.payload, chunk_associated(self._chunks)))
        self._chunks += 1
        if frame.final:
            self._final = True
            if text:
                raise ChunkOutOfOrder("the last chunk has text", expected="an empty chunk")
        return text

    def finish(self, frame: EncryptedResponse) -> str:
        """The word that the answer ends with: stop, length or cancelled.

        Raises:
            ChunkOutOfOrder, AnswerUnreadable
        """
        if self._finished or (self._chunks and not self._final):
            raise ChunkOutOfOrder("the answer ends in the middle", got=f"{self._chunks} chunks")
        word = _text(self._open(frame.payload, FINAL_ASSOCIATED))
        self._finished = True
        return word

    def update(self, payload: SealedPayload) -> TranscriptUpdate:
        """The transcript update at the end of an answer.

        Raises:
            AnswerUnreadable: also when it is not of the update's form.
        """
        try:
            return TranscriptUpdate.decode(self._open(payload, UPDATE_ASSOCIATED))
        except UpdateRefused as error:
            raise AnswerUnreadable(error.message, got=error.got) from error

    def _open(self, payload: SealedPayload, associated: bytes) -> bytes:
        try:
            encrypted = encrypted_from_hex(payload.ciphertextHex, payload.nonceHex, payload.aadHex)
            if encrypted.associated != associated:
                raise ChunkOutOfOrder(
                    "a part of the answer is in another place",
                    expected=associated.decode(),
                    got=encrypted.associated[:40],
                )
            return open_message(encrypted, self._key)
        except ValueError as error:
            raise AnswerUnreadable("a part of the answer is not hex") from error
        except EnvelopeBroken as error:
            raise AnswerUnreadable(error.message, got=error.got) from error


def _text(plaintext: bytes) -> str:
    try:
        return plaintext.decode("utf-8")
    except UnicodeDecodeError as error:
        raise AnswerUnreadable("a part of the answer is not UTF-8") from error
