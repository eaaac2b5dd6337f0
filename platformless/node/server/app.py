"""The node's server as an ASGI application."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute
from starlette.types import Lifespan

from ..guard.admission import AdmissionMiddleware
from ..guard.guard import Guard
from .challenges import ChallengeEndpoints
from .checkpoints import CheckpointEndpoints
from .replies import REQUEST_ID_HEADER, ErrorReplies
from .status import StatusEndpoints

_VISIBLE_HEADERS = ["Retry-After", REQUEST_ID_HEADER]


def node_app(
    status: StatusEndpoints,
    challenges: ChallengeEndpoints,
    checkpoints: CheckpointEndpoints,
    *,
    chain_id: int,
    more_routes: Sequence[BaseRoute] = (),
    guard: Guard | None = None,
    lifespan: Lifespan[Starlette] | None = None,
) -> Starlette:
    """Every endpoint. Pages of any origin may use them: clients are web pages, and what they may
    do is decided by keys and signatures, never by cookies.

    Args:
        chain_id: Named in errors.
        more_routes: The WebSocket and inference.
        guard: Asked before anything is done for a client; None: everyone is let in.
        lifespan: Starts and ends with the server.
    """
    return Starlette(
        routes=[
            *status.routes(),
            *challenges.routes(),
            *checkpoints.routes(),
            *more_routes,
        ],
        middleware=[
            Middleware(
                CORSMiddleware,
                allow_origins=["*"],
                allow_methods=["*"],
                allow_headers=["*"],
                expose_headers=_VISIBLE_HEADERS,
            ),
            *(
                []
                if guard is None
                else [Middleware(AdmissionMiddleware, guard=guard, chain_id=chain_id)]
            ),
        ],
        exception_handlers=ErrorReplies(chain_id).handlers(),
        lifespan=lifespan,
    )
