"""Sending blobs: whole or in part, from disk, with flat memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import BinaryIO

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ...cids import BlobHash
from ..blobs import BlobStore
from .bodies import in_thread
from .names import to_base64url
from .ranges import ByteRange, parse_range

_PIECE_BYTES = 256 << 10
FOREVER = "max-age=31536000, immutable"


class BlobResponse(Response):
    """Bytes of an open file, which it closes."""

    def __init__(
        self, file: BinaryIO, part: ByteRange, status: int, headers: Mapping[str, str]
    ) -> None:
        super().__init__(None, status, headers, media_type="application/octet-stream")
        self._file = file
        self._part = part

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            at = self._part.first if scope["method"] != "HEAD" else self._part.end
            await in_thread(self._file.seek, at)
            while at < self._part.end and not gone.done():
                piece = await in_thread(self._file.read, min(_PIECE_BYTES, self._part.end - at))
                if not piece:  # the disk lost bytes; the connection ends short of its length
                    return
                at += len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._file.close()
            gone.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await gone


async def serve_blob(
    request: Request, store: BlobStore, blob: BlobHash, headers: Mapping[str, str]
) -> Response:
    """The answer to GET or HEAD for a blob, with `Range`, `If-Range` and `If-None-Match`.

    Raises:
        BlobNotFound, RangeNotSatisfiable, DiskFailed
    """
    file, size = await in_thread(store.open, blob)
    try:
        tag = etag(blob)
        all_headers = {
            "etag": tag,
            "accept-ranges": "bytes",
            "x-content-type-options": "nosniff",
            **headers,
        }
        if _matches(request.headers.get("if-none-match"), tag):
            file.close()
            return Response(None, 304, all_headers)
        is_same = request.headers.get("if-range", tag) == tag
        part = parse_range(request.headers.get("range") if is_same else None, size)
    except BaseException:
        file.close()
        raise
    if part is None:
        all_headers["content-length"] = str(size)
        return BlobResponse(file, ByteRange(0, size), 200, all_headers)
    all_headers["content-length"] = str(len(part))
    all_headers["content-range"] = part.content_range(size)
    return BlobResponse(file, part, 206, all_headers)


def etag(blob: BlobHash) -> str:
    """The blob's multihash in base64url, in quotes."""
    return f'"{to_base64url(blob.multihash())}"'


def _matches(header: str | None, tag: str) -> bool:
    if header is None:
        return False
    offered = [value.strip().removeprefix("W/") for value in header.split(",")]
    return tag in offered or "*" in offered


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
