"""What the chain says to a restore: is it that chain, and has the host come to rest?

A transaction that left before the old machine died, and is in no block yet, is in no older outbox
either. Nothing can be decided before it is mined or forgotten.
"""

from __future__ import annotations

import aiohttp

from ...chain.connection import Chain
from ...chain.networks import Network
from ...chain.node_registry import NodeRegistry
from ...client.web import HostWeb
from ...errors import PlatformlessError
from ...protocol.digests import Address
from ..backing import chain_tag
from .errors import HostStillBusy, OtherChain
from .manifest import Manifest

_PENDING = "pending"
_ASK_SECONDS = 5.0


async def require_rest(network: Network, host: Address, manifest: Manifest) -> str:
    """Returns the chain's tag.

    Raises:
        OtherChain: when the backup is of others only.
        HostStillBusy: when a transaction of the host waits, or its node answers where the registry
            says it is.
        ChainError: when the chain cannot be asked.
    """
    async with Chain(network) as chain:
        tag = await chain_tag(chain)
        if manifest.chains and tag not in manifest.chains:
            raise OtherChain(
                "the backup is of another chain",
                expected=tag,
                got=", ".join(manifest.chains),
            )
        mined, sent = await chain.nonce(host), await chain.nonce(host, _PENDING)
        if sent > mined:
            raise HostStillBusy(
                "transactions of the host are under way",
                expected="none: what they do is in no older ledger",
                got=f"{sent - mined} in no block yet",
            )
        registered = await NodeRegistry(chain).host(host)
    if registered is not None and await _answers(registered.api_url, host):
        raise HostStillBusy(
            "the host's node answers",
            expected="no other node of this host: two would bill the same sessions",
            got=registered.api_url,
        )
    return tag


async def _answers(api_url: str, host: Address) -> bool:
    """Whether whoever is there has the host's key."""
    async with aiohttp.ClientSession(trust_env=False) as http:
        try:
            await HostWeb(http, api_url, seconds=_ASK_SECONDS).host_key(host)
        except (PlatformlessError, aiohttp.ClientError, OSError, ValueError):
            return False
    return True
