"""Uploads that are cut, killed, contested, forged and dropped."""

from __future__ import annotations

import asyncio
import base64
import os
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from platformless.storage.cids import BlobHash, BlobId
from platformless.storage.portal.contents import Contents
from platformless.storage.portal.running import EmbeddedPortal
from platformless.storage.portal.settings import PortalSettings

from .portal_process import PortalProcess, send_part, wait_until
from .test_portal_http import BLOB, HELLO, code, files

TUS = "/s5/upload/tus"
MEBIBYTE = 1 << 20


def metadata(blob: BlobHash, tag: int = 0x1E) -> str:
    text = base64.urlsafe_b64encode(blob.multihash(tag))
    return "hash " + base64.b64encode(text).decode()


async def create(http: httpx.AsyncClient, data: bytes, tag: int = 0x1E) -> httpx.Response:
    return await http.post(
        TUS,
        headers={
            "tus-resumable": "1.0.0",
            "upload-length": str(len(data)),
            "upload-metadata": metadata(BlobHash.of(data), tag),
        },
    )


async def patch(http: httpx.AsyncClient, address: str, offset: int, data: bytes) -> httpx.Response:
    return await http.patch(
        address,
        content=data,
        headers={
            "tus-resumable": "1.0.0",
            "upload-offset": str(offset),
            "content-type": "application/offset+octet-stream",
        },
    )


async def stored(http: httpx.AsyncClient, address: str) -> int:
    """How many bytes of the upload the portal says it has."""
    return int((await http.head(address)).headers["upload-offset"])


def patch_head(address: str, offset: int, length: int) -> str:
    return (
        f"PATCH {address} HTTP/1.1\nHost: x\nUpload-Offset: {offset}\nTus-Resumable: 1.0.0\n"
        f"Content-Type: application/offset+octet-stream\nContent-Length: {length}"
    )


def test_the_metadata_is_that_of_legacy_clients() -> None:
    assert metadata(BLOB.hash, 0x1F) == (
        "hash SC0zbHdMRVBMc1NYbkdtMUwySGtMX1cwRTFHYzRKdmc4VTBKamNfbDl2bU4="
    )


@pytest.mark.parametrize("tag", [0x1E, 0x1F])
async def test_a_blob_arrives_in_parts(
    portal: EmbeddedPortal, http: httpx.AsyncClient, tag: int
) -> None:
    created = await create(http, HELLO, tag)
    assert created.status_code == 201
    address = created.headers["location"]
    assert "upload-expires" in created.headers
    for offset in range(len(HELLO)):
        head = await http.head(address)
        assert head.headers["upload-offset"] == str(offset)
        assert head.headers["upload-length"] == "13"
        assert head.headers["cache-control"] == "no-store"
        reply = await patch(http, address, offset, HELLO[offset : offset + 1])
        assert (reply.status_code, reply.headers["upload-offset"]) == (204, str(offset + 1))
    assert (await http.get(f"/{BLOB}")).content == HELLO
    assert (await http.head(address)).headers["upload-offset"] == "13"
    assert (await patch(http, address, 13, b"")).status_code == 204
    assert portal.contents.blobs.space.used_bytes == 13
    assert [path.suffix for path in files(portal, "uploads")] == [".json"]


async def test_an_empty_blob_is_complete_at_once(http: httpx.AsyncClient) -> None:
    assert (await create(http, b"")).status_code == 201
    assert (await http.get(f"/{BlobId.of(b'')}")).content == b""


async def test_it_says_what_it_can_do(http: httpx.AsyncClient) -> None:
    for address in (TUS, f"{TUS}/{'0' * 32}"):
        reply = await http.options(address)
        assert reply.status_code == 204
        assert reply.headers["tus-version"] == reply.headers["tus-resumable"] == "1.0.0"
        assert reply.headers["tus-extension"] == "creation,termination,expiration"


async def test_a_blob_that_is_here_need_not_be_sent(http: httpx.AsyncClient) -> None:
    await http.post("/s5/upload", content=HELLO)
    reply = await create(http, HELLO)
    assert (reply.status_code, code(reply)) == (409, "STO-321")


