"""Downloads from a portal that is broken, slow or lies: what is told, and that nothing is left."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from platformless.storage.cids import TAG_BLAKE3_LEGACY, BlobId
from platformless.storage.errors import (
    BadSettings,
    BlobNotAtPortal,
    BlobTooLarge,
    BodyTruncated,
    Disposition,
    LengthMismatch,
    LocalFileFailed,
    NotAuthorised,
    PortalBusy,
    PortalFailed,
    PortalTooSlow,
    PortalUnreachable,
    RangeOutsideBlob,
    RedirectRefused,
    RemoteError,
    RequestRefused,
    UnusableReply,
    WrongContent,
)
from platformless.storage.portal.running import EmbeddedPortal
from platformless.storage.portal.settings import PortalSettings
from platformless.storage.wire import WireSettings

from .faulty_portal import (
    IMPATIENT,
    PATIENT,
    Fault,
    FaultyPortal,
    breaks_off,
    client,
    drips,
    only,
    says,
    silence,
    stalls,
    unannounced,
    vanishes,
)

BEARER = "secret-token-of-a-host"
DATA = random.Random(1).randbytes(3_000_000)
BLOB = BlobId.of(DATA)
FALSE = DATA[:-1] + bytes([DATA[-1] ^ 1])


@pytest.fixture
async def portal() -> AsyncIterator[FaultyPortal]:
    async with FaultyPortal() as portal:
        portal.keep(DATA)
        yield portal


FAULTS: dict[str, tuple[Fault, type[RemoteError]]] = {
    "absent": (says(status=404), BlobNotAtPortal),
    "gone": (says(status=410), BlobNotAtPortal),
    "no token": (says(status=401), NotAuthorised),
    "forbidden": (says(status=403), NotAuthorised),
    "busy": (says(status=429, retry_after="7"), PortalBusy),
    "broken": (says("<html>", status=500), PortalFailed),
    "behind a broken proxy": (says(status=502), PortalFailed),
    "a strange status": (says(status=418), RequestRefused),
    "a part that was not asked for": (says(DATA[:10], status=206), RequestRefused),
    "nothing": (says(b""), LengthMismatch),
    "a page": (says("<html>not a blob</html>"), LengthMismatch),
    "a byte less": (says(DATA[:-1]), LengthMismatch),
    "a byte more": (says(DATA + b"."), LengthMismatch),
    "a byte less, unannounced": (unannounced(DATA[:-1]), BodyTruncated),
    "a byte more, unannounced": (unannounced(DATA + b"."), LengthMismatch),
    "cut off": (breaks_off(DATA[:1_500_000], len(DATA)), BodyTruncated),
    "cut off before the first byte": (breaks_off(b"", len(DATA)), BodyTruncated),
    "false bytes": (says(FALSE), WrongContent),
    "zeros": (says(bytes(len(DATA))), WrongContent),
    "coded": (says(DATA, content_encoding="br"), UnusableReply),
    "silence": (silence, PortalTooSlow),
    "silence in the middle": (stalls(DATA[:1_500_000], len(DATA)), PortalTooSlow),
    "drops": (drips(len(DATA), 0.05), PortalTooSlow),
    "hanging up": (vanishes, PortalUnreachable),
    "a redirect to nowhere": (says(status=307), RedirectRefused),
    "a redirect to a file": (says(status=307, location="file:///etc/passwd"), RedirectRefused),
    "a redirect to nonsense": (says(status=307, location="http://[::"), RedirectRefused),
}


def wire(expected: type[RemoteError]) -> WireSettings:
    """As patient as can be with what is expected."""
    return IMPATIENT if expected is PortalTooSlow else PATIENT


@pytest.mark.parametrize(("fault", "expected"), FAULTS.values(), ids=FAULTS.keys())
async def test_a_fault_has_a_name_and_leaves_no_file(
    portal: FaultyPortal, tmp_path: Path, fault: Fault, expected: type[RemoteError]
) -> None:
    portal.fault = only("GET /s5/blob", fault)
    async with client(portal.url, wire=wire(expected)) as store:
        with pytest.raises(RemoteError) as error:
            await store.fetch(BLOB, tmp_path / "blob")
    assert type(error.value) is expected, error.value
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("fault", "expected"), FAULTS.values(), ids=FAULTS.keys())
async def test_no_byte_is_handed_on_before_all_are_right(
    portal: FaultyPortal, fault: Fault, expected: type[RemoteError]
) -> None:
    portal.fault = only("GET /s5/blob", fault)
    handed_on = []
    async with client(portal.url, wire=wire(expected)) as store:
        with pytest.raises(expected):
            async for piece in store.stream(BLOB):
                handed_on.append(piece)
        with pytest.raises(expected):
            await store.get_range(BLOB, 0, 9)
    assert handed_on == []


async def test_a_portal_that_is_down_is_named(tmp_path: Path) -> None:
    async with client("http://127.0.0.1:9") as store:
        with pytest.raises(PortalUnreachable) as error:
            await store.fetch(BLOB, tmp_path / "blob")
    assert error.value.disposition is Disposition.RETRY_HERE
    assert "127.0.0.1:9" in str(error.value)


async def test_a_portal_that_asks_for_rest_is_understood(portal: FaultyPortal) -> None:
    portal.fault = says(status=429, retry_after="7")
    async with client(portal.url) as store:
        with pytest.raises(PortalBusy) as error:
            await store.get(BLOB, largest_bytes=BLOB.size)
    assert error.value.rest_seconds == 7.0


async def test_a_blob_arrives_in_every_way(portal: FaultyPortal, tmp_path: Path) -> None:
    async with client(portal.url) as store:
        await store.fetch(BLOB, tmp_path / "blob")
        assert await store.get(BLOB, largest_bytes=BLOB.size) == DATA
        pieces = [piece async for piece in store.stream(BLOB)]
        assert await store.get_range(BLOB, 1_234_567, 2_345_678) == DATA[1_234_567:2_345_679]
        assert await store.get_range(BLOB, 0, BLOB.size - 1) == DATA
        assert await store.has(BLOB)
    assert (tmp_path / "blob").read_bytes() == DATA
    assert b"".join(pieces) == DATA
    assert max(map(len, pieces)) <= 1 << 20
    assert [path.name for path in tmp_path.iterdir()] == ["blob"]


async def test_an_empty_blob_arrives(portal: FaultyPortal, tmp_path: Path) -> None:
    empty = portal.keep(b"")
    async with client(portal.url) as store:
        assert await store.get(empty, largest_bytes=0) == b""
        await store.fetch(empty, tmp_path / "blob")
        assert [piece async for piece in store.stream(empty)] == []
    assert (tmp_path / "blob").read_bytes() == b""


async def test_a_blob_too_large_is_not_asked_for(portal: FaultyPortal) -> None:
    async with client(portal.url) as store:
        with pytest.raises(BlobTooLarge):
            await store.get(BLOB, largest_bytes=BLOB.size - 1)
    assert portal.asked.total() == 0


@pytest.mark.parametrize(("first", "last"), [(-1, 5), (5, 4), (0, BLOB.size)])
async def test_bytes_outside_a_blob_are_not_asked_for(
    portal: FaultyPortal, first: int, last: int
) -> None:
    async with client(portal.url) as store:
        with pytest.raises(RangeOutsideBlob):
            await store.get_range(BLOB, first, last)
    assert portal.asked.total() == 0


async def test_an_endless_body_is_read_one_chunk_too_far_at_most(portal: FaultyPortal) -> None:
    sent = [0]

    async def endless(request: web.Request) -> web.StreamResponse | None:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        while True:
            await response.write(bytes(1 << 16))
            sent[0] += 1 << 16

    portal.fault = endless
    small = BlobId.of(b"small")
    async with client(portal.url) as store:
        with pytest.raises(LengthMismatch):
            await store.get(small, largest_bytes=100)
    assert sent[0] < 64 << 20  # what sockets hold


async def test_an_endless_refusal_is_not_read_to_its_end(portal: FaultyPortal) -> None:
    portal.fault = says(bytes(1 << 20), status=500)
    async with client(portal.url) as store:
        with pytest.raises(UnusableReply):
            await store.get(BLOB, largest_bytes=BLOB.size)


async def test_what_was_at_the_path_stays_when_the_download_fails(
    portal: FaultyPortal, tmp_path: Path
) -> None:
    (tmp_path / "blob").write_bytes(b"as it was")
    portal.fault = says(FALSE)
    async with client(portal.url) as store:
        with pytest.raises(WrongContent):
            await store.fetch(BLOB, tmp_path / "blob")
    assert (tmp_path / "blob").read_bytes() == b"as it was"
    assert [path.name for path in tmp_path.iterdir()] == ["blob"]


async def test_a_cancelled_download_leaves_no_file(portal: FaultyPortal, tmp_path: Path) -> None:
    arrived = asyncio.Event()

    async def stalling(request: web.Request) -> web.StreamResponse | None:
        response = web.StreamResponse(headers={"content-length": str(BLOB.size)})
        await response.prepare(request)
        await response.write(DATA[:2_500_000])
        arrived.set()
        await asyncio.Event().wait()
        return response

    portal.fault = stalling
    async with client(portal.url) as store:
        fetching = asyncio.create_task(store.fetch(BLOB, tmp_path / "blob"))
        await arrived.wait()
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching
    assert list(tmp_path.iterdir()) == []


async def test_a_full_disk_is_told_and_leaves_no_file(
    portal: FaultyPortal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("platformless.storage.receiving.os.fsync", full)
    async with client(portal.url) as store:
        with pytest.raises(LocalFileFailed, match="No space left") as error:
            await store.fetch(BLOB, tmp_path / "blob")
    assert error.value.disposition is Disposition.GIVE_UP
    assert list(tmp_path.iterdir()) == []


LIMITED = """
import asyncio, resource, signal, sys
from pathlib import Path
from platformless.storage.cids import BlobId
from platformless.storage.client import ClientSettings, PortalClient
from platformless.storage.errors import LocalFileFailed

