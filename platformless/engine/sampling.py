"""llama.cpp's samplers, up to the draw.

The stages, in llama.cpp's usual order: penalties over the last `repeat_last_n` tokens of the
context (prompt and completion alike), top-k, top-p, min-p, temperature. They run in C and leave
the candidates with their final logits; `draw.choose` picks among these. Temperature 0 skips all
stages but the penalties and takes the largest logit.

A zero switches a stage off, for `top_p` and `repeat_penalty` too, where llama.cpp's own neutral
value is 1. Top-p and min-p compare probabilities in single precision: which candidates they keep
is reproducible with the same build of llama.cpp.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import llama_cpp
import numpy as np

from ..protocol.digests import Seed
from ..protocol.transcript import Sampler
from .draw import Logits, TokenIds, choose, draw, greedy
from .errors import DecodingFailed, SamplerNotUsable

SMALLEST_TEMPERATURE = 1e-4
_I32_MAX = 2**31 - 1
_CANDIDATE = np.dtype([("id", "<i4"), ("logit", "<f4"), ("p", "<f4")])


def check_sampler(sampler: Sampler) -> None:
    """Raises `SamplerNotUsable` for values without a meaning."""
    fractions = {"top_p": sampler.top_p, "min_p": sampler.min_p}
    for name, value in fractions.items():
        if not 0 <= value <= 1:
            raise SamplerNotUsable(f"{name} out of range", expected="0 to 1", got=value)
    if sampler.temperature and not sampler.temperature >= np.float32(SMALLEST_TEMPERATURE):
        raise SamplerNotUsable(
            "temperature out of range",
            expected=f"0 (greedy), or at least {SMALLEST_TEMPERATURE}",
            got=sampler.temperature,
        )
    if sampler.repeat_penalty < 0:
        raise SamplerNotUsable(
            "repeat_penalty out of range", expected="0 (off) or more", got=sampler.repeat_penalty
        )


class TokenSampler:
    """Chooses the tokens of one generation. Close it: it owns memory of llama.cpp."""

    def __init__(
        self,
        vocabulary_size: int,
        context_size: int,
        sampler: Sampler,
        seed: Seed,
        context: Sequence[int],
    ) -> None:
        self._sampler = sampler
        self._seed = seed
        # llama.cpp reserves memory for the window: it never needs more than the context.
        window = min(sampler.repeat_last_n, context_size)
        stages = _stages(vocabulary_size, window, sampler)
        self._chain: Any = None
        if not stages:
            return
        self._chain = llama_cpp.llama_sampler_chain_init(
            llama_cpp.llama_sampler_chain_default_params()
        )
        for stage in stages:
            llama_cpp.llama_sampler_chain_add(self._chain, stage)
        if window:
            for token in context[-window:]:
                self.accept(token)
        self._candidates = np.zeros(vocabulary_size, _CANDIDATE)
        self._ids = np.arange(vocabulary_size, dtype=np.int32)

    def candidates(self, logits: Logits) -> tuple[TokenIds, Logits]:
        """Token ids and final logits of those that are left."""
        rows = self._candidates
        rows["id"] = self._ids
        rows["logit"] = logits
        rows["p"] = 0
        array = llama_cpp.llama_token_data_array(
            data=rows.ctypes.data_as(llama_cpp.llama_token_data_p),
            size=len(rows),
            selected=-1,
            sorted=False,
        )
        llama_cpp.llama_sampler_apply(self._chain, ctypes.byref(array))
        # A stage may have put a buffer of its own in the place of ours.
        address = ctypes.cast(array.data, ctypes.c_void_p).value or 0
        memory = (ctypes.c_uint8 * (array.size * _CANDIDATE.itemsize)).from_address(address)
        left = np.frombuffer(memoryview(memory), _CANDIDATE)
        return left["id"].copy(), left["logit"].copy()

    def choose(self, logits: Logits, position: int) -> int:
        """The token at `position`, given the model's logits for it."""
        if self._chain is None:
            token = greedy(logits)
            if np.isnan(logits[token]):
                raise DecodingFailed("the model's logits are not numbers")
            return token
        ids, final = self.candidates(logits)
        if not np.isfinite(final.max(initial=-np.inf)):
            raise DecodingFailed("the model's logits are not numbers")
        if self._sampler.temperature == 0:
            largest: int = ids[final == final.max()].min()
            return int(largest)
        return choose(ids, final, draw(self._seed, position))

    def accept(self, token: int) -> None:
        """Tells the penalties of a token that was produced."""
        if self._chain is not None:
            llama_cpp.llama_sampler_accept(self._chain, token)

    def close(self) -> None:
        if self._chain is not None:
            llama_cpp.llama_sampler_free(self._chain)
            self._chain = None


def _stages(vocabulary_size: int, window: int, sampler: Sampler) -> list[Any]:
    stages = []
    penalty = sampler.repeat_penalty or 1.0
    penalised = penalty != 1.0 or sampler.frequency_penalty or sampler.presence_penalty
    if window and penalised:
        stages.append(
            llama_cpp.llama_sampler_init_penalties(
                vocabulary_size,
                window,
                penalty,
                sampler.frequency_penalty,
                sampler.presence_penalty,
            )
        )
    if sampler.temperature == 0:
        return stages
    if sampler.top_k:
        stages.append(llama_cpp.llama_sampler_init_top_k(min(sampler.top_k, _I32_MAX)))
    if 0 < sampler.top_p < 1:
        stages.append(llama_cpp.llama_sampler_init_top_p(sampler.top_p, 1))
    if sampler.min_p > 0:
        stages.append(llama_cpp.llama_sampler_init_min_p(sampler.min_p, 1))
    stages.append(llama_cpp.llama_sampler_init_temp(sampler.temperature))
    return stages
