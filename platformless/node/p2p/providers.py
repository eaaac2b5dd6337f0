"""Who announced which model to this node. In place of libp2p's store: bounded, for models only, and
forgetting in an hour."""

from __future__ import annotations

import time
from typing import Any

from libp2p.kad_dht.provider_store import ProviderStore
from libp2p.peer.peerinfo import PeerInfo

from .limits import (
    MAX_ADDRESSES_PER_PROVIDER,
    MAX_MODEL_KEYS,
    MAX_PROVIDERS_PER_MODEL,
    PROVIDER_SECONDS,
)
from .naming import is_model_key


class ModelProviders(ProviderStore):
    """Announcements, the newest last. What is full forgets its oldest, but never this node's."""

    def __init__(self, host: Any, peer_routing: Any) -> None:
        super().__init__(host, peer_routing)
        self._announced: dict[bytes, dict[str, tuple[float, PeerInfo]]] = {}

    def add_provider(self, key: bytes, provider: PeerInfo) -> None:
        """Keeps an announcement; what names no model or no address is passed over."""
        if not is_model_key(key) or not provider.addrs:
            return
        kept = self._announced.pop(key, {})
        name = str(provider.peer_id)
        kept.pop(name, None)
        addresses = provider.addrs[:MAX_ADDRESSES_PER_PROVIDER]
        kept[name] = (time.monotonic(), PeerInfo(provider.peer_id, addresses))
        own = str(self.local_peer_id)
        _shorten(kept, MAX_PROVIDERS_PER_MODEL, {own})
        self._announced[key] = kept
        _shorten(self._announced, MAX_MODEL_KEYS, self.providing_keys)

    def get_providers(self, key: bytes) -> list[PeerInfo]:
        """Who announced the model within the last hour."""
        self.cleanup_expired()
        return [info for _, info in self._announced.get(key, {}).values()]

    def cleanup_expired(self) -> None:
        oldest = time.monotonic() - PROVIDER_SECONDS
        for key in list(self._announced):
            kept = self._announced[key]
            for name in [name for name, (since, _) in kept.items() if since < oldest]:
                del kept[name]
            if not kept:
                del self._announced[key]

    def provide_only(self, keys: set[bytes]) -> None:
        """Withdraws what this node announced before and serves no more."""
        for key in self.providing_keys - keys:
            self._announced.get(key, {}).pop(str(self.local_peer_id), None)
        self.providing_keys &= keys

    def size(self) -> int:
        return sum(len(kept) for kept in self._announced.values())


def _shorten(kept: dict[Any, Any], most: int, never: set[Any]) -> None:
    """Drops the first ones."""
    for name in [name for name in kept if name not in never][: max(0, len(kept) - most)]:
        del kept[name]
