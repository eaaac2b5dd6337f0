"""Answers: what a prompt asks for, and how an answer ends. Values, and what reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ...engine.request import FinishReason
from ...protocol.errors import ProtocolError
from ...protocol.frames import PromptRequest
from ...protocol.replies import Usage
from ...protocol.sampling import asked_sampler
from ...protocol.seed import SeedPart
from ...protocol.transcript import Sampler
from ...protocol.update import TranscriptUpdate
from ..errors import RequestRefused

DEFAULT_MAX_TOKENS = 4000


class AnswerOutput(Protocol):
    """Where an answer goes. Raises `ClientGone` when nobody is there."""

    async def position(self, place: int) -> None:
        """So many requests are before this one."""

    async def piece(self, text: str, tokens: int) -> None:
        """Text of so many tokens; returns when it is on its way to the client."""


@dataclass(frozen=True, slots=True)
class AnswerEnd:
    """How an answer ended."""

    finish: FinishReason
    reason: str
    """complete, cancelled, deposit_used_up or shutting_down."""
    message: str | None
    """For a person, unless the answer is complete."""
    prompt_tokens: int
    """Tokens that the model read, those of earlier turns included."""
    completion_tokens: int
    """Tokens that were streamed."""
    context_size: int
    milliseconds: int
    update: TranscriptUpdate
    update_bytes: int
    """What it takes as JSON, about."""

    @property
    def usage(self) -> Usage:
        """The tokens as clients are told them."""
        return Usage(
            self.prompt_tokens,
            self.completion_tokens,
            self.prompt_tokens + self.completion_tokens,
            self.context_size,
        )


def sampler_of(request: PromptRequest) -> Sampler:
    """How the answer's tokens are drawn. Temperature 0 is greedy, with no other stage.

    Raises:
        RequestRefused: for a parameter that no sampler can have.
    """
    try:
        return asked_sampler(
            request.temperature,
            request.top_k,
            request.top_p,
            request.min_p,
            request.repeat_penalty,
        )
    except ProtocolError as error:
        raise RequestRefused(error.message, expected=error.expected, got=error.got) from error


def client_part(request: PromptRequest) -> SeedPart:
    """The client's part of the seed; zero when it names none.

    Raises:
        RequestRefused: when it is not 32 bytes in hex.
    """
    if request.client_seed is None:
        return SeedPart.zero()
    try:
        return SeedPart.from_hex(request.client_seed)
    except ProtocolError as error:
        raise RequestRefused(error.message, expected=error.expected) from error
