"""A client of one S5 portal.

Small blobs go in one request, larger ones by tus (tus.py). What comes back is checked against the
blob's hash (receiving.py); what a portal answers is checked for its shape (answers.py).
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from ..closing import AsyncClosing
from .cids import TAG_BLAKE3, TAG_BLAKE3_LEGACY, BlobId
from .errors import BadSettings, NotStored
from .receiving import Receiver
from .source import Source
from .store import VerifiedReads
from .transfer import receive, send
from .tus import TusSettings, TusUpload
from .wire import Wire, WireSettings

_log = logging.getLogger(__name__)
_NO_HEAD = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED)
_ABSENT = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """One portal and how it is used.

    Args:
        url: http or https address; the API is below it at `/s5/`.
        token: Bearer token of an account there.
        multihash_tag: 1e, or 1f for a legacy portal, which is also asked by legacy CIDs.
        scratch: Folder of temporary files; None for the system's.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    multihash_tag: int = TAG_BLAKE3
    small_upload_bytes: int = 10 << 20
    """Up to this a blob is sent in one request."""
    wire: WireSettings = field(default_factory=WireSettings)
    tus: TusSettings = field(default_factory=TusSettings)
    scratch: Path | None = None


class PortalClient(VerifiedReads, AsyncClosing):
    """A `BlobStore` on one portal. Tries once, but for a resumed upload; see `portals.Portals`.

    Raises `RemoteError` with what to do about it (errors.py), `StoreError` when it is not the
    portal's fault.
    """

    def __init__(self, settings: ClientSettings) -> None:
        super().__init__(scratch=settings.scratch)
        if settings.multihash_tag not in (TAG_BLAKE3, TAG_BLAKE3_LEGACY):
            raise BadSettings(
                "no such multihash tag", expected="1e or 1f", got=f"{settings.multihash_tag:02x}"
            )
        self.settings = settings
        self._wire = Wire(settings.url, token=settings.token, settings=settings.wire)

    async def close(self) -> None:
        """Closes every connection."""
        await self._wire.close()

    @property
    def url(self) -> str:
        return self._wire.url

    async def put(self, source: bytes | Path) -> BlobId:
        """Stores bytes or a file.

        Raises:
            LocalFileFailed, SourceChanged: from reading the file.
        """
        prepared = await Source.of(source)
        await self.upload(prepared)
        return prepared.blob

    async def upload(self, source: Source) -> None:
        """Stores what has been hashed already.

        Raises:
            WrongCid: when the portal says that it stored something else.
            NotStored: when the portal does not have the blob after all.
        """
        started = time.monotonic()
        if source.blob.size <= self.settings.small_upload_bytes:
            await send(self._wire, "POST", "/s5/upload", source)
        else:
            tag, tus = self.settings.multihash_tag, self.settings.tus
            await TusUpload(self._wire, source, tag=tag, settings=tus).run()
            await source.check_unchanged()
            if not await self.has(source.blob):
                raise NotStored(
                    "the portal took an upload and has not got it", expected=str(source.blob)
                )
        _log.info(
            "uploaded blob=%s bytes=%d portal=%s seconds=%.3f",
            source.blob,
            source.blob.size,
            self.url,
            time.monotonic() - started,
        )

    async def download(self, blob: BlobId, receiver: Receiver) -> None:
        """Lets `receiver` take the blob, following redirects."""
        await receive(self._wire, f"/s5/blob/{self._name(blob)}", blob, receiver)

    async def pin(self, blob: BlobId) -> None:
        """Asks the portal to keep the blob."""
        answer = await self._wire.ask("POST", f"/s5/pin/{self._name(blob)}", size=0)
        if not answer.ok:
            raise self._wire.refusal("pinning", answer)

    async def has(self, blob: BlobId) -> bool:
        """Whether the portal says that it has the blob, and of the right length.

        Asks with HEAD; also with GET, whose body is not read, as not every portal knows HEAD.
        """
        path = f"/s5/blob/{self._name(blob)}"
        for method in ("HEAD", "GET"):
            async with self._wire.within(0), self._wire.open(method, path) as response:
                if response.status_code == HTTPStatus.OK:
                    announced = response.headers.get("content-length")
                    return announced is None or announced == str(blob.size)
                if method == "HEAD" and response.status_code in _NO_HEAD:
                    continue
                if response.status_code in _ABSENT:
                    return False
                answer = await self._wire.read(response)
                raise self._wire.refusal("asking for the blob", answer)
        return False

    def _name(self, blob: BlobId) -> str:
        legacy = self.settings.multihash_tag == TAG_BLAKE3_LEGACY
        return blob.legacy() if legacy else str(blob)
