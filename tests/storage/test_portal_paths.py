"""Blobs by path: what hosts write through, and that no path leads anywhere else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.storage.cids import BlobId
from platformless.storage.portal.contents import Contents
from platformless.storage.portal.errors import BadPath, PathNotFound
from platformless.storage.portal.paths import checked
from platformless.storage.portal.running import EmbeddedPortal
from platformless.storage.portal.settings import PortalSettings

from .test_portal_http import BLOB, HELLO, code, files

DELTA = "/s5/fs/home/checkpoints/0xabc/17/delta_0.json"


async def test_a_write_is_answered_with_what_hosts_read(http: httpx.AsyncClient) -> None:
    reply = await http.put(DELTA, content=HELLO)
    assert reply.status_code == 201
    fields = reply.json()
    assert fields["success"] is fields["networkUploaded"] is True
    assert fields["path"] == "home/checkpoints/0xabc/17/delta_0.json"
    assert fields["size"] == 13
    assert fields["cid"] == str(BLOB)
    assert fields["debug"]["rawHashHex"] == BLOB.hash.value.hex()
    assert set(fields["debug"]) == {
        "requestId",
        "uploadDurationMs",
        "portalAccount",
        "rawHashHex",
    }


async def test_a_path_gives_what_was_written_last(http: httpx.AsyncClient) -> None:
    await http.put(DELTA, content=b"old")
    await http.put(DELTA, content=HELLO)
    reply = await http.get(DELTA)
    assert reply.content == HELLO
    assert reply.headers["x-s5-path"] == "home/checkpoints/0xabc/17/delta_0.json"
    assert reply.headers["cache-control"] == "no-cache"
    head = await http.head(DELTA)
    assert (head.status_code, head.headers["content-length"]) == (200, "13")
    for name in (BlobId.of(b"old"), BLOB):
        assert (await http.get(f"/s5/blob/{name}")).status_code == 200


async def test_a_deleted_path_is_gone_and_its_blob_stays(http: httpx.AsyncClient) -> None:
    await http.put(DELTA, content=HELLO)
    assert (await http.delete(DELTA)).status_code == 204
    for reply in (await http.get(DELTA), await http.delete(DELTA)):
        assert (reply.status_code, code(reply)) == (404, "STO-304")
        assert reply.json()["path"] == "home/checkpoints/0xabc/17/delta_0.json"
        assert reply.json()["message"]
    assert (await http.head(DELTA)).status_code == 404
    assert (await http.get(f"/{BLOB}")).content == HELLO


async def test_an_empty_body_is_refused(http: httpx.AsyncClient) -> None:
    async def nothing() -> AsyncIterator[bytes]:
        return
        yield b""

    for body in (b"", nothing()):
        reply = await http.put(DELTA, content=body)
        assert (reply.status_code, code(reply)) == (400, "STO-310")


@pytest.mark.parametrize(
    "path",
    [
        "..%2f..%2fetc/passwd",
        "a/%2e%2e/b",
        "a//b",
        "%2fetc/passwd",
        "a/",
        "",
        "a%00b",
        "%2e",
        "a" * 1025,
    ],
)
async def test_what_is_no_path_is_refused(
    portal: EmbeddedPortal, http: httpx.AsyncClient, path: str
) -> None:
    for method in ("PUT", "GET", "DELETE"):
        reply = await http.request(method, f"/s5/fs/{path}", content=HELLO)
        assert (reply.status_code, code(reply)) == (400, "STO-311")
    assert files(portal, "paths") == []


async def test_names_may_be_in_any_script(http: httpx.AsyncClient) -> None:
    assert (await http.put("/s5/fs/home/Größe und 長さ?.json", content=HELLO)).status_code == 201
    assert (await http.put("/s5/fs/home/%E9%95%B7%3F", content=HELLO)).status_code == 201
    reply = await http.get("/s5/fs/home/%E9%95%B7%3F")
    assert reply.headers["x-s5-path"] == "home/%E9%95%B7%3F"


@given(st.text(max_size=60))
def test_no_text_leads_out_of_the_folder(path: str) -> None:
    try:
        parts = checked(path).split("/")
    except BadPath:
        return
    assert not {"", ".", ".."} & set(parts)


async def test_many_writers_to_one_path_leave_one_whole_record(tmp_path: Path) -> None:
    contents = Contents(PortalSettings(tmp_path))
    blobs = [contents.blobs.add(bytes([number])) for number in range(20)]
    await asyncio.gather(*(asyncio.to_thread(contents.paths.set, "home/x", blob) for blob in blobs))
    assert contents.paths.get("home/x") in blobs
    assert list((tmp_path / "scratch").iterdir()) == []
    assert len(list(contents.paths.all())) == 1


def test_a_damaged_record_counts_as_absent(tmp_path: Path) -> None:
    contents = Contents(PortalSettings(tmp_path))
    contents.paths.set("home/x", BLOB)
    [record] = [path for path in (tmp_path / "paths").rglob("*") if path.is_file()]
    record.write_bytes(record.read_bytes()[:-3])
    with pytest.raises(PathNotFound):
        contents.paths.get("home/x")
    assert contents.check().dangling == ()
