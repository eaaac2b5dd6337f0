"""Whose request it is: the peer's address, or what a trusted proxy says of it. Pure.

Every proxy appends the address that it was asked from to `X-Forwarded-For`. Read from the right,
the entries of trusted proxies are true, and so is the first that names somebody else: that is the
client. What is further to the left the client may have written itself, and is not looked at.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Self

from ..errors import WrongSetting

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_HOST_BITS = 64
"""Of an IPv6 address: within one site, whoever has one has all of them."""
_MAPPED_BITS = 96
"""The prefix of IPv4-mapped addresses."""
NOWHERE = IPv4Address(0)
"""Stands for a peer without an address, such as a Unix socket's."""


@dataclass(frozen=True, slots=True)
class ClientAddress:
    """A client, by its address. IPv4-mapped addresses are IPv4's."""

    address: Address

    @classmethod
    def of(cls, text: str) -> Self:
        """Raises:
        ValueError: when this is no address.
        """
        return cls(plain(ipaddress.ip_address(text)))

    @property
    def counted_as(self) -> int:
        """The same number for all addresses that count as one: an IPv6 client's /64. Those of
        IPv4 are below 2^32, those of IPv6 above."""
        number = int(self.address)
        if isinstance(self.address, IPv4Address):
            return number
        return (1 << 128) | (number >> _HOST_BITS)

    def __str__(self) -> str:
        return str(self.address)


@dataclass(frozen=True, slots=True)
class Networks:
    """A set of networks in which an address is found by its prefixes, however many there are."""

    by_prefix: tuple[tuple[int, int, frozenset[int]], ...] = ()
    """IP version, prefix length in bits, and the prefixes of that length as numbers."""

    @classmethod
    def of(cls, networks: Iterable[Network]) -> Self:
        found: dict[tuple[int, int], set[int]] = {}
        for network in networks:
            shift = network.max_prefixlen - network.prefixlen
            kind = (network.version, network.prefixlen)
            found.setdefault(kind, set()).add(int(network.network_address) >> shift)
        return cls(tuple((*kind, frozenset(found[kind])) for kind in sorted(found)))

    def __contains__(self, address: Address) -> bool:
        number, bits = int(address), address.max_prefixlen
        return any(
            version == address.version and number >> (bits - length) in prefixes
            for version, length, prefixes in self.by_prefix
        )


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The proxies whose `X-Forwarded-For` is believed."""

    networks: Networks = field(default_factory=Networks)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads addresses and networks with commas.

        Raises:
            WrongSetting: for one that is neither.
        """
        parts = [part.strip() for part in text.split(",")]
        try:
            return cls(Networks.of([network_of(part) for part in parts if part]))
        except ValueError as error:
            raise WrongSetting(
                "TRUSTED_PROXIES cannot be used",
                expected="addresses and networks with commas",
                got=error,
            ) from None

    def client(self, peer: str | None, forwarded: Sequence[str]) -> ClientAddress:
        """Whose request it is.

        Args:
            peer: The address that the connection comes from.
            forwarded: The values of all `X-Forwarded-For` headers, in order.
        """
        told = _address(peer or "")
        nearest = NOWHERE if told is None else told
        furthest = nearest
        if nearest not in self.networks:
            return ClientAddress(nearest)
        for entry in _from_the_right(forwarded):
            told = _entry(entry)
            if told is None:  # no proxy of ours wrote this
                return ClientAddress(nearest)
            furthest = told
            if furthest not in self.networks:
                break
        return ClientAddress(furthest)


def network_of(text: str) -> Network:
    """A network, or an address as one. IPv4-mapped ones are IPv4's.

    Raises:
        ValueError: when it is neither, or has bits set behind its prefix.
    """
    network = ipaddress.ip_network(text)
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen >= _MAPPED_BITS:
        return IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
    return network


def plain(address: Address) -> Address:
    """An address without its scope, and as IPv4 when it is one of those."""
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Address(int(address))


def _from_the_right(forwarded: Sequence[str]) -> Iterator[str]:
    for value in reversed(forwarded):
        rest: str | None = value
        while rest is not None:
            rest, comma, entry = rest.rpartition(",")
            yield entry.strip()
            rest = rest if comma else None


def _entry(text: str) -> Address | None:
    """An entry of `X-Forwarded-For`; some proxies add a port, and brackets to IPv6 before it."""
    if text.startswith("["):
        return _address(text[1:].partition("]")[0])
    if text.count(":") == 1:
        return _address(text.partition(":")[0])
    return _address(text)


def _address(text: str) -> Address | None:
    try:
        return plain(ipaddress.ip_address(text))
    except ValueError:
        return None
