"""ggml's own functions, called directly on numbers of our choice."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
import numpy.typing as npt

from platformless.protocol.arithmetic.blocks import WeightType
from platformless.protocol.arithmetic.rounding import Singles

Bytes = npt.NDArray[np.uint8]
_QUANTISED = {  # name and bytes of a block of the activation, values of a block
    WeightType.Q4_0: ("q8_0", 34, 32),
    WeightType.Q4_1: ("q8_1", 36, 32),
    WeightType.Q8_0: ("q8_0", 34, 32),
    WeightType.Q4_K: ("q8_K", 292, 256),
    WeightType.Q6_K: ("q8_K", 292, 256),
}


@lru_cache
def _libraries() -> tuple[Any, Any]:
    folder = Path(llama_cpp.__file__).parent / "lib"
    base, cpu = (ctypes.CDLL(str(folder / f"libggml-{name}.so")) for name in ("base", "cpu"))
    cpu.ggml_cpu_init()
    return base, cpu


def _at(array: npt.NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def quantised_weights(kind: WeightType, rows: Singles) -> Bytes:
    """Rows of weights as ggml writes them into a file: (rows, bytes)."""
    count, values = rows.shape
    found = np.zeros((count, values // kind.block_values * kind.block_bytes), np.uint8)
    size = ctypes.c_int64
    _libraries()[0].ggml_quantize_chunk(
        ctypes.c_int(kind), _at(rows), _at(found), size(0), size(count), size(values), None
    )
    return found


def dequantised(kind: WeightType, rows: Bytes, values: int) -> Singles:
    """Rows of weights as ggml looks them up."""
    name = kind.name if kind.name.endswith("_K") else kind.name.lower()
    look_up = _libraries()[0]["dequantize_row_" + name.replace("Q", "q")]
    found = np.empty((len(rows), values), np.float32)
    for row, into in zip(rows, found, strict=True):
        look_up(_at(row), _at(into), ctypes.c_int64(values))
    return found


def quantised_rows(kind: WeightType, rows: Singles) -> Bytes:
    """Activation rows as they are before a product with weights of that type: (rows, bytes)."""
    name, size, block = _QUANTISED[kind]
    quantise = _libraries()[1]["quantize_row_" + name]
    found = np.zeros((len(rows), rows.shape[1] // block * size), np.uint8)
    for row, into in zip(rows, found, strict=True):
        quantise(_at(row), _at(into), ctypes.c_int64(len(row)))
    return found


def dot_products(kind: WeightType, weights: Bytes, rows: Bytes, values: int) -> Singles:
    """Each row times each weight row: (rows, weight rows)."""
    name = kind.name.replace("Q", "q")
    dot = _libraries()[1][f"ggml_vec_dot_{name}_{_QUANTISED[kind][0]}"]
    found = np.empty((len(rows), len(weights)), np.float32)
    none, one, length = ctypes.c_size_t(0), ctypes.c_int(1), ctypes.c_int(values)
    for row, line in zip(rows, found, strict=True):
        for place, weight in enumerate(weights):
            into = ctypes.c_void_p(line.ctypes.data + 4 * place)
            dot(length, into, none, _at(weight), none, _at(row), none, one)
    return found


def swiglu(gates: Singles, ups: Singles) -> Singles:
    """silu(gate) * up."""
    found = np.empty_like(gates)
    count = ctypes.c_int(len(gates))
    _libraries()[1].ggml_vec_swiglu_f32(count, _at(found), _at(gates), _at(ups))
    return found


def exponentials(exponents: Singles) -> tuple[Singles, float]:
    """exp of each, and the softmax's sum of all."""
    found = np.empty_like(exponents)
    function = _libraries()[1].ggml_vec_soft_max_f32
    function.restype = ctypes.c_double
    count = ctypes.c_int(len(exponents))
    total = function(count, _at(found), _at(exponents), ctypes.c_float(0))
    return found, total
