"""A blob's way to and from one server, as portals and bridges have it alike."""

from __future__ import annotations

import logging
import time
from contextlib import aclosing
from http import HTTPStatus

from .answers import check_cid, check_length
from .cids import BlobId
from .errors import WrongContent
from .receiving import Receiver
from .source import Source
from .wire import Wire

_log = logging.getLogger(__name__)


async def send(wire: Wire, method: str, path: str, source: Source) -> None:
    """Uploads a blob as the body of one request, and checks the CID in the answer.

    Raises:
        RemoteError, LocalFileFailed, SourceChanged
    """
    blob = source.blob
    async with aclosing(source.pieces(0, blob.size)) as pieces:
        answer = await wire.ask(
            method,
            path,
            content=pieces,
            size=blob.size,
            headers={"content-type": "application/octet-stream"},
        )
    await source.check_unchanged()
    if not answer.ok:
        raise wire.refusal(f"uploading blob {blob}", answer)
    check_cid(answer, blob, secret=wire.token)


async def receive(wire: Wire, path: str, blob: BlobId, receiver: Receiver) -> None:
    """Lets `receiver` take the blob from `path`, following redirects.

    Raises:
        RemoteError, LocalFileFailed
    """
    started = time.monotonic()
    async with wire.within(blob.size), wire.open("GET", path) as response:
        if response.status_code != HTTPStatus.OK:
            raise wire.refusal(f"downloading blob {blob}", await wire.read(response))
        check_length(response.headers, blob)
        async with aclosing(wire.body(response)) as chunks:
            try:
                await receiver.take(chunks)
            except WrongContent:
                _log.error("false bytes blob=%s server=%s", blob, wire.url)
                raise
    seconds = time.monotonic() - started
    _log.info(
        "downloaded blob=%s bytes=%d server=%s seconds=%.3f", blob, blob.size, wire.url, seconds
    )
