"""Multiaddresses, as far as they are read here: `/ip4/…/tcp/…/p2p/…` and its likes."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from .errors import AddressRefused

_FORM = "/ip4|ip6|dns4|dns6|dns/HOST/tcp/PORT/p2p/PEER"
_TEXT = re.compile(
    r"/(ip4|ip6|dns|dns4|dns6)/([0-9A-Za-z.:_-]{1,253})/tcp/([0-9]{1,5})"
    r"/p2p/([1-9A-HJ-NP-Za-km-z]{32,128})"
)


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Where a peer is reached over TCP."""

    transport: str
    """Without the peer: `/ip4/127.0.0.1/tcp/9000`."""
    peer_id: str

    @classmethod
    def parsed(cls, text: str) -> Self:
        """Raises:
        AddressRefused: when the text is no such address.
        """
        found = _TEXT.fullmatch(text.strip())
        if not found or not 0 < int(found[3]) < 65536 or not _fits(found[1], found[2]):
            raise AddressRefused("no address of a peer", expected=_FORM, got=repr(text[:160]))
        return cls(f"/{found[1]}/{found[2]}/tcp/{int(found[3])}", found[4])

    def __str__(self) -> str:
        return f"{self.transport}/p2p/{self.peer_id}"


def parsed_list(text: str) -> tuple[PeerAddress, ...]:
    """Several with commas.

    Raises:
        AddressRefused: when one is no address.
    """
    return tuple(PeerAddress.parsed(part) for part in text.split(",") if part.strip())


def transport_of(host: str, port: int) -> str:
    """The address of a host, by number or name, without a peer."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"/dns4/{host}/tcp/{port}"
    return f"/ip{address.version}/{host}/tcp/{port}"


def announced(api_url: str | None, listening: list[str], port: int) -> list[str]:
    """What a node tells others of where it is: where its API is, at the DHT's port, then its
    own addresses. Those that lead back to whoever is told are left out if there are others.

    Args:
        api_url: None when there is no record yet.
        listening: Addresses without a peer.
    """
    found = list(listening)
    host = urlsplit(api_url).hostname if api_url else None
    if host:
        found.insert(0, transport_of(host, port))
    unique = list(dict.fromkeys(found))
    return [text for text in unique if not _leads_back(text)] or unique


def _leads_back(transport: str) -> bool:
    host = transport.split("/")[2]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_unspecified


def _fits(kind: str, host: str) -> bool:
    """Whether a number is written where one belongs."""
    try:
        return ipaddress.ip_address(host).version == int(kind[2:])
    except ValueError:
        return kind.startswith("dns") and ":" not in host