async def main(url, cid, folder):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
    blob = BlobId.parse(cid)
    async with PortalClient(ClientSettings(url, scratch=folder)) as store:
        for attempt in (store.fetch(blob, folder / "blob"), store.get_range(blob, 0, 1)):
            try:
                await attempt
            except LocalFileFailed as error:
                print(error)

asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
"""


async def test_a_file_that_may_not_grow_is_told_and_leaves_no_file(
    portal: FaultyPortal, tmp_path: Path
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        LIMITED,
        portal.url,
        str(BLOB),
        str(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert errors == b""
    assert output.count(b"STO-255") == 2
    assert b"File too large" in output
    assert list(tmp_path.iterdir()) == []


async def test_a_missing_folder_is_told(portal: FaultyPortal, tmp_path: Path) -> None:
    async with client(portal.url) as store:
        with pytest.raises(LocalFileFailed):
            await store.fetch(BLOB, tmp_path / "no" / "blob")
    assert portal.asked.total() == 0


async def test_redirects_are_followed_to_the_blob(portal: FaultyPortal) -> None:
    async def around(request: web.Request) -> web.StreamResponse | None:
        step = int(request.query.get("step", "0"))
        if step == 5:
            return None
        return web.Response(status=307, headers={"location": f"{request.path}?step={step + 1}"})

    portal.fault = around
    async with client(portal.url) as store:
        assert await store.get(BLOB, largest_bytes=BLOB.size) == DATA
    assert portal.asked.total() == 6


@pytest.mark.parametrize("growing", [True, False])
async def test_redirects_without_end_are_refused(portal: FaultyPortal, growing: bool) -> None:
    async def around(request: web.Request) -> web.StreamResponse | None:
        step = int(request.query.get("step", "0")) + growing
        return web.Response(status=302, headers={"location": f"{request.path}?step={step}"})

    portal.fault = around
    async with client(portal.url) as store:
        with pytest.raises(RedirectRefused):
            await store.get(BLOB, largest_bytes=BLOB.size)
    assert portal.asked.total() == 6 if growing else 2


async def test_the_token_goes_to_its_portal_and_to_nobody_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with FaultyPortal(token=BEARER) as portal, FaultyPortal() as other:
        other.keep(DATA)
        portal.fault = only(
            "GET", says(status=307, location=f"{other.url}/s5/blob/{BLOB}?signature=hidden")
        )
        async with client(portal.url, token=BEARER) as store:
            assert await store.get(BLOB, largest_bytes=BLOB.size) == DATA
            assert BEARER not in repr(store.settings)
        assert portal.tokens == [f"Bearer {BEARER}"]
        assert other.tokens == [None]
    assert BEARER not in caplog.text


async def test_a_token_that_the_portal_repeats_is_not_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with (
        FaultyPortal(token=BLOB.hash.value.hex()) as portal,
        client(portal.url, token=BEARER) as store,
    ):
        with pytest.raises(NotAuthorised) as error:
            await store.put(b"data")
    assert "[token]" in str(error.value)
    assert BEARER not in repr(error.value.to_json())
    assert BEARER not in caplog.text


async def test_a_redirect_is_told_without_its_query(portal: FaultyPortal) -> None:
    portal.fault = says(status=307, location="http://user:word@127.0.0.1:9/there?signature=hidden")
    async with client(portal.url) as store:
        with pytest.raises(PortalUnreachable) as error:
            await store.get(BLOB, largest_bytes=BLOB.size)
    assert "hidden" not in str(error.value)
    assert "word" not in str(error.value)


@pytest.mark.parametrize(
    "url",
    ["", "ftp://host", "http://", "host:80", "http://user:word@host", "http://host?auth_token=x"],
)
def test_an_address_that_cannot_work_is_refused_at_once(url: str) -> None:
    with pytest.raises(BadSettings) as error:
        client(url)
    assert "word" not in str(error.value)
    assert "auth_token" not in str(error.value)


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "ü"])
def test_a_token_that_no_header_may_have_is_refused_at_once(token: str) -> None:
    with pytest.raises(BadSettings) as error:
        client("http://host", token=token)
    assert token not in str(error.value)


async def test_a_legacy_portal_is_asked_by_legacy_names(portal: FaultyPortal) -> None:
    async with client(portal.url, multihash_tag=TAG_BLAKE3_LEGACY) as store:
        portal.fault = only(f"GET /s5/blob/{BLOB.legacy()}", says(DATA))
        assert await store.get(BLOB, largest_bytes=BLOB.size) == DATA
        with pytest.raises(BadSettings):
            client(portal.url, multihash_tag=0x12)


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_a_portal_without_head_is_asked_with_get(portal: FaultyPortal, status: int) -> None:
    portal.fault = only("HEAD", says(status=status))
    async with client(portal.url) as store:
        assert await store.has(BLOB)
        assert not await store.has(BlobId.of(b"another"))
        assert not await store.has(BlobId(BLOB.hash, BLOB.size + 1))


async def test_the_embedded_portal_serves_every_read(tmp_path: Path) -> None:
    settings = PortalSettings(tmp_path / "portal")
    async with EmbeddedPortal(settings) as portal, client(portal.url) as store:
        for data in (b"", b"small", DATA):
            blob = await store.put(data)
            assert await store.has(blob)
            assert await store.get(blob, largest_bytes=len(data)) == data
            await store.pin(blob)
        await store.fetch(BLOB, tmp_path / "blob")
        assert not await store.has(BlobId.of(b"another"))
    assert (tmp_path / "blob").read_bytes() == DATA
