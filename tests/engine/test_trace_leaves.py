"""Digests of many leaves at once are those of one leaf after another."""

from __future__ import annotations

import numpy as np
import pytest

from platformless.engine.trace.leaves import (
    CacheColumns,
    attention_digests,
    cache_values,
    row_digests,
)
from platformless.protocol.trace.layout import TraceLayout, leaf_digest
from platformless.protocol.trace.nodes import ModelShape, Node

SHAPE = ModelShape(
    layers=1, embedding=640, heads=4, kv_heads=2, head_size=160, ffn=1100, vocabulary=513
)
LAYOUT = TraceLayout(SHAPE, 400)
NUMBERS = np.random.default_rng(3)


@pytest.mark.parametrize("node", [n for n in Node if not n.causal and n is not Node.V_CACHE])
def test_rows_are_cut_into_pieces(node: Node) -> None:
    values = NUMBERS.standard_normal((250, SHAPE.width(node)), np.float32)
    size = LAYOUT.piece_values(node)
    expected = [
        leaf_digest(7, 100 + position, piece, row[piece * size : (piece + 1) * size].tobytes())
        for position, row in enumerate(values)
        for piece in range(LAYOUT.pieces(node))
    ]
    assert row_digests(LAYOUT, node, 7, 100, values) == expected
    strided = np.asfortranarray(values)
    assert row_digests(LAYOUT, node, 7, 100, strided) == expected


def test_attention_rows_end_at_their_position() -> None:
    values = NUMBERS.standard_normal((6, 4, 256), np.float32)
    expected = [
        leaf_digest(9, position, head, row[head, : position + 1].tobytes())
        for position, row in enumerate(values, 30)
        for head in range(4)
    ]
    assert attention_digests(9, 30, values) == expected


def test_channels_of_the_cache_are_hashed_while_positions_come() -> None:
    values = NUMBERS.standard_normal((300, 320), np.float32)
    columns = CacheColumns(11, 320, {0, 77})
    for start, end in ((0, 1), (1, 2), (2, 290), (290, 300)):
        columns.extend(values[start:end])
    halves = values.astype(np.float16)
    channels = [halves[:, channel].tobytes() for channel in range(320)]
    assert columns.digests() == [
        leaf_digest(11, 0, channel, data) for channel, data in enumerate(channels)
    ]
    assert columns.kept == {0: channels[0], 77: channels[77]}


def test_values_too_large_for_the_cache_become_infinite() -> None:
    values = np.array([[1e6], [65519.0], [65520.0], [1 + 2**-11], [1e-8]], np.float32)
    assert cache_values(values).tolist() == [[np.inf, 65504.0, np.inf, 1.0, 0.0]]
