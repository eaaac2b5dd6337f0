"""`GET /v1/checkpoints/{session_id}`: a session's signed index, as it is published.

Anyone may read it. What the index names is sealed for the client, if the client gave a key.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ...protocol.errors import ProtocolError
from ...protocol.index import SignedIndex
from .bodies import session_number
from .errors import AnswerFailed
from .replies import json_reply

_NO_STORE = {"cache-control": "no-store"}


class Indexes(Protocol):
    """Who knows the indexes, such as `PublicationFolder`. Called in a thread; may block."""

    def index(self, session_id: int) -> SignedIndex | None: ...


class NoCheckpoints(Struct, frozen=True):
    """The answer before the first checkpoint, in the existing node's words."""

    error: str


class CheckpointEndpoints:
    """The index over HTTP."""

    def __init__(self, indexes: Indexes) -> None:
        self._indexes = indexes

    def routes(self) -> list[Route]:
        return [Route("/v1/checkpoints/{session_id}", self.index, methods=["GET"])]

    async def index(self, request: Request) -> Response:
        session_id = session_number("session id", request.path_params["session_id"])
        data = await asyncio.to_thread(self._published, session_id)
        if data is None:
            missing = NoCheckpoints(f"No checkpoints found for session {session_id}")
            return json_reply(missing, 404, _NO_STORE)
        return Response(data, headers=_NO_STORE, media_type="application/json")

    def _published(self, session_id: int) -> bytes | None:
        """Raises:
        AnswerFailed: when the file on this machine cannot be read.
        """
        try:
            index = self._indexes.index(session_id)
        except (OSError, ProtocolError) as error:
            raise AnswerFailed(
                f"the index of session {session_id} cannot be read", got=str(error)
            ) from error
        return None if index is None else index.encode()
