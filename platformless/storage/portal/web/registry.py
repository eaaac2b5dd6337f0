"""The registry over HTTP."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ....decoding import decode_json
from ..contents import Contents
from ..errors import BadEntry, BadRequest
from ..registry import RegistryEntry
from .access import Access
from .bodies import in_thread, small_body
from .names import from_base64url, to_base64url
from .replies import json_reply

_LONGEST_BODY = 4 << 10


class _EntryJson(msgspec.Struct, frozen=True):
    """Byte strings are in base64url."""

    pk: str
    revision: int
    data: str
    signature: str


class RegistryEndpoints:
    """GET and POST /s5/registry"""

    def __init__(self, contents: Contents, access: Access) -> None:
        self._registry = contents.registry
        self._stall_seconds = contents.settings.stall_seconds
        self._access = access

    def routes(self) -> list[Route]:
        return [
            Route("/s5/registry", self._access.reading(self.get), methods=["GET"]),
            Route("/s5/registry", self._access.writing(self.set), methods=["POST"]),
        ]

    async def get(self, request: Request) -> Response:
        key = request.query_params.get("pk")
        if key is None:
            raise BadRequest("no key", expected="the parameter `pk`")
        entry = await in_thread(self._registry.get, from_base64url(key))
        return json_reply(
            {
                "pk": to_base64url(entry.key),
                "revision": entry.revision,
                "data": to_base64url(entry.data),
                "signature": to_base64url(entry.signature),
            },
            headers={"cache-control": "no-cache"},
        )

    async def set(self, request: Request) -> Response:
        body = await small_body(request, _LONGEST_BODY, self._stall_seconds)
        try:
            fields = decode_json(body, _EntryJson)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadEntry(
                "not an entry",
                expected='{"pk", "revision", "data", "signature"}',
                got=str(error)[:80],
            ) from error
        entry = RegistryEntry(
            key=from_base64url(fields.pk),
            revision=fields.revision,
            data=from_base64url(fields.data),
            signature=from_base64url(fields.signature),
        )
        await in_thread(self._registry.set, entry)
        return Response(status_code=204)
