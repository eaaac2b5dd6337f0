"""What the node's process does for the DHT: signs its record, renews it, takes it away at the end.

It loads no libp2p, and whatever fails here is logged and tried again: answers do not wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from ...chain.connection import Chain
from ...chain.node_registry import NodeRegistry
from ...errors import PlatformlessError
from ...protocol import node_record
from ...protocol.digests import ModelId
from ...protocol.host_key import HostKey
from ...protocol.node_record import MAX_MODELS, NodeRecord, SignedNodeRecord
from .identity import kept_identity
from .record_file import leave, take_away

log = logging.getLogger(__name__)

LIFETIME_SECONDS = 1800
RENEW_SECONDS = 600.0
RETRY_SECONDS = 30.0


class RecordKeeper:
    """Keeps the record of a node in its data folder, of what the chain says of its host.

    Args:
        models: Those that are served here.
        clock: Unix time in seconds.
    """

    def __init__(
        self,
        chain: Chain,
        key: HostKey,
        models: tuple[ModelId, ...],
        data_folder: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._chain = chain
        self._key = key
        self._models = frozenset(models)
        self._folder = data_folder
        self._clock = clock
        self._said = ""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Renews the record meanwhile; it is gone afterwards."""
        task = asyncio.create_task(self._keep(), name="node record")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})
            with contextlib.suppress(OSError):
                take_away(self._folder)

    async def renew(self) -> SignedNodeRecord | None:
        """Writes a new record; none, and takes an old one away, when the chain does not have this
        host for a model that is served here.

        Raises:
            ChainError, PeerKeyUnusable, LooseSecretFile, NodeRecordRefused, OSError
        """
        signed = await self._made()
        if signed is None:
            await asyncio.to_thread(take_away, self._folder)
        else:
            await asyncio.to_thread(leave, self._folder, signed)
        return signed

    async def _made(self) -> SignedNodeRecord | None:
        host = await NodeRegistry(self._chain).host(self._key.address)
        if host is None or not host.active:
            self._say("not announced in the DHT: this host is not registered, or not active")
            return None
        served = sorted(self._models & set(host.models), key=lambda model: model.value)
        if not served:
            self._say("not announced in the DHT: this host is registered for other models")
            return None
        identity = await asyncio.to_thread(kept_identity, self._folder)
        now = int(self._clock())
        network = self._chain.network
        record = NodeRecord(
            chain_id=network.chain_id,
            marketplace=network.marketplace,
            host=self._key.address,
            api_url=host.api_url,
            models=tuple(served[:MAX_MODELS]),
            peer_id=identity.peer_id,
            issued_at=now,
            expires_at=now + LIFETIME_SECONDS,
        )
        signed = await asyncio.to_thread(node_record.signed, record, self._key)
        self._say(f"announced in the DHT as {record.api_url}, peer {record.peer_id}")
        return signed

    async def _keep(self) -> None:
        while True:
            rest_seconds = RETRY_SECONDS
            try:
                if await self.renew() is not None:
                    rest_seconds = RENEW_SECONDS
            except (PlatformlessError, OSError) as error:
                self._say(f"the node record cannot be renewed: {error}")
            except Exception:
                log.exception("the node record cannot be renewed")
            await asyncio.sleep(rest_seconds)

    def _say(self, line: str) -> None:
        """Once, until there is something else to say."""
        if line != self._said:
            self._said = line
            log.info("%s", line)
