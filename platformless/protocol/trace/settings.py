"""How llama.cpp was run when a trace was made: what its bits depend on, and what a claim names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..canonical import compact
from ..digests import FixedBytes, tagged_sha256
from ..errors import ValueOutOfRange
from ..words import U32_MAX, in_range

_LONGEST_TEXT = 64


class TraceSettingsDigest(FixedBytes):
    """Digest of the settings of a trace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSettings:
    """The settings of llama.cpp under which a trace was made.

    Raises:
        ValueOutOfRange: for a number or a text that says nothing.
    """

    llama_build: str
    """The build, as `engine.build.llama_build` names it."""
    product_lanes: int
    """f32 lanes of the products of attention: 8 with AVX2, 16 with AVX-512."""
    threads: int = 1
    ubatch_tokens: int = 512
    """Tokens computed at once (llama.cpp's n_ubatch)."""
    flash_attention: bool = False
    kv_type: str = "f16"
    """Number format of the attention cache."""
    gpu_layers: int = 0
    VERSION: ClassVar[int] = 1

    def __post_init__(self) -> None:
        for name in ("product_lanes", "threads", "ubatch_tokens"):
            if in_range(name, getattr(self, name), U32_MAX) == 0:
                raise ValueOutOfRange(f"{name} of a trace", expected="at least 1", got=0)
        in_range("gpu_layers", self.gpu_layers, U32_MAX)
        for name in ("llama_build", "kv_type"):
            text = getattr(self, name)
            if not text or len(text) > _LONGEST_TEXT:
                raise ValueOutOfRange(
                    f"{name} of a trace", expected=f"1 to {_LONGEST_TEXT} characters", got=text
                )

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.VERSION,
            "llama_build": self.llama_build,
            "product_lanes": self.product_lanes,
            "threads": self.threads,
            "ubatch_tokens": self.ubatch_tokens,
            "flash_attention": self.flash_attention,
            "kv_type": self.kv_type,
            "gpu_layers": self.gpu_layers,
        }

    def encode(self) -> bytes:
        """The one spelling that is hashed: canonical JSON."""
        return compact(self.to_json())

    @property
    def digest(self) -> TraceSettingsDigest:
        return TraceSettingsDigest(tagged_sha256("trace-settings", self.encode()))
