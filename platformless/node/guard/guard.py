"""The guard of a node: what an address may do before anything is done for it.

* A request, or a new WebSocket: blocklist, rate of the address, its connections.
* A message of a WebSocket: blocklist, rate of the address.
* A prompt: blocklist and rate of the wallet that pays, sizes (`prompts`).
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

from ..monitoring.counted import Counted
from ..settings import NodeSettings
from .blocklist import BlocklistFile
from .buckets import Buckets, Clock, Limit
from .client_address import ClientAddress, TrustedProxies
from .errors import AddressBlocked, RateLimited, TooManyConnections
from .prompts import PromptGuard, PromptLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardLimits:
    """How much one client may do."""

    connections: int = 100
    """WebSockets of one address."""
    requests: Limit = field(default_factory=lambda: Limit(20, 200))
    """HTTP requests and new WebSockets of one address."""
    frames: Limit = field(default_factory=lambda: Limit(50, 500))
    """WebSocket messages of one address."""
    prompts: PromptLimits = field(default_factory=PromptLimits)

    @classmethod
    def of(cls, settings: NodeSettings) -> Self:
        return cls(
            connections=settings.max_connections_per_address,
            requests=Limit(
                settings.requests_per_second_per_address, settings.requests_burst_per_address
            ),
            frames=Limit(settings.frames_per_second_per_address, settings.frames_burst_per_address),
            prompts=PromptLimits.of(settings),
        )


class Guard:
    """Belongs to one event loop.

    Args:
        counted: What is refused is counted there.
        clock: Seconds, for tests; `time.monotonic` otherwise.
    """

    def __init__(
        self,
        limits: GuardLimits | None = None,
        proxies: TrustedProxies | None = None,
        blocklist: BlocklistFile | None = None,
        counted: Counted | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._limits = limits or GuardLimits()
        self._proxies = proxies or TrustedProxies()
        self._blocklist = blocklist or BlocklistFile(None)
        self.counted = counted or Counted()
        self._requests = Buckets(self._limits.requests, clock=clock)
        self._frames = Buckets(self._limits.frames, clock=clock)
        self._connections: Counter[int] = Counter()
        self.prompts = PromptGuard(self._limits.prompts, self._blocklist, self.counted, clock)
        """For what is asked in sessions."""

    @classmethod
    def of(cls, settings: NodeSettings, counted: Counted | None = None) -> Self:
        """As the settings say.

        Raises:
            WrongSetting, BlocklistBroken
        """
        return cls(
            GuardLimits.of(settings),
            TrustedProxies.parse(settings.trusted_proxies),
            BlocklistFile(settings.blocklist_file),
            counted,
        )

    def connections_of(self, address: ClientAddress) -> int:
        """WebSockets that are open."""
        return self._connections.get(address.counted_as, 0)

    def client(self, peer: str | None, forwarded: Sequence[str]) -> ClientAddress:
        """Whose connection it is; see `TrustedProxies.client`."""
        return self._proxies.client(peer, forwarded)

    def require_served(self, address: ClientAddress) -> None:
        """Raises:
        AddressBlocked
        """
        if self._blocklist.current.blocks_address(address):
            self.counted.refused.labels("address_blocked").inc()
            raise AddressBlocked("this node does not serve this address", got=address)

    def take_request(self, address: ClientAddress) -> None:
        """Counts an HTTP request or a new WebSocket.

        Raises:
            RateLimited
        """
        self._take(self._requests, address, "address_rate", "requests")

    def take_frame(self, address: ClientAddress) -> None:
        """Counts a message of a WebSocket.

        Raises:
            RateLimited
        """
        self._take(self._frames, address, "frame_rate", "messages")

    @contextlib.contextmanager
    def connection(self, address: ClientAddress) -> Iterator[None]:
        """Held while a WebSocket is open.

        Raises:
            TooManyConnections
        """
        key, most = address.counted_as, self._limits.connections
        if self._connections[key] >= most:
            self.counted.refused.labels("address_connections").inc()
            raise TooManyConnections(
                "too many connections of one address", expected=f"at most {most}"
            )
        self._connections[key] += 1
        try:
            yield
        finally:
            self._connections[key] -= 1
            if not self._connections[key]:
                del self._connections[key]

    def _take(self, buckets: Buckets, address: ClientAddress, reason: str, what: str) -> None:
        wait_seconds = buckets.take(address.counted_as.to_bytes(17))
        if wait_seconds:
            self.counted.refused.labels(reason).inc()
            limit = buckets.limit
            raise RateLimited(
                f"too many {what} of one address",
                wait_seconds,
                expected=f"{limit.per_second:g} a second, {limit.burst} at once",
            )
