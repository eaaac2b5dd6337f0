"""Uploads that survive a cut: tus 1.0 with creation, termination and expiration.

Specification: tus.io/protocols/resumable-upload. S5 adds the metadata key `hash`: the blob's
multihash in base64url, as the bytes of the value.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from email.utils import formatdate

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ...cids import BlobHash
from ..contents import Contents
from ..errors import BadRequest, UnsupportedTusVersion, UploadLocked, WrongContentType
from ..uploads import Upload
from .access import Access
from .bodies import Interrupted, body_chunks, content_length, in_thread, natural, pieces
from .names import from_base64url

VERSION = "1.0.0"
ADDRESS = "/s5/upload/tus"
_CONTENT_TYPE = "application/offset+octet-stream"


class TusEndpoints:
    """OPTIONS and POST /s5/upload/tus; OPTIONS, HEAD, PATCH and DELETE /s5/upload/tus/…"""

    def __init__(self, contents: Contents, access: Access) -> None:
        self._uploads = contents.uploads
        self._settings = contents.settings
        self._access = access
        self._turns = Turns()

    def routes(self) -> list[Route]:
        write = self._access.writing
        one = ADDRESS + "/{name}"
        return [
            Route(ADDRESS, self.options, methods=["OPTIONS"]),
            Route(ADDRESS, write(self.create), methods=["POST"]),
            Route(one, self.options, methods=["OPTIONS"]),
            Route(one, write(self.head), methods=["HEAD"]),
            Route(one, write(self.patch), methods=["PATCH"]),
            Route(one, write(self.delete), methods=["DELETE"]),
        ]

    async def options(self, _request: Request) -> Response:
        return self._reply(
            204,
            {
                "tus-version": VERSION,
                "tus-extension": "creation,termination,expiration",
                "tus-max-size": str(self._settings.largest_blob_bytes),
            },
        )

    async def create(self, request: Request) -> Response:
        _check_version(request)
        length = natural("Upload-Length", request.headers.get("upload-length"))
        blob = announced_hash(request.headers.get("upload-metadata", ""))
        name = await in_thread(self._uploads.create, blob, length)
        if length == 0:
            with self._uploads.writing(name) as upload:
                await _finish_if_complete(upload)
        return self._reply(201, {"location": f"{ADDRESS}/{name}", **self._expiry()})

    async def head(self, request: Request) -> Response:
        _check_version(request)
        name = request.path_params["name"]
        async with self._turns.take(name):
            length = self._uploads.announced(name).length
            with self._uploads.writing(name) as upload:
                # Completed just before a crash: then it was never hashed.
                await _finish_if_complete(upload)
                offset = length if upload is None else upload.offset
        return self._reply(200, {"upload-length": str(length), **self._offset(offset)})

    async def patch(self, request: Request) -> Response:
        _check_version(request)
        content_type = request.headers.get("content-type", "")
        if content_type.partition(";")[0].strip().lower() != _CONTENT_TYPE:
            raise WrongContentType(
                "a type of body", expected=_CONTENT_TYPE, got=repr(content_type[:80])
            )
        start = natural("Upload-Offset", request.headers.get("upload-offset"))
        name = request.path_params["name"]
        async with self._turns.take(name) as stop:
            length = self._uploads.announced(name).length
            with self._uploads.writing(name) as upload:
                if upload is None:
                    offset = length
                else:
                    upload.check(start, content_length(request))
                    await self._receive(request, upload, stop)
                    await _finish_if_complete(upload)
                    offset = upload.offset
        return self._reply(204, self._offset(offset))

    async def delete(self, request: Request) -> Response:
        _check_version(request)
        name = request.path_params["name"]
        async with self._turns.take(name):
            await in_thread(self._uploads.delete, name)
        return self._reply(204, {})

    async def _receive(self, request: Request, upload: Upload, stop: asyncio.Event) -> None:
        """Appends the body; what has come when it breaks off stays."""
        chunks = body_chunks(request, self._settings.stall_seconds, stop)
        try:
            async with aclosing(chunks), aclosing(pieces(chunks)) as body:
                async for piece in body:
                    await in_thread(upload.write, piece)
        except Interrupted:
            raise UploadLocked("a newer request took this upload over", got=upload.name) from None
        await in_thread(upload.sync)

    def _offset(self, offset: int) -> dict[str, str]:
        return {"upload-offset": str(offset), **self._expiry()}

    def _expiry(self) -> dict[str, str]:
        at = time.time() + self._uploads.lifetime_seconds
        return {"upload-expires": formatdate(at, usegmt=True)}

    def _reply(self, status: int, headers: dict[str, str]) -> Response:
        fixed = {"tus-resumable": VERSION, "cache-control": "no-store"}
        return Response(None, status, fixed | headers)


class Turns:
    """One request at a time for each upload. A new one makes the one before stop: a client that
    comes back after a cut need not wait until the portal notices the cut."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[asyncio.Event, asyncio.Event]] = {}

    @contextlib.asynccontextmanager
    async def take(self, name: str) -> AsyncIterator[asyncio.Event]:
        """Gives an event; when it is set, the turn should end."""
        while (holder := self._held.get(name)) is not None:
            stop, ended = holder
            stop.set()
            await ended.wait()
        stop, ended = asyncio.Event(), asyncio.Event()
        self._held[name] = stop, ended
        try:
            yield stop
        finally:
            del self._held[name]
            ended.set()


def announced_hash(metadata: str) -> BlobHash:
    """The hash in an `Upload-Metadata` header: pairs of a key and a value in base64.

    Raises:
        BadRequest, CidError
    """
    for pair in metadata.split(","):
        key, _, value = pair.strip().partition(" ")
        if key == "hash":
            try:
                text = base64.b64decode(value, validate=True).decode("ascii")
            except (binascii.Error, ValueError) as error:
                raise BadRequest(
                    "the hash in Upload-Metadata", expected="base64 of base64url", got=value[:80]
                ) from error
            return BlobHash.from_multihash(from_base64url(text))
    raise BadRequest(
        "no hash in Upload-Metadata", expected="hash <base64>", got=repr(metadata[:80])
    )


def _check_version(request: Request) -> None:
    """Clients that name no version are taken to speak ours."""
    version = request.headers.get("tus-resumable", VERSION)
    if version != VERSION:
        raise UnsupportedTusVersion("a version of tus", expected=VERSION, got=version[:20])


async def _finish_if_complete(upload: Upload | None) -> None:
    if upload is not None and upload.is_complete:
        await in_thread(upload.finish)
