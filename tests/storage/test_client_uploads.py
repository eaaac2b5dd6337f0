"""Uploads: cut anywhere and resumed, refused, or answered with something else."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import example, given, settings
from hypothesis import strategies as st

from platformless.storage.cids import TAG_BLAKE3_LEGACY, BlobHash, BlobId
from platformless.storage.errors import (
    LocalFileFailed,
    NotAuthorised,
    NotStored,
    PortalBusy,
    PortalFailed,
    PortalFull,
    PortalTooSlow,
    PortalUnreachable,
    RemoteError,
    RequestRefused,
    SourceChanged,
    TooLargeForPortal,
    UnusableReply,
    UploadLost,
    WrongCid,
)
from platformless.storage.portal.running import EmbeddedPortal
from platformless.storage.portal.settings import PortalSettings
from platformless.storage.source import Source
from platformless.storage.tus import TusSettings, metadata

from .faulty_portal import (
    BRISK,
    IMPATIENT,
    PATIENT,
    Fault,
    FaultyPortal,
    client,
    only,
    says,
    silence,
    times,
    vanishes,
)

BEARER = "bearer-of-a-host"
SMALL = b"Hello, world!"
LARGE = random.Random(2).randbytes(100_000)
BLOB = BlobId.of(LARGE)


@pytest.fixture
async def portal() -> AsyncIterator[FaultyPortal]:
    async with FaultyPortal() as portal:
        yield portal


REFUSALS: dict[str, tuple[Fault, type[RemoteError]]] = {
    "no token": (says(status=401), NotAuthorised),
    "forbidden": (says(status=403), NotAuthorised),
    "too large": (says(status=413), TooLargeForPortal),
    "full": (says(status=507), PortalFull),
    "busy": (says(status=429, retry_after="0"), PortalBusy),
    "broken": (says("<html>", status=500), PortalFailed),
    "refused": (says(status=400), RequestRefused),
    "silence": (silence, PortalTooSlow),
    "hanging up": (vanishes, PortalUnreachable),
}


@pytest.mark.parametrize(("fault", "expected"), REFUSALS.values(), ids=REFUSALS.keys())
@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
async def test_a_refusal_has_a_name(
    portal: FaultyPortal, data: bytes, fault: Fault, expected: type[RemoteError]
) -> None:
    portal.fault = fault
    quick = TusSettings(most_failures=2, backoff=BRISK)
    wire = IMPATIENT if expected is PortalTooSlow else PATIENT
    async with client(portal.url, tus=quick, wire=wire) as store:
        with pytest.raises(RemoteError) as error:
            await store.put(data)
    assert type(error.value) is expected, error.value


ANSWERS: dict[str, tuple[Fault, type[RemoteError]]] = {
    "a page": (says("<html>"), UnusableReply),
    "nothing": (says(""), UnusableReply),
    "a list": (says("[]"), UnusableReply),
    "no cid": (says('{"id": "z"}'), UnusableReply),
    "a number": (says('{"cid": 7}'), UnusableReply),
    "too deep": (says("[" * 60_000), UnusableReply),
    "too long": (says('{"cid": "' + "z" * 70_000 + '"}'), UnusableReply),
    "not text": (says(b'{"cid": "\xff"}'), UnusableReply),
    "no CID": (says('{"cid": "zebra"}'), WrongCid),
    "another blob's": (says(f'{{"cid": "{BLOB}"}}'), WrongCid),
    "another size": (
        says(f'{{"cid": "{BlobId(BlobId.of(SMALL).hash, 14)}"}}'),
        WrongCid,
    ),
}


@pytest.mark.parametrize(("fault", "expected"), ANSWERS.values(), ids=ANSWERS.keys())
async def test_an_answer_that_does_not_name_the_blob_is_not_believed(
    portal: FaultyPortal, fault: Fault, expected: type[RemoteError]
) -> None:
    portal.fault = fault
    async with client(portal.url) as store:
        with pytest.raises(RemoteError) as error:
            await store.put(SMALL)
    assert type(error.value) is expected, error.value


@pytest.mark.parametrize("spelling", sorted(BlobId.of(SMALL).spellings()))
async def test_every_spelling_of_the_blob_is_believed(portal: FaultyPortal, spelling: str) -> None:
    portal.fault = says(f'{{"cid": "{BlobId.of(SMALL).spellings()[spelling]}", "more": 1}}')
    async with client(portal.url) as store:
        assert await store.put(SMALL) == BlobId.of(SMALL)


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 40_000, 40_001, 100_000])
async def test_bytes_and_files_arrive(portal: FaultyPortal, tmp_path: Path, size: int) -> None:
    data = LARGE[:size]
    (tmp_path / "file").write_bytes(data)
    async with client(portal.url) as store:
        blob = await store.put(tmp_path / "file")
        assert portal.blobs.pop(blob.hash) == data
        assert await store.put(data) == blob
    assert portal.blobs[blob.hash] == data
    assert bool(portal.asked["POST /s5"]) == (size <= 1000)


@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(1, 40_000), max_size=7), from_file=st.booleans())
@example(cuts=[20_000, 40_000, 40_000], from_file=False)
def test_an_upload_cut_at_any_byte_is_resumed_there(cuts: list[int], from_file: bool) -> None:
    async def upload() -> None:
        async with FaultyPortal() as portal, client(portal.url) as store:
            portal.cuts = list(cuts)
            await store.put(FILE if from_file else LARGE)
            assert portal.blobs[BLOB.hash] == LARGE
            assert len(portal.uploads) == 1

    asyncio.run(upload())


FILE = Path()


@pytest.fixture(scope="module", autouse=True)
def file(tmp_path_factory: pytest.TempPathFactory) -> None:
    global FILE
    FILE = tmp_path_factory.mktemp("source") / "file"
    FILE.write_bytes(LARGE)


async def test_cuts_that_bring_progress_never_exhaust_an_upload(portal: FaultyPortal) -> None:
    portal.cuts = [1000] * 50
    async with client(portal.url) as store:
        await store.put(LARGE)
    assert portal.blobs[BLOB.hash] == LARGE


async def test_an_upload_without_progress_ends(portal: FaultyPortal) -> None:
    portal.fault = only("PATCH", vanishes)
    async with client(portal.url) as store:
        with pytest.raises(PortalUnreachable):
            await store.put(LARGE)
    assert portal.asked["PATCH /s5/upload/tus"] == store.settings.tus.most_failures


async def test_an_upload_goes_on_where_a_restarted_portal_stands(portal: FaultyPortal) -> None:
    restarted = asyncio.Event()

    async def restart(_request: web.Request) -> web.StreamResponse | None:
        if portal.asked["PATCH /s5/upload/tus"] == 2 and not restarted.is_set():
            restarted.set()
            portal.uploads["0"].content[30_000:] = b""  # what was not on its disk yet
            tasks.append(asyncio.create_task(again()))
            return await silence(_request)
        return None

    async def again() -> None:
        await portal.shut()
        await portal.open()

    tasks: list[asyncio.Task[None]] = []
    portal.fault = only("PATCH", restart)
    async with client(portal.url) as store:
        await store.put(LARGE)
    assert restarted.is_set()
    assert portal.blobs[BLOB.hash] == LARGE
    assert len(portal.uploads) == 1


async def test_an_upload_that_the_portal_forgot_is_begun_again(portal: FaultyPortal) -> None:
    async def forget(_request: web.Request) -> web.StreamResponse | None:
        if portal.asked["PATCH /s5/upload/tus"] == 2:
            del portal.uploads["0"]
        return None

    portal.fault = only("PATCH", forget)
    async with client(portal.url) as store:
        await store.put(LARGE)
    assert portal.asked["POST /s5/upload"] == 2
    assert portal.blobs[BLOB.hash] == LARGE


async def test_a_portal_that_always_forgets_is_left(portal: FaultyPortal) -> None:
    portal.fault = only("PATCH", says(status=404))
    async with client(portal.url) as store:
        with pytest.raises(UploadLost):
            await store.put(LARGE)
    assert portal.asked["POST /s5/upload"] == 3


async def test_a_lost_last_answer_is_no_loss(portal: FaultyPortal) -> None:
    async def stored_but_mute(request: web.Request) -> web.StreamResponse | None:
        portal.keep(LARGE)
        portal.uploads.clear()
        return await vanishes(request)

    portal.fault = only("PATCH", times(1, stored_but_mute))
    async with client(portal.url) as store:
        assert await store.put(LARGE) == BLOB
    assert portal.asked["POST /s5/upload"] == 2


async def test_a_blob_that_is_there_is_not_sent_again(portal: FaultyPortal) -> None:
    portal.keep(LARGE)
    async with client(portal.url) as store:
        assert await store.put(LARGE) == BLOB
    assert portal.asked["PATCH /s5/upload/tus"] == 0
    assert portal.asked["HEAD /s5/blob"] == 1


@pytest.mark.parametrize(
    "fault",
    [
        only("POST", says(status=409)),
        only("PATCH", says(status=204, upload_offset="100000")),
        only("HEAD /s5/blob", says(status=200, content_length="5")),
    ],
    ids=["already there", "took all at once", "another length"],
)
async def test_a_portal_that_only_says_that_it_has_the_blob_is_found_out(
    portal: FaultyPortal, fault: Fault
) -> None:
    portal.fault = fault
    async with client(portal.url) as store:
        with pytest.raises(NotStored):
            await store.put(LARGE)


@pytest.mark.parametrize("offset", ["", "-1", "100001", "ten", "0x10", "1e3", "9" * 5000, "0"])
async def test_an_offset_that_cannot_be_is_not_believed(portal: FaultyPortal, offset: str) -> None:
    portal.fault = only("PATCH", says(status=204, upload_offset=offset))
    async with client(portal.url) as store:
        with pytest.raises(UnusableReply):
            await store.put(LARGE)
    assert portal.asked["PATCH /s5/upload/tus"] == 1


async def test_another_offset_is_asked_for(portal: FaultyPortal) -> None:
    portal.fault = only("PATCH", times(1, says(status=409)))
    async with client(portal.url) as store:
        await store.put(LARGE)
    assert portal.asked["HEAD /s5/upload/tus"] == 1
    assert portal.blobs[BLOB.hash] == LARGE


async def test_a_portal_that_received_other_bytes_says_so(portal: FaultyPortal) -> None:
    async def spoil(_request: web.Request) -> web.StreamResponse | None:
        if portal.uploads["0"].content:
            portal.uploads["0"].content[0] = LARGE[0] ^ 1
        return None

    portal.fault = only("PATCH", spoil)
    async with client(portal.url) as store:
        with pytest.raises(RequestRefused, match="Invalid hash found"):
            await store.put(LARGE)
    assert portal.blobs == {}


def test_the_announced_hash_has_the_form_that_portals_read() -> None:
    expected = "hash SC0zbHdMRVBMc1NYbkdtMUwySGtMX1cwRTFHYzRKdmc4VTBKamNfbDl2bU4="
    assert metadata(BlobHash.of(SMALL), TAG_BLAKE3_LEGACY) == expected


async def test_a_legacy_portal_is_told_the_hash_with_its_own_tag() -> None:
    async with (
        FaultyPortal(tag=TAG_BLAKE3_LEGACY) as portal,
        client(portal.url, multihash_tag=TAG_BLAKE3_LEGACY) as store,
    ):
        await store.put(LARGE)
        assert portal.blobs[BLOB.hash] == LARGE


async def test_the_address_of_an_upload_at_another_host_gets_no_token(
    portal: FaultyPortal,
) -> None:
    async with FaultyPortal(token=BEARER) as first:
        first.fault = only("POST", says(status=201, location=f"{portal.url}/s5/upload/tus/0"))
        async with client(first.url, token=BEARER) as store:
            with pytest.raises(UploadLost):
                await store.put(LARGE)
    assert portal.tokens
    assert set(portal.tokens) == {None}


async def test_a_file_that_shrinks_during_its_upload_is_named(
    portal: FaultyPortal, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(LARGE)

    async def shrink(_request: web.Request) -> web.StreamResponse | None:
        os.truncate(path, 50_000)
        return None

    portal.fault = only("POST", shrink)
    async with client(portal.url) as store:
        with pytest.raises(SourceChanged):
            await store.put(path)
    assert portal.blobs == {}


@pytest.mark.parametrize("size", [500, 100_000])
async def test_a_file_written_during_its_upload_is_named(
    portal: FaultyPortal, tmp_path: Path, size: int
) -> None:
    path = tmp_path / "file"
    path.write_bytes(LARGE[:size])
    source = await Source.of(path)
    path.write_bytes(LARGE[:size])
    os.utime(path, ns=(1, 1))
    async with client(portal.url) as store:
        with pytest.raises(SourceChanged):
            await store.upload(source)


async def test_a_file_that_cannot_be_read_is_named(portal: FaultyPortal, tmp_path: Path) -> None:
    async with client(portal.url) as store:
        with pytest.raises(LocalFileFailed):
            await store.put(tmp_path / "none")
        with pytest.raises(LocalFileFailed):
            await store.put(tmp_path)
    assert portal.asked.total() == 0


async def test_a_pin_reaches_the_portal(portal: FaultyPortal) -> None:
    async with client(portal.url) as store:
        await store.pin(BLOB)
        assert portal.pinned == {BLOB.hash}
        portal.fault = says(status=500)
        with pytest.raises(PortalFailed):
            await store.pin(BLOB)


@pytest.mark.parametrize("small_upload_bytes", [0, 1 << 20])
async def test_the_embedded_portal_takes_uploads_of_both_kinds(
    tmp_path: Path, small_upload_bytes: int
) -> None:
    settings = PortalSettings(tmp_path / "portal", token=BEARER)
    async with EmbeddedPortal(settings) as portal:
        async with client(portal.url, token=BEARER, small_upload_bytes=small_upload_bytes) as store:
            for data in (SMALL, LARGE, LARGE, b""):
                blob = await store.put(data)
                await store.check(blob)
        async with client(portal.url, small_upload_bytes=small_upload_bytes) as store:
            with pytest.raises(NotAuthorised):
                await store.put(b"another")


async def test_a_quota_of_the_embedded_portal_is_named(tmp_path: Path) -> None:
    settings = PortalSettings(tmp_path / "portal", quota_bytes=50_000)
    async with EmbeddedPortal(settings) as portal, client(portal.url) as store:
        await store.put(SMALL)
        with pytest.raises(PortalFull):
            await store.put(LARGE)
