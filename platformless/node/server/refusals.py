"""Errors as a client hears them on the WebSocket: a code, and what it can know."""

from __future__ import annotations

import logging

from ...chain.errors import ChainError
from ...engine.errors import EngineStopped, QueueFull, RequestError, TokenLimitExceeded
from ...errors import PlatformlessError
from ...protocol.errors import EnvelopeBroken, FrameRefused, ProtocolError
from ...protocol.replies import ErrorReply, MessageId
from ...prover.ledger.errors import LedgerError
from ..errors import SessionError
from ..guard.errors import GuardError

log = logging.getLogger(__name__)

_CODES: tuple[tuple[type[PlatformlessError], str], ...] = (
    (EnvelopeBroken, "DECRYPTION_FAILED"),
    (ProtocolError, "INVALID_MESSAGE"),
    (TokenLimitExceeded, "TOKEN_LIMIT_EXCEEDED"),
    (QueueFull, "NODE_BUSY"),
    (RequestError, "INVALID_REQUEST"),
)
"""Errors whose text is for the client; the first class that fits counts."""

_HIDDEN: tuple[tuple[type[PlatformlessError], str, str], ...] = (
    (EngineStopped, "ENGINE_STOPPED", "the model stopped; try again in a moment"),
    (ChainError, "CHAIN_UNAVAILABLE", "the chain cannot be asked at the moment; try again"),
    (LedgerError, "LEDGER_UNAVAILABLE", "the node cannot keep what it streams at the moment"),
)
"""Errors whose text may name what no client should know."""


def refusal(
    error: Exception, *, session_id: int | None = None, reply_to: MessageId = None
) -> ErrorReply:
    """The frame for an error; one that nobody foresaw is logged and not told."""
    session = None if session_id is None else str(session_id)
    for kind, hidden_code, message in _HIDDEN:
        if isinstance(error, kind):
            log.warning("session %s: %s", session, error, extra={"session": session_id})
            return ErrorReply(code=hidden_code, message=message, session_id=session, id=reply_to)
    code = _code(error)
    if code is None or not isinstance(error, PlatformlessError):
        log.error(
            "session %s: an unforeseen error",
            session,
            exc_info=error,
            extra={"session": session_id},
        )
        return ErrorReply(
            code="INTERNAL_ERROR", message="the node failed", session_id=session, id=reply_to
        )
    limit = error if isinstance(error, TokenLimitExceeded) else None
    guarded = error if isinstance(error, GuardError) else None
    return ErrorReply(
        code=code,
        message=_text(error),
        session_id=session,
        id=reply_to,
        prompt_tokens=limit.prompt_tokens if limit else None,
        context_window_size=limit.context_size if limit else None,
        retry_after=guarded.retry_after if guarded else None,
    )


def _code(error: Exception) -> str | None:
    if isinstance(error, SessionError | FrameRefused):
        return error.wire_code
    return next((code for kind, code in _CODES if isinstance(error, kind)), None)


def _text(error: PlatformlessError) -> str:
    parts = [error.message]
    if error.expected is not None:
        parts.append(f"expected {error.expected}")
    if error.got is not None:
        parts.append(f"got {error.got}")
    return "; ".join(parts) + (f" ({error.advice})" if error.advice else "")
