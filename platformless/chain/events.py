"""Reading the events of a session, in ranges of blocks that the node is willing to serve.

Nodes limit `eth_getLogs` by blocks (public ones to about 10,000), by results, or by time, and each
says so in its own words. Whatever a node refuses is asked again in halves; what it serves is
doubled, up to `RangeLimits.largest`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from ..protocol.digests import Address, ModelId, ProofHash
from ..protocol.transcript import Tokens
from .connection import LATEST, Chain
from .contract import decode_event, event_topic
from .errors import ChainMoved, EventRangeRefused, RpcRefused, UnreadableAnswer
from .money import Amount
from .session import Session

_CONTRACT = "JobMarketplace"
_ATTEMPTS = 4
_OPENED_TOPICS = 4


@dataclass(frozen=True, slots=True)
class RangeLimits:
    """Blocks that are asked for at once."""

    largest: int = 10_000
    first: int = 10_000
    requests: int = 20_000
    """Most requests for one answer: a node may tell of a head without end."""
    logs: int = 100_000
    """Most events of one answer."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event is. Events are ordered by it."""

    block_number: int
    log_index: int
    transaction_hash: str
    block_hash: str

    @property
    def order(self) -> tuple[int, int]:
        return self.block_number, self.log_index


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """The client's deposit is in escrow."""

    place: Place
    session_id: int
    client: Address
    host: Address
    model_id: ModelId
    deposit: Amount


@dataclass(frozen=True, slots=True)
class ProofSubmitted:
    """The host claimed `tokens`. No contract checks what lies at the CIDs."""

    place: Place
    session_id: int
    host: Address
    tokens: Tokens
    proof_hash: ProofHash
    proof_cid: str
    delta_cid: str


@dataclass(frozen=True, slots=True)
class SessionSettled:
    """The session is over; the money is where it belongs."""

    place: Place
    session_id: int
    ended_by: Address
    tokens: Tokens
    gross: Amount
    refund: Amount


@dataclass(frozen=True, slots=True)
class SessionTimedOut:
    """The session ended by its timeout; a `SessionSettled` tells the amounts."""

    place: Place
    session_id: int
    host_earnings: Amount
    refund: Amount


@dataclass(frozen=True, slots=True)
class RefundCredited:
    """A refund that could not be paid out, kept as a deposit of the client."""

    place: Place
    session_id: int
    client: Address
    amount: Amount


SessionEvent = SessionOpened | ProofSubmitted | SessionSettled | SessionTimedOut | RefundCredited

_NAMES = (
    "SessionJobCreatedForModel",
    "ProofSubmitted",
    "SessionCompletedBy",
    "SessionTimedOut",
    "RefundCreditedToDeposit",
)


