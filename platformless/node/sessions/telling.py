"""What the log says of sessions: numbers and who pays, never what was said."""

from __future__ import annotations

import logging

from ...protocol.transcript import Tokens
from .answering import AnswerEnd
from .live import LiveSession

log = logging.getLogger(__name__)


def tell_taken_up(session: LiveSession) -> None:
    """A client, or this process at its start, uses the session from now on."""
    tokens = 0 if session.state is None else session.state.tokens
    client, left = str(session.admitted.session.client), session.tokens_left
    log.info(
        "session %d is taken up: client %s, %d tokens so far, %d more are paid for",
        *(session.id, client, tokens, left),
        extra={"session": session.id, "client": client, "tokens": tokens, "tokens_left": left},
    )


def tell_answered(session: LiveSession, end: AnswerEnd) -> None:
    log.debug(
        "session %d: %d tokens answered in %d ms (%s)",
        *(session.id, end.completion_tokens, end.milliseconds, end.reason),
        extra={
            "session": session.id,
            "tokens": end.completion_tokens,
            "prompt_tokens": end.prompt_tokens,
        },
    )


def tell_ended(session: LiveSession, tokens: Tokens, unclaimed: int) -> None:
    """The transcript has its end, and is settled next."""
    log.info(
        "session %d has ended: %d tokens, %d of them unclaimed",
        *(session.id, tokens, unclaimed),
        extra={"session": session.id, "tokens": tokens, "unclaimed": unclaimed},
    )
