"""Looking for the nodes of a model, as somebody who takes no part in the DHT."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import trio
from libp2p.peer.peerinfo import PeerInfo
from libp2p.tools.anyio_service import background_trio_service
from libp2p.utils.varint import read_varint_prefixed_bytes_limited

from ...protocol.digests import ModelId
from ...protocol.node_record import MAX_RECORD_BYTES
from . import limits
from .addresses import PeerAddress
from .errors import NobodyReached
from .host import open_dht, open_host, peer_info
from .identity import PeerIdentity
from .naming import model_key

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sent:
    """What a node sent that the DHT names. Nothing of it is checked."""

    peer_id: str
    record: bytes | None
    """None when it could not be had."""
    problem: str = ""


async def look_for(model: ModelId, bootstrap: Sequence[PeerAddress]) -> tuple[Sent, ...]:
    """Asks the DHT who announced a model, and each of them for its record.

    Raises:
        NobodyReached: when none of the first nodes answers.
    """
    host = open_host(PeerIdentity.new())
    dht, providers = open_dht(host, answers=False)
    async with host.run([]), background_trio_service(dht):
        reached = await _reach(host, dht, bootstrap)
        if not reached:
            raise NobodyReached(
                "no node of the DHT answers",
                expected="one of " + ", ".join(str(address) for address in bootstrap),
            )
        found: list[PeerInfo] = []
        with trio.move_on_after(limits.LOOKUP_SECONDS):
            found = await providers.find_providers(model_key(model), limits.MAX_PROVIDERS_PER_MODEL)
        return await _records(host, _merged(found))


async def _reach(host: Any, dht: Any, bootstrap: Sequence[PeerAddress]) -> int:
    reached = 0

    async def reach(address: PeerAddress) -> None:
        nonlocal reached
        info = peer_info(address)
        try:
            with trio.fail_after(limits.REACH_SECONDS):
                await host.connect(info)
                await dht.add_peer(info.peer_id)
        except Exception as error:
            log.debug("%s is not reached: %r", address, error)
        else:
            reached += 1

    async with trio.open_nursery() as nursery:
        for address in bootstrap:
            nursery.start_soon(reach, address)
    return reached


def _merged(found: Sequence[PeerInfo]) -> list[PeerInfo]:
    """Each peer once, with a bounded number of the addresses that anybody named."""
    merged: dict[Any, PeerInfo] = {}
    for info in found:
        known = merged.setdefault(info.peer_id, PeerInfo(info.peer_id, []))
        for address in info.addrs:
            room = len(known.addrs) < limits.MAX_ADDRESSES_PER_PROVIDER
            if room and address not in known.addrs:
                known.addrs.append(address)
    return list(merged.values())[: limits.MAX_PROVIDERS_PER_MODEL]


async def _records(host: Any, peers: Sequence[PeerInfo]) -> tuple[Sent, ...]:
    answers: list[Sent] = []
    room = trio.CapacityLimiter(limits.FETCHES_AT_ONCE)

    async def fetch(peer: PeerInfo) -> None:
        async with room:
            answers.append(await _record(host, peer))

    async with trio.open_nursery() as nursery:
        for peer in peers:
            nursery.start_soon(fetch, peer)
    return tuple(sorted(answers, key=lambda answer: answer.peer_id))


async def _record(host: Any, peer: PeerInfo) -> Sent:
    name = str(peer.peer_id)
    try:
        with trio.fail_after(limits.FETCH_SECONDS):
            await host.connect(peer)
            stream = await host.new_stream(peer.peer_id, [limits.RECORD_PROTOCOL])
            data = await read_varint_prefixed_bytes_limited(stream, MAX_RECORD_BYTES)
            await stream.close()
    except trio.TooSlowError:
        return Sent(name, None, f"no record within {limits.FETCH_SECONDS:g} s")
    except Exception as error:
        return Sent(name, None, f"{type(error).__name__}: {error}"[:200])
    return Sent(name, data)
