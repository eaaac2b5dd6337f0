"""Whether a replay can be bit-exact: what the host recorded of its engine decides."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...protocol.engine_record import EngineRecord

SMALLEST_EXACT_CHUNK = 2
LARGEST_EXACT_CHUNK = 63
"""llama.cpp's flash attention takes another way from 64 tokens on."""


class ReplayMode(StrEnum):
    EXACT = "exact"
    """The host's logits, bit for bit: no other token is allowed."""
    STATISTICAL = "statistical"
    """The host's logits but for rounding: what an honest host does is known by measurement."""


class WantedMode(StrEnum):
    AUTO = "auto"
    """Exact where the host's settings allow it."""
    EXACT = "exact"
    STATISTICAL = "statistical"


@dataclass(frozen=True, slots=True)
class ModeChoice:
    mode: ReplayMode
    reason: str
    """One clause, for a person."""


def choose_mode(
    wanted: WantedMode, settings: EngineRecord | None, build: str, doubt: str | None = None
) -> ModeChoice:
    """
    Args:
        build: The llama.cpp that replays, as hosts record theirs.
        doubt: Why the settings may not be those of every token.
    """
    if wanted is WantedMode.STATISTICAL:
        return ModeChoice(ReplayMode.STATISTICAL, "asked for")
    obstacle = doubt or obstacle_to_exact(settings, build)
    if wanted is WantedMode.EXACT:
        return ModeChoice(
            ReplayMode.EXACT, (obstacle and f"asked for, although {obstacle}") or "asked for"
        )
    if obstacle:
        return ModeChoice(ReplayMode.STATISTICAL, obstacle)
    return ModeChoice(
        ReplayMode.EXACT, "the host's settings give the same bits, and its build is this one"
    )


def obstacle_to_exact(settings: EngineRecord | None, build: str) -> str | None:
    """Why a replay would not give the host's bits; None when it does. The number of sequences
    does not matter with one thread."""
    if settings is None:
        return "the host's engine settings are not recorded"
    if settings.gpu_layers != 0:
        return f"the host has {_layers(settings.gpu_layers)} on a GPU"
    if not settings.flash_attention:
        return "the host decodes without flash attention"
    if settings.threads != 1:
        return f"the host decodes with {settings.threads} threads"
    if not SMALLEST_EXACT_CHUNK <= settings.batch_tokens <= LARGEST_EXACT_CHUNK:
        return (
            f"the host reads prompts {settings.batch_tokens} tokens at a time, "
            f"not {SMALLEST_EXACT_CHUNK} to {LARGEST_EXACT_CHUNK}"
        )
    if settings.llama_cpp != build:
        return f"the host runs {settings.llama_cpp or 'an unknown build'}, this is {build}"
    return None


def _layers(count: int) -> str:
    return "all layers" if count < 0 else f"{count} layers"
