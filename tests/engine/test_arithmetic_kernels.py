"""The reference arithmetic against ggml's own functions, on random numbers and at the edges."""

from __future__ import annotations

import ctypes
import ctypes.util

import llama_cpp
import numpy as np
import numpy.typing as npt
import pytest

from platformless.protocol.arithmetic.blocks import WeightType, weight_rows
from platformless.protocol.arithmetic.exponential import exponential
from platformless.protocol.arithmetic.glue import embeddings, gate
from platformless.protocol.arithmetic.operations import Reference
from platformless.protocol.arithmetic.products import products, quantise_for
from platformless.protocol.arithmetic.rope import angle_scale
from platformless.protocol.arithmetic.rounding import Singles, fuse, tree_sum

from . import ggml_kernels

VALUES = 768
REFERENCE = Reference.of_build(llama_cpp.llama_print_system_info().decode())


def bits(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint32]:
    return np.ascontiguousarray(values).view(np.uint32)


def wild(rows: int, seed: int) -> Singles:
    """Numbers of very different sizes; a row and a block of zeros among them."""
    rng = np.random.default_rng(seed)
    size = np.exp(rng.normal(0, 2, (rows, 1)) + rng.normal(0, 1, (rows, VALUES)))
    made: Singles = (rng.normal(0, 1, (rows, VALUES)) * size).astype(np.float32)
    made[0] = 0
    made[1, :256] = 0
    return made


@pytest.mark.parametrize("kind", list(WeightType))
def test_products_are_those_of_ggml(kind: WeightType) -> None:
    weights = ggml_kernels.quantised_weights(kind, wild(120, seed=1))
    rows = wild(60, seed=2)
    expected = ggml_kernels.dot_products(
        kind, weights, ggml_kernels.quantised_rows(kind, rows), VALUES
    )
    got = products(weight_rows(kind, weights, VALUES), quantise_for(kind, rows))
    assert np.count_nonzero(bits(got) != bits(expected)) == 0


