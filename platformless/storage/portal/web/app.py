"""The portal as an ASGI application."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from .... import __version__
from ....errors import PlatformlessError
from ..contents import Contents
from .access import Access
from .blobs import BlobEndpoints
from .paths import PathEndpoints
from .registry import RegistryEndpoints
from .replies import error_reply, failed, json_reply, no_endpoint, nobody_listens
from .tus import TusEndpoints

SERVICE = "s5-portal"
_VISIBLE_HEADERS = [
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Length",
    "Content-Range",
    "ETag",
    "Location",
    "Tus-Extension",
    "Tus-Max-Size",
    "Tus-Resumable",
    "Tus-Version",
    "Upload-Expires",
    "Upload-Length",
    "Upload-Offset",
    "X-S5-Path",
]


def portal_app(contents: Contents) -> Starlette:
    """Every endpoint over one folder's contents."""
    access = Access(contents.settings)
    blobs = BlobEndpoints(contents, access)
    about = AboutEndpoints(contents)
    return Starlette(
        routes=[
            *TusEndpoints(contents, access).routes(),
            *blobs.routes(),
            *PathEndpoints(contents, access).routes(),
            *RegistryEndpoints(contents, access).routes(),
            *about.routes(),
            *blobs.last_routes(),
        ],
        middleware=[
            Middleware(
                CORSMiddleware,
                allow_origins=["*"],
                allow_methods=["*"],
                allow_headers=["*"],
                expose_headers=_VISIBLE_HEADERS,
            ),
        ],
        exception_handlers={
            PlatformlessError: error_reply,
            HTTPException: no_endpoint,
            ClientDisconnect: nobody_listens,
            Exception: failed,
        },
    )


class AboutEndpoints:
    """GET /, /health and /s5/version: open to anyone."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents

    def routes(self) -> list[Route]:
        return [
            Route("/", self.about, methods=["GET"]),
            Route("/health", self.health, methods=["GET"]),
            Route("/s5/version", self.version, methods=["GET"]),
        ]

    async def about(self, _request: Request) -> Response:
        return json_reply({"service": SERVICE, "version": __version__, "health": "/health"})

    async def health(self, request: Request) -> Response:
        """With the fields that clients of the bridge look for; there is no network of peers."""
        return json_reply(
            {
                "status": "ok",
                "service": SERVICE,
                "timestamp": datetime.now(UTC).isoformat(),
                "initialized": True,
                "connected": True,
                "peerCount": 0,
                "activeDirLocks": 0,
                "portal": str(request.base_url).rstrip("/"),
                "usedBytes": self._contents.blobs.space.used_bytes,
                "quotaBytes": self._contents.settings.quota_bytes,
            },
            headers={"cache-control": "no-store"},
        )

    async def version(self, _request: Request) -> Response:
        return json_reply({"node": SERVICE, "version": __version__})
