"""An S5 portal in memory that misbehaves on demand."""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aiohttp import web

from platformless.retrying import Backoff
from platformless.storage.cids import TAG_BLAKE3, BlobHash, BlobId
from platformless.storage.client import ClientSettings, PortalClient
from platformless.storage.portals import PortalsSettings
from platformless.storage.tus import TusSettings
from platformless.storage.wire import WireSettings

Fault = Callable[[web.Request], Awaitable[web.StreamResponse | None]]
"""Answers a request in the portal's place, or None to let it through."""

BRISK = Backoff(0.001, 0.01)
PATIENT = WireSettings(connect_seconds=10.0, silence_seconds=20.0, request_seconds=30.0)
IMPATIENT = WireSettings(
    connect_seconds=10.0,
    silence_seconds=0.3,
    request_seconds=2.0,
    least_bytes_per_second=10_000_000,
)
"""For a portal that is silent, or never done."""
QUICK = PortalsSettings(patience_seconds=0.5, backoff=BRISK)


def client(url: str, **settings: object) -> PortalClient:
    """A client that sends more than 1000 bytes by tus."""
    chosen: dict[str, object] = {
        "wire": PATIENT,
        "small_upload_bytes": 1000,
        "tus": TusSettings(patch_bytes=40_000, backoff=BRISK),
        **settings,
    }
    return PortalClient(ClientSettings(url, **chosen))  # type: ignore[arg-type]


@dataclass
class Upload:
    length: int
    hash: BlobHash
    content: bytearray


class FaultyPortal:
    """A portal. While `fault` is set, it sees every request first.

    `cuts` are counts of body bytes after which the next PATCH requests lose their connection.
    """

    def __init__(self, *, token: str | None = None, tag: int = TAG_BLAKE3) -> None:
        self._port = 0
        self._token = token
        self._tag = tag
        self.fault: Fault | None = None
        self.cuts: list[int] = []
        self.blobs: dict[BlobHash, bytes] = {}
        self.uploads: dict[str, Upload] = {}
        self.pinned: set[BlobHash] = set()
        self.asked: Counter[str] = Counter()
        self.tokens: list[str | None] = []

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.shut()

    async def open(self) -> None:
        """Listens, on the same port as before."""
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.05, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True).start()
        self._port = self._runner.addresses[0][1]

    async def shut(self) -> None:
        """Ends every connection and refuses new ones."""
        await self._runner.cleanup()

    def keep(self, data: bytes) -> BlobId:
        blob = BlobId.of(data)
        self.blobs[blob.hash] = data
        return blob

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.tokens.append(request.headers.get("authorization"))
        self.asked[f"{request.method} {request.path.rpartition('/')[0] or request.path}"] += 1
        if self.fault is not None:
            answer = await self.fault(request)
            if answer is not None:
                return answer
        if self._token and request.headers.get("authorization") != f"Bearer {self._token}":
            return web.Response(status=401, text=f"not {request.headers.get('authorization')}")
        match request.method, request.path.strip("/").split("/"):
            case "POST", ["s5", "upload"]:
                blob = self.keep(await request.read())
                return web.json_response({"cid": blob.legacy()})
            case "POST", ["s5", "upload", "tus"]:
                return self._create(request)
            case "HEAD" | "PATCH", ["s5", "upload", "tus", name]:
                return await self._upload(request, name)
            case "GET" | "HEAD", ["s5", "blob", cid]:
                return self._blob(BlobId.parse(cid).hash)
            case "POST", ["s5", "pin", cid]:
                self.pinned.add(BlobId.parse(cid).hash)
                return web.Response()
        return web.Response(status=404)

    def _blob(self, wanted: BlobHash) -> web.Response:
        if wanted not in self.blobs:
            return web.Response(status=404)
        return web.Response(body=self.blobs[wanted])

    def _create(self, request: web.Request) -> web.Response:
        word, _, value = request.headers["upload-metadata"].partition(" ")
        assert word == "hash"
        multihash = base64.urlsafe_b64decode(base64.b64decode(value) + b"==")
        assert multihash[0] == self._tag
        wanted = BlobHash.from_multihash(multihash)
        if wanted in self.blobs:
            return web.Response(status=409)
        name = str(self.asked["POST /s5/upload"] - 1)
        length = int(request.headers["upload-length"])
        self.uploads[name] = Upload(length, wanted, bytearray())
        return web.Response(status=201, headers={"location": f"/s5/upload/tus/{name}"})

    async def _upload(self, request: web.Request, name: str) -> web.StreamResponse:
        upload = self.uploads.get(name)
        if upload is None:
            return web.Response(status=404)
        if request.method == "PATCH":
            if request.headers["upload-offset"] != str(len(upload.content)):
                return web.Response(status=409)
            cut = self.cuts.pop(0) if self.cuts else None
            async for piece in request.content.iter_any():
                room = len(piece) if cut is None else cut
                upload.content += piece[:room]
                if cut is not None:
                    cut -= min(len(piece), cut)
                    if cut == 0:
                        self._is_finished(name)  # when the client is gone, too
                        return hang_up(request)
            if not self._is_finished(name):
                return web.Response(status=422, text="Invalid hash found")
        offset = {"upload-offset": str(len(upload.content)), "upload-length": str(upload.length)}
        return web.Response(status=204, headers=offset)

    def _is_finished(self, name: str) -> bool:
        """Stores an upload that is whole; False when it is not what was announced."""
        upload = self.uploads[name]
        if len(upload.content) == upload.length:
            if BlobHash.of(bytes(upload.content)) != upload.hash:
                del self.uploads[name]
                return False
            self.blobs[upload.hash] = bytes(upload.content)
        return True


