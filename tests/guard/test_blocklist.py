"""The blocklist: what may stand in it, and that it follows its file."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from platformless.node.guard.blocklist import Blocklist, BlocklistFile
from platformless.node.guard.client_address import ClientAddress
from platformless.node.guard.errors import BlocklistBroken
from platformless.protocol.digests import Address

from .clock import Clock

WALLET = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
LIST = f"""\
# who was here in May
203.0.113.7          # an address
198.51.100.0/24
  2001:db8:7::/48

::ffff:192.0.2.0/120
2001:db8:8::9
{WALLET}
"""


@pytest.mark.parametrize(
    "address",
    (
        "203.0.113.7",
        "198.51.100.0",
        "198.51.100.255",
        "2001:db8:7:1::2",
        "192.0.2.9",
        "::ffff:203.0.113.7",
        "2001:db8:8::9",
    ),
)
def test_addresses_and_networks_are_blocked(address: str) -> None:
    assert Blocklist.parse(LIST).blocks_address(ClientAddress.of(address))


@pytest.mark.parametrize("address", ["203.0.113.8", "198.51.101.0", "2001:db8:8::a", "::1"])
def test_their_neighbours_are_not(address: str) -> None:
    assert not Blocklist.parse(LIST).blocks_address(ClientAddress.of(address))


def test_wallets_are_blocked_in_any_case_of_letters() -> None:
    wallet = Address.from_hex(WALLET)
    for text in (WALLET, WALLET.lower(), "0X" + WALLET[2:].upper()):
        assert Blocklist.parse(text).blocks_wallet(wallet)
    assert not Blocklist.parse(LIST).blocks_wallet(Address(bytes(20)))


def test_an_empty_list_blocks_nobody() -> None:
    for text in ("", "\n\n", "# nobody\n"):
        assert Blocklist.parse(text) == Blocklist()


@pytest.mark.parametrize(
    "line",
    (
        "203.0.113",
        "203.0.113.7/33",
        "198.51.100.7/24",
        "host.example",
        WALLET[:-1],
        WALLET + "00",
        "1.2.3.4 5.6.7.8",
        "1.2.3.4,",
        "0xnothex",
    ),
)
def test_a_line_that_cannot_be_read_is_named(line: str) -> None:
    with pytest.raises(BlocklistBroken, match="line 3 ") as broken:
        Blocklist.parse(f"# one\n1.2.3.4\n{line}\n5.6.7.8\n")
    assert line[:10] in str(broken.value)


class File:
    """A blocklist on disk, and who follows it."""

    def __init__(self, path: Path) -> None:
        self.path, self.clock = path, Clock()
        self.write("1.2.3.4")
        self.file = BlocklistFile(path, self.clock)

    def write(self, text: str) -> None:
        self.path.write_text(text)

    def blocks(self, address: str, *, after: float = 1.0) -> bool:
        self.clock.go(after)
        return self.file.current.blocks_address(ClientAddress.of(address))


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path / "blocklist")


def test_a_change_counts_within_a_second(file: File) -> None:
    assert file.blocks("1.2.3.4")
    file.write("5.6.7.8")
    assert file.blocks("1.2.3.4", after=0.5)
    assert file.blocks("5.6.7.8", after=0.5)
    assert not file.blocks("1.2.3.4")


def test_a_file_that_is_replaced_is_read(file: File) -> None:
    new = file.path.with_name("new")
    new.write_text("5.6.7.8")
    new.replace(file.path)
    assert file.blocks("5.6.7.8")


def test_a_broken_change_leaves_the_last_list(file: File, caplog: pytest.LogCaptureFixture) -> None:
    file.write("1.2.3.4\n\nnonsense\n")
    assert file.blocks("1.2.3.4")
    assert "line 3" in caplog.text
    assert "nonsense" in caplog.text
    caplog.clear()
    assert file.blocks("1.2.3.4"), "and is told once"
    assert caplog.text == ""
    file.write("5.6.7.8")
    assert file.blocks("5.6.7.8")


def test_a_file_that_is_gone_leaves_the_last_list(
    file: File, caplog: pytest.LogCaptureFixture
) -> None:
    file.path.unlink()
    for _ in range(3):
        assert file.blocks("1.2.3.4")
    assert len([one for one in caplog.records if one.levelno == logging.WARNING]) == 1
    file.write("5.6.7.8")
    assert file.blocks("5.6.7.8")


def test_no_node_starts_with_a_list_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BlocklistBroken, match="cannot be read"):
        BlocklistFile(tmp_path / "nothing")
    broken = tmp_path / "broken"
    broken.write_bytes(b"\xff\xfe")
    with pytest.raises(BlocklistBroken, match="cannot be read"):
        BlocklistFile(broken)
    broken.write_text("x")
    with pytest.raises(BlocklistBroken, match="line 1 "):
        BlocklistFile(broken)
    with pytest.raises(BlocklistBroken):
        BlocklistFile(tmp_path)


def test_without_a_file_nobody_is_blocked() -> None:
    assert BlocklistFile(None).current == Blocklist()
