"""The sampler that a request asks for: what clients send, with the node's defaults for the rest.

One function for the node, which draws so, and for the client, which checks that it did.
"""

from __future__ import annotations

from typing import TypeVar

from .transcript import Sampler

DEFAULT_TEMPERATURE = 0.7
DEFAULT_TOP_K = 40
DEFAULT_TOP_P = 0.95
DEFAULT_MIN_P = 0.05
PENALTY_WINDOW = 64
"""Tokens that a repeat penalty looks back on."""
_Value = TypeVar("_Value")


def asked_sampler(
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repeat_penalty: float | None = None,
) -> Sampler:
    """How the tokens of an answer are drawn. Temperature 0 is greedy, with no other stage; a
    repeat penalty of 1 is none.

    Raises:
        ValueOutOfRange: for a parameter that no sampler can have.
    """
    warmth = _or(temperature, DEFAULT_TEMPERATURE)
    penalty = _or(repeat_penalty, 1.0)
    penalties = (penalty, PENALTY_WINDOW) if penalty != 1.0 else (0.0, 0)
    if warmth == 0:
        return Sampler(repeat_penalty=penalties[0], repeat_last_n=penalties[1])
    return Sampler(
        temperature=warmth,
        top_k=_or(top_k, DEFAULT_TOP_K),
        top_p=_or(top_p, DEFAULT_TOP_P),
        min_p=_or(min_p, DEFAULT_MIN_P),
        repeat_penalty=penalties[0],
        repeat_last_n=penalties[1],
    )


def _or(value: _Value | None, otherwise: _Value) -> _Value:
    return otherwise if value is None else value