@pytest.mark.parametrize(
    ("headers", "status", "expected"),
    [
        ({}, 400, "STO-310"),
        ({"upload-length": "-1"}, 400, "STO-310"),
        ({"upload-length": "5"}, 400, "STO-310"),
        ({"upload-length": "5", "upload-metadata": "name YQ=="}, 400, "STO-310"),
        ({"upload-length": "5", "upload-metadata": "hash !!"}, 400, "STO-310"),
        ({"upload-length": "5", "upload-metadata": "hash YWJj"}, 400, "STO-105"),
        ({"upload-length": "5", "upload-metadata": "hash YWJjZA=="}, 400, "STO-105"),
        ({"upload-length": "9" * 19, "upload-metadata": metadata(BLOB.hash)}, 413, "STO-314"),
        ({"tus-resumable": "0.2.2"}, 412, "STO-317"),
    ],
)
async def test_a_creation_that_cannot_work_is_refused(
    portal: EmbeddedPortal,
    http: httpx.AsyncClient,
    headers: dict[str, str],
    status: int,
    expected: str,
) -> None:
    reply = await http.post(TUS, headers=headers)
    assert (reply.status_code, code(reply)) == (status, expected)
    assert files(portal, "uploads") == []


async def test_bytes_go_nowhere_but_to_the_offset(http: httpx.AsyncClient) -> None:
    address = (await create(http, HELLO)).headers["location"]
    await patch(http, address, 0, HELLO[:5])
    for offset in (0, 4, 6, 13, 99):
        reply = await patch(http, address, offset, b"x")
        assert (reply.status_code, code(reply)) == (409, "STO-322")
        assert (reply.json()["error"]["expected"], reply.json()["error"]["got"]) == (
            "5",
            str(offset),
        )
    too_many = await patch(http, address, 5, HELLO[5:] + b"!")
    assert (too_many.status_code, code(too_many)) == (413, "STO-314")
    wrong_type = await http.patch(address, content=b"x", headers={"upload-offset": "5"})
    assert (wrong_type.status_code, code(wrong_type)) == (415, "STO-316")
    assert (await patch(http, address, 5, HELLO[5:])).status_code == 204
    assert (await http.get(f"/{BLOB}")).content == HELLO


async def test_other_bytes_than_announced_are_refused_and_forgotten(
    portal: EmbeddedPortal, http: httpx.AsyncClient
) -> None:
    address = (await create(http, HELLO)).headers["location"]
    reply = await patch(http, address, 0, HELLO[:-1] + b"?")
    assert (reply.status_code, code(reply)) == (422, "STO-324")
    assert "invalid hash found" in reply.json()["error"]["message"].lower()
    assert (await http.head(address)).status_code == 404
    assert files(portal, "uploads") == files(portal, "blobs") == []
    assert portal.contents.blobs.space.used_bytes == 0


async def test_an_upload_given_up_is_gone(portal: EmbeddedPortal, http: httpx.AsyncClient) -> None:
    address = (await create(http, HELLO)).headers["location"]
    await patch(http, address, 0, HELLO[:5])
    assert (await http.delete(address)).status_code == 204
    assert (await http.delete(address)).status_code == 404
    assert (await patch(http, address, 5, HELLO[5:])).status_code == 404
    assert files(portal, "uploads") == []
    assert portal.contents.blobs.space.used_bytes == 0


async def test_two_uploads_of_one_blob_are_one_blob(
    portal: EmbeddedPortal, http: httpx.AsyncClient
) -> None:
    first, second = [(await create(http, HELLO)).headers["location"] for _ in range(2)]
    replies = await asyncio.gather(*(patch(http, a, 0, HELLO) for a in (first, second)))
    assert [reply.status_code for reply in replies] == [204, 204]
    assert len(files(portal, "blobs")) == 1
    assert portal.contents.blobs.space.used_bytes == 13


async def test_announced_bytes_count_against_the_quota(tmp_path: Path) -> None:
    async with (
        EmbeddedPortal(PortalSettings(tmp_path, quota_bytes=20)) as portal,
        httpx.AsyncClient(base_url=portal.url) as http,
    ):
        address = (await create(http, HELLO)).headers["location"]
        reply = await create(http, b"other bytes")
        assert (reply.status_code, code(reply)) == (507, "STO-330")
        await http.delete(address)
        assert (await create(http, b"other bytes")).status_code == 201


