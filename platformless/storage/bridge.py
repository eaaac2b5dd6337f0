"""The S5 bridge: a service on the host's own machine that writes paths and blobs to S5 for it.

    PUT, GET, HEAD, DELETE  /s5/fs/{path}    content by path, in the bridge's account
    GET                     /s5/blob/{cid}   content by hash, from the whole network

An address is all that it takes; the bridge has no accounts. It answers every failed read of a path
with 404, so a path that is said to be absent is asked for again before that is believed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from ..closing import AsyncClosing
from ..retrying import Backoff
from .cids import BlobId
from .errors import (
    BadSettings,
    BlobNotAtPortal,
    BlobTooLarge,
    Disposition,
    NotOffered,
    RemoteError,
    TooLargeForPortal,
)
from .receiving import Receiver
from .source import Source
from .store import VerifiedReads
from .transfer import receive, send
from .wire import Wire, WireSettings

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class BridgeSettings:
    """Where the bridge is and what it takes."""

    url: str = "http://127.0.0.1:5522"
    attempts: int = 3
    most_bytes: int = 100 << 20
    """The largest body that the bridge accepts."""
    folder: str = "home/blobs"
    """Path below which `put` writes, each blob under its hash in hex."""
    backoff: Backoff = field(default_factory=lambda: Backoff(0.5, 5.0))
    wire: WireSettings = field(
        default_factory=lambda: WireSettings(silence_seconds=90.0, request_seconds=90.0)
    )
    scratch: Path | None = None


class BridgeStore(VerifiedReads, AsyncClosing):
    """A `BlobStore` behind a bridge, and content by path. Tries `attempts` times."""

    def __init__(self, settings: BridgeSettings | None = None) -> None:
        self.settings = settings or BridgeSettings()
        super().__init__(scratch=self.settings.scratch)
        self._wire = Wire(self.settings.url, settings=self.settings.wire)

    async def close(self) -> None:
        """Closes every connection."""
        await self._wire.close()

    @property
    def url(self) -> str:
        return self._wire.url

    async def put(self, source: bytes | Path) -> BlobId:
        """Writes bytes or a file below `folder`, under its hash."""
        prepared = await Source.of(source)
        path = f"{self.settings.folder}/{prepared.blob.hash.value.hex()}"
        return await self._put(path, prepared)

    async def put_path(self, path: str, data: bytes | Path) -> BlobId:
        """Writes bytes or a file to a path of the bridge's account, in place of what was there.

        Raises:
            TooLargeForPortal: more than `most_bytes`, or nothing at all, which it refuses.
            WrongCid: when the bridge says that it stored something else.
        """
        return await self._put(path, await Source.of(data))

    async def get_path(self, path: str, *, largest_bytes: int) -> bytes:
        """What a path holds now. Not checked: a path promises no content. Compare
        `BlobId.of(content)` when you know what it should be, or use `get`.

        Raises:
            BlobNotAtPortal: when every attempt was answered so.
            BlobTooLarge
        """
        where = _fs(path)

        async def read() -> bytes:
            async with (
                self._wire.within(largest_bytes),
                self._wire.open("GET", where) as response,
            ):
                if response.status_code != HTTPStatus.OK:
                    raise self._wire.refusal(f"reading {path}", await self._wire.read(response))
                content = bytearray()
                async with aclosing(self._wire.body(response)) as chunks:
                    async for chunk in chunks:
                        content += chunk
                        if len(content) > largest_bytes:
                            raise BlobTooLarge(
                                f"{path} is too large to be taken",
                                expected=f"at most {largest_bytes} bytes",
                                got="more",
                            )
                return bytes(content)

        return await self._tried(read, absent_is_final=False)

    async def has_path(self, path: str) -> bool:
        """Whether the bridge says that the path exists."""
        where = _fs(path)

        async def ask() -> bool:
            answer = await self._wire.ask("HEAD", where)
            if not answer.ok and answer.status != HTTPStatus.NOT_FOUND:
                raise self._wire.refusal(f"asking for {path}", answer)
            return answer.ok

        return await self._tried(ask)

    async def delete_path(self, path: str) -> None:
        """Removes a path. A path that is not there is no error."""
        where = _fs(path)

        async def delete() -> None:
            answer = await self._wire.ask("DELETE", where)
            if not answer.ok and answer.status != HTTPStatus.NOT_FOUND:
                raise self._wire.refusal(f"deleting {path}", answer)

        await self._tried(delete)

    async def download(self, blob: BlobId, receiver: Receiver) -> None:
        """Lets `receiver` take the blob by its hash."""

        await self._tried(lambda: receive(self._wire, f"/s5/blob/{blob}", blob, receiver))

    async def pin(self, blob: BlobId) -> None:
        """The bridge keeps what a path refers to, and nothing else: always `NotOffered`."""
        raise NotOffered("a bridge pins nothing", expected="put", got=str(blob))

    async def has(self, blob: BlobId) -> bool:
        """Whether the bridge finds the blob in the network. Its body is not read."""

        async def ask() -> bool:
            async with (
                self._wire.within(0),
                self._wire.open("GET", f"/s5/blob/{blob}") as response,
            ):
                if response.status_code == HTTPStatus.OK:
                    return True
                if response.status_code == HTTPStatus.NOT_FOUND:
                    return False
                raise self._wire.refusal("asking for the blob", await self._wire.read(response))

        return await self._tried(ask)

    async def _put(self, path: str, source: Source) -> BlobId:
        where = _fs(path)
        if not 0 < source.blob.size <= self.settings.most_bytes:
            raise TooLargeForPortal(
                f"a bridge does not take this for {path}",
                expected=f"1 to {self.settings.most_bytes} bytes",
                got=f"{source.blob.size} bytes",
            )

        await self._tried(lambda: send(self._wire, "PUT", where, source))
        return source.blob

    async def _tried(
        self, task: Callable[[], Awaitable[_T]], *, absent_is_final: bool = True
    ) -> _T:
        """The result of the first attempt that succeeds."""
        failures = 0
        while True:
            try:
                return await task()
            except RemoteError as error:
                failures += 1
                again = error.disposition is Disposition.RETRY_HERE or (
                    isinstance(error, BlobNotAtPortal) and not absent_is_final
                )
                if not again or failures >= self.settings.attempts:
                    raise
                rest = error.rest_seconds
                if rest is None:
                    rest = self.settings.backoff.rest_seconds(failures)
                _log.warning(
                    "bridge failed url=%s failures=%d rest_seconds=%.2f error=%s",
                    self.url,
                    failures,
                    rest,
                    error,
                )
                await asyncio.sleep(rest)


def _fs(path: str) -> str:
    """The API's path of a path in the account.

    Raises:
        BadSettings: when it has empty or dotted parts.
    """
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise BadSettings("no path of a bridge", expected="names between slashes", got=repr(path))
    return "/s5/fs/" + "/".join(quote(part, safe="") for part in parts)
