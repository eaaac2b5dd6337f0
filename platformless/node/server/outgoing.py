"""What goes out on a connection: frames in order, short replies in a queue, and its close."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable

from starlette.websockets import WebSocket, WebSocketDisconnect

from ...protocol import replies
from ...protocol.replies import Reply
from ..errors import ClientGone

POLICY = 1008
_MOST_QUEUED = 64
"""Short replies that wait for a client before its frames are no longer read."""
_MOST_UNREAD = 1024
"""Short replies, news of proofs among them, after which a client is taken to read nothing."""


class Outgoing:
    """Of one connection.

    Args:
        on_said: Called for each frame that went out and is more than a `pong`.
    """

    def __init__(self, socket: WebSocket, on_said: Callable[[], None]) -> None:
        self._socket = socket
        self._on_said = on_said
        self._sending = asyncio.Lock()
        self._queue: deque[Reply] = deque()
        self._room = asyncio.Event()
        self._room.set()
        self._queue_task: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self.is_over = False
        """Nothing goes out any more."""

    async def room(self) -> None:
        """Returns when the client has read enough for its next frame to be taken."""
        await self._room.wait()

    def reply(self, reply: Reply) -> None:
        """Queues a short reply; also for frames that nobody asked for."""
        if self.is_over:
            return
        if len(self._queue) >= _MOST_UNREAD:
            self._queue.clear()
            self.close_soon(POLICY, "too many replies are unread")
            return
        self._queue.append(reply)
        if len(self._queue) >= _MOST_QUEUED:
            self._room.clear()
        if self._queue_task is None:
            self._queue_task = asyncio.create_task(self._send_queue())

    async def send(self, reply: Reply) -> None:
        """Returns when the frame is on its way.

        Raises:
            ClientGone
        """
        async with self._sending:
            await self._send(reply)

    async def close(self, code: int, reason: str) -> None:
        """The client is told why, behind what it was sent before; then nothing more."""
        async with self._sending:
            if self.is_over:
                return
            self.is_over = True
            with contextlib.suppress(WebSocketDisconnect, OSError, RuntimeError):
                await self._socket.close(code, reason)

    def close_soon(self, code: int, reason: str) -> None:
        """Closes from a task of its own, so that the reader does not wait for the client."""
        if self._closing is None:
            self._closing = asyncio.create_task(self.close(code, reason))

    def end(self) -> None:
        """The client is gone."""
        self.is_over = True
        self._queue.clear()
        if self._closing is not None:
            self._closing.cancel()

    async def _send(self, reply: Reply) -> None:
        if self.is_over:
            raise ClientGone("the connection is closed")
        try:
            await self._socket.send_text(replies.encode(reply))
        except (WebSocketDisconnect, OSError, RuntimeError) as error:
            self.is_over = True
            raise ClientGone("the connection broke", got=error) from error
        if not isinstance(reply, replies.Pong):
            self._on_said()

    async def _send_queue(self) -> None:
        try:
            async with self._sending:
                while self._queue:
                    await self._send(self._queue.popleft())
                    if len(self._queue) < _MOST_QUEUED // 2:
                        self._room.set()
        except ClientGone:
            self._queue.clear()
        finally:
            self._room.set()
            self._queue_task = None
