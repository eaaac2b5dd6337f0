"""How a sender works."""

from __future__ import annotations

from dataclasses import dataclass, field

from .fees import FeePolicy


@dataclass(frozen=True, slots=True)
class SenderSettings:
    """Times in seconds. The defaults suit Base, with a block every two seconds."""

    confirmations: int = 3
    """Blocks from the one that holds a transaction to the newest, both counted, after which the
    transaction is final."""
    poll_seconds: float = 1.0
    """How often the outbox is compared with the chain; more often at first after something was
    sent."""
    rebroadcast_seconds: float = 15.0
    """A transaction that is not mined is handed to the node again after this."""
    bump_seconds: float = 30.0
    """A transaction that is next in line, or offers too little, is replaced after this."""
    gas_margin_basis_points: int = 2500
    """Gas limit above the node's estimate."""
    fees: FeePolicy = field(default_factory=FeePolicy)
