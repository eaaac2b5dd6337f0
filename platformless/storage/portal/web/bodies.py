"""Reading request bodies: in pieces, with an end to waiting, and with disk work in threads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import ParamSpec, TypeVar

from starlette.requests import ClientDisconnect, Request

from ..blobs import CHUNK_BYTES
from ..errors import BadRequest, BodyStalled, BodyTooLarge

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Interrupted(Exception):
    """Another request took over from the one whose body was being read."""


async def in_thread(work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Runs work that blocks. A caller that is cancelled still waits for its end, so that what
    the work uses may be closed after it."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise


async def body_chunks(
    request: Request, stall_seconds: float, stop: asyncio.Event | None = None
) -> AsyncGenerator[bytes, None]:
    """The body as it comes in.

    Raises:
        ClientDisconnect, BodyStalled
        Interrupted: when `stop` is set.
    """
    stopping = asyncio.ensure_future(stop.wait()) if stop is not None else None
    stream = request.stream()
    coming: asyncio.Future[bytes | None] | None = None
    try:
        while True:
            coming = asyncio.ensure_future(anext(stream, None))
            waited_for = {coming} if stopping is None else {coming, stopping}
            await asyncio.wait(
                waited_for, timeout=stall_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if not coming.done():
                coming.cancel()
                await asyncio.wait({coming})
                if stopping is not None and stopping.done():
                    raise Interrupted
                raise BodyStalled(
                    "nothing was sent for too long", expected=f"bytes within {stall_seconds} s"
                )
            chunk = coming.result()
            if chunk is None:
                return
            yield chunk
    finally:
        for waiting in (coming, stopping):
            if waiting is not None:
                waiting.cancel()


async def pieces(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytearray, None]:
    """The same bytes in pieces of about `CHUNK_BYTES`, so that threads are worth their while.
    When the body breaks off, what came before is still given out."""
    piece = bytearray()
    try:
        async for chunk in chunks:
            piece += chunk
            if len(piece) >= CHUNK_BYTES:
                yield piece
                piece = bytearray()
    except (ClientDisconnect, BodyStalled, Interrupted):
        if piece:
            yield piece
        raise
    if piece:
        yield piece


async def small_body(request: Request, limit: int, stall_seconds: float) -> bytes:
    """A body that fits into memory.

    Raises:
        BodyTooLarge, BodyStalled, ClientDisconnect
    """
    body = bytearray()
    async with aclosing(body_chunks(request, stall_seconds)) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > limit:
                raise BodyTooLarge("a body too large", expected=f"at most {limit} bytes")
    return bytes(body)


def content_length(request: Request) -> int | None:
    """The announced length of the body in bytes.

    Raises:
        BadRequest
    """
    text = request.headers.get("content-length")
    return None if text is None else natural("Content-Length", text)


def natural(name: str, text: str | None) -> int:
    """A header that is a number.

    Raises:
        BadRequest
    """
    if text is None or not (text.isascii() and text.isdigit() and len(text) < 20):
        raise BadRequest(f"the header {name}", expected="a number", got=repr(text))
    return int(text)
