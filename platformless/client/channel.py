"""A session on one connection: its key, and the requests that a client makes under it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TypeVar

from ..closing import AsyncClosing
from ..protocol.acknowledgement import Acknowledged
from ..protocol.replies import Acknowledged as AcknowledgedReply
from ..protocol.replies import SessionEnded, SessionInitAck
from ..protocol.secrecy import KEY_BYTES, NONCE_BYTES, PublicKeyBytes
from ..protocol.transcript import Tokens
from .answer import Sent
from .connection import HostConnection
from .errors import TokensMiscounted
from .receiving import SealedAnswer
from .requests import Question, init_frame, message_frame
from .verifying import Agreed, VerifiedTranscript
from .wallet import Wallet
from .web import HostWeb

_Reply = TypeVar("_Reply")


@dataclass(frozen=True, slots=True)
class Ended:
    """What the host says when a session ends."""

    tokens: Tokens
    """Completion tokens of the session."""
    unclaimed: Tokens
    """Of these, what the host will not claim: too few for the contract."""


class SessionChannel(AsyncClosing):
    """One session's use of a connection, which it closes. Begin before anything else.

    Every method may raise ConnectionLost, HostTooSlow, HostFloods, and HostRefused for the host's
    `error` frame.
    """

    def __init__(
        self,
        connection: HostConnection,
        agreed: Agreed,
        wallet: Wallet,
        host_key: PublicKeyBytes,
        web: HostWeb,
    ) -> None:
        self._connection = connection
        self._agreed = agreed
        self._wallet = wallet
        self._host_key = host_key
        self._web = web
        self._key = b""
        self._messages = 0
        self._requests = 0

    @property
    def is_open(self) -> bool:
        return self._connection.is_open

    async def close(self) -> None:
        await self._connection.close()

    async def begin(self) -> SessionInitAck:
        """Shows whose wallet this is, and gives the session a fresh key.

        Raises:
            ChallengeForeign, HostUnreachable
        """
        challenge = await self._web.wallet_challenge(self._agreed)
        key, name = os.urandom(KEY_BYTES), self._name("init")
        frame = init_frame(
            self._agreed,
            self._wallet,
            self._host_key,
            session_key=key,
            ephemeral=os.urandom(KEY_BYTES),
            nonce=os.urandom(NONCE_BYTES),
            proof={
                "nonce": str(challenge.nonce),
                "signature": str(self._wallet.answer(challenge)),
            },
            name=name,
        )
        await self._connection.send(frame)
        ack = await self._reply(SessionInitAck, name)
        self._key, self._messages = key, 0
        return ack

    async def ask(self, question: Question, transcript: VerifiedTranscript) -> Sent:
        """Sends a prompt; asks for all entries after those that are verified.

        Raises:
            RequestInvalid: when it is too large to be sent.
        """
        name = self._name("ask")
        plaintext = question.plaintext(
            self._agreed.model_id,
            transcript.client_part if transcript.header is None else None,
            len(transcript.entries),
        )
        frame = message_frame(
            self._agreed,
            plaintext,
            self._key,
            nonce=os.urandom(NONCE_BYTES),
            number=self._messages,
            name=name,
        )
        self._messages += 1
        await self._connection.send(frame)
        return Sent(self._connection, name, SealedAnswer(self._key), self._agreed.session_id)

    async def acknowledge(self, what: Acknowledged) -> None:
        """Gives the host the wallet's signature, and waits until it is kept.

        Raises:
            TokensMiscounted: when the host confirms another number.
        """
        reply = await self._request(
            AcknowledgedReply,
            "acknowledge",
            tokens=what.tokens,
            state=str(what.state),
            signature=str(self._wallet.acknowledge(what)),
        )
        if reply.tokens != what.tokens:
            raise TokensMiscounted(
                "the host keeps an acknowledgement of other tokens",
                expected=what.tokens,
                got=reply.tokens,
            )

    async def end(self) -> Ended:
        """Tells the host that nothing more will be asked."""
        reply = await self._request(SessionEnded, "session_end")
        return Ended(Tokens(reply.tokens), Tokens(reply.unclaimed))

    async def _request(self, kind: type[_Reply], what: str, **fields: object) -> _Reply:
        name = self._name(what)
        session_id = str(self._agreed.session_id)
        await self._connection.send({"type": what, "session_id": session_id, "id": name, **fields})
        return await self._reply(kind, name)

    async def _reply(self, kind: type[_Reply], name: str) -> _Reply:
        """The next reply of this kind; what is left of earlier requests is passed over."""
        seconds = self._connection.limits.reply_seconds
        while True:
            reply = await self._connection.reply_to(name, seconds)
            if isinstance(reply, kind):
                return reply

    def _name(self, about: str) -> str:
        """An `id` that no other request of this connection has."""
        self._requests += 1
        return f"{about}-{self._requests}"
