"""libp2p, set up: TCP, noise, yamux, Kademlia, within `limits`.

Left out on purpose: secio and plaintext, QUIC, WebSocket, mDNS, relays, hole punching, UPnP, and
values of the DHT.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import libp2p
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as new_noise_key
from libp2p.kad_dht.common import PROTOCOL_ID as DHT_PROTOCOL
from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
from libp2p.network.config import ConnectionConfig
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from libp2p.rcmgr import ResourceLimits, new_resource_manager
from libp2p.rcmgr.connection_limits import ConnectionLimits
from libp2p.records.validator import NamespacedValidator
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE_PROTOCOL
from libp2p.security.noise.transport import Transport as NoiseTransport
from multiaddr import Multiaddr

from . import limits
from .addresses import PeerAddress
from .guarding import Guarded
from .identity import PeerIdentity
from .providers import ModelProviders

_OWN_LINES = logging.CRITICAL
"""What libp2p says of strangers' mistakes would fill a disk at their pleasure."""

Announced = Callable[[list[Multiaddr]], list[Multiaddr]]
"""Addresses that others are told, from those that are listened on."""


def open_host(identity: PeerIdentity, announced: Announced | None = None) -> Any:
    """A host that is not running yet."""
    logging.getLogger("libp2p").setLevel(_OWN_LINES)
    keys = create_new_key_pair(identity.seed)
    noise = NoiseTransport(keys, noise_privkey=new_noise_key().private_key)
    connections = ConnectionConfig(
        max_connections=limits.MAX_CONNECTIONS,
        min_connections=0,
        low_watermark=0,
        high_watermark=limits.MAX_CONNECTIONS - limits.MAX_PENDING_INBOUND,
        max_connections_per_peer=limits.MAX_CONNECTIONS_PER_PEER,
        dial_timeout=limits.HANDSHAKE_SECONDS,
        inbound_upgrade_timeout=limits.HANDSHAKE_SECONDS,
        outbound_upgrade_timeout=limits.HANDSHAKE_SECONDS,
        outbound_stream_protocol_negotiation_timeout=limits.HANDSHAKE_SECONDS,
        inbound_stream_protocol_negotiation_timeout=limits.HANDSHAKE_SECONDS,
    )
    resources = new_resource_manager(
        limits=ResourceLimits(
            max_connections=limits.MAX_CONNECTIONS,
            max_memory_mb=limits.MAX_MEMORY_MIB,
            max_streams=limits.MAX_STREAMS,
        ),
        connection_limits=ConnectionLimits(
            max_pending_inbound=limits.MAX_PENDING_INBOUND,
            max_established_inbound=limits.MAX_INBOUND,
            max_established_per_peer=limits.MAX_CONNECTIONS_PER_PEER,
            max_established_total=limits.MAX_CONNECTIONS,
        ),
        enable_metrics=False,
    )
    return libp2p.new_host(
        key_pair=keys,
        sec_opt={NOISE_PROTOCOL: noise},
        muxer_preference="YAMUX",
        connection_config=connections,
        resource_manager=resources,
        addrs_factory=announced,
    )


def open_dht(host: Any, *, answers: bool) -> tuple[KadDHT, ModelProviders]:
    """Kademlia over a host, to be run as a service, and its announcements.

    Args:
        answers: Whether others may ask; who only looks for something does not.
    """
    dht = KadDHT(
        host,
        DHTMode.SERVER if answers else DHTMode.CLIENT,
        validator=NamespacedValidator({}, strict_validation=True),  # takes no value of anybody's
        validator_changed=True,
        strict_validation=True,
    )
    providers = ModelProviders(host, dht.peer_routing)
    dht.provider_store = providers
    if answers:
        host.set_stream_handler(DHT_PROTOCOL, Guarded(dht.handle_stream, limits.MAX_DHT_STREAMS))
    return dht, providers


def peer_info(address: PeerAddress) -> PeerInfo:
    return PeerInfo(ID.from_base58(address.peer_id), [Multiaddr(address.transport)])
