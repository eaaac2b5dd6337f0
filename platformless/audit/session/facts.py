"""What the chain says of a session, read as of one moment, and whether it agrees with itself.

A node can lie. What it says of a session in one place is compared with what it says in others: the
contract's storage, the events, the count of tokens, and in the end the claims that the host proved.
Two nodes may be asked and compared (`compare`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from ...chain.connection import Block, Chain
from ...chain.errors import ChainMoved
from ...chain.events import (
    ProofSubmitted,
    SessionEvent,
    SessionEvents,
    SessionOpened,
    SessionSettled,
)
from ...chain.marketplace import Marketplace
from ...chain.model_registry import ModelRegistry, RegisteredModel
from ...chain.node_registry import Host, NodeRegistry
from ...chain.session import MarketplaceRules, ProofRecord, Session, SessionStatus
from ...protocol.digests import ModelId
from ...protocol.transcript import Tokens
from ..places import CheckpointOnChain, places
from .errors import NodesDisagree, OpeningDiffers, ProofOfAnotherHost, TokensNotAddUp, TooManyProofs

MOST_CHECKPOINTS = 10_000
_ATTEMPTS = 4


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """A session on chain, with all that happened to it up to a block."""

    session: Session
    model_id: ModelId
    events: tuple[SessionEvent, ...]
    records: tuple[ProofRecord, ...]
    rules: MarketplaceRules
    host: Host | None
    """The host's registration of now."""
    model: RegisteredModel | None
    """The model's registration of now."""
    head: Block
    """The newest block when this was read."""

    @property
    def proofs(self) -> list[ProofSubmitted]:
        return [event for event in self.events if isinstance(event, ProofSubmitted)]

    @property
    def opened(self) -> SessionOpened | None:
        return next((one for one in self.events if isinstance(one, SessionOpened)), None)

    @property
    def settled(self) -> SessionSettled | None:
        return next((one for one in self.events if isinstance(one, SessionSettled)), None)

    @property
    def over(self) -> bool:
        return self.session.status is not SessionStatus.ACTIVE

    @property
    def claimed(self) -> Tokens:
        """Tokens of all proofs that are known."""
        return Tokens(sum(place.tokens for place in self.places()))

    def places(self) -> list[CheckpointOnChain]:
        return places(self.proofs, self.records)


async def read_facts(chain: Chain, session_id: int) -> SessionFacts:
    """Reads a session; a session that changes meanwhile is read again.

    Raises:
        UnknownSession: when the chain has no such session.
        ChainMoved: when it changed every time, or a block went away.
        TooManyProofs, RpcError, UnreadableAnswer, EventRangeRefused.
    """
    marketplace = Marketplace(chain)
    for _ in range(_ATTEMPTS):
        head = await chain.head()
        session = await marketplace.session(session_id)
        model_id, records, rules, host, events = await asyncio.gather(
            marketplace.model_of(session_id),
            marketplace.proofs(session_id, most=MOST_CHECKPOINTS),
            marketplace.rules(),
            NodeRegistry(chain).host(session.host),
            SessionEvents(chain).history(session, last_block=head.number),
        )
        model = await ModelRegistry(chain).model(model_id)
        if not await _unchanged(chain, marketplace, session, head):
            continue
        facts = SessionFacts(
            session, model_id, tuple(events), tuple(records), rules, host, model, head
        )
        count = max(len(facts.proofs), len(facts.records))
        if count > MOST_CHECKPOINTS:
            raise TooManyProofs(
                "more proofs than an audit looks at",
                expected=f"at most {MOST_CHECKPOINTS}",
                got=count,
            )
        return facts
    raise ChainMoved(
        f"session {session_id} changed while it was read",
        expected="the same before and after",
        got=f"another one, {_ATTEMPTS} times",
    )


async def still_there(chain: Chain, facts: SessionFacts) -> None:
    """Whether the chain still has the blocks that the audit read.

    Raises:
        ChainMoved: when it was reorganised meanwhile.
    """
    last = max((event.place for event in facts.events), key=lambda one: one.order, default=None)
    seen = {facts.head.number: facts.head.hash}
    if last is not None:
        seen[last.block_number] = last.block_hash
    for number, block_hash in seen.items():
        block = await chain.block(number)
        if block is None or block.hash != block_hash:
            raise ChainMoved(
                "the chain was reorganised during the audit",
                expected=f"block {number} with hash {block_hash}",
                got="none" if block is None else block.hash,
            )


def check_facts(facts: SessionFacts) -> Iterator[ProofOfAnotherHost | OpeningDiffers]:
    """What the events tell differently than the session."""
    session = facts.session
    for event in facts.proofs:
        if event.host != session.host:
            yield ProofOfAnotherHost(
                "a proof's event names another host", expected=session.host, got=event.host
            )
    opened = facts.opened
    if opened is None:
        yield OpeningDiffers(
            "no event tells of the opening", expected="a SessionJobCreatedForModel event"
        )
        return
    told = {
        "client": (session.client, opened.client),
        "host": (session.host, opened.host),
        "model": (facts.model_id, opened.model_id),
        "deposit": (session.deposit.units, opened.deposit.units),
    }
    for what, (expected, got) in told.items():
        if expected != got:
            yield OpeningDiffers(
                f"the session was opened with another {what}", expected=expected, got=got
            )


def check_tokens(facts: SessionFacts) -> Iterator[TokensNotAddUp]:
    """Whether the contract counts what its proofs claim."""
    counted, claimed = facts.session.tokens_proven, facts.claimed
    if counted != claimed:
        yield TokensNotAddUp(
            "the contract counts other tokens than its proofs claim", expected=counted, got=claimed
        )
    settled = facts.settled
    if settled is not None and settled.tokens != counted:
        yield TokensNotAddUp(
            "settled with other tokens than were proven", expected=counted, got=settled.tokens
        )


def compare(facts: SessionFacts, other: SessionFacts) -> Iterator[NodesDisagree]:
    """What a second node tells differently."""
    told = {
        "session": (facts.session, other.session),
        "model": (facts.model_id, other.model_id),
        "proofs": (facts.records, other.records),
        "events": (facts.events, other.events),
        "rules": (facts.rules, other.rules),
        "host": (facts.host, other.host),
    }
    for what, (first, second) in told.items():
        if first != second:
            yield NodesDisagree(
                f"two nodes tell the {what} differently", expected=first, got=second
            )


async def _unchanged(chain: Chain, marketplace: Marketplace, session: Session, head: Block) -> bool:
    block = await chain.block(head.number)
    same_block = block is not None and block.hash == head.hash
    return same_block and await marketplace.session(session.id) == session
