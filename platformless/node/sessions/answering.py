"""Answers: what a prompt asks for, and how an answer ends. Values, and what reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

from ...engine.request import FinishReason
from ...protocol.errors import ProtocolError
from ...protocol.frames import PromptRequest
from ...protocol.replies import Usage
from ...protocol.seed import SeedPart
from ...protocol.transcript import Sampler
from ...protocol.update import TranscriptUpdate
from ..errors import RequestRefused

DEFAULT_MAX_TOKENS = 4000
DEFAULT_TEMPERATURE = 0.7
_TOP_K = 40
_TOP_P = 0.95
_MIN_P = 0.05
_PENALTY_WINDOW = 64
_Value = TypeVar("_Value")


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
    temperature = _or(request.temperature, DEFAULT_TEMPERATURE)
    penalty = _or(request.repeat_penalty, 1.0)
    try:
        penalties = (penalty, _PENALTY_WINDOW) if penalty != 1.0 else (0.0, 0)
        if temperature == 0:
            return Sampler(repeat_penalty=penalties[0], repeat_last_n=penalties[1])
        return Sampler(
            temperature=temperature,
            top_k=_or(request.top_k, _TOP_K),
            top_p=_or(request.top_p, _TOP_P),
            min_p=_or(request.min_p, _MIN_P),
            repeat_penalty=penalties[0],
            repeat_last_n=penalties[1],
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


def _or(value: _Value | None, otherwise: _Value) -> _Value:
    return otherwise if value is None else value
