"""The hashes of the blocks that draw cells, as one or two nodes tell them."""

from __future__ import annotations

import asyncio

from ...chain.connection import Chain
from ...chain.errors import ChainMoved, UnreadableAnswer
from ...protocol.errors import ValueOutOfRange
from ...protocol.trace.challenge import Beacon
from .errors import NodesDisagree

_BLOCKS_AT_ONCE = 16
LAG_SECONDS = 2.0
"""A node that has not got a block yet is asked again so long after."""


class Beacons:
    """Asks for blocks that the chain had when the session was read: `facts.still_there` tells in
    the end whether it was the same chain."""

    def __init__(self, chain: Chain, second_node: Chain | None) -> None:
        self._nodes = [chain] if second_node is None else [chain, second_node]
        self._turns = asyncio.Semaphore(_BLOCKS_AT_ONCE)
        self.disagreements: list[NodesDisagree] = []

    async def at(self, number: int) -> Beacon:
        """The hash of a block, as the first node tells it.

        Raises:
            ChainError: when it cannot be read.
        """
        async with self._turns:
            hashes = [await _block_hash(node, number) for node in self._nodes]
        if len(set(hashes)) > 1:
            self.disagreements.append(
                NodesDisagree(
                    f"two nodes tell the hash of block {number} differently",
                    expected=hashes[0],
                    got=hashes[1],
                )
            )
        return hashes[0]


async def _block_hash(node: Chain, number: int) -> Beacon:
    block = await node.block(number)
    if block is None:  # it may lag behind the node that told of the session
        await asyncio.sleep(LAG_SECONDS)
        block = await node.block(number)
    if block is None:
        raise ChainMoved(
            "the chain lost a block during the audit", expected=f"block {number}", got="none"
        )
    try:
        return Beacon.from_hex(block.hash)
    except ValueOutOfRange as error:
        raise UnreadableAnswer(
            "the node gave a block without a hash", expected="32 bytes", got=block.hash
        ) from error
