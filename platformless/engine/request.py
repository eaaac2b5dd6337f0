"""What the engine is asked for, and what it answers, step by step."""

from __future__ import annotations

import enum
from collections.abc import Hashable
from dataclasses import dataclass, field

from ..protocol.digests import Seed
from ..protocol.transcript import NO_SAMPLER, Sampler


class FinishReason(enum.StrEnum):
    STOP = "stop"  # the model ended its answer, or a stop string came
    LENGTH = "length"  # the request's limit or the context was reached
    CANCELLED = "cancelled"  # by the caller, or the reader stayed away too long


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """One answer to generate."""

    prompt: tuple[int, ...]
    """All tokens of the context, from its beginning."""
    sampler: Sampler = NO_SAMPLER
    """Temperature 0 is greedy; a zero anywhere else switches that stage off."""
    seed: Seed = field(default_factory=Seed.zero)
    max_tokens: int | None = None
    """None: until the context is full."""
    stop: tuple[str, ...] = ()
    conversation: Hashable | None = None
    """Who asks: requests of one conversation share what is decoded already, and take turns with
    other conversations in line. None: a conversation of its own."""
    first_position: int | None = None
    """Position of the first generated token for the draw; None: the length of the prompt."""


@dataclass(frozen=True, slots=True)
class GeneratedToken:
    """One token, billed as one whatever its text is."""

    position: int
    """The position that its draw used."""
    token: int
    text: str
    """Text that is certain since this token; empty while a character or a possible stop string
    is incomplete."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The last step of every generation that does not fail."""

    reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    reused_tokens: int
    """Prompt tokens that were in the cache already."""
    text: str
    """What was still held back; belongs behind the text of the last token."""
    end_token: int | None = None
    """The end-of-generation token that the model chose; not among the completion tokens."""


Step = GeneratedToken | Finished