class SessionEvents:
    """Reads the marketplace's events about sessions."""

    def __init__(self, chain: Chain, limits: RangeLimits | None = None) -> None:
        self._chain = chain
        self._limits = limits or RangeLimits()
        self._names = {"0x" + event_topic(_CONTRACT, name).hex(): name for name in _NAMES}

    async def history(
        self, session: Session, *, last_block: int | None = None
    ) -> list[SessionEvent]:
        """All that happened to a session, in order, from the block of its start.

        Args:
            last_block: Where to stop; None for the newest block.

        Raises:
            EventRangeRefused: when the node does not serve even one block's events.
            ChainMoved: when a reorg or a lagging node kept it from being read as a whole.
        """
        topics = [list(self._names), "0x" + session.id.to_bytes(32, "big").hex()]
        for _ in range(_ATTEMPTS):
            end = await self._chain.block(LATEST if last_block is None else last_block)
            if end is None:
                continue
            first = await self.block_at(session.started_at)
            logs = [log async for log in self._logs(topics, first, end.number)]
            again = await self._chain.block(end.number)
            if again is not None and again.hash == end.hash:
                found = [self._event(log, session) for log in logs]
                return sorted(found, key=lambda item: item.place.order)
        raise ChainMoved(
            f"the chain changed while the events of session {session.id} were read",
            expected="the same last block before and after",
            got=f"another one, {_ATTEMPTS} times",
        )

    async def proofs(
        self, session: Session, *, last_block: int | None = None
    ) -> list[ProofSubmitted]:
        """The proofs of a session in order, with their CIDs, which storage keeps only of the
        last one."""
        history = await self.history(session, last_block=last_block)
        return [event for event in history if isinstance(event, ProofSubmitted)]

    async def opened_with(self, host: Address, first: int, last: int) -> list[int]:
        """Ids of the sessions that were opened with a host in blocks `first` to `last`.

        Raises:
            EventRangeRefused: when the node does not serve even one block's events.
        """
        topic = "0x" + event_topic(_CONTRACT, "SessionJobCreated").hex()
        topics = [topic, None, None, "0x" + host.value.rjust(32, b"\0").hex()]
        found = list[int]()
        async for log in self._logs(topics, first, last):
            self._require_ours(log)
            if len(log["topics"]) != _OPENED_TOPICS or log["topics"][3].lower() != topics[3]:
                raise UnreadableAnswer(
                    "the node gave another event than was asked for", got=log["topics"]
                )
            found.append(int(log["topics"][1], 16))
        return found

    async def block_at(self, timestamp: int) -> int:
        """The first block whose time is not before `timestamp`; by bisection."""
        low, high = 0, (await self._chain.head()).number
        while low < high:
            middle = (low + high) // 2
            block = await self._chain.block(middle)
            if block is not None and block.timestamp < timestamp:
                low = middle + 1
            else:
                high = middle
        return low

    async def _logs(self, topics: list[Any], first: int, end: int) -> AsyncIterator[dict[str, Any]]:
        size = self._limits.first
        found = 0
        for _ in range(self._limits.requests):
            if first > end:
                return
            to = min(end, first + size - 1)
            try:
                logs = await self._chain.logs(self._chain.network.marketplace, topics, first, to)
            except RpcRefused as refusal:
                if to == first:
                    raise EventRangeRefused(
                        f"the node does not serve the events of block {first}",
                        expected="a list of events",
                        got=refusal,
                    ) from refusal
                size = max(1, (to - first + 1) // 2)
                continue
            found += len(logs)
            if found > self._limits.logs:
                raise UnreadableAnswer(
                    "events without end", expected=f"at most {self._limits.logs}", got=found
                )
            for log in logs:
                yield log
            first = to + 1
            size = min(size * 2, self._limits.largest)
        raise EventRangeRefused(
            "the node serves too few blocks at once, or tells of too many",
            expected=f"at most {self._limits.requests} requests",
            got=f"{end - first + 1} blocks left, {size} at once",
        )

    def _require_ours(self, log: dict[str, Any]) -> None:
        source = Address.from_hex(log["address"])
        if source != self._chain.network.marketplace:
            raise UnreadableAnswer(
                "the node gave an event of another contract",
                expected=self._chain.network.marketplace,
                got=source,
            )

    def _event(self, log: dict[str, Any], session: Session) -> SessionEvent:
        self._require_ours(log)
        name = self._names.get(log["topics"][0].lower() if log["topics"] else "")
        if name is None:
            raise UnreadableAnswer("the node gave an event of another kind", got=log["topics"])
        fields = decode_event(_CONTRACT, name, log)
        place = _place(log)
        session_id = fields["jobId"]
        if session_id != session.id:
            raise UnreadableAnswer(
                "the node gave an event of another session", expected=session.id, got=session_id
            )
        token = session.deposit.token
        if name == "ProofSubmitted":
            return _proof_submitted(place, fields)
        if name == "SessionJobCreatedForModel":
            return SessionOpened(
                place=place,
                session_id=session_id,
                client=Address.from_hex(fields["depositor"]),
                host=Address.from_hex(fields["host"]),
                model_id=ModelId(fields["modelId"]),
                deposit=Amount(fields["deposit"], token),
            )
        if name == "SessionCompletedBy":
            return SessionSettled(
                place=place,
                session_id=session_id,
                ended_by=Address.from_hex(fields["completedBy"]),
                tokens=Tokens(fields["tokensUsed"]),
                gross=Amount(fields["paymentAmount"], token),
                refund=Amount(fields["refundAmount"], token),
            )
        if name == "SessionTimedOut":
            return SessionTimedOut(
                place=place,
                session_id=session_id,
                host_earnings=Amount(fields["hostEarnings"], token),
                refund=Amount(fields["userRefund"], token),
            )
        return RefundCredited(
            place=place,
            session_id=session_id,
            client=Address.from_hex(fields["depositor"]),
            amount=Amount(fields["amount"], token),
        )


def session_opened_in(logs: tuple[dict[str, Any], ...]) -> int:
    """The id of the session that a transaction with these logs opened.

    Raises:
        LookupError: when it opened none.
    """
    topic = "0x" + event_topic(_CONTRACT, "SessionJobCreated").hex()
    for log in logs:
        if log["topics"][0] == topic:
            return int(log["topics"][1], 16)
    raise LookupError("no session was opened")


def proof_submitted_in(logs: tuple[dict[str, Any], ...]) -> ProofSubmitted:
    """The proof that a transaction with these logs submitted.

    Raises:
        LookupError: when it submitted none.
    """
    topic = "0x" + event_topic(_CONTRACT, "ProofSubmitted").hex()
    for log in logs:
        if log["topics"][0] == topic:
            return _proof_submitted(_place(log), decode_event(_CONTRACT, "ProofSubmitted", log))
    raise LookupError("no proof was submitted")


def _place(log: dict[str, Any]) -> Place:
    return Place(
        block_number=int(log["blockNumber"], 16),
        log_index=int(log["logIndex"], 16),
        transaction_hash=log["transactionHash"],
        block_hash=log["blockHash"],
    )


def _proof_submitted(place: Place, fields: dict[str, Any]) -> ProofSubmitted:
    return ProofSubmitted(
        place=place,
        session_id=fields["jobId"],
        host=Address.from_hex(fields["host"]),
        tokens=Tokens(fields["tokensClaimed"]),
        proof_hash=ProofHash(fields["proofHash"]),
        proof_cid=fields["proofCID"],
        delta_cid=fields["deltaCID"],
    )
