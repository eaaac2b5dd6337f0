"""The real model's own cells, and what changes to them are found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from platformless.engine.model import Model
from platformless.engine.settings import EngineSettings
from platformless.protocol.arithmetic import attention, glue
from platformless.protocol.arithmetic.blocks import WeightRows, WeightType
from platformless.protocol.arithmetic.operations import ROPE_BOUND
from platformless.protocol.arithmetic.products import cells, quantise_for
from platformless.protocol.arithmetic.rounding import Singles
from platformless.protocol.trace.nodes import Node

from .traced import Pick, Rows, TracedModel, compared_layer, rotation_deviation

TEXT = (
    "A lighthouse stands where the sea is dangerous. Its keeper climbs the stairs each night,"
    " lights the lamp and writes down which ships pass, how high the waves are and who calls."
)
SAMPLE = 500  # cells of each matrix
CHANGED = 3000  # cells of one matrix
LAYER = 13


@pytest.fixture(scope="module")
def traced() -> Iterator[TracedModel]:
    model = Model.load(EngineSettings(threads=1))
    yield TracedModel(model)
    model.close()


@pytest.fixture(scope="module")
def tokens(traced: TracedModel) -> tuple[int, ...]:
    return traced.model.vocabulary.tokenize(TEXT)


@pytest.fixture(scope="module")
def layers(traced: TracedModel, tokens: tuple[int, ...]) -> dict[int, tuple[Singles, Rows]]:
    """Every layer's input and rows, and what follows the last layer."""
    kept: dict[int, tuple[Singles, Rows]] = {}
    traced.run(tokens, lambda layer, before, rows: kept.update({layer: (before, dict(rows))}))
    return kept


def test_sampled_cells_of_every_layer_are_recomputed_to_the_bit(
    traced: TracedModel, layers: dict[int, tuple[Singles, Rows]]
) -> None:
    pick = Pick(SAMPLE, 2, np.random.default_rng(1))
    checked: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for layer, (before, rows) in layers.items():
        for compared in compared_layer(traced, layer, before, rows, pick):
            checked[compared.name] += compared.expected.size
            wrong[compared.name] += compared.wrong
    assert +wrong == Counter()
    assert len(checked) == 17
    assert sum(checked.values()) > 100_000


def test_embeddings_are_the_rows_of_the_tokens(
    traced: TracedModel, tokens: tuple[int, ...], layers: dict[int, tuple[Singles, Rows]]
) -> None:
    table = traced.matrix("token_embd", traced.shape.embedding)
    got = glue.embeddings(table.take(np.array(tokens)))
    assert (got.view(np.uint32) == layers[0][0].view(np.uint32)).all()


def test_rotations_are_within_their_bound(
    traced: TracedModel, layers: dict[int, tuple[Singles, Rows]]
) -> None:
    for layer in range(traced.shape.layers):
        assert rotation_deviation(traced, layers[layer][1]) < ROPE_BOUND


class Cells:
    """Random cells of a matrix of layer 13, each with its own copy of its rows."""

    def __init__(self, traced: TracedModel, rows: Rows, name: str, into: Node, out: Node) -> None:
        rng = self.rng = np.random.default_rng(2)
        weights = traced.matrix(f"blk.{LAYER}.{name}", rows[into].shape[1])
        row, element = (rng.integers(0, count, CHANGED) for count in rows[out].shape)
        self.rows = rows[into][row]
        self.weights = weights.take(element)
        self.expected = rows[out][row, element]
        self.each = np.arange(CHANGED)

    def place(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """A random place in each row."""
        return self.rng.integers(0, self.rows.shape[1], CHANGED)

    def found(self, rows: Singles, weights: WeightRows) -> float:
        """The part of the cells that are no longer right."""
        got = cells(weights, quantise_for(weights.type, rows))
        return float(np.mean(got.view(np.uint32) != self.expected.view(np.uint32)))


@pytest.fixture(
    params=[
        ("attn_q", Node.ATTN_NORM, Node.Q),
        ("ffn_up", Node.FFN_NORM, Node.FFN_UP),
        ("ffn_down", Node.FFN_SWIGLU, Node.FFN_OUT),
    ],
    ids=lambda one: one[0],
)
def matrix(
    traced: TracedModel,
    layers: dict[int, tuple[Singles, Rows]],
    request: pytest.FixtureRequest,
) -> Cells:
    return Cells(traced, layers[LAYER][1], *request.param)


def test_unchanged_cells_are_right(matrix: Cells) -> None:
    assert matrix.found(matrix.rows, matrix.weights) == 0


def test_one_weight_off_by_its_last_bit_is_found_unless_its_activation_is_zero(
    matrix: Cells,
) -> None:
    assert matrix.weights.type is WeightType.Q4_1
    block, value = np.divmod(matrix.place(), 32)
    q = matrix.weights.q.copy()
    old = q[matrix.each, block, value]
    q[matrix.each, block, value] = np.where(old == 15, 14, old + 1)
    found = matrix.found(matrix.rows, replace(matrix.weights, q=q))
    quantised = quantise_for(matrix.weights.type, matrix.rows).q
    unseen = float(np.mean(quantised[matrix.each, block, value] == 0))
    assert found >= 0.9
    assert found >= 1 - unseen - 0.002


def test_another_row_of_the_matrix_is_found(matrix: Cells) -> None:
    others = matrix.weights.take(np.roll(matrix.each, 1))
    assert matrix.found(matrix.rows, others) >= 0.99


def test_another_row_of_activations_is_found(matrix: Cells) -> None:
    assert matrix.found(np.roll(matrix.rows, 1, axis=0), matrix.weights) >= 0.97


def test_one_activation_a_tenth_larger_is_mostly_found(matrix: Cells) -> None:
    rows = matrix.rows.copy()
    rows[matrix.each, matrix.place()] *= np.float32(1.1)
    assert 0.5 <= matrix.found(rows, matrix.weights) < 1


def test_noise_of_a_thousandth_is_found(matrix: Cells) -> None:
    noise = matrix.rng.choice(np.array([1 - 1e-3, 1 + 1e-3], np.float32), matrix.rows.shape)
    assert matrix.found(matrix.rows * noise, matrix.weights) >= 0.999


def test_activations_of_zero_are_found(matrix: Cells) -> None:
    assert matrix.found(np.zeros_like(matrix.rows), matrix.weights) >= 0.999


def test_a_head_that_was_left_out_is_found(
    traced: TracedModel, layers: dict[int, tuple[Singles, Rows]]
) -> None:
    """In its own cells; with the zeros committed, nothing after it is wrong."""
    rows = layers[LAYER][1]
    size, shared = traced.shape.head_size, traced.shape.heads // traced.shape.kv_heads
    head, count = 4, len(rows[Node.KQV])
    values = rows[Node.V].reshape(count, -1, size)[:, head // shared]
    weights = np.ascontiguousarray(rows[Node.SOFTMAX][:, head, :count])
    got = attention.value_products(traced.reference, weights, attention.cached(values))
    assert np.mean(got != 0) > 0.999


def test_a_layer_that_was_left_out_is_found(layers: dict[int, tuple[Singles, Rows]]) -> None:
    """Its outputs are its inputs: no sum of the residual stream is right."""
    before, rows = layers[LAYER]
    got = glue.residual(rows[Node.FFN_INPUT], rows[Node.FFN_OUT])
    assert np.mean(got.view(np.uint32) != before.view(np.uint32)) > 0.99
