"""Names and addresses in the DHT, and the key that makes a node one peer."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from platformless.node.errors import LooseSecretFile
from platformless.node.p2p.addresses import PeerAddress, announced, parsed_list
from platformless.node.p2p.errors import AddressRefused, PeerKeyUnusable
from platformless.node.p2p.identity import KEY_FILE, PeerIdentity, kept_identity
from platformless.node.p2p.naming import base58, is_model_key, model_cid, model_key, peer_id
from platformless.node.p2p.record_file import left, record_path, take_away
from platformless.protocol.digests import ModelId

from .records import MODEL, OTHER_KEY, PEER, leave_record, record_of


def test_a_model_is_announced_under_its_id_as_a_multihash() -> None:
    assert model_key(MODEL).hex() == "1b20" + "ab" * 32
    assert is_model_key(model_key(MODEL))
    assert not is_model_key(b"\x12\x20" + bytes(32))
    assert not is_model_key(model_key(MODEL)[:-1])
    cid = "bafkrwidnnvww23lnnvww23lnnvww23lnnvww23lnnvww23lnnvww23lnnu"
    assert model_cid(ModelId(b"m" * 32)) == cid


def test_names_are_those_of_the_library() -> None:
    pytest.importorskip("libp2p", reason="the extra p2p is not installed")
    from libp2p.crypto.ed25519 import create_new_key_pair
    from libp2p.kad_dht.kad_dht import _encode_key
    from libp2p.peer.id import ID

    for byte in range(8):
        seed = bytes([byte]) * 32
        theirs = str(ID.from_pubkey(create_new_key_pair(seed).public_key))
        assert PeerIdentity(seed).peer_id == theirs
    assert _encode_key(model_cid(MODEL)) == model_key(MODEL)


def test_base58_keeps_zeros_in_front() -> None:
    assert base58(b"\0\0\x01") == "112"
    assert base58(b"Hello World!") == "2NEpo7TZRRrLZSi2U"
    assert peer_id(bytes(32)).startswith("12D3KooW")


def test_a_node_is_one_peer_for_good(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with ThreadPoolExecutor(8) as threads:
        found = {one.peer_id for one in threads.map(kept_identity, [folder] * 8)}
    assert found == {kept_identity(folder).peer_id}
    path = folder / KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(folder.iterdir()) == [path]
    assert path.read_text().strip() not in repr(kept_identity(folder))


def test_a_peers_key_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    path = tmp_path / KEY_FILE
    kept_identity(tmp_path)
    path.chmod(0o640)
    with pytest.raises(LooseSecretFile, match="mode 640"):
        kept_identity(tmp_path)
    path.chmod(0o600)
    for text in ("", "xyz", "ab" * 31, "é"):
        path.write_text(text)
        with pytest.raises(PeerKeyUnusable):
            kept_identity(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        f"/ip4/127.0.0.1/tcp/9000/p2p/{PEER}",
        f"/ip6/::1/tcp/9000/p2p/{PEER}",
        f"/dns4/host.example/tcp/1/p2p/{PEER}",
    ],
)
def test_addresses_of_peers_are_read(text: str) -> None:
    assert str(PeerAddress.parsed(f" {text} ")) == text


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1:9000",
        "/ip4/127.0.0.1/tcp/9000",
        f"/ip4/127.0.0.1/udp/9000/p2p/{PEER}",
        f"/ip4/127.0.0.1/tcp/0/p2p/{PEER}",
        f"/ip4/127.0.0.1/tcp/65536/p2p/{PEER}",
        f"/ip4/host.example/tcp/9000/p2p/{PEER}",
        f"/ip6/127.0.0.1/tcp/9000/p2p/{PEER}",
        f"/ip4/127.0.0.1/tcp/9000/p2p/{PEER}/p2p-circuit",
        f"/ip4/127.0.0.1/tcp/9000/p2p/{'0' * 40}",
    ],
)
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(AddressRefused):
        parsed_list(f"/ip4/127.0.0.1/tcp/9000/p2p/{PEER},{text}")


def test_a_node_tells_where_its_api_is_reached_first() -> None:
    here = ["/ip4/127.0.0.1/tcp/9000", "/ip4/10.0.0.5/tcp/9000"]
    named = announced("https://host.example:8080/x", here, 9000)
    assert named == ["/dns4/host.example/tcp/9000", "/ip4/10.0.0.5/tcp/9000"]
    assert announced("http://203.0.113.9", here[:1], 9000) == ["/ip4/203.0.113.9/tcp/9000"]
    assert announced("http://127.0.0.1:8080", here[:1], 9000) == here[:1]
    assert announced(None, here[:1], 9000) == here[:1]


def test_a_record_that_is_not_of_this_peer_and_time_is_not_shown(tmp_path: Path) -> None:
    signed = leave_record(tmp_path)
    now, peer = signed.record.issued_at, signed.record.peer_id
    assert left(tmp_path, peer, now) == signed
    assert left(tmp_path, PEER, now) is None
    assert left(tmp_path, peer, signed.record.expires_at) is None
    record_path(tmp_path).write_bytes(b"x" * 100_000)
    assert left(tmp_path, peer, now) is None
    forged = record_of(peer, OTHER_KEY).encode()
    record_path(tmp_path).write_bytes(forged.replace(b":8080", b":8081"))
    assert left(tmp_path, peer, now) is None
    take_away(tmp_path)
    take_away(tmp_path)
    assert left(tmp_path, peer, now) is None
