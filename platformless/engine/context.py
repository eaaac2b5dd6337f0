"""llama.cpp's context: the attention cache of several sequences, and the decoding of tokens.

Every sequence has a cache of its own (`kv_unified` off). Prompts of different sequences are never
decoded in one call, and a call that decodes one token of each of several sequences does for each
what it would do for that sequence alone: this is what makes the logits of a sequence independent
of its neighbours, bit for bit, on the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import llama_cpp
import numpy as np

from .draw import Logits
from .errors import ContextNotCreated, DecodingFailed
from .model import Model, last_complaints
from .settings import EngineSettings, KvType

_KV_TYPES = {
    KvType.F32: llama_cpp.GGML_TYPE_F32,
    KvType.F16: llama_cpp.GGML_TYPE_F16,
    KvType.Q8_0: llama_cpp.GGML_TYPE_Q8_0,
}


class Context:
    """Used by one thread at a time."""

    def __init__(self, model: Model, settings: EngineSettings) -> None:
        trained = model.trained_context
        wanted = min(settings.context_tokens or trained, trained)
        self._vocabulary_size = model.vocabulary.size
        self._capacity = settings.batch_tokens
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = wanted * settings.sequences
        parameters.n_batch = parameters.n_ubatch = self._capacity
        parameters.n_seq_max = settings.sequences
        # llama.cpp takes the first for calls of one token, the second for all others.
        parameters.n_threads = settings.lone_thread_count
        parameters.n_threads_batch = settings.thread_count
        parameters.flash_attn_type = (
            llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED
            if settings.flash_attention
            else llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        )
        parameters.type_k = parameters.type_v = _KV_TYPES[settings.kv_type]
        parameters.kv_unified = False
        parameters.no_perf = True
        last_complaints.clear()
        self._handle: Any = llama_cpp.llama_init_from_model(model.handle, parameters)
        if not self._handle:
            raise ContextNotCreated(
                "llama.cpp cannot set up the context",
                expected=f"{settings.sequences} sequences of {wanted} tokens",
                got="; ".join(last_complaints) or None,
            )
        self._memory = llama_cpp.llama_get_memory(self._handle)
        self.context_size = min(wanted, llama_cpp.llama_n_ctx_seq(self._handle))
        """Tokens that one sequence can hold."""
        self._batch = llama_cpp.llama_batch_init(self._capacity, 0, 1)

    def decode_prompt(
        self, sequence: int, tokens: Sequence[int], start: int, *, want_logits: bool
    ) -> None:
        """Decodes consecutive tokens of one sequence; the logits asked for are the last one's."""
        marked = [False] * (len(tokens) - 1) + [want_logits]
        self.decode_marked(sequence, tokens, start, marked)

    def decode_marked(
        self, sequence: int, tokens: Sequence[int], start: int, marked: Sequence[bool]
    ) -> None:
        """Decodes consecutive tokens of one sequence; those `marked` have logits."""
        for row, (token, wanted) in enumerate(zip(tokens, marked, strict=True)):
            self._put(row, token, start + row, sequence, wanted)
        self._run(len(tokens))

    def decode_step(self, rows: Sequence[tuple[int, int, int]]) -> None:
        """Decodes one token each of several sequences: (sequence, token, position)."""
        for row, (sequence, token, position) in enumerate(rows):
            self._put(row, token, position, sequence, True)
        self._run(len(rows))

    def logits(self, row: int) -> Logits:
        """Logits of the row-th token of the last call; valid until the next call."""
        pointer = llama_cpp.llama_get_logits_ith(self._handle, row)
        if not pointer:
            raise DecodingFailed("llama.cpp gave no logits", got=f"row {row}")
        logits: Logits = np.ctypeslib.as_array(pointer, (self._vocabulary_size,))
        return logits

    def keep(self, sequence: int, tokens: int) -> int:
        """Forgets all but the first `tokens` of a sequence; returns how many it kept: none, where
        the model's memory cannot be cut."""
        if tokens and llama_cpp.llama_memory_seq_rm(self._memory, sequence, tokens, -1):
            return tokens
        llama_cpp.llama_memory_seq_rm(self._memory, sequence, -1, -1)
        return 0

    def close(self) -> None:
        if self._handle:
            llama_cpp.llama_batch_free(self._batch)
            llama_cpp.llama_free(self._handle)
            self._handle = None

    def _put(self, row: int, token: int, position: int, sequence: int, logits: bool) -> None:
        batch = self._batch
        batch.token[row] = token
        batch.pos[row] = position
        batch.n_seq_id[row] = 1
        batch.seq_id[row][0] = sequence
        batch.logits[row] = logits

    def _run(self, rows: int) -> None:
        self._batch.n_tokens = rows
        status = llama_cpp.llama_decode(self._handle, self._batch)
        if status != 0:
            raise DecodingFailed(
                "llama.cpp failed to decode", got="; ".join((f"status {status}", *last_complaints))
            )
