"""What a host is credited while its node runs. The contract keeps only what is not withdrawn yet,
so its events are added up, from the block on that was final when the node started."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ...chain.connection import Chain
from ...chain.contract import decode_event, event_topic
from ...chain.errors import RpcRefused, UnreadableAnswer
from ...chain.host_earnings import HostEarnings
from ...chain.money import Amount, Token
from ...protocol.digests import Address

log = logging.getLogger(__name__)
FINAL_BLOCKS = 3
_EVENT = "EarningsCredited"
_MOST_BLOCKS = 1000


class CreditsSeen:
    """Adds up credits in these tokens, block by block, each once."""

    def __init__(self, chain: Chain, host: Address, tokens: tuple[Token, ...]) -> None:
        self._chain = chain
        self._contract = HostEarnings(chain).address
        topic = "0x" + event_topic(HostEarnings.CONTRACT, _EVENT).hex()
        self._topics: list[Any] = [topic, "0x" + host.value.rjust(32, b"\0").hex()]
        self._totals = {token.address: Amount(0, token) for token in tokens}
        self._next_block: int | None = None
        self._most_blocks = _MOST_BLOCKS

    @property
    def totals(self) -> tuple[Amount, ...]:
        return tuple(self._totals.values())

    async def go_on(self, head: int) -> None:
        """Reads on, up to the blocks that are final when `head` is the newest; after a long
        outage a part of them.

        Raises:
            ChainError: when they cannot be read now; nothing is lost.
        """
        final = head - FINAL_BLOCKS
        if self._next_block is None:
            self._next_block = final + 1
        last = min(final, self._next_block + self._most_blocks - 1)
        if last < self._next_block:
            return
        try:
            logs = await self._chain.logs(self._contract, self._topics, self._next_block, last)
        except RpcRefused:
            self._most_blocks = max(1, self._most_blocks // 2)
            raise
        amounts = [self._credited(decoded) for decoded in map(self._decoded, logs)]
        for amount in amounts:
            if amount is not None:
                address = amount.token.address
                self._totals[address] = self._totals[address] + amount
        self._next_block = last + 1

    def _decoded(self, event: Mapping[str, Any]) -> dict[str, Any]:
        source = Address.from_hex(event["address"])
        if source != self._contract or event["topics"][1].lower() != self._topics[1]:
            raise UnreadableAnswer("the node gave another event than was asked for", got=source)
        return decode_event(HostEarnings.CONTRACT, _EVENT, dict(event))

    def _credited(self, event: Mapping[str, Any]) -> Amount | None:
        """None for a token that is not told of."""
        known = self._totals.get(Address.from_hex(event["token"]))
        return None if known is None else Amount(event["amount"], known.token)