def hang_up(request: web.Request) -> web.StreamResponse:
    """Ends the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def only(start: str, fault: Fault) -> Fault:
    """The fault for requests whose method and path begin so, such as `GET /s5/blob`."""

    async def chosen(request: web.Request) -> web.StreamResponse | None:
        if f"{request.method} {request.path}".startswith(start):
            return await fault(request)
        return None

    return chosen


def times(count: int, fault: Fault) -> Fault:
    """The fault for the first `count` requests that it would answer."""
    left = [count]

    async def chosen(request: web.Request) -> web.StreamResponse | None:
        if not left[0]:
            return None
        answer = await fault(request)
        left[0] -= answer is not None
        return answer

    return chosen


def says(body: str | bytes = b"", status: int = 200, **headers: str) -> Fault:
    async def answer(_request: web.Request) -> web.StreamResponse | None:
        data = body.encode() if isinstance(body, str) else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(body=data, status=status, headers=named)

    return answer


def unannounced(body: bytes) -> Fault:
    """A whole answer without a length."""

    async def answer(request: web.Request) -> web.StreamResponse | None:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(body)
        await response.write_eof()
        return response

    return answer


def breaks_off(body: bytes, length: int) -> Fault:
    """Announces `length` bytes, sends some, and ends the connection."""

    async def answer(request: web.Request) -> web.StreamResponse | None:
        response = web.StreamResponse(headers={"content-length": str(length)})
        await response.prepare(request)
        await response.write(body)
        if request.transport is not None:
            request.transport.close()
        return response

    return answer


def stalls(body: bytes, length: int) -> Fault:
    """Announces `length` bytes, sends some, and falls silent."""

    async def answer(request: web.Request) -> web.StreamResponse | None:
        response = web.StreamResponse(headers={"content-length": str(length)})
        await response.prepare(request)
        await response.write(body)
        await asyncio.Event().wait()
        return response

    return answer


def drips(length: int, seconds_between: float) -> Fault:
    """Never silent, never done: a byte now and then."""

    async def answer(request: web.Request) -> web.StreamResponse | None:
        response = web.StreamResponse(headers={"content-length": str(length)})
        await response.prepare(request)
        for _ in range(length):
            await response.write(b".")
            await asyncio.sleep(seconds_between)
        return response

    return answer


async def silence(_request: web.Request) -> web.StreamResponse | None:
    """Never answers."""
    await asyncio.Event().wait()
    return None


async def vanishes(request: web.Request) -> web.StreamResponse | None:
    return hang_up(request)
