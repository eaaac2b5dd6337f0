"""Recovering a conversation from chain and storage alone, without the host that led it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..chain.connection import Chain
from ..chain.events import SessionEvents
from ..chain.marketplace import Marketplace
from ..chain.session import Session
from ..protocol import delta as deltas
from ..protocol.delta import Message
from .evidence import CheckpointEvidence, Downloads, Gathering
from .places import places


@dataclass(frozen=True, slots=True)
class RecoveredSession:
    """A session's conversation, as far as it could be recovered."""

    session: Session
    checkpoints: tuple[CheckpointEvidence, ...]
    conversation: tuple[Message, ...]

    @property
    def complete(self) -> bool:
        """Whether every checkpoint that the contract counts was recovered and is bound to an
        accepted proof."""
        found = sum(item.place.tokens for item in self.checkpoints)
        bound = all(item.delta and item.proof for item in self.checkpoints)
        return bound and found == self.session.tokens_proven

    def to_json(self) -> dict[str, Any]:
        return {
            "session": str(self.session.id),
            "host": str(self.session.host),
            "client": str(self.session.client),
            "complete": self.complete,
            "tokens_proven": self.session.tokens_proven,
            "checkpoints": [item.to_json() for item in self.checkpoints],
            "messages": [message.to_json() for message in self.conversation],
        }


async def recover_session(
    chain: Chain, downloads: Downloads, session_id: int, private_key: bytes | None = None
) -> RecoveredSession:
    """Rebuilds the conversation of a session.

    Args:
        private_key: Of the recovery key, 32 bytes; not needed for deltas in the clear.

    Raises:
        UnknownSession: when the chain has no such session.
        RpcError, EventRangeRefused: when the chain cannot be read.
    """
    marketplace = Marketplace(chain)
    session = await marketplace.session(session_id)
    events = await SessionEvents(chain).proofs(session)
    records = await marketplace.proofs(session_id)
    model_id = await marketplace.model_of(session_id)
    gathering = Gathering(chain.network, downloads, session, model_id, private_key=private_key)
    found = await gathering.gather(places(events, records))
    usable = [item.delta for item in found if item.delta is not None]
    return RecoveredSession(session, tuple(found), deltas.merge(usable))