@given(st.lists(st.integers(0, 3 * MEBIBYTE), max_size=4))
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_an_upload_goes_on_after_a_cut_at_any_byte(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    data = os.urandom(3 * MEBIBYTE)
    folder = tmp_path_factory.mktemp("portal")
    async with (
        EmbeddedPortal(PortalSettings(folder)) as portal,
        httpx.AsyncClient(base_url=portal.url, timeout=30) as http,
    ):
        address = (await create(http, data)).headers["location"]
        offset = 0
        for cut in sorted(cuts):
            if cut >= len(data) or cut < offset:
                continue
            head = patch_head(address, offset, len(data) - offset)
            connection = await asyncio.to_thread(send_part, portal.url, head, data[offset:cut])
            connection.close()
            offset = await stored(http, address)
            assert offset <= cut
        while (await patch(http, address, offset, data[offset:])).status_code != 204:
            # What a dead connection had sent before may be stored after it was asked for.
            before, offset = offset, await stored(http, address)
            assert offset > before
        assert (await http.get(f"/{BlobId.of(data)}")).content == data


async def test_a_client_that_comes_back_is_not_locked_out_by_its_dead_connection(
    portal: EmbeddedPortal, http: httpx.AsyncClient
) -> None:
    address = (await create(http, HELLO)).headers["location"]
    head = patch_head(address, 0, len(HELLO))
    with await asyncio.to_thread(send_part, portal.url, head, HELLO[:5]):
        async with asyncio.timeout(10):
            while (reply := await http.head(address)).headers["upload-offset"] == "0":
                pass  # the portal may not have read the five bytes yet
            offset = int(reply.headers["upload-offset"])
            reply = await patch(http, address, offset, HELLO[offset:])
        assert reply.status_code == 204
    assert (await http.get(f"/{BLOB}")).content == HELLO


async def test_an_upload_goes_on_after_the_portal_was_killed(tmp_path: Path) -> None:
    data = os.urandom(5 * MEBIBYTE)
    with PortalProcess(tmp_path) as first:
        async with httpx.AsyncClient(base_url=first.url) as http:
            address = (await create(http, data)).headers["location"]
        head = patch_head(address, 0, len(data))
        with await asyncio.to_thread(send_part, first.url, head, data[: 4 * MEBIBYTE]):
            [part] = (tmp_path / "uploads").glob("*.part")
            await asyncio.to_thread(wait_until, lambda: part.stat().st_size >= 2 * MEBIBYTE)
            first.kill()
    with PortalProcess(tmp_path) as second:
        async with httpx.AsyncClient(base_url=second.url, timeout=30) as http:
            offset = int((await http.head(address)).headers["upload-offset"])
            assert 2 * MEBIBYTE <= offset <= 4 * MEBIBYTE
            assert (await patch(http, address, offset, data[offset:])).status_code == 204
            assert (await http.get(f"/{BlobId.of(data)}")).content == data


async def test_an_upload_that_was_complete_when_the_portal_was_killed_becomes_a_blob(
    tmp_path: Path,
) -> None:
    contents = Contents(PortalSettings(tmp_path))
    name = contents.uploads.create(BLOB.hash, BLOB.size)
    (tmp_path / "uploads" / f"{name}.part").write_bytes(HELLO)
    async with (
        EmbeddedPortal(PortalSettings(tmp_path)) as portal,
        httpx.AsyncClient(base_url=portal.url) as http,
    ):
        assert (await http.head(f"{TUS}/{name}")).headers["upload-offset"] == "13"
        assert (await http.get(f"/{BLOB}")).content == HELLO


async def test_two_processes_do_not_write_to_one_upload(tmp_path: Path) -> None:
    async with (
        EmbeddedPortal(PortalSettings(tmp_path)) as first,
        EmbeddedPortal(PortalSettings(tmp_path)) as second,
        httpx.AsyncClient(base_url=first.url) as http,
        httpx.AsyncClient(base_url=second.url) as other,
    ):
        address = (await create(http, HELLO)).headers["location"]
        # A second handle stands for a second process: locks belong to handles.
        with first.contents.uploads.writing(address.rpartition("/")[2]):
            reply = await patch(other, address, 0, HELLO)
            assert (reply.status_code, code(reply)) == (423, "STO-323")
        assert (await patch(other, address, 0, HELLO)).status_code == 204


async def test_uploads_that_nobody_goes_on_with_are_dropped(tmp_path: Path) -> None:
    contents = Contents(PortalSettings(tmp_path))
    kept = contents.uploads.create(BLOB.hash, BLOB.size)
    old = contents.uploads.create(BLOB.hash, BLOB.size)
    finished = contents.uploads.create(BLOB.hash, BLOB.size)
    with contents.uploads.writing(finished) as upload:
        assert upload is not None
        upload.write(HELLO)
        upload.finish()
    for name in (f"{old}.part", f"{finished}.json"):
        os.utime(tmp_path / "uploads" / name, (0, 0))
    (tmp_path / "uploads" / f"{'0' * 32}.part").touch()  # of a maker that died
    assert Contents(PortalSettings(tmp_path)).swept == 3
    left = sorted(path.name for path in (tmp_path / "uploads").iterdir())
    assert left == [f"{kept}.json", f"{kept}.part"]
