"""How a host's engine was set while it answered: what a replay must know to repeat it.

It stands in deltas, whose digest the proven claim carries, and in what the client is told; so a
host is bound to what it said before anybody replays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Self

from msgspec import Meta, Struct

from .errors import ValueOutOfRange
from .words import U32_MAX, in_range

_LONGEST_TEXT = 64


class EngineRecordFields(Struct, frozen=True):
    """A record as JSON. Unknown fields are passed over."""

    llama_cpp: Annotated[str, Meta(max_length=_LONGEST_TEXT)]
    gpu_layers: int
    threads: int
    batch_tokens: int
    sequences: int
    kv_type: Annotated[str, Meta(max_length=_LONGEST_TEXT)]
    flash_attention: bool

    @classmethod
    def of(cls, record: EngineRecord) -> EngineRecordFields:
        return cls(**record.to_json())


@dataclass(frozen=True, slots=True)
class EngineRecord:
    """The settings of llama.cpp that its arithmetic depends on.

    Raises:
        ValueOutOfRange: for a number or a text that says nothing.
    """

    llama_cpp: str
    """Version of llama.cpp's Python package and of the build, as the engine reports it."""
    gpu_layers: int
    """Layers on a GPU; negative: all."""
    threads: int
    """Threads for a token that is decoded alone; how many others take changes no bit."""
    batch_tokens: int
    """Most tokens decoded in one call (llama.cpp's n_ubatch)."""
    sequences: int
    """Generations that may be decoded in one call."""
    kv_type: str
    """Number format of the attention cache: f16, q8_0 or f32."""
    flash_attention: bool

    def __post_init__(self) -> None:
        for name in ("threads", "batch_tokens", "sequences"):
            value = in_range(name, getattr(self, name), U32_MAX)
            if value == 0:
                raise ValueOutOfRange(f"{name} of an engine", expected="at least 1", got=value)
        if not -1 <= self.gpu_layers <= U32_MAX:
            raise ValueOutOfRange("gpu_layers", expected="-1 or more", got=self.gpu_layers)
        for name in ("llama_cpp", "kv_type"):
            text = getattr(self, name)
            if not text or len(text) > _LONGEST_TEXT:
                raise ValueOutOfRange(
                    f"{name} of an engine", expected=f"1 to {_LONGEST_TEXT} characters", got=text
                )

    @classmethod
    def of(cls, fields: EngineRecordFields) -> Self:
        return cls(**{name: getattr(fields, name) for name in fields.__struct_fields__})

    def to_json(self) -> dict[str, Any]:
        return {
            "llama_cpp": self.llama_cpp,
            "gpu_layers": self.gpu_layers,
            "threads": self.threads,
            "batch_tokens": self.batch_tokens,
            "sequences": self.sequences,
            "kv_type": self.kv_type,
            "flash_attention": self.flash_attention,
        }
