"""Resumable upload of one blob to one portal (tus 1.0.0, core and creation; S5 portal HTTP API).

Creation announces the length and the hash. Then the content goes in PATCH requests, each from the
offset where the portal stands. After a cut, the portal is asked for its offset and the upload goes
on there; when it has forgotten the upload, a new one is begun. What the portal says about offsets
decides only what is sent: whether the blob has arrived is for the caller to check.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from http import HTTPStatus

import httpx

from ..retrying import Backoff
from .answers import next_address, quoted
from .cids import BlobHash
from .errors import Disposition, PortalFailed, RemoteError, UnusableReply, UploadLost
from .source import Source
from .wire import Wire

_log = logging.getLogger(__name__)
_PATH = "/s5/upload/tus"
_VERSION = {"tus-resumable": "1.0.0"}
_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_LONGEST_OFFSET_DIGITS = 20


@dataclass(frozen=True, slots=True)
class TusSettings:
    patch_bytes: int = 16 << 20
    """The most that one request carries."""
    most_failures: int = 8
    """In a row, without the portal having more bytes than ever before."""
    most_losses: int = 2
    """How often a new upload is begun because the portal forgot the last one."""
    backoff: Backoff = field(default_factory=Backoff)


def metadata(blob_hash: BlobHash, tag: int) -> str:
    """The `Upload-Metadata` that announces a hash: base64 of the text of its base64url form.

    Args:
        tag: Of the multihash, as the portal compares it: 1e, or 1f with legacy portals.
    """
    text = base64.urlsafe_b64encode(blob_hash.multihash(tag)).rstrip(b"=")
    return "hash " + base64.b64encode(text).decode()


def offset_of(headers: Mapping[str, str], size: int) -> int:
    """The `Upload-Offset` of an answer, in bytes.

    Raises:
        UnusableReply: when there is none from 0 to `size`.
    """
    text = headers.get("upload-offset", "")
    digits = text.isascii() and text.isdecimal() and len(text) <= _LONGEST_OFFSET_DIGITS
    if not digits or int(text) > size:
        raise UnusableReply(
            "the portal tells no offset",
            expected=f"Upload-Offset from 0 to {size}",
            got=quoted(text.encode()) or "none",
        )
    return int(text)


class TusUpload:
    """One upload.

    Args:
        tag: See `metadata`.
    """

    def __init__(self, wire: Wire, source: Source, *, tag: int, settings: TusSettings) -> None:
        self._wire = wire
        self._source = source
        self._size = source.blob.size
        self._tag = tag
        self._settings = settings
        self._address: httpx.URL | None = None

    async def run(self) -> None:
        """Uploads until the portal says that it has every byte, or had the blob before.

        Raises:
            RemoteError: after `most_failures` in a row, or at once when it would fail again.
            LocalFileFailed, SourceChanged: from reading the file.
        """
        furthest, failures, losses = -1, 0, 0
        offset: int | None = None
        while True:
            try:
                if offset is None:
                    offset = await self._where()
                if offset > furthest:
                    furthest, failures = offset, 0
                if offset == self._size:
                    return
                offset = await self._send(offset)
            except RemoteError as error:
                offset, failures = None, failures + 1
                if isinstance(error, UploadLost):
                    self._address, losses = None, losses + 1
                if (
                    error.disposition is not Disposition.RETRY_HERE
                    or failures >= self._settings.most_failures
                    or losses > self._settings.most_losses
                ):
                    raise
                await self._rest(error, failures)

    async def _rest(self, error: RemoteError, failures: int) -> None:
        rest = error.rest_seconds
        if rest is None:
            rest = self._settings.backoff.rest_seconds(failures)
        _log.warning(
            "upload interrupted blob=%s portal=%s failures=%d rest_seconds=%.2f error=%s",
            self._source.blob,
            self._wire.url,
            failures,
            rest,
            error,
        )
        await asyncio.sleep(rest)

    async def _where(self) -> int:
        """Where to go on, of a new upload when there is none."""
        if self._address is None:
            return await self._create()
        answer = await self._wire.ask("HEAD", self._address, headers=_VERSION)
        if answer.status in _GONE:
            raise UploadLost("the portal forgot the upload", got=f"HTTP {answer.status}")
        if not answer.ok:
            raise self._wire.refusal("asking for the offset", answer)
        return offset_of(answer.headers, self._size)

    async def _create(self) -> int:
        """Where to begin: 0, or the end when the portal has the blob already (409)."""
        answer = await self._wire.ask(
            "POST",
            _PATH,
            size=0,
            headers={
                **_VERSION,
                "upload-length": str(self._size),
                "upload-metadata": metadata(self._source.blob.hash, self._tag),
            },
        )
        if answer.status == HTTPStatus.CONFLICT:
            return self._size
        if answer.status != HTTPStatus.CREATED:
            raise self._wire.refusal("creating an upload", answer)
        self._address = next_address(self._wire.address(_PATH), answer.headers.get("location"))
        return 0

    async def _send(self, offset: int) -> int:
        """Sends one PATCH; the new offset."""
        count = min(self._size - offset, self._settings.patch_bytes)
        async with aclosing(self._source.pieces(offset, count)) as pieces:
            answer = await self._wire.ask(
                "PATCH",
                self._address or _PATH,
                content=pieces,
                size=count,
                headers={
                    **_VERSION,
                    "content-type": "application/offset+octet-stream",
                    "upload-offset": str(offset),
                },
            )
        if answer.status in _GONE:
            raise UploadLost("the portal forgot the upload", got=f"HTTP {answer.status}")
        if answer.status == HTTPStatus.CONFLICT:
            raise PortalFailed("the portal stands at another offset", expected=offset)
        if not answer.ok:
            raise self._wire.refusal("uploading", answer)
        reached = offset_of(answer.headers, self._size)
        if reached <= offset:
            raise UnusableReply("the portal took nothing", expected=f"over {offset}", got=reached)
        return reached
