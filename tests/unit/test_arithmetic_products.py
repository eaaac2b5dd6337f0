"""Weight products: all pairs, chosen pairs, and one element in integers agree."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from platformless.protocol.arithmetic import scalar
from platformless.protocol.arithmetic.attention import key_products, softmax, value_products
from platformless.protocol.arithmetic.blocks import WeightRows, WeightType, weight_rows
from platformless.protocol.arithmetic.errors import (
    Denormal,
    NotFinite,
    ReferenceUnknown,
    ShapesDiffer,
    TypeNotSupported,
)
from platformless.protocol.arithmetic.operations import OPERATIONS, Operation, Reference
from platformless.protocol.arithmetic.products import cells, products, quantise_for
from platformless.protocol.arithmetic.quantise import Quantised, q8_0, q8_1
from platformless.protocol.arithmetic.rounding import Singles, to_half

VALUES = 512
SIMPLE = [WeightType.Q4_0, WeightType.Q4_1, WeightType.Q8_0]


def random_weights(kind: WeightType, rows: int, values: int = VALUES) -> WeightRows:
    """Random bits, with scales that are numbers of a usual size."""
    rng = np.random.default_rng(int(kind))
    size = values // kind.block_values * kind.block_bytes
    raw = rng.integers(0, 256, (rows, size), np.uint8).reshape(-1, kind.block_bytes)
    halves = [0, 2] if kind in (WeightType.Q4_1, WeightType.Q4_K) else [0]
    for place in [208] if kind is WeightType.Q6_K else halves:
        scales = rng.normal(0, 0.01, len(raw)).astype(np.float16)
        raw[:, place : place + 2] = scales.view(np.uint8).reshape(-1, 2)
    return weight_rows(kind, raw.tobytes(), values)


def random_rows(rows: int, values: int = VALUES) -> Singles:
    rng = np.random.default_rng(5)
    spread = np.exp(rng.normal(0, 2, (rows, values)))
    made: Singles = (rng.normal(0, 1, (rows, values)) * spread).astype(np.float32)
    return made


def bits(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint32]:
    return np.ascontiguousarray(values).view(np.uint32)


@pytest.mark.parametrize("kind", list(WeightType))
def test_chosen_pairs_are_those_of_all_pairs(kind: WeightType) -> None:
    weights, rows = random_weights(kind, 40), quantise_for(kind, random_rows(40))
    every = products(weights, rows)
    assert (bits(cells(weights, rows)) == bits(np.diagonal(every))).all()


@pytest.mark.parametrize("kind", SIMPLE)
def test_one_element_in_integers_is_the_same(kind: WeightType) -> None:
    weights, rows = random_weights(kind, 8), quantise_for(kind, random_rows(8))
    every = products(weights, rows)
    for i in range(8):
        for j in range(8):
            assert one_in_integers(weights, i, rows, j) == int(bits(every[j, i : i + 1])[0])


def one_in_integers(weights: WeightRows, i: int, rows: Quantised, j: int) -> int:
    def half(value: np.float64) -> scalar.Dyadic:
        return scalar.take_half_apart(int(np.float16(value).view(np.uint16)))

    blocks = range(weights.q.shape[1])
    q, x = (part.reshape(-1, 8, 4) for part in (weights.q[i], rows.q[j]))
    sums = [[int(n) for n in block] for block in (q * x).sum(axis=-1)]
    scales = [(half(weights.d[i, b]), half(rows.d[j, b])) for b in blocks]
    minima = [(half(weights.m[i, b]), half(rows.s[j, b])) for b in blocks] if weights.m.size else []
    return scalar.weight_product(scales, sums, minima)


def test_products_of_halves_in_integers_are_the_same() -> None:
    left, right = random_rows(3, 64), to_half(random_rows(4, 64))
    for reference in Reference:
        got = key_products(reference, left, right)
        for i, row in enumerate(to_half(left)):
            for j, key in enumerate(right):
                a, b = ([int(n) for n in side.view(np.uint16)] for side in (row, key))
                assert scalar.half_product(a, b, reference.lanes) == int(bits(got[i, j : j + 1])[0])


def test_lanes_change_the_last_bits() -> None:
    left, right = random_rows(8, 64), to_half(random_rows(64, 64))
    got = [key_products(reference, left, right) for reference in Reference]
    assert (bits(got[0]) != bits(got[1])).any()
    assert np.allclose(got[0], got[1], rtol=1e-3, atol=1e-3)


def test_places_after_the_position_change_nothing() -> None:
    scores = random_rows(4, 48)
    visible = np.array([1, 7, 16, 33])
    weights = softmax(Reference.AVX2, scores, visible, np.float32(0.125))
    values = to_half(random_rows(48, 64))
    for row, count in enumerate(visible):
        alone = softmax(
            Reference.AVX2, scores[row : row + 1, :count], np.array([count]), np.float32(0.125)
        )
        assert (bits(alone) == bits(weights[row : row + 1, :count])).all()
        assert not weights[row, count:].any()
        short = value_products(Reference.AVX2, alone, values[:count])
        whole = value_products(Reference.AVX2, weights[row : row + 1], values)
        assert (bits(short) == bits(whole)).all()


def test_an_activation_is_rounded_to_the_even_integer_on_a_tie() -> None:
    row = np.zeros((1, 32), np.float32)
    row[0, :5] = [127, 0.5, 1.5, 2.5, -0.5]
    quantised = q8_1(row)
    assert quantised.q[0, 0, :5].tolist() == [127, 0, 2, 2, 0]
    assert quantised.d[0, 0] == 1
    assert quantised.s[0, 0] == 131


def test_a_row_of_zeros_gives_zero() -> None:
    for kind in WeightType:
        got = products(random_weights(kind, 4), quantise_for(kind, np.zeros((2, VALUES), "f4")))
        assert not got.any()


def test_what_does_not_go_together_is_refused() -> None:
    weights = random_weights(WeightType.Q4_1, 4)
    with pytest.raises(ShapesDiffer, match="ARI-003"):
        products(weights, q8_1(random_rows(1, 256)))
    with pytest.raises(ShapesDiffer):
        products(weights, q8_0(random_rows(1)))
    with pytest.raises(ShapesDiffer):
        cells(weights, q8_1(random_rows(3)))
    with pytest.raises(ShapesDiffer):
        weight_rows(WeightType.Q8_0, bytes(33), 32)
    with pytest.raises(ShapesDiffer):
        q8_0(random_rows(1, 40))
    with pytest.raises(TypeNotSupported, match="Q4_K"):
        WeightType.of(10)


def test_numbers_that_no_kernel_promises_are_refused() -> None:
    row = random_rows(1)
    for value, error in ((np.inf, NotFinite), (np.nan, NotFinite), (1e-40, Denormal)):
        row[0, 3] = value
        with pytest.raises(error):
            q8_0(row)
    raw = bytes([0, 0x7C]) + bytes(32)  # a scale that is infinite
    with pytest.raises(NotFinite):
        weight_rows(WeightType.Q8_0, raw, 32)


def test_a_build_is_named_by_its_instruction_sets() -> None:
    said = "CPU : AVX = 1 | AVX2 = 1 | F16C = 1 | FMA = 1 | BMI2 = 1 | {}LLAMAFILE = 1 | "
    assert Reference.of_build(said.format("")) is Reference.AVX2
    assert Reference.of_build(said.format("AVX512 = 1 | ")) is Reference.AVX512
    with pytest.raises(ReferenceUnknown, match="ARI-005"):
        Reference.of_build("CPU : NEON = 1 | ARM_FMA = 1 | LLAMAFILE = 1 | ")
    assert Reference.named("ggml-x86-avx2-1") is Reference.AVX2
    with pytest.raises(ReferenceUnknown):
        Reference.named("ggml-x86-avx2-2")


def test_every_operation_has_its_facts_and_only_the_rotation_a_bound() -> None:
    assert OPERATIONS.keys() == set(Operation)
    assert [one for one, facts in OPERATIONS.items() if not facts.exact] == [Operation.ROPE]
