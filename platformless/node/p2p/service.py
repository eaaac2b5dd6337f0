"""The process that takes part in the DHT: announces what its node serves, answers who asks."""

from __future__ import annotations

import logging
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio
from libp2p.tools.anyio_service import background_trio_service
from libp2p.utils.address_validation import get_available_interfaces
from libp2p.utils.varint import encode_varint_prefixed
from multiaddr import Multiaddr

from ...protocol.node_record import SignedNodeRecord
from . import limits
from .addresses import PeerAddress, announced, transport_of
from .errors import TooMuchMemory
from .guarding import Guarded
from .host import open_dht, open_host, peer_info
from .identity import PeerIdentity
from .naming import model_key
from .record_file import left

log = logging.getLogger(__name__)

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """What a node's part in the DHT consists of."""

    identity: PeerIdentity
    data_folder: Path
    """Where the node leaves its record."""
    host: str
    """An IPv4 address to listen on."""
    port: int
    bootstrap: tuple[PeerAddress, ...] = field(default=())
    """Nodes that are asked first, and connected to again whenever they are lost."""


def restrain() -> None:
    """Puts this process behind others, and its memory under a ceiling."""
    os.nice(limits.NICENESS)
    ceiling = limits.MAX_DATA_MIB * _MIB
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = ceiling if hard == resource.RLIM_INFINITY else min(ceiling, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


async def take_part(
    part: Part, stopping: trio.Event, when_ready: Callable[[list[str]], None]
) -> None:
    """Takes part until `stopping` is set.

    Args:
        when_ready: Called once others can reach this node, with the addresses it can be reached at.

    Raises:
        TooMuchMemory: when this process has grown beyond what it may have.
    """
    await _Participant(part).run(stopping, when_ready)


class _Participant:
    def __init__(self, part: Part) -> None:
        self._part = part
        self._own = part.identity.peer_id
        self._record: SignedNodeRecord | None = None
        self._announce_now = trio.Event()
        self._host = open_host(part.identity, self._addresses)
        self._dht, self._providers = open_dht(self._host, answers=True)

    async def run(self, stopping: trio.Event, when_ready: Callable[[list[str]], None]) -> None:
        serve = Guarded(self._send_record, limits.MAX_RECORD_STREAMS)
        self._host.set_stream_handler(limits.RECORD_PROTOCOL, serve)
        self._read_record()
        listen = Multiaddr(transport_of(self._part.host, self._part.port))
        async with (
            self._host.run([listen]),
            background_trio_service(self._dht),
            trio.open_nursery() as nursery,
        ):
            for task in (
                self._stay_connected,
                self._follow_record,
                self._keep_announcing,
                _watch_memory,
            ):
                nursery.start_soon(task)
            when_ready([str(address) for address in self._host.get_addrs()])
            await stopping.wait()
            nursery.cancel_scope.cancel()

    def _addresses(self, candidates: list[Multiaddr]) -> list[Multiaddr]:
        port = next((int(a.value_for_protocol("tcp")) for a in candidates), self._part.port)
        listening: list[str] = []
        for candidate in candidates:
            text = str(candidate)
            everywhere = text.startswith("/ip4/0.0.0.0/")
            interfaces = get_available_interfaces(port) if everywhere else [candidate]
            listening += [str(address) for address in interfaces]
        url = self._record.record.api_url if self._record else None
        found = announced(url, listening, port)[: limits.MAX_ADDRESSES_PER_PROVIDER]
        return [Multiaddr(text) for text in found]

    async def _stay_connected(self) -> None:
        others = [address for address in self._part.bootstrap if address.peer_id != self._own]
        while True:
            async with trio.open_nursery() as nursery:
                for address in others:
                    nursery.start_soon(self._connect, address)
            await trio.sleep(limits.RETRY_SECONDS)

    async def _connect(self, address: PeerAddress) -> None:
        info = peer_info(address)
        if info.peer_id in self._host.get_connected_peers():
            return
        try:
            with trio.fail_after(limits.REACH_SECONDS):
                self._host.get_network().unblock_peer(info.peer_id)
                await self._host.connect(info)
                await self._dht.add_peer(info.peer_id)
        except Exception as error:
            log.debug("%s is not reached: %r", address, error)
            return
        log.info("connected to %s", address)
        self._announce_now.set()

    async def _follow_record(self) -> None:
        while True:
            await trio.sleep(limits.RECORD_POLL_SECONDS)
            self._read_record()

    def _read_record(self) -> None:
        before = self._record
        self._record = left(self._part.data_folder, self._own, time.time())
        if _told(before) != _told(self._record):
            self._announce_now.set()

    async def _keep_announcing(self) -> None:
        while True:
            self._announce_now = trio.Event()
            rest_seconds = limits.RETRY_SECONDS
            if await self._announce():
                rest_seconds = limits.ANNOUNCE_SECONDS
            with trio.move_on_after(rest_seconds):
                await self._announce_now.wait()

    async def _announce(self) -> bool:
        """Whether others know of every model now."""
        models = self._record.record.models if self._record else ()
        keys = [model_key(model) for model in models]
        self._providers.provide_only(set(keys))
        reached = 0
        for key in keys:
            try:
                with trio.fail_after(limits.LOOKUP_SECONDS):
                    reached += await self._providers.provide(key)
            except Exception as error:
                log.debug("an announcement failed: %r", error)
        log.debug("announced %d models of %d", reached, len(keys))
        return bool(keys) and reached == len(keys)

    async def _send_record(self, stream: Any) -> None:
        record = self._record
        if record is None or time.time() >= record.record.expires_at:
            await stream.reset()
            return
        data = record.encode()
        await stream.write(encode_varint_prefixed(data))
        await stream.close()


def _told(signed: SignedNodeRecord | None) -> tuple[object, ...]:
    """What others would have to be told anew."""
    return () if signed is None else (signed.record.api_url, signed.record.models)


async def _watch_memory() -> None:
    page_bytes = resource.getpagesize()
    while True:
        await trio.sleep(limits.MEMORY_POLL_SECONDS)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        if pages * page_bytes > limits.MAX_MEMORY_MIB * _MIB:
            raise TooMuchMemory(
                "strangers have filled the memory that the DHT may have",
                expected=f"at most {limits.MAX_MEMORY_MIB} MiB",
                got=f"{pages * page_bytes // _MIB} MiB",
            )
