"""A host on loopback for tests of the client: honest, unless it is told to change a reply."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from platformless.node.sessions.answering import sampler_of
from platformless.protocol import frames
from platformless.protocol.acknowledgement import Acknowledged, AcknowledgementSignature
from platformless.protocol.conversation import Conversation, ways_to_ask
from platformless.protocol.digests import StateDigest
from platformless.protocol.envelope import (
    FINAL_ASSOCIATED,
    UPDATE_ASSOCIATED,
    SessionInit,
    chunk_associated,
    open_client_message,
    open_init,
    seal_message,
)
from platformless.protocol.host_key import LocalKey
from platformless.protocol.replies import (
    Acknowledged as AcknowledgedReply,
)
from platformless.protocol.replies import (
    Connected,
    EncryptedChunk,
    EncryptedResponse,
    ErrorReply,
    ProofSubmitted,
    QueuePosition,
    Reply,
    SealedPayload,
    SessionEnded,
    SessionInitAck,
    StreamEnd,
    encode,
)
from platformless.protocol.signatures import Signature, signer
from platformless.protocol.transcript import Entry, Kind, State, Tokens
from platformless.protocol.update import TranscriptUpdate
from platformless.protocol.wallet_challenge import ChallengeNonce, WalletChallenge

from .test_client_verifying import AGREED, CLIENT_PART, COMMITMENT, HEADER, HOST_PART, WALLET

HOST_KEY = b"\x05" * 32
PIECES = ("A ", "töwer", ".")
NONCE = ChallengeNonce(b"\x44" * 32)
Change = Callable[[Reply], Reply | None]


@dataclass
class FakeHost:
    """Answers every prompt with `PIECES`, a token each. `change` may alter or drop a reply."""

    change: Change = lambda reply: reply
    entries: list[Entry] = field(default_factory=list)
    asked: list[frames.PromptRequest] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)
    inits: list[SessionInit] = field(default_factory=list)
    lost_keys: int = 0
    """Prompts before which the key is forgotten."""
    hang_after: int | None = None
    """Pieces after which the connection is closed."""
    expires: int = 0

    @property
    def state(self) -> State:
        return State.initial(HEADER).extend(HEADER, self.entries)

    @property
    def ends(self) -> set[StateDigest]:
        """The states after completions."""
        state, ends = State.initial(HEADER), set()
        for entry in self.entries:
            state = state.append(HEADER, entry)
            if entry.kind is Kind.COMPLETION:
                ends.add(state.digest)
        return ends

    async def challenge(self, request: web.Request) -> web.Response:
        self.expires = int(time.time()) + 60
        return web.json_response(
            {
                "chain_id": AGREED.chain_id,
                "marketplace": str(AGREED.marketplace),
                "host": str(AGREED.host),
                "session_id": request.query["session_id"],
                "nonce": str(NONCE),
                "expires": self.expires,
            }
        )

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await self.send(socket, Connected(message="hello"))
        async for message in socket:
            await self.take(socket, frames.decode(message.data))
        return socket

    async def send(self, socket: web.WebSocketResponse, reply: Reply) -> None:
        changed = self.change(reply)
        if changed is not None and not socket.closed:
            await socket.send_str(encode(changed))

    async def take(self, socket: web.WebSocketResponse, frame: frames.Frame) -> None:
        if isinstance(frame, frames.EncryptedInitFrame):
            assert frame.payload is not None
            self.begin(frame.payload)
            state = self.state
            await self.send(
                socket,
                SessionInitAck(
                    status="ok",
                    job_id=7,
                    chain_id=AGREED.chain_id,
                    seed_commitment=str(COMMITMENT),
                    tokens=state.tokens,
                    entries=state.entries,
                    state=str(state.digest),
                    tokens_left=1000,
                ),
            )
        elif isinstance(frame, frames.EncryptedMessageFrame):
            await self.answer(socket, frame)
        elif isinstance(frame, frames.AcknowledgeFrame):
            what = Acknowledged(
                AGREED.chain_id,
                AGREED.marketplace,
                AGREED.session_id,
                Tokens(frame.tokens),
                StateDigest.from_hex(frame.state),
            )
            closed = self.state.append(HEADER, Entry(Kind.END))
            assert what.state in {*self.ends, closed.digest}
            signature = AcknowledgementSignature.from_hex(frame.signature)
            assert what.signer(signature) == WALLET.address
            self.acknowledged.append(frame.tokens)
            await self.send(socket, AcknowledgedReply(tokens=frame.tokens, id=frame.id))
        elif isinstance(frame, frames.EndFrame):
            reply = SessionEnded(tokens=self.state.tokens, unclaimed=1, id=frame.id)
            await self.send(socket, reply)

    def begin(self, payload: frames.EncryptedInitPayload) -> None:
        init = open_init(payload.decode(), LocalKey(HOST_KEY))
        assert init.wallet is not None
        challenge = WalletChallenge(
            AGREED.chain_id, AGREED.marketplace, AGREED.host, 7, NONCE, self.expires
        )
        signature = Signature.from_hex(init.wallet.signature)
        assert signer(challenge.signing_digest(), signature) == WALLET.address
        assert (init.job_id, init.price, init.recovery_key) == (
            7,
            AGREED.price,
            WALLET.recovery_key,
        )
        self.inits.append(init)

    async def answer(
        self, socket: web.WebSocketResponse, frame: frames.EncryptedMessageFrame
    ) -> None:
        assert frame.payload is not None
        if self.lost_keys:
            self.lost_keys -= 1
            error = ErrorReply(code="SESSION_KEY_NOT_FOUND", message="no key", id=frame.id)
            return await self.send(socket, error)
        key = self.inits[-1].session_key
        request = frames.decode_prompt(open_client_message(frame.payload.decode(), key), frame)
        self.asked.append(request)
        first = request.transcript_from or 0
        known = Conversation() if request.new_context else Conversation.of(self.entries)
        ways = ways_to_ask(known, request.prompt)
        self.entries.append(Entry(Kind.PROMPT, (1, 2), (ways.continued or ways.anew).text()))
        sampler = sampler_of(request)
        await self.send(socket, QueuePosition(position=2, id=frame.id))
        sent = PIECES[: self.hang_after]
        said = Entry(Kind.COMPLETION, tuple(range(len(sent))), "".join(sent), sampler)
        self.entries.append(said)
        for index, piece in enumerate(sent):
            payload = _sealed(piece.encode(), key, chunk_associated(index), index)
            await self.send(socket, EncryptedChunk(tokens=1, payload=payload, id=frame.id))
        if self.hang_after is not None:
            self.hang_after = None
            await socket.close()
            return None
        payload = _sealed(b"", key, chunk_associated(len(PIECES)), len(PIECES))
        await self.send(socket, EncryptedChunk(tokens=0, payload=payload, final=True, id=frame.id))
        word = EncryptedResponse(payload=_sealed(b"stop", key, FINAL_ASSOCIATED), id=frame.id)
        await self.send(socket, word)
        update = TranscriptUpdate(
            HEADER,
            HOST_PART,
            CLIENT_PART,
            first,
            tuple(self.entries[first:]),
            self.state.tokens,
            self.state.digest,
        )
        end = StreamEnd(
            reason="complete",
            tokens_used=len(PIECES),
            sealed_transcript=_sealed(update.encode(), key, UPDATE_ASSOCIATED),
            id=frame.id,
        )
        await self.send(socket, ProofSubmitted(proof_id="p", size_bytes=1, timestamp=1))
        return await self.send(socket, end)


def _sealed(content: bytes, key: bytes, associated: bytes, index: int | None = None) -> Any:
    message = seal_message(content, key, nonce=os.urandom(24), associated=associated)
    return SealedPayload.of(message, index)
