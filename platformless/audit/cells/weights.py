"""What a check needs of the model: single rows of its tensors, and the numbers of its header."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from ...engine.gguf_header import GgufHeader, TensorPlace, read_header
from ...protocol.arithmetic.blocks import WeightRows, WeightType, weight_rows
from ...protocol.arithmetic.rope import Rope, RopeStyle, angle_scale
from ...protocol.arithmetic.rounding import Singles
from .errors import ForeignWeights

_TYPES = {20: WeightType.Q4_1, 34: WeightType.Q8_0}
"""By the bytes of 32 values: the types that can be traced."""
_F32_BYTES = 4
_BLOCK = 32
_FREQUENCY_BASE = 10_000.0
"""llama.cpp's, where the file names none."""
TOKEN_TABLE = "token_embd"  # noqa: S105 - no password


@dataclass(frozen=True, slots=True)
class ModelNumbers:
    """Numbers of a llama model that the arithmetic uses."""

    epsilon: np.float32
    """Of the norms."""
    rope: Rope
    score_scale: np.float32
    """What scores are multiplied by before the softmax."""


class Weights(Protocol):
    """Rows of the registered model. Every method raises `ForeignWeights` when there are none."""

    @property
    def numbers(self) -> ModelNumbers: ...

    @property
    def output(self) -> str:
        """The tensor that the logits are a product with."""

    def row(self, tensor: str, number: int, values: int) -> WeightRows:
        """One row of a quantised matrix."""

    def vector(self, tensor: str, values: int) -> Singles:
        """The weights of a norm."""


class FileWeights:
    """The weights of a GGUF file; rows are read when they are asked for.

    That it is the registered file is for the caller to see (`engine.weights.weights_of`).

    Raises:
        ModelNotFound, ModelUnreadable, NotGguf: see `engine.gguf_header.read_header`.
        ForeignWeights: when the header lacks a number of a llama model.
    """

    def __init__(self, path: Path) -> None:
        header = read_header(path)
        self._places = {place.name: place for place in header.tensors}
        self._file = np.memmap(path, np.uint8, "r")
        self._numbers = _numbers(header)

    @property
    def numbers(self) -> ModelNumbers:
        return self._numbers

    @property
    def output(self) -> str:
        return "output" if "output.weight" in self._places else TOKEN_TABLE

    def row(self, tensor: str, number: int, values: int) -> WeightRows:
        place = self._place(tensor)
        per_block, rest = divmod(place.row_bytes * _BLOCK, values)
        if rest or per_block not in _TYPES or not 0 <= number < place.rows:
            raise ForeignWeights(
                f"no such row of {tensor}",
                expected=f"row {number} of {values} values, Q4_1 or Q8_0",
                got=f"{place.rows} rows of {place.row_bytes} bytes",
            )
        start = place.offset + number * place.row_bytes
        data = self._file[start : start + place.row_bytes].tobytes()
        return weight_rows(_TYPES[per_block], data, values)

    def vector(self, tensor: str, values: int) -> Singles:
        place = self._place(tensor)
        if place.row_bytes != _F32_BYTES * values or place.rows != 1:
            raise ForeignWeights(
                f"{tensor} is no vector of that length",
                expected=f"{values} values",
                got=f"{place.rows} rows of {place.row_bytes} bytes",
            )
        return np.frombuffer(self._file[place.offset : place.end].tobytes(), "<f4")

    def _place(self, tensor: str) -> TensorPlace:
        try:
            return self._places[f"{tensor}.weight"]
        except KeyError:
            raise ForeignWeights("the model has no such tensor", expected=tensor) from None


def _numbers(header: GgufHeader) -> ModelNumbers:
    facts = header.properties
    wide, heads, epsilon = (
        facts.get(f"llama.{name}")
        for name in (
            "embedding_length",
            "attention.head_count",
            "attention.layer_norm_rms_epsilon",
        )
    )
    base = facts.get("llama.rope.freq_base", _FREQUENCY_BASE)
    if not (
        isinstance(wide, int)
        and isinstance(heads, int)
        and heads > 0
        and isinstance(epsilon, float)
        and isinstance(base, float)
    ):
        raise ForeignWeights("the file is of no llama model", got=header.text("general.name"))
    size = wide // heads
    return ModelNumbers(
        np.float32(epsilon),
        Rope(RopeStyle.NORMAL, size, angle_scale(np.float32(base), size)),
        np.float32(1 / np.sqrt(np.float32(size))),
    )
