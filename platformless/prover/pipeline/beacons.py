"""The block that draws a checkpoint's cells."""

from __future__ import annotations

from ...chain.connection import Chain
from ...protocol.sample.beacon import beacon_block
from ...protocol.trace.challenge import Beacon
from ..ledger.job_values import Job
from .context import StepContext
from .errors import BeaconNotThere
from .proofs_on_chain import ProofsOnChain

_BLOCK_SECONDS = 2


class Beacons:
    """Goes by where a checkpoint's proof is on chain now. The ledger has the block in which it was
    confirmed; a chain that is reorganised deeply enough has it in another one."""

    def __init__(self, context: StepContext, chain: Chain) -> None:
        self._context = context
        self._chain = chain
        self._proofs = ProofsOnChain(context.ledger, chain)

    async def of(self, job: Job) -> tuple[int, Beacon]:
        """Number and hash of the block, for a checkpoint's sample.

        Raises:
            BeaconNotThere: until the block is final.
            LedgerBehindChain: when the chain has other checkpoints of the session.
            ChainError, LedgerError
        """
        event = await self._proofs.at(job)
        if event is None:
            raise self._not_there(f"the proof of checkpoint {job.number} is in no block now", 1)
        number = beacon_block(event.place.block_number)
        head = await self._chain.head()
        missing = number + self._context.rules.beacon_confirmations - 1 - head.number
        block = await self._chain.block(number) if missing <= 0 else None
        if block is None:
            raise self._not_there(f"block {number} is not final", missing)
        return number, Beacon.from_hex(block.hash)

    def _not_there(self, message: str, blocks: int) -> BeaconNotThere:
        wait = _BLOCK_SECONDS * max(1, blocks)
        return BeaconNotThere(message, wait_until=self._context.clock_ms() // 1000 + wait)
