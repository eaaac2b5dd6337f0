"""Blobs over HTTP: upload in one request, download, pin, delete."""

from __future__ import annotations

from contextlib import aclosing
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ...cids import BlobId
from ..blobs import BlobStore, Incoming
from ..contents import Contents
from ..errors import BlobNotFound, DeletionDisabled
from .access import Access
from .bodies import body_chunks, content_length, in_thread, pieces
from .multipart import FileField
from .names import blob_of
from .replies import json_reply
from .serving import FOREVER, serve_blob


class BlobEndpoints:
    """POST /s5/upload, GET /s5/blob/…, /s5/download/… and /…, POST /s5/pin/…, DELETE
    /s5/delete/…"""

    def __init__(self, contents: Contents, access: Access) -> None:
        self._blobs = contents.blobs
        self._settings = contents.settings
        self._access = access
        scope = "public" if access.is_reading_public else "private"
        self._cache_control = f"{scope}, {FOREVER}"

    def routes(self) -> list[Route]:
        read, write = self._access.reading, self._access.writing
        return [
            Route("/s5/upload", write(self.upload), methods=["POST"]),
            Route("/s5/blob/{cid}", read(self.download), methods=["GET", "HEAD"]),
            Route("/s5/download/{cid}", read(self.download), methods=["GET", "HEAD"]),
            Route("/s5/pin/{cid}", write(self.pin), methods=["POST"]),
            Route("/s5/delete/{cid}", write(self.delete), methods=["DELETE"]),
            Route("/api/locations/{cid}", read(self.locations), methods=["GET"]),
        ]

    def last_routes(self) -> list[Route]:
        """Those that match whatever the others leave."""
        read = self._access.reading
        return [Route("/{cid}", read(self.download), methods=["GET", "HEAD"])]

    async def upload(self, request: Request) -> Response:
        blob = await receive_blob(request, self._blobs, self._settings.stall_seconds)
        # `cid` is what legacy portals answer; the newer name stands beside it.
        return json_reply({"cid": blob.legacy(), "blobId": str(blob), "size": blob.size})

    async def download(self, request: Request) -> Response:
        headers = {"cache-control": self._cache_control}
        file_name = request.query_params.get("filename")
        if file_name is not None:
            headers["content-disposition"] = f"attachment; filename*=UTF-8''{quote(file_name, '')}"
        blob = blob_of(request.path_params["cid"])
        return await serve_blob(request, self._blobs, blob, headers)

    async def pin(self, request: Request) -> Response:
        """What is here stays; what is not here, this portal has nowhere to fetch from."""
        blob = blob_of(request.path_params["cid"])
        size = await in_thread(self._blobs.size, blob)
        if size is None:
            raise BlobNotFound("no such blob to pin", got=str(blob))
        return json_reply({"cid": str(BlobId(blob, size)), "pinned": True})

    async def delete(self, request: Request) -> Response:
        if not self._settings.allow_delete:
            raise DeletionDisabled("this portal deletes nothing")
        await in_thread(self._blobs.delete, blob_of(request.path_params["cid"]))
        return Response(status_code=204)

    async def locations(self, request: Request) -> Response:
        blob = blob_of(request.path_params["cid"])
        size = await in_thread(self._blobs.size, blob)
        if size is None:
            return json_reply({"locations": []})
        address = f"{str(request.base_url).rstrip('/')}/s5/blob/{BlobId(blob, size)}"
        return json_reply({"locations": [{"parts": [address]}]})


async def receive_blob(request: Request, store: BlobStore, stall_seconds: float) -> BlobId:
    """Stores the body, or the field `file` of a form, as it comes in.

    Raises:
        BadRequest, BodyTooLarge, BodyStalled, ClientDisconnect, QuotaExceeded, DiskFull,
        DiskFailed
    """
    content_type = request.headers.get("content-type", "")
    is_form = content_type.lower().startswith("multipart/form-data")
    form = FileField(content_type) if is_form else None
    announced = content_length(request)
    if form is None and announced is not None:
        await in_thread(store.check_room, announced)  # may count the whole folder
    incoming = await in_thread(store.receive)
    try:
        async with aclosing(pieces(body_chunks(request, stall_seconds))) as body:
            async for piece in body:
                await in_thread(_write, incoming, form, piece)
        if form is not None:
            form.finish()
        return await in_thread(incoming.keep)
    finally:
        await in_thread(incoming.close)


def _write(incoming: Incoming, form: FileField | None, piece: bytearray) -> None:
    incoming.write(piece if form is None else form.feed(bytes(piece)))
