"""Places of a trace, what is opened for a cell, and openings that are rejected."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.protocol.digests import TraceRoot
from platformless.protocol.errors import ProtocolError, ValueOutOfRange
from platformless.protocol.trace.cells import Population, SampledKind, Span
from platformless.protocol.trace.errors import OpeningRejected, TraceShapeInvalid
from platformless.protocol.trace.layout import TraceLayout
from platformless.protocol.trace.needs import needed_runs
from platformless.protocol.trace.nodes import ModelShape, Node
from platformless.protocol.trace.opening import Opening, Run
from platformless.protocol.trace.settings import TraceSettings

from ..vectors.make_trace import FILE, SMALL, SMOLLM2, openings, vectors

SHAPES = st.builds(
    lambda layers, head, kv, group, ffn, vocabulary: ModelShape(
        layers=layers,
        embedding=head * kv * group,
        heads=kv * group,
        kv_heads=kv,
        head_size=head,
        ffn=ffn,
        vocabulary=vocabulary,
    ),
    st.integers(1, 4),
    st.sampled_from([8, 64, 80, 128, 640]),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 3000),
    st.integers(1, 3000),
)


def places(layout: TraceLayout) -> list[tuple[Node, int]]:
    return [
        (node, layer)
        for node in Node
        for layer in range(layout.shape.layers if node.in_layers else 1)
    ]


@given(shape=SHAPES, positions=st.integers(1, 40))
def test_every_node_of_every_layer_has_a_number_of_its_own(
    shape: ModelShape, positions: int
) -> None:
    layout = TraceLayout(shape, positions)
    numbers = [layout.index(*place) for place in places(layout)]
    assert sorted(numbers) == list(range(layout.node_count))


@given(shape=SHAPES, positions=st.integers(1, 12))
def test_leaves_hold_every_byte_that_is_counted(shape: ModelShape, positions: int) -> None:
    layout = TraceLayout(shape, positions)
    sizes = [
        layout.leaf_bytes(node, position, piece)
        for node, _ in places(layout)
        for position in range(1 if node is Node.V_CACHE else positions)
        for piece in range(layout.pieces(node))
    ]
    assert sum(sizes) == layout.counted_bytes
    assert len(sizes) == layout.leaf_count
    assert min(sizes) > 0


@given(shape=SHAPES, positions=st.integers(1, 30), data=st.data())
def test_the_rows_that_a_cell_needs_are_in_the_trace(
    shape: ModelShape, positions: int, data: st.DataObject
) -> None:
    layout = TraceLayout(shape, positions)
    for kind in SampledKind:
        population = Population.of(kind, shape, (Span(0, positions),))
        cell = population.cell(data.draw(st.integers(0, population.size - 1)))
        own, *inputs = needed_runs(layout, cell)
        assert own.node is kind.node
        assert all(run.node is not own.node for run in inputs) or kind is SampledKind.LAYER_OUT


def test_every_row_that_a_cell_is_recomputed_from_is_sampled_too() -> None:
    layout = TraceLayout(SMOLLM2, 9)
    inputs = set()
    for kind in SampledKind:
        population = Population.of(kind, SMOLLM2, (Span(0, 9),))
        for number in range(0, population.size, population.size // 100 + 1):
            inputs |= {run.node for run in needed_runs(layout, population.cell(number))[1:]}
    assert inputs | {Node.LOGITS} == set(Node)
    assert inputs <= {kind.node for kind in SampledKind}


def test_a_trace_of_another_length_or_model_has_another_root() -> None:
    top = bytes(32)
    roots = {TraceLayout(SMALL, positions).root(top) for positions in (1, 2, 3)}
    for name in SMALL.__dataclass_fields__:
        doubled = replace(SMALL, **{name: 2 * getattr(SMALL, name)} | {"heads": 8})
        roots.add(TraceLayout(doubled, 1).root(top))
    assert len(roots) == 3 + len(SMALL.__dataclass_fields__)


def test_shapes_without_a_meaning_are_refused() -> None:
    for name in SMALL.__dataclass_fields__:
        with pytest.raises(TraceShapeInvalid):
            replace(SMALL, **{name: 0})
    with pytest.raises(TraceShapeInvalid, match="unevenly"):
        replace(SMALL, kv_heads=3)
    with pytest.raises(TraceShapeInvalid):
        TraceLayout(SMALL, 0)


def test_the_vectors_are_those_of_this_code() -> None:
    assert json.loads(FILE.read_text()) == vectors()


def test_openings_lead_to_the_root() -> None:
    layout, root, opened = openings()
    for opening in opened:
        opening.verify(layout, root)


def broken(opening: Opening) -> list[Opening]:
    run = opening.run
    first = opening.leaves[0]
    leaves = (bytes([first[0] ^ 1]) + first[1:], *opening.leaves[1:])
    return [
        replace(opening, leaves=leaves),
        replace(opening, leaves=(first + b"\0", *opening.leaves[1:])),
        replace(opening, leaves=opening.leaves[:-1]),
        replace(opening, node_path=(*opening.node_path, bytes(32))),
        replace(opening, node_path=(bytes(32), *opening.node_path[1:])),
        replace(opening, top_path=opening.top_path[:-1]),
        replace(opening, top_path=(*opening.top_path[:-1], bytes(32))),
        replace(opening, run=replace(run, layer=1 - run.layer)),
        replace(opening, run=replace(run, position=abs(run.position - 1))),
        replace(opening, run=replace(run, first_piece=run.first_piece + 1)),
        replace(opening, run=replace(run, pieces=run.pieces + 1)),
        replace(opening, run=replace(run, pieces=0)),
    ]


@pytest.mark.parametrize("number", range(5))
def test_whatever_is_changed_in_an_opening_it_is_rejected(number: int) -> None:
    layout, root, opened = openings()
    for changed in broken(opened[number]):
        with pytest.raises((OpeningRejected, TraceShapeInvalid)):
            changed.verify(layout, root)
    with pytest.raises(OpeningRejected):
        opened[number].verify(layout, TraceRoot(bytes(31) + b"\1"))
    with pytest.raises(ProtocolError):
        opened[number].verify(TraceLayout(SMALL, 6), root)


def test_a_row_of_one_node_does_not_stand_for_that_of_another() -> None:
    layout, root, opened = openings()
    run = replace(opened[0].run, node=Node.RESULT_NORM)
    with pytest.raises(OpeningRejected):
        replace(opened[0], run=run).verify(layout, root)


def test_an_element_is_in_the_leaf_that_is_opened_for_it() -> None:
    layout = TraceLayout(SMALL, 5)
    assert Run.element(layout, Node.LOGITS, 0, 4, 511).first_piece == 0
    assert Run.element(layout, Node.LOGITS, 0, 4, 512).first_piece == 1
    assert layout.leaf_bytes(Node.LOGITS, 4, 2) == 4 * (1100 - 1024)
    assert layout.leaf_bytes(Node.KQ, 4, 3) == 4 * 5
    assert layout.leaf_bytes(Node.V_CACHE, 0, 15) == 2 * 5


SETTINGS = TraceSettings(llama_build="llama-cpp-python 1, system 0", product_lanes=8)


def test_each_setting_is_in_the_digest() -> None:
    changed: dict[str, Any] = {
        "llama_build": "llama-cpp-python 2, system 0",
        "product_lanes": 16,
        "threads": 2,
        "ubatch_tokens": 32,
        "flash_attention": True,
        "kv_type": "q8_0",
        "gpu_layers": 1,
    }
    assert set(changed) | {"version"} == set(SETTINGS.to_json())
    digests = {replace(SETTINGS, **{name: value}).digest for name, value in changed.items()}
    assert len(digests | {SETTINGS.digest}) == len(changed) + 1


def test_the_digest_of_settings_is_that_of_their_json() -> None:
    assert json.loads(SETTINGS.encode()) == SETTINGS.to_json()
    assert str(SETTINGS.digest) == (
        "0x95afa42723ef356c12d0ffb3b7f57076597e40583b91caf65a70d732b196f600"
    )


def test_settings_that_say_nothing_are_refused() -> None:
    wrong: list[dict[str, Any]] = [
        {"threads": 0},
        {"ubatch_tokens": -1},
        {"kv_type": ""},
        {"llama_build": "x" * 65},
        {"gpu_layers": -1},
    ]
    for changed in wrong:
        with pytest.raises(ValueOutOfRange):
            replace(SETTINGS, **changed)