@pytest.mark.parametrize("kind", list(WeightType))
def test_products_of_random_bits_are_those_of_ggml(kind: WeightType) -> None:
    """Bits that no quantiser writes: the largest scales, the smallest integers."""
    rng = np.random.default_rng(int(kind))
    weights = rng.integers(0, 256, (80, VALUES // kind.block_values, kind.block_bytes), np.uint8)
    halves = {WeightType.Q4_1: (0, 2), WeightType.Q4_K: (0, 2), WeightType.Q6_K: (208,)}
    for place in halves.get(kind, (0,)):
        scale = rng.normal(0, 1, weights.shape[:2]).astype(np.float16)
        weights[..., place : place + 2] = scale[..., None].view(np.uint8)
    weights = weights.reshape(80, -1)
    weights[:8, 4 if kind is not WeightType.Q6_K else 0 : 16] = 0x80
    rows = wild(40, seed=3)
    expected = ggml_kernels.dot_products(
        kind, weights, ggml_kernels.quantised_rows(kind, rows), VALUES
    )
    got = products(weight_rows(kind, weights.tobytes(), VALUES), quantise_for(kind, rows))
    assert np.count_nonzero(bits(got) != bits(expected)) == 0


@pytest.mark.parametrize("kind", list(WeightType))
def test_activations_are_quantised_as_by_ggml(kind: WeightType) -> None:
    rows = wild(300, seed=4)
    got = quantise_for(kind, rows)
    block = kind.block_values
    raw = ggml_kernels.quantised_rows(kind, rows).reshape(len(rows), VALUES // block, -1)
    if block == 256:
        assert (raw[..., :4].copy().view(np.float32)[..., 0] == got.d).all()
        q = raw[..., 4:260]
    else:
        assert (raw[..., :2].copy().view(np.float16)[..., 0] == got.d).all()
        if kind is WeightType.Q4_1:
            assert (raw[..., 2:4].copy().view(np.float16)[..., 0] == got.s).all()
        q = raw[..., -32:]
    assert (np.ascontiguousarray(q).view(np.int8) == got.q).all()


@pytest.mark.parametrize("kind", list(WeightType))
def test_embeddings_are_looked_up_as_by_ggml(kind: WeightType) -> None:
    weights = ggml_kernels.quantised_weights(kind, wild(120, seed=5))
    expected = ggml_kernels.dequantised(kind, weights, VALUES)
    got = embeddings(weight_rows(kind, weights, VALUES))
    # Of a zero, dequantisers may keep the sign of one of its factors.
    assert np.count_nonzero((bits(got) != bits(expected)) & ((got != 0) | (expected != 0))) == 0


def test_exponentials_are_those_of_ggml() -> None:
    rng = np.random.default_rng(6)
    x = np.concatenate(
        [
            -np.abs(rng.normal(0, 20, 1 << 18)),
            rng.uniform(-140, 90, 1 << 18),
            np.linspace(-89, -86, 1 << 12),
            np.array([0.0, -0.0, -87.0, -88.5, -103.9, -104.1, -1e6, -3e30]),
            np.array([1.0, -1.0, 87.0, 88.5, 88.8, 1e-30, -1e-30, 3e30]),
        ]
    ).astype(np.float32)
    assert len(x) % REFERENCE.lanes == 0  # else the last are the platform's own exponentials
    expected, _ = ggml_kernels.exponentials(x)
    assert np.count_nonzero(bits(exponential(REFERENCE, x)) != bits(expected)) == 0


def test_the_sum_of_a_softmax_is_that_of_ggml() -> None:
    x = -np.abs(np.random.default_rng(9).normal(0, 20, 1 << 16)).astype(np.float32)
    _, total = ggml_kernels.exponentials(x)
    powers = exponential(REFERENCE, x).reshape(-1, REFERENCE.lanes)
    assert np.add.accumulate(tree_sum(powers).astype(np.float64))[-1] == total


def test_gates_are_those_of_ggml() -> None:
    rng = np.random.default_rng(7)
    gates = np.concatenate(
        [rng.normal(0, 4, 1 << 18), rng.uniform(-80, 200, 1 << 17), rng.normal(0, 1e-6, 1 << 12)]
    ).astype(np.float32)
    ups = rng.normal(0, 10, gates.shape).astype(np.float32)
    expected = ggml_kernels.swiglu(gates, ups)
    assert np.count_nonzero(bits(gate(REFERENCE, gates, ups)) != bits(expected)) == 0


def test_the_fused_multiply_add_is_the_processors() -> None:
    """A dot product of one f32 lane at a time would hide it; the C library's own is called."""
    library = ctypes.CDLL(ctypes.util.find_library("m"))
    library.fmaf.restype = ctypes.c_float
    library.fmaf.argtypes = [ctypes.c_float] * 3
    rng = np.random.default_rng(8)
    a, b = (rng.normal(0, 1, 50_000).astype(np.float32) for _ in range(2))
    # Where the sum nearly vanishes, and where the product is far below its last bit.
    c = np.concatenate([-(a * b)[:25_000], (a * b)[25_000:] * np.float32(2.0**26)])
    expected = np.array(
        [library.fmaf(*(float(n) for n in one)) for one in zip(a, b, c, strict=True)], "f4"
    )
    assert (bits(fuse(a, b, c)) == bits(expected)).all()


def test_the_scale_of_the_angle_is_the_platforms() -> None:
    library = ctypes.CDLL(ctypes.util.find_library("m"))
    library.powf.restype = ctypes.c_float
    library.powf.argtypes = [ctypes.c_float] * 2
    for base in (1e4, 1e5, 1e6, 5e5, 1.3e5, 2e6, 5e6, 1e7):
        for dimensions in (16, 32, 64, 80, 96, 128, 256):
            exponent = float(np.float32(-2) / np.float32(dimensions))
            got = angle_scale(np.float32(base), dimensions)
            assert got == np.float32(library.powf(base, exponent))
