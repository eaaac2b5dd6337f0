"""What this machine sent for an account's registration, as its outbox knows it.

Keys are `registration/STEP/NUMBER`, numbers counted from 0 for each step. A step's next
transaction gets its next number only when its last one is over: a command that died meanwhile
left a key under which its transaction is found, and waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from ...chain.connection import Chain
from ...chain.errors import UnreadableAnswer
from ...chain.sending.entry import OPEN_STATES, Entry, State
from ...chain.sending.outbox import Outbox
from .facts import Pair
from .operator import Operator
from .steps import REGISTER, UNREGISTER, price_step


@dataclass(frozen=True, slots=True)
class Earlier:
    """What an earlier command of this machine did for the registration that is on chain."""

    is_own: bool = False
    """Whether it was this machine that registered the account."""
    priced: frozenset[Pair] = frozenset()
    """Prices that were sent since."""
    was_under_way: bool = False
    """Whether transactions of it were not final when this command began."""


class Journal:
    """The registration's part of an outbox. Use as a context manager."""

    def __init__(self, outbox: Outbox | None) -> None:
        self._outbox = outbox

    @classmethod
    async def open(cls, operator: Operator, chain: Chain) -> Self:
        """An outbox that does not exist is not made.

        Raises:
            OutboxOfAnotherChain, OutboxUnavailable
        """
        if not await asyncio.to_thread(operator.outbox.exists):
            return cls(None)
        genesis = await chain.block(0)
        if genesis is None:
            raise UnreadableAnswer("the node has no block 0")
        chain_id = chain.network.chain_id

        def opened() -> Outbox:
            outbox = Outbox(operator.outbox, chain_id, operator.address)
            outbox.claim_chain(genesis.hash)
            return outbox

        return cls(await asyncio.to_thread(opened))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._outbox is not None:
            self._outbox.close()

    async def next_key(self, step: str) -> str:
        """The key of a step's next transaction."""
        number, _ = await asyncio.to_thread(self._last, step)
        return _key(step, number)

    async def under_way(self, steps: Iterable[str]) -> list[str]:
        """The keys of transactions that are sent and not final yet."""

        def find() -> list[str]:
            found = (self._last(step)[1] for step in steps)
            return [entry.key for entry in found if entry and entry.state in OPEN_STATES]

        return await asyncio.to_thread(find)

    async def earlier(self, pairs: Iterable[Pair]) -> Earlier:
        """What was done since the account was last registered from here."""

        def find() -> Earlier:
            registered, left = self._nonce_of(REGISTER), self._nonce_of(UNREGISTER)
            if registered < 0 or left > registered:
                return Earlier()
            priced = (pair for pair in pairs if self._nonce_of(price_step(pair)) > registered)
            return Earlier(True, frozenset(priced))

        return await asyncio.to_thread(find)

    def _nonce_of(self, step: str) -> int:
        """Of a step's last transaction, if that succeeded; -1 otherwise."""
        entry = self._last(step)[1]
        is_done = entry is not None and entry.state is State.CONFIRMED
        return entry.nonce if entry is not None and is_done and entry.nonce is not None else -1

    def _last(self, step: str) -> tuple[int, Entry | None]:
        """The first number of a step that is not used, and what the one before is used for."""
        if self._outbox is None:
            return 0, None
        number, last = 0, None
        while (entry := self._outbox.find(_key(step, number))) is not None:
            number, last = number + 1, entry
        return number, last


def _key(step: str, number: int) -> str:
    return f"registration/{step}/{number}"
