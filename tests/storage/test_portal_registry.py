"""The registry: the published vectors, who may write, and which revision wins."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.storage.portal.contents import Contents
from platformless.storage.portal.errors import BadEntry, BadSignature, PortalError, StaleRevision
from platformless.storage.portal.registry import RegistryEntry
from platformless.storage.portal.settings import PortalSettings
from platformless.storage.portal.web.names import from_base64url, to_base64url

from .test_portal_http import code

SEED = bytes(32)
KEY = "ed3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"

entries = st.builds(
    RegistryEntry.sign,
    seed=st.binary(min_size=32, max_size=32),
    revision=st.integers(0, 2**64 - 1),
    data=st.binary(max_size=48),
)


def as_json(entry: RegistryEntry) -> dict[str, object]:
    return {
        "pk": to_base64url(entry.key),
        "revision": entry.revision,
        "data": to_base64url(entry.data),
        "signature": to_base64url(entry.signature),
    }


async def get(http: httpx.AsyncClient, entry: RegistryEntry) -> httpx.Response:
    return await http.get("/s5/registry", params={"pk": to_base64url(entry.key)})


def test_signatures_are_those_of_other_implementations() -> None:
    entry = RegistryEntry.sign(SEED, revision=1, data=bytes(33))
    assert entry.key.hex() == KEY
    assert entry.signature.hex().startswith("b5c2efc7")
    assert entry.signature.hex().endswith("5a290f")
    entry.verify()


def test_the_wire_form_is_laid_out_as_specified() -> None:
    entry = RegistryEntry.sign(SEED, revision=42, data=b"\x5a" + bytes(33))
    wire = entry.encode().hex()
    assert wire.startswith("07" + KEY + "2a00000000000000" + "22" + "5a")
    assert wire.endswith(entry.signature.hex())
    assert len(wire) == 2 * (1 + 33 + 8 + 1 + 34 + 64)


@given(entries)
def test_an_entry_is_read_back(entry: RegistryEntry) -> None:
    again = RegistryEntry.decode(entry.encode())
    assert again == entry
    again.verify()


@given(entries, st.data())
def test_any_changed_byte_makes_an_entry_invalid(entry: RegistryEntry, data: st.DataObject) -> None:
    wire = bytearray(entry.encode())
    wire[data.draw(st.integers(0, len(wire) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(PortalError) as error:
        RegistryEntry.decode(bytes(wire)).verify()
    assert isinstance(error.value, BadEntry | BadSignature)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_entry_or_a_coded_error(data: bytes) -> None:
    with pytest.raises((BadEntry, BadSignature)):
        RegistryEntry.decode(data).verify()


async def test_an_entry_is_set_and_got(http: httpx.AsyncClient) -> None:
    entry = RegistryEntry.sign(SEED, 1, b"first")
    absent = await get(http, entry)
    assert (absent.status_code, code(absent)) == (404, "STO-305")
    assert (await http.post("/s5/registry", json=as_json(entry))).status_code == 204
    assert (await get(http, entry)).json() == as_json(entry)


async def test_a_higher_revision_wins_and_no_other(http: httpx.AsyncClient) -> None:
    second = RegistryEntry.sign(SEED, 2, b"second")
    assert (await http.post("/s5/registry", json=as_json(second))).status_code == 204
    assert (await http.post("/s5/registry", json=as_json(second))).status_code == 204
    for stale in (RegistryEntry.sign(SEED, 1, b"first"), RegistryEntry.sign(SEED, 2, b"other")):
        reply = await http.post("/s5/registry", json=as_json(stale))
        assert (reply.status_code, code(reply)) == (409, "STO-325")
    assert (await get(http, second)).json() == as_json(second)
    third = RegistryEntry.sign(SEED, 2**64 - 1, b"")
    assert (await http.post("/s5/registry", json=as_json(third))).status_code == 204
    assert (await get(http, second)).json() == as_json(third)


async def test_nobody_writes_under_the_key_of_another(http: httpx.AsyncClient) -> None:
    ours = RegistryEntry.sign(SEED, 1, b"ours")
    theirs = RegistryEntry.sign(bytes([1]) * 32, 2, b"theirs")
    forged = RegistryEntry(ours.key, theirs.revision, theirs.data, theirs.signature)
    moved = RegistryEntry(ours.key, 7, ours.data, ours.signature)
    await http.post("/s5/registry", json=as_json(ours))
    for entry in (forged, moved):
        reply = await http.post("/s5/registry", json=as_json(entry))
        assert (reply.status_code, code(reply)) == (400, "STO-313")
    assert (await get(http, ours)).json() == as_json(ours)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"pk": to_base64url(bytes(33))}, "STO-312"),
        ({"pk": to_base64url(b"\xed" * 32)}, "STO-312"),
        ({"pk": "!!!"}, "STO-310"),
        ({"revision": -1}, "STO-312"),
        ({"revision": 2**64}, "STO-312"),
        ({"revision": "1"}, "STO-312"),
        ({"data": to_base64url(bytes(49))}, "STO-312"),
        ({"signature": to_base64url(bytes(63))}, "STO-312"),
        ({"signature": None}, "STO-312"),
    ],
)
async def test_what_is_no_entry_is_refused(
    http: httpx.AsyncClient, change: dict[str, object], expected: str
) -> None:
    fields = as_json(RegistryEntry.sign(SEED, 1, b"data")) | change
    reply = await http.post("/s5/registry", json=fields)
    assert (reply.status_code, code(reply)) == (400, expected)


async def test_bodies_and_keys_that_cannot_be_read_are_refused(http: httpx.AsyncClient) -> None:
    assert code(await http.post("/s5/registry", content=b"\xff{")) == "STO-312"
    assert code(await http.post("/s5/registry", content=b"[" * 5000)) == "STO-314"
    assert code(await http.get("/s5/registry")) == "STO-310"
    assert code(await http.get("/s5/registry?pk=AAAA")) == "STO-312"


async def test_padding_is_read(http: httpx.AsyncClient) -> None:
    entry = RegistryEntry.sign(SEED, 1, b"data")
    padded = as_json(entry) | {"signature": to_base64url(entry.signature) + "=="}
    assert (await http.post("/s5/registry", json=padded)).status_code == 204


async def test_of_many_writers_at_once_the_highest_revision_stays(tmp_path: Path) -> None:
    registry = Contents(PortalSettings(tmp_path)).registry
    made = [RegistryEntry.sign(SEED, number, bytes([number])) for number in range(20)]

    def write(entry: RegistryEntry) -> None:
        try:
            registry.set(entry)
        except StaleRevision:
            assert entry != made[-1]

    await asyncio.gather(*(asyncio.to_thread(write, entry) for entry in reversed(made)))
    assert registry.get(made[0].key) == made[-1]


def test_an_entry_damaged_on_disk_counts_as_absent_and_may_come_again(tmp_path: Path) -> None:
    registry = Contents(PortalSettings(tmp_path)).registry
    entry = RegistryEntry.sign(SEED, 5, b"data")
    registry.set(entry)
    [file] = [path for path in (tmp_path / "registry").rglob("*") if path.is_file()]
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    with pytest.raises(PortalError, match="STO-305"):
        registry.get(entry.key)
    registry.set(entry)
    assert registry.get(entry.key) == entry


def test_base64url_is_strict() -> None:
    assert from_base64url("-_8") == from_base64url("-_8=") == b"\xfb\xff"
    for text in ("+/8", "a b", "é", "a"):
        with pytest.raises(PortalError):
            from_base64url(text)
