"""Blobs over HTTP, and the manners of the portal: access, errors, ranges, limits."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from platformless.storage.cids import BlobId
from platformless.storage.portal.errors import PortUnavailable, RangeNotSatisfiable
from platformless.storage.portal.running import EmbeddedPortal
from platformless.storage.portal.settings import PortalSettings
from platformless.storage.portal.web.ranges import ByteRange, parse_range
from platformless.storage.portal.web.serving import BlobResponse

from .portal_process import send_part, wait_until

HELLO = b"Hello, world!"
BLOB = BlobId.of(HELLO)
CHUNK = 1 << 20


def code(reply: httpx.Response) -> str:
    return str(reply.json()["error"]["code"])


def files(portal: EmbeddedPortal, name: str) -> list[Path]:
    return [path for path in (portal.settings.folder / name).rglob("*") if path.is_file()]


async def big_body(pieces: int) -> AsyncIterator[bytes]:
    for number in range(pieces):
        yield bytes([number % 251]) * CHUNK


async def test_a_raw_upload_is_answered_with_the_cid_of_legacy_portals(
    http: httpx.AsyncClient,
) -> None:
    reply = await http.post("/s5/upload", content=HELLO)
    assert reply.status_code == 200
    assert reply.json()["cid"] == "z4odvyg7EbrxBZ5mJjwSJEr47rdfL4jbVDrBfQnzzwNUup8s6"
    assert BlobId.parse(reply.json()["blobId"]) == BLOB


@pytest.mark.parametrize("data", [b"", HELLO, b"\r\n--x\r\n" * 1000, os.urandom(3 * CHUNK + 7)])
async def test_a_form_is_stored_byte_for_byte(http: httpx.AsyncClient, data: bytes) -> None:
    form = {"first": (None, b"not this"), "file": ("name.bin", data), "last": (None, b"nor this")}
    reply = await http.post("/s5/upload", files=form)
    assert BlobId.parse(reply.json()["cid"]) == BlobId.of(data)
    assert (await http.get(f"/s5/blob/{reply.json()['cid']}")).content == data


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x\r\n",
        b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\nabc\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc',
        b'--x\r\nContent-Disposition: form-data; name="file"; a="' + b"b" * 20_000,
        b"no boundary at all, and more text",
    ],
)
async def test_a_form_without_a_whole_file_is_refused_and_leaves_nothing(
    portal: EmbeddedPortal, http: httpx.AsyncClient, body: bytes
) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x"}
    reply = await http.post("/s5/upload", content=body, headers=headers)
    assert (reply.status_code, code(reply)) == (400, "STO-310")
    assert files(portal, "scratch") == files(portal, "blobs") == []
    assert portal.contents.blobs.space.used_bytes == 0


async def test_an_upload_of_unknown_length_goes_straight_to_disk(http: httpx.AsyncClient) -> None:
    reply = await http.post("/s5/upload", content=big_body(9))
    assert reply.json()["size"] == 9 * CHUNK
    async with http.stream("GET", f"/{reply.json()['cid']}") as download:
        chunks = [chunk async for chunk in download.aiter_bytes()]
    assert BlobId.of(b"".join(chunks)) == BlobId.parse(reply.json()["cid"])


async def test_the_same_blob_twice_is_one_blob(
    portal: EmbeddedPortal, http: httpx.AsyncClient
) -> None:
    replies = await asyncio.gather(*(http.post("/s5/upload", content=HELLO) for _ in range(8)))
    assert {reply.json()["cid"] for reply in replies} == {BLOB.legacy()}
    assert len(files(portal, "blobs")) == 1
    assert files(portal, "scratch") == []


async def test_every_spelling_and_address_gives_the_blob(http: httpx.AsyncClient) -> None:
    await http.post("/s5/upload", content=HELLO)
    multihash = BLOB.legacy("u")  # the base64url of a legacy CID, for its length only
    bare = {
        "7eXAsQ8uxJecabUvYeQv9bQTUZzgm-DxTQmNz-X2-Y0",
        "H-3lwLEPLsSXnGm1L2HkL_W0E1Gc4Jvg8U0Jjc_l9vmN",
    }
    assert len(multihash) not in {len(text) for text in bare}
    for text in (*BLOB.spellings().values(), *bare, f"{BLOB}.txt"):
        for address in (f"/s5/blob/{text}", f"/s5/download/{text}", f"/{text}"):
            assert (await http.get(address)).content == HELLO
            head = await http.head(address)
            assert (head.headers["content-length"], head.content) == ("13", b"")


async def test_a_blob_is_served_for_ever_and_never_as_a_page(http: httpx.AsyncClient) -> None:
    await http.post("/s5/upload", content=b"<script>alert(1)</script>")
    reply = await http.get(f"/{BlobId.of(b'<script>alert(1)</script>')}.html?filename=a%22b.html")
    assert reply.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["content-disposition"] == "attachment; filename*=UTF-8''a%22b.html"
    again = await http.get(str(reply.url), headers={"if-none-match": reply.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_ranges_are_those_of_python_slices(http: httpx.AsyncClient) -> None:
    await http.post("/s5/upload", content=HELLO)
    for asked, expected in {
        "bytes=0-4": HELLO[:5],
        "bytes=7-": HELLO[7:],
        "bytes=-6": HELLO[-6:],
        "bytes=-99": HELLO,
        "bytes=12-99": HELLO[12:],
    }.items():
        reply = await http.get(f"/{BLOB}", headers={"range": asked})
        assert (reply.status_code, reply.content) == (206, expected)
        first = HELLO.index(expected)
        assert reply.headers["content-range"] == f"bytes {first}-{first + len(expected) - 1}/13"
        head = await http.head(f"/{BLOB}", headers={"range": asked})
        assert head.headers["content-length"] == str(len(expected))


async def test_a_range_behind_the_end_is_refused(http: httpx.AsyncClient) -> None:
    await http.post("/s5/upload", content=HELLO)
    reply = await http.get(f"/{BLOB}", headers={"range": "bytes=13-"})
    assert (reply.status_code, code(reply)) == (416, "STO-320")
    assert reply.headers["content-range"] == "bytes */13"


async def test_a_range_of_another_version_is_the_whole(http: httpx.AsyncClient) -> None:
    await http.post("/s5/upload", content=HELLO)
    headers = {"range": "bytes=0-4", "if-range": '"other"'}
    assert (await http.get(f"/{BLOB}", headers=headers)).content == HELLO


@given(st.binary(max_size=40), st.integers(0, 45), st.integers(0, 45))
def test_a_range_is_a_part_of_the_blob(data: bytes, first: int, last: int) -> None:
    header = f"bytes={first}-{last}"
    if first <= last and first >= len(data):
        with pytest.raises(RangeNotSatisfiable):
            parse_range(header, len(data))
        return
    part = parse_range(header, len(data))
    if part is None:
        assert last < first
    else:
        assert data[part.first : part.end] == data[first : last + 1]


@given(st.binary(max_size=40), st.integers(1, 45))
def test_a_suffix_is_the_end_of_the_blob(data: bytes, length: int) -> None:
    part = parse_range(f"bytes=-{length}", len(data))
    assert (data if part is None else data[part.first : part.end]) == data[-length:]


@given(st.text(max_size=20) | st.from_regex(r"bytes=[0-9,\- ]{0,12}"), st.integers(0, 50))
def test_any_range_header_is_a_part_or_the_whole_or_refused(header: str, size: int) -> None:
    try:
        part = parse_range(header, size)
    except RangeNotSatisfiable:
        return
    assert part is None or 0 <= part.first < part.end <= size


async def test_pinning_keeps_what_is_here(http: httpx.AsyncClient) -> None:
    reply = await http.post(f"/s5/pin/{BLOB}")
    assert (reply.status_code, code(reply)) == (404, "STO-303")
    await http.post("/s5/upload", content=HELLO)
    assert (await http.post(f"/s5/pin/{BLOB}")).json()["pinned"] is True


async def test_a_deleted_blob_is_gone_and_its_room_free(
    portal: EmbeddedPortal, http: httpx.AsyncClient
) -> None:
    await http.post("/s5/upload", content=HELLO)
    assert portal.contents.blobs.space.used_bytes == 13
    assert (await http.delete(f"/s5/delete/{BLOB}")).status_code == 204
    assert (await http.get(f"/{BLOB}")).status_code == 404
    assert (await http.delete(f"/s5/delete/{BLOB}")).status_code == 404
    assert portal.contents.blobs.space.used_bytes == 0


async def test_nothing_is_deleted_unless_allowed(tmp_path: Path) -> None:
    async with (
        EmbeddedPortal(PortalSettings(tmp_path)) as portal,
        httpx.AsyncClient(base_url=portal.url) as http,
    ):
        await http.post("/s5/upload", content=HELLO)
        reply = await http.delete(f"/s5/delete/{BLOB}")
        assert (reply.status_code, code(reply)) == (403, "STO-302")
        assert (await http.get(f"/{BLOB}")).content == HELLO


async def test_it_says_what_it_is_and_how_it_is(http: httpx.AsyncClient) -> None:
    assert (await http.get("/s5/version")).json()["node"] == "s5-portal"
    health = (await http.get("/health")).json()
    assert health["status"] == "ok"
    assert health["connected"] is health["initialized"] is True
    assert (await http.get("/")).json()["health"] == "/health"


async def test_locations_are_addresses_of_the_blob(http: httpx.AsyncClient) -> None:
    assert (await http.get(f"/api/locations/{BLOB}")).json() == {"locations": []}
    await http.post("/s5/upload", content=HELLO)
    [location] = (await http.get(f"/api/locations/{BLOB}")).json()["locations"]
    assert (await http.get(location["parts"][0])).content == HELLO


@pytest.mark.parametrize(
    ("method", "address", "status", "expected"),
    [
        ("GET", "/no/such/thing", 404, "STO-307"),
        ("POST", "/health", 405, "STO-307"),
        ("GET", "/favicon.ico", 400, "STO-102"),
        ("GET", f"/s5/blob/{BLOB}", 404, "STO-303"),
        ("GET", "/s5/blob/f" + "ae" * 60, 400, "STO-103"),
        ("GET", "/s5/blob/..%2f..%2fetc%2fpasswd", 404, "STO-307"),
        ("GET", "/s5/upload/tus/..%2f..%2fx", 404, "STO-307"),
        ("HEAD", "/s5/upload/tus/nope", 404, None),
    ],
)
async def test_what_cannot_be_served_is_told_with_a_code(
    http: httpx.AsyncClient, method: str, address: str, status: int, expected: str | None
) -> None:
    reply = await http.request(method, address)
    assert reply.status_code == status
    if expected is not None:
        assert code(reply) == expected
        assert reply.json()["error"]["message"]


async def test_pages_of_other_sites_may_use_it(http: httpx.AsyncClient) -> None:
    origin = {"origin": "https://app.example"}
    asked = origin | {
        "access-control-request-method": "PATCH",
        "access-control-request-headers": "upload-offset,authorization",
    }
    preflight = await http.options("/s5/upload/tus", headers=asked)
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "PATCH" in preflight.headers["access-control-allow-methods"]
    reply = await http.get(f"/{BLOB}", headers=origin)
    assert reply.headers["access-control-allow-origin"] == "*"
    assert "Upload-Offset" in reply.headers["access-control-expose-headers"]


@pytest.mark.parametrize("private", [False, True])
async def test_a_token_is_asked_for(tmp_path: Path, private: bool) -> None:
    settings = PortalSettings(tmp_path, token="a secret", private_reads=private)  # noqa: S106
    async with (
        EmbeddedPortal(settings) as portal,
        httpx.AsyncClient(base_url=portal.url) as http,
    ):
        for method, address in (
            ("POST", "/s5/upload"),
            ("POST", "/s5/upload/tus"),
            ("PATCH", "/s5/upload/tus/" + "0" * 32),
            ("PUT", "/s5/fs/home/x"),
            ("DELETE", "/s5/fs/home/x"),
            ("POST", f"/s5/pin/{BLOB}"),
            ("DELETE", f"/s5/delete/{BLOB}"),
            ("POST", "/s5/registry"),
        ):
            reply = await http.request(method, address, content=b"x")
            assert (reply.status_code, code(reply)) == (401, "STO-301")
            assert reply.headers["www-authenticate"] == "Bearer"
        for offered in ({"authorization": "Bearer another"}, {"cookie": "s5-auth-token=no"}):
            reply = await http.post("/s5/upload", content=HELLO, headers=offered)
            assert reply.status_code == 401
            assert "a secret" not in reply.text
        bearer = {"authorization": "Bearer a secret"}
        cookie = {"cookie": 's5-auth-token="a secret"'}
        assert (await http.post("/s5/upload", content=HELLO, headers=bearer)).status_code == 200
        assert (await http.post("/s5/upload", content=HELLO, headers=cookie)).status_code == 200
        in_query = await http.post("/s5/upload?auth_token=a%20secret", content=HELLO)
        assert in_query.status_code == 200
        assert (await http.get(f"/{BLOB}")).status_code == (401 if private else 200)
        with_token = await http.get(f"/{BLOB}", headers=bearer)
        assert with_token.content == HELLO
        assert with_token.headers["cache-control"].startswith("private" if private else "public")
        assert (await http.get("/health")).status_code == 200


async def test_a_full_portal_refuses_and_keeps_nothing_of_it(tmp_path: Path) -> None:
    async with (
        EmbeddedPortal(PortalSettings(tmp_path, quota_bytes=3 * CHUNK)) as portal,
        httpx.AsyncClient(base_url=portal.url, timeout=30) as http,
    ):
        assert (await http.post("/s5/upload", content=bytes(2 * CHUNK))).status_code == 200
        announced = await http.post("/s5/upload", content=b"x" * 2 * CHUNK)
        unannounced = await http.post("/s5/upload", content=big_body(2))
        in_form = await http.post("/s5/upload", files={"file": b"y" * 2 * CHUNK})
        for reply in (announced, unannounced, in_form):
            assert (reply.status_code, code(reply)) == (507, "STO-330")
        assert files(portal, "scratch") == []
        assert portal.contents.blobs.space.used_bytes == 2 * CHUNK
        assert (await http.post("/s5/upload", content=b"z" * CHUNK)).status_code == 200


async def test_a_blob_too_large_is_refused(tmp_path: Path) -> None:
    async with (
        EmbeddedPortal(PortalSettings(tmp_path, largest_blob_bytes=CHUNK)) as portal,
        httpx.AsyncClient(base_url=portal.url, timeout=30) as http,
    ):
        for content in (bytes(CHUNK + 1), big_body(2)):
            reply = await http.post("/s5/upload", content=content)
            assert (reply.status_code, code(reply)) == (413, "STO-314")
        assert files(portal, "scratch") == []


async def test_a_client_that_falls_silent_is_not_waited_for(tmp_path: Path) -> None:
    async with EmbeddedPortal(PortalSettings(tmp_path, stall_seconds=0.05)) as portal:
        reader, writer = await asyncio.open_connection("127.0.0.1", portal.port)
        writer.write(b"POST /s5/upload HTTP/1.1\r\nHost: x\r\n")
        writer.write(b"Content-Length: 10\r\n\r\nabc")
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        assert b" 408 " in answer
        assert b"STO-315" in answer
        assert files(portal, "scratch") == []


async def test_a_client_that_leaves_in_the_middle_of_an_upload_leaves_nothing(
    portal: EmbeddedPortal,
) -> None:
    head = f"POST /s5/upload HTTP/1.1\nHost: x\nContent-Length: {9 * CHUNK}"
    with await asyncio.to_thread(send_part, portal.url, head, bytes(3 * CHUNK)):
        await asyncio.to_thread(wait_until, lambda: portal.contents.blobs.space.used_bytes > 0)
    await asyncio.to_thread(wait_until, lambda: files(portal, "scratch") == [])
    await asyncio.to_thread(wait_until, lambda: portal.contents.blobs.space.used_bytes == 0)


async def test_a_client_that_leaves_in_the_middle_of_a_download_frees_the_file(
    portal: EmbeddedPortal, http: httpx.AsyncClient
) -> None:
    stored = await http.post("/s5/upload", content=big_body(32))
    blob = BlobId.parse(stored.json()["cid"])

    def is_open() -> bool:
        path = str(portal.contents.blobs.path(blob.hash))
        links = [fd for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
        return any(os.path.realpath(fd) == path for fd in links)

    with await asyncio.to_thread(send_part, portal.url, f"GET /{blob} HTTP/1.1\nHost: x", b""):
        await asyncio.to_thread(wait_until, is_open)
    await asyncio.to_thread(wait_until, lambda: not is_open())


async def test_nothing_is_read_for_a_client_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(bytes(16 * CHUNK))
    sent: list[Message] = []

    async def gone() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    file = (tmp_path / "blob").open("rb")
    response = BlobResponse(file, ByteRange(0, 16 * CHUNK), 200, {})
    await response({"type": "http", "method": "GET"}, gone, send)
    assert file.closed
    assert sum(len(message.get("body", b"")) for message in sent) < 4 * CHUNK


async def test_a_refusal_reaches_a_client_that_sends_before_it_listens(tmp_path: Path) -> None:
    async with EmbeddedPortal(PortalSettings(tmp_path, quota_bytes=1)) as portal:
        head = f"POST /s5/upload HTTP/1.1\nHost: x\nContent-Length: {6 * CHUNK}"
        with await asyncio.to_thread(send_part, portal.url, head, bytes(6 * CHUNK)) as connection:
            answer = await asyncio.to_thread(connection.recv, 4096)
        assert answer.startswith(b"HTTP/1.1 507")


async def test_short_answers_do_not_wait_for_the_clients_acknowledgement(
    http: httpx.AsyncClient,
) -> None:
    took = []
    for _ in range(20):
        started = time.monotonic()
        await http.get("/s5/version")
        took.append(time.monotonic() - started)
    assert min(took[10:]) < 0.03  # a delayed ACK comes after 0.04 s


async def test_a_failing_disk_is_told(portal: EmbeddedPortal, http: httpx.AsyncClient) -> None:
    portal.contents.blobs.path(BLOB.hash).mkdir(parents=True)
    reply = await http.get(f"/{BLOB}")
    assert (reply.status_code, code(reply)) == (500, "STO-332")


async def test_a_mistake_of_ours_is_an_answer_too(
    portal: EmbeddedPortal, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portal.contents.blobs, "open", None)
    reply = await http.get(f"/{BLOB}")
    assert (reply.status_code, code(reply)) == (500, "STO-300")


async def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PortUnavailable):
        port = taken.getsockname()[1]
        async with EmbeddedPortal(PortalSettings(tmp_path), port=port):
            pass
