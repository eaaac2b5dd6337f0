"""Whose request it is: what proxies may say, and what clients may not."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.node.errors import WrongSetting
from platformless.node.guard.client_address import (
    NOWHERE,
    ClientAddress,
    Networks,
    TrustedProxies,
    network_of,
)

PROXIES = TrustedProxies.parse("10.0.0.0/8, 192.0.2.7 ,2001:db8:1::/48")
addresses = st.ip_addresses()
trusted = st.one_of(
    st.integers(0, 2**24 - 1).map(lambda low: str(IPv4Address((10 << 24) + low))),
    st.just("192.0.2.7"),
    st.integers(0, 2**80 - 1).map(
        lambda low: str(IPv6Address(int(IPv6Address("2001:db8:1::")) + low))
    ),
)
strangers = addresses.map(ClientAddress).filter(
    lambda client: (
        client.address not in PROXIES.networks
        and getattr(client.address, "ipv4_mapped", None) is None
    )
)
anything = st.one_of(st.text(max_size=30), addresses.map(str), trusted)


@st.composite
def spelled(draw: st.DrawFn, address: st.SearchStrategy[str]) -> str:
    """As proxies write addresses: with a port, some of them, and spaces around."""
    text = draw(address)
    port = draw(st.sampled_from(["", ":4711"]))
    if ":" in text:
        text = f"[{text}]{port}" if port else draw(st.sampled_from([text, f"[{text}]"]))
    else:
        text += port
    return draw(st.sampled_from(["", " "])) + text + draw(st.sampled_from(["", " "]))


@given(stranger=strangers, header=st.lists(anything, max_size=4))
def test_the_header_of_a_stranger_is_not_looked_at(
    stranger: ClientAddress, header: list[str]
) -> None:
    assert PROXIES.client(str(stranger), header) == stranger


@given(
    data=st.data(),
    client=strangers,
    claimed=st.lists(anything, max_size=4),
    way=st.lists(trusted, max_size=3),
    peer=trusted,
)
def test_the_rightmost_stranger_counts_whatever_the_client_wrote(
    data: st.DataObject, client: ClientAddress, claimed: list[str], way: list[str], peer: str
) -> None:
    written = [data.draw(spelled(st.just(text))) for text in (str(client), *way)]
    header = ",".join([*claimed, *written])
    assert PROXIES.client(peer, [header]) == client
    assert PROXIES.client(peer, [*claimed, *written]) == client, "in headers of their own"


@given(
    peer=trusted,
    way=st.lists(trusted, max_size=3),
    broken=st.sampled_from(["", "unknown", "_hidden", "1.2.3", "1.2.3.4.5", "::g", "[", "\xff"]),
    claimed=st.lists(addresses.map(str), max_size=3),
)
def test_where_no_address_stands_the_peer_counts(
    peer: str, way: list[str], broken: str, claimed: list[str]
) -> None:
    told = PROXIES.client(peer, [",".join([*claimed, broken, *way])])
    assert told == ClientAddress.of(peer)


@given(peer=trusted, way=st.lists(trusted, min_size=1, max_size=4))
def test_where_all_are_proxies_the_furthest_counts(peer: str, way: list[str]) -> None:
    assert PROXIES.client(peer, [",".join(way)]) == ClientAddress.of(way[0])


@given(peer=trusted)
def test_without_a_header_the_proxy_counts(peer: str) -> None:
    assert PROXIES.client(peer, []) == ClientAddress.of(peer)


@given(address=st.ip_addresses(v=6), low=st.integers(0, 2**64 - 1))
def test_an_ipv6_client_counts_as_its_network(address: IPv6Address, low: int) -> None:
    high = int(address) >> 64 << 64
    one, other = ClientAddress(IPv6Address(high)), ClientAddress(IPv6Address(high + low))
    assert one.counted_as == other.counted_as
    further = ClientAddress(IPv6Address(high ^ (1 << 64)))
    assert further.counted_as != one.counted_as


@given(address=st.ip_addresses(v=4), other=st.ip_addresses(v=6))
def test_ipv4_counts_alone_also_when_it_is_mapped(address: IPv4Address, other: IPv6Address) -> None:
    plain = ClientAddress.of(str(address))
    assert ClientAddress.of(f"::ffff:{address}") == plain
    assert PROXIES.client(f"::ffff:{address}", []) == plain
    if other.ipv4_mapped is None:
        assert ClientAddress(other).counted_as != plain.counted_as


def test_a_scope_is_no_part_of_an_address() -> None:
    assert ClientAddress.of("fe80::1%eth0") == ClientAddress.of("fe80::1")


@pytest.mark.parametrize("peer", [None, "", "unix"])
def test_a_peer_without_an_address_is_nowhere(peer: str | None) -> None:
    assert PROXIES.client(peer, ["1.2.3.4"]) == ClientAddress(NOWHERE)


def test_a_proxy_on_a_mapped_address_is_the_same_proxy() -> None:
    proxies = TrustedProxies.parse("::ffff:10.1.2.0/120")
    assert str(proxies.client("10.1.2.3", ["1.2.3.4"])) == "1.2.3.4"


@pytest.mark.parametrize("text", ["proxy", "10.0.0.1/8", "10.0.0.0/33", "1.2.3.4;5.6.7.8"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(WrongSetting, match="TRUSTED_PROXIES"):
        TrustedProxies.parse(text)


@given(
    networks=st.lists(
        st.builds(
            lambda address, length: ip_network(f"{address}/{length}", strict=False),
            addresses,
            st.integers(0, 32),
        ),
        max_size=6,
    ),
    address=addresses,
)
def test_a_set_of_networks_holds_what_its_networks_hold(
    networks: list[object], address: IPv4Address | IPv6Address
) -> None:
    plain = [network_of(str(network)) for network in networks]
    expected = any(address in network for network in plain)
    assert (address in Networks.of(plain)) == expected


@given(networks=st.lists(addresses, min_size=1, max_size=6), number=st.integers(0, 5))
def test_an_address_is_in_its_own_set(
    networks: list[IPv4Address | IPv6Address], number: int
) -> None:
    chosen = networks[number % len(networks)]
    held = Networks.of(network_of(str(one)) for one in networks)
    assert ClientAddress.of(str(chosen)).address in held
