"""The bridge: content by path and by hash, and its habit to answer every failure with 404."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from platformless.storage.bridge import BridgeSettings, BridgeStore
from platformless.storage.cids import BlobId
from platformless.storage.errors import (
    BadSettings,
    BlobNotAtPortal,
    BlobTooLarge,
    NotOffered,
    PortalFailed,
    TooLargeForPortal,
    WrongCid,
    WrongContent,
)

from .faulty_portal import BRISK, PATIENT, FaultyPortal, only, says, times

DATA = b"a delta of a checkpoint"
BLOB = BlobId.of(DATA)
PATH = "home/checkpoints/0xab/7/delta_0.json"


class Bridge(FaultyPortal):
    """A bridge in memory, with the faults of a portal."""

    def __init__(self) -> None:
        super().__init__()
        self.paths: dict[str, bytes] = {}
        self.fault = self.serve

    async def serve(self, request: web.Request) -> web.StreamResponse | None:
        if not request.path.startswith("/s5/fs/"):
            return None
        path = request.path.removeprefix("/s5/fs/")
        match request.method:
            case "PUT":
                self.paths[path] = await request.read()
                cid = str(self.keep(self.paths[path]))
                return web.json_response(
                    {"success": True, "path": path, "cid": cid, "networkUploaded": True}, status=201
                )
            case "DELETE":
                self.paths.pop(path, None)
                return web.Response(status=204)
        if path not in self.paths:
            return web.json_response({"error": "Not found", "path": path}, status=404)
        return web.Response(body=self.paths[path], headers={"X-S5-Path": path})


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with Bridge() as bridge:
        yield bridge


@pytest.fixture
async def store(bridge: Bridge) -> AsyncIterator[BridgeStore]:
    settings = BridgeSettings(bridge.url, backoff=BRISK, wire=PATIENT, most_bytes=1000)
    async with BridgeStore(settings) as store:
        yield store


async def test_content_goes_by_path_and_by_hash(
    bridge: Bridge, store: BridgeStore, tmp_path: Path
) -> None:
    assert await store.put_path(PATH, DATA) == BLOB
    assert bridge.paths == {PATH: DATA}
    assert await store.get_path(PATH, largest_bytes=len(DATA)) == DATA
    assert await store.get(BLOB, largest_bytes=len(DATA)) == DATA
    await store.fetch(BLOB, tmp_path / "blob")
    assert (tmp_path / "blob").read_bytes() == DATA
    assert await store.has(BLOB)
    assert await store.has_path(PATH)
    await store.delete_path(PATH)
    assert not await store.has_path(PATH)


async def test_a_blob_without_a_path_is_put_under_its_hash(
    bridge: Bridge, store: BridgeStore, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(DATA)
    assert await store.put(tmp_path / "file") == BLOB
    assert bridge.paths == {f"home/blobs/{BLOB.hash.value.hex()}": DATA}


async def test_names_in_a_path_are_kept_as_they_are(bridge: Bridge, store: BridgeStore) -> None:
    await store.put_path("home/a b?c#d%20/ü", DATA)
    assert bridge.paths == {"home/a b?c#d%20/ü": DATA}


@pytest.mark.parametrize("path", ["", "/home", "home//x", "home/../x", "home/.", "home/"])
async def test_a_path_that_leads_elsewhere_is_refused(store: BridgeStore, path: str) -> None:
    with pytest.raises(BadSettings):
        await store.put_path(path, DATA)


@pytest.mark.parametrize("data", [b"", bytes(1001)])
async def test_what_the_bridge_refuses_is_not_sent(
    bridge: Bridge, store: BridgeStore, data: bytes
) -> None:
    with pytest.raises(TooLargeForPortal):
        await store.put_path(PATH, data)
    assert bridge.asked.total() == 0


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_a_failure_is_tried_three_times(
    bridge: Bridge, store: BridgeStore, status: int
) -> None:
    failing = only("PUT", times(2, says(status=status)))

    async def first_fails(request: web.Request) -> web.StreamResponse | None:
        return await failing(request) or await bridge.serve(request)

    bridge.fault = first_fails
    assert await store.put_path(PATH, DATA) == BLOB
    assert bridge.asked.total() == 3


async def test_a_failure_that_lasts_is_told(bridge: Bridge, store: BridgeStore) -> None:
    bridge.fault = says('{"error": "not initialised"}', status=503)
    with pytest.raises(PortalFailed, match="not initialised"):
        await store.put_path(PATH, DATA)
    assert bridge.asked.total() == 3


async def test_an_absent_path_is_believed_the_third_time(
    bridge: Bridge, store: BridgeStore
) -> None:
    with pytest.raises(BlobNotAtPortal):
        await store.get_path(PATH, largest_bytes=100)
    assert bridge.asked.total() == 3


async def test_false_bytes_and_false_cids_are_not_believed(
    bridge: Bridge, store: BridgeStore
) -> None:
    bridge.fault = only("GET", says(bytes(len(DATA))))
    with pytest.raises(WrongContent):
        await store.get(BLOB, largest_bytes=100)
    bridge.fault = only("PUT", says(f'{{"cid": "{BlobId.of(b"another")}"}}', status=201))
    with pytest.raises(WrongCid):
        await store.put(DATA)


async def test_a_path_is_read_up_to_the_callers_limit(bridge: Bridge, store: BridgeStore) -> None:
    bridge.paths[PATH] = DATA
    with pytest.raises(BlobTooLarge):
        await store.get_path(PATH, largest_bytes=len(DATA) - 1)
    assert bridge.asked.total() == 1


async def test_a_bridge_pins_nothing(store: BridgeStore) -> None:
    with pytest.raises(NotOffered):
        await store.pin(BLOB)
