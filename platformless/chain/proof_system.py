"""Client of ProofSystem: which proof hashes are spent. It verifies no proof."""

from __future__ import annotations

from ..protocol.digests import ProofHash
from .connection import Chain
from .contract import ContractClient


class ProofSystem(ContractClient):
    """The replay protection of a network."""

    CONTRACT = "ProofSystem"

    def __init__(self, chain: Chain) -> None:
        super().__init__(chain, chain.network.proof_system)

    async def is_used(self, proof_hash: ProofHash) -> bool:
        """Whether any session of any host has spent this hash."""
        return bool(await self._read("verifiedProofs", proof_hash))
