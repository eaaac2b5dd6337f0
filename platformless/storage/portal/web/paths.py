"""Blobs by path: the interface of the bridge that hosts of the marketplace write through."""

from __future__ import annotations

import secrets
import time
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..contents import Contents
from ..errors import BadRequest
from ..paths import checked
from .access import Access
from .blobs import receive_blob
from .bodies import in_thread
from .replies import json_reply
from .serving import serve_blob

_ACCOUNT = "embedded"


class PathEndpoints:
    """PUT, GET, HEAD and DELETE /s5/fs/…"""

    def __init__(self, contents: Contents, access: Access) -> None:
        self._blobs = contents.blobs
        self._paths = contents.paths
        self._stall_seconds = contents.settings.stall_seconds
        self._access = access

    def routes(self) -> list[Route]:
        address = "/s5/fs/{path:path}"
        read, write = self._access.reading, self._access.writing
        return [
            Route(address, read(self.get), methods=["GET", "HEAD"]),
            Route(address, write(self.put), methods=["PUT"]),
            Route(address, write(self.delete), methods=["DELETE"]),
        ]

    async def put(self, request: Request) -> Response:
        """Stores the body, then lets the path stand for it."""
        started = time.monotonic()
        path = checked(request.path_params["path"])
        if request.headers.get("content-length") == "0":
            raise BadRequest("an empty body", expected="at least one byte", got=0)
        blob = await receive_blob(request, self._blobs, self._stall_seconds)
        if blob.size == 0:
            raise BadRequest("an empty body", expected="at least one byte", got=0)
        await in_thread(self._paths.set, path, blob)
        return json_reply(
            {
                "success": True,
                "path": path,
                "size": blob.size,
                "cid": str(blob),
                "networkUploaded": True,
                "debug": {
                    "requestId": secrets.token_hex(8),
                    "uploadDurationMs": round((time.monotonic() - started) * 1000),
                    "portalAccount": _ACCOUNT,
                    "rawHashHex": blob.hash.value.hex(),
                },
            },
            201,
        )

    async def get(self, request: Request) -> Response:
        path = request.path_params["path"]
        blob = await in_thread(self._paths.get, path)
        headers = {"x-s5-path": quote(path), "cache-control": "no-cache"}
        return await serve_blob(request, self._blobs, blob.hash, headers)

    async def delete(self, request: Request) -> Response:
        """The path stands for nothing; its blob stays."""
        await in_thread(self._paths.delete, request.path_params["path"])
        return Response(status_code=204)
