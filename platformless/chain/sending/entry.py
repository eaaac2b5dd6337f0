"""The values of an outbox: a transaction, its state, and its signed versions."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ..connection import ContractCall
from .fees import Fees


class State(enum.Enum):
    """Where a transaction of the outbox stands."""

    PENDING = "pending"  # signed; sent, or about to be sent
    MINED = "mined"  # in a block that may still be reorganised away
    CONFIRMED = "confirmed"  # final: mined deep enough, and succeeded
    REVERTED = "reverted"  # final: mined deep enough, and failed
    REFUSED = "refused"  # lost its nonce to a foreign transaction, then refused by the contract


OPEN_STATES = (State.PENDING, State.MINED)
FINAL_STATES = (State.CONFIRMED, State.REVERTED)


@dataclass(frozen=True, slots=True)
class Offer:
    """One signed version of a transaction."""

    hash: str
    nonce: int
    fees: Fees
    raw: bytes
    signed_at: float


@dataclass(frozen=True, slots=True)
class Entry:
    """A transaction of the outbox, as last read."""

    id: int
    key: str
    call: ContractCall
    gas_limit: int
    nonce: int | None
    state: State
    mined_hash: str | None = None
    mined_block: int | None = None
    mined_block_hash: str | None = None
    succeeded: bool | None = None
    gas_used: int | None = None
    gas_price: int | None = None
    refusal: str = ""
    """The contract's reason, when it refused or reverted."""
    offers: tuple[Offer, ...] = ()
    """The signed versions for the nonce it has now, the newest last."""
