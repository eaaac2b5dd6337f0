"""The trace of a real transcript: the same however it is cut, and opened row by row."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from platformless.engine.context import Context
from platformless.engine.errors import EngineError
from platformless.engine.model import Model
from platformless.engine.settings import EngineSettings
from platformless.engine.trace.capture import NodeRows, capture, captured_rows
from platformless.engine.trace.errors import TokensNotTraceable, TraceNotRepeated
from platformless.engine.trace.leaves import cache_values
from platformless.engine.trace.supported import traceable_settings
from platformless.engine.trace.tracing import Trace, layout_of, open_cells, trace
from platformless.protocol.digests import StateDigest, TraceRoot
from platformless.protocol.trace.cells import Population, SampledKind, Span
from platformless.protocol.trace.challenge import Beacon, Draws, challenge
from platformless.protocol.trace.errors import TraceShapeInvalid
from platformless.protocol.trace.layout import TraceLayout
from platformless.protocol.trace.needs import needed_runs
from platformless.protocol.trace.nodes import Node
from platformless.protocol.trace.opening import Opening, Run

TEXT = "A lighthouse is a tower that shows a light to ships, so that they keep off the rocks. "
POSITIONS = 268
SETTINGS = traceable_settings(threads=1)
Floats = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def model(model_path: Path) -> Iterator[Model]:
    model = Model.load(EngineSettings(model_path=model_path))
    yield model
    model.close()


@pytest.fixture(scope="module")
def tokens(model: Model) -> tuple[int, ...]:
    tokens = model.vocabulary.tokenize(TEXT * 20)[:POSITIONS]
    assert len(tokens) == POSITIONS
    return tokens


@pytest.fixture(scope="module")
def traced(model: Model, tokens: tuple[int, ...]) -> Trace:
    return trace(model, tokens, SETTINGS)


def plain_logits(model: Model, tokens: Sequence[int], chunk: int) -> Floats:
    """What llama.cpp says when nobody watches."""
    settings = EngineSettings(sequences=1, context_tokens=512, prompt_chunk_tokens=chunk, threads=1)
    context = Context(model, settings)
    rows = []
    for start in range(0, len(tokens), chunk):
        part = tokens[start : start + chunk]
        context.decode_marked(0, part, start, [True] * len(part))
        rows += [context.logits(row).copy() for row in range(len(part))]
    context.close()
    return np.stack(rows)


@pytest.mark.parametrize(("ubatch", "threads"), [(32, 1), (267, 1), (512, 2)])
def test_the_root_is_the_same_in_whatever_chunks_and_by_however_many_threads(
    model: Model, tokens: tuple[int, ...], traced: Trace, ubatch: int, threads: int
) -> None:
    # Of chunks of 267, one token is left, which gets company.
    settings = traceable_settings(threads=threads, ubatch_tokens=ubatch)
    assert trace(model, tokens, settings).root == traced.root


def test_capturing_changes_no_logit_and_captures_them(
    model: Model, tokens: tuple[int, ...]
) -> None:
    got = np.empty((POSITIONS, model.vocabulary.size), np.float32)

    def take(rows: NodeRows) -> None:
        if rows.node is Node.LOGITS:
            got[rows.positions] = rows.values

    capture(model, tokens, replace(SETTINGS, ubatch_tokens=64), take)
    plain = plain_logits(model, tokens, 512)
    assert got.tobytes() == plain.tobytes()


def test_one_token_more_changes_no_row_before_it(model: Model, tokens: tuple[int, ...]) -> None:
    shorter = {place[:3]: place[3] for place in captured_rows(model, tokens[:9], SETTINGS)}
    assert len(shorter) == 9 * (layout_of(model, tokens).node_count - 30)
    for position, node, layer, row in captured_rows(model, tokens[:10], SETTINGS):
        if position < 9:
            assert row.tobytes() == shorter[position, node, layer].tobytes()


def test_a_single_token_has_the_rows_that_it_has_in_company(
    model: Model, tokens: tuple[int, ...]
) -> None:
    alone = {place[1:3]: place[3] for place in captured_rows(model, tokens[:1], SETTINGS)}
    for position, node, layer, row in captured_rows(model, tokens[:5], SETTINGS):
        if position == 0:
            assert row.tobytes() == alone[node, layer].tobytes()


def test_another_token_gives_another_root(model: Model, tokens: tuple[int, ...]) -> None:
    short = tokens[:8]
    roots = {
        trace(model, changed, SETTINGS).root
        for changed in (short, (*short[:7], 5), (5, *short[1:]), tokens[:9])
    }
    assert len(roots) == 4


def values(opening: Opening) -> Floats:
    return np.frombuffer(opening.data, "<f4")


PLACE, LAYER, CHANNEL = 200, 7, 100


def challenged(traced: Trace) -> list[Run]:
    """What is opened for a cell of each kind."""
    layout, spans = traced.layout, (Span(0, POSITIONS),)
    plan = [Draws(Population.of(kind, layout.shape, spans), 1) for kind in SampledKind]
    beacon = Beacon(sha256(b"block").digest())
    cells = challenge(traced.root, StateDigest.zero(), beacon, plan)
    return [run for cell in cells for run in needed_runs(layout, cell)]


def neighbours(traced: Trace) -> list[Run]:
    """Rows that are made of each other, and a channel of the cache with all that is in it."""
    layout = traced.layout
    runs = [
        Run.row(layout, node, LAYER, PLACE)
        for node in (Node.ATTN_OUT, Node.FFN_INPUT, Node.FFN_OUT, Node.LAYER_OUT)
    ]
    return [
        *runs,
        Run.row(layout, Node.LAYER_OUT, LAYER - 1, PLACE),
        Run.channel(LAYER, CHANNEL),
        *(Run.element(layout, Node.V, LAYER, at, CHANNEL) for at in range(POSITIONS)),
    ]


@pytest.fixture(scope="module")
def openings(model: Model, tokens: tuple[int, ...], traced: Trace) -> tuple[Opening, ...]:
    """Of both."""
    wanted = challenged(traced) + neighbours(traced)
    return open_cells(model, tokens, SETTINGS, wanted, traced.root)


def test_the_cells_of_a_challenge_are_opened(traced: Trace, openings: tuple[Opening, ...]) -> None:
    assert [one.run for one in openings] == challenged(traced) + neighbours(traced)
    for opening in openings:
        opening.verify(traced.layout, traced.root)


def test_opened_rows_fit_together(traced: Trace, openings: tuple[Opening, ...]) -> None:
    rows = openings[len(challenged(traced)) :]
    attention, middle, ffn, after, before = map(values, rows[:5])
    assert (attention + before).tobytes() == middle.tobytes()
    assert (ffn + middle).tobytes() == after.tobytes()
    elements = np.array([[values(opening)[CHANNEL]] for opening in rows[6:]], np.float32)
    assert rows[5].data == cache_values(elements).tobytes()


def test_other_tokens_do_not_open_a_trace(
    model: Model, tokens: tuple[int, ...], traced: Trace
) -> None:
    layout = TraceLayout(traced.layout.shape, 8)
    wanted = [Run.row(layout, Node.RESULT_NORM, 0, 7)]
    with pytest.raises(TraceNotRepeated, match="ENG-511"):
        open_cells(model, tokens[:8], SETTINGS, wanted, traced.root)


@pytest.mark.parametrize(
    "wanted",
    [
        Run(Node.LOGITS, 0, 8, 0, 1),
        Run(Node.Q, 30, 0, 0, 1),
        Run(Node.RESULT_NORM, 1, 0, 0, 1),
        Run(Node.KQ, 0, 0, 8, 2),
        Run(Node.V_CACHE, 0, 1, 0, 1),
        Run(Node.Q, 0, 0, 0, 0),
    ],
)
def test_rows_that_no_trace_has_are_refused_before_any_work(
    model: Model, tokens: tuple[int, ...], wanted: Run
) -> None:
    with pytest.raises(TraceShapeInvalid):
        open_cells(model, tokens[:8], SETTINGS, [wanted], TraceRoot.zero())


@pytest.mark.parametrize("tokens", [(), (1, 49152), (-1, 2), (1,) * 8193])
def test_tokens_that_the_model_cannot_see_are_refused(
    model: Model, tokens: tuple[int, ...]
) -> None:
    def never(_rows: NodeRows) -> None:
        raise AssertionError("something was computed")

    with pytest.raises(TokensNotTraceable, match="ENG-504"):
        capture(model, tokens, SETTINGS, never)


def test_what_a_sink_raises_ends_the_run(model: Model, tokens: tuple[int, ...]) -> None:
    seen = []

    def stop(rows: NodeRows) -> None:
        seen.append(rows.node)
        if rows.node is Node.SOFTMAX:
            raise KeyError(rows.layer)

    with pytest.raises(KeyError, match="0"):
        capture(model, tokens[:20], replace(SETTINGS, ubatch_tokens=10), stop)
    assert seen[-1] is Node.SOFTMAX
    assert seen.count(Node.SOFTMAX) == 1


def test_a_trace_is_not_held_in_memory(model: Model, tokens: tuple[int, ...]) -> None:
    part, settings = tokens[:48], replace(SETTINGS, ubatch_tokens=12)
    tracemalloc.start()
    try:
        result = trace(model, part, settings)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert result.layout.counted_bytes > 70_000_000
    assert most < 10_000_000


def test_every_error_of_a_trace_is_one_of_the_engine() -> None:
    assert issubclass(TokensNotTraceable, EngineError)
    assert issubclass(TraceNotRepeated, EngineError)
