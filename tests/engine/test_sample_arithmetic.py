"""The guest's arithmetic, run on this processor, against numpy's: cells of the real model."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from platformless.engine.model import Model
from platformless.engine.settings import EngineSettings
from platformless.places import cache_folder
from platformless.protocol.arithmetic import attention
from platformless.protocol.arithmetic.exponential import exponential
from platformless.protocol.arithmetic.operations import Operation, Reference
from platformless.protocol.arithmetic.rounding import Singles
from platformless.protocol.trace.nodes import Node

from .traced import MATRICES, Rows, TracedModel

GUEST = Path(__file__).parents[2] / "guest"
TEXT = "A lighthouse keeper climbs the stairs each night, lights the lamp and counts the ships."
EACH = 60  # cells of each matrix of each layer that is looked at
LAYERS = (0, 13, 29)
EXPONENTIAL = 11
Words = npt.NDArray[np.uint32]
Recompute = Callable[[Sequence[Words]], Words]
NOTHING = np.zeros(0, np.uint32)


@pytest.fixture(scope="module")
def recompute() -> Recompute:
    """Answers requests with the Rust crate, built for this processor."""
    target = cache_folder() / "guest" / "target-tools"
    subprocess.run(
        ["cargo", "build", "--release", "--locked", "-q", "-p", "arithmetic", "--example", "cells"],
        cwd=GUEST,
        env={**os.environ, "CARGO_TARGET_DIR": str(target)},
        check=True,
    )

    def run(requests: Sequence[Words]) -> Words:
        done = subprocess.run(
            [target / "release" / "examples" / "cells"],
            input=np.concatenate(requests).astype("<u4").tobytes(),
            capture_output=True,
            check=True,
        )
        return np.frombuffer(done.stdout, "<u4")

    return run


@pytest.fixture(scope="module")
def traced() -> Iterator[TracedModel]:
    model = Model.load(EngineSettings(threads=1))
    yield TracedModel(model)
    model.close()


@pytest.fixture(scope="module")
def layers(traced: TracedModel) -> dict[int, tuple[Singles, Rows]]:
    kept: dict[int, tuple[Singles, Rows]] = {}
    tokens = traced.model.vocabulary.tokenize(TEXT)

    def keep(layer: int, before: Singles, rows: Rows) -> None:
        if layer in LAYERS or layer == traced.shape.layers:
            kept[layer] = (before, dict(rows))

    traced.run(tokens, keep)
    return kept


def words(values: npt.NDArray[np.generic]) -> Words:
    """Bytes as words, filled up with zeros."""
    data = np.ascontiguousarray(values).tobytes()
    return np.frombuffer(data + bytes(-len(data) % 4), "<u4")


def request(
    operation: int,
    reference: Reference,
    parameters: Sequence[int],
    first: Words = NOTHING,
    second: Words = NOTHING,
) -> Words:
    number = 1 if reference is Reference.AVX2 else 2
    head = [operation, number, len(parameters), len(first), len(second), *parameters]
    return np.concatenate([np.array(head, np.uint32), first, second])


def bits(value: np.float32) -> int:
    return int(np.float32(value).view(np.uint32))


def test_weight_products_of_the_model_agree(
    recompute: Recompute, traced: TracedModel, layers: dict[int, tuple[Singles, Rows]]
) -> None:
    rng, requests, expected = np.random.default_rng(5), [], []
    last = layers[traced.shape.layers][1]
    matrices = [
        (f"blk.{layer}.{name}.weight", layers[layer][1][into], layers[layer][1][out])
        for layer in LAYERS
        for name, into, out in MATRICES
    ]
    matrices.append(("token_embd.weight", last[Node.RESULT_NORM], last[Node.LOGITS]))
    places = {place.name: place for place in traced.model.header.tensors}
    content = np.memmap(traced.model.path, np.uint8, "r")
    for name, into, out in matrices:
        place = places[name]
        kind = 3 if place.row_bytes * 32 // into.shape[1] == 20 else 8
        for row, element in zip(*(rng.integers(0, n, EACH) for n in out.shape), strict=True):
            at = place.offset + int(element) * place.row_bytes
            weight = words(content[at : at + place.row_bytes])
            requests.append(
                request(
                    Operation.WEIGHT_PRODUCT, traced.reference, [kind], words(into[row]), weight
                )
            )
            expected.append(bits(out[row, element]))
    found = recompute(requests)
    assert len(found) > 1000
    assert (found == expected).all()


def test_attention_of_the_model_agrees(
    recompute: Recompute, traced: TracedModel, layers: dict[int, tuple[Singles, Rows]]
) -> None:
    rng, requests, expected = np.random.default_rng(6), [], []
    size, shared = traced.shape.head_size, traced.shape.heads // traced.shape.kv_heads
    for layer in LAYERS:
        rows = layers[layer][1]
        count = len(rows[Node.Q_ROPE])
        query, key, value, out = (
            rows[node].reshape(count, -1, size)
            for node in (Node.Q_ROPE, Node.K_ROPE, Node.V, Node.KQV)
        )
        for _ in range(EACH):
            position, head, place = (int(rng.integers(n)) for n in (count, query.shape[1], size))
            other = int(rng.integers(position + 1))
            scores, weights = (
                rows[node][position, head, : position + 1] for node in (Node.KQ, Node.SOFTMAX)
            )
            channel = attention.cached(value[: position + 1, head // shared, place])
            scale = bits(traced.score_scale)
            requests += [
                request(
                    Operation.KEY_PRODUCT,
                    traced.reference,
                    [],
                    words(query[position, head]),
                    words(key[other, head // shared]),
                ),
                request(Operation.SOFTMAX, traced.reference, [other, scale], words(scores)),
                request(
                    Operation.VALUE_PRODUCT, traced.reference, [], words(weights), words(channel)
                ),
            ]
            expected += [bits(one) for one in (scores[other], weights[other])]
            expected.append(bits(out[position, head, place]))
    assert (recompute(requests) == expected).all()


def test_norms_sums_gates_and_rotations_of_the_model_agree(
    recompute: Recompute, traced: TracedModel, layers: dict[int, tuple[Singles, Rows]]
) -> None:
    rng, requests, expected = np.random.default_rng(7), [], []
    size = traced.shape.head_size
    for layer in LAYERS:
        before, rows = layers[layer]
        weight = traced.vector(f"blk.{layer}.attn_norm")
        count, width = before.shape
        for _ in range(EACH):
            row, place, inner = (
                int(rng.integers(n)) for n in (count, width, rows[Node.FFN_UP].shape[1])
            )
            head = int(rng.integers(rows[Node.Q].shape[1] // size))
            part = slice(head * size, (head + 1) * size)
            made = [
                (
                    Operation.NORM,
                    [place, bits(weight[place]), bits(traced.epsilon)],
                    words(before[row]),
                    NOTHING,
                    bits(rows[Node.ATTN_NORM][row, place]),
                ),
                (
                    Operation.RESIDUAL,
                    [bits(before[row, place]), bits(rows[Node.ATTN_OUT][row, place])],
                    NOTHING,
                    NOTHING,
                    bits(rows[Node.FFN_INPUT][row, place]),
                ),
                (
                    Operation.GATE,
                    [bits(rows[node][row, inner]) for node in (Node.FFN_GATE, Node.FFN_UP)],
                    NOTHING,
                    NOTHING,
                    bits(rows[Node.FFN_SWIGLU][row, inner]),
                ),
                (
                    Operation.ROPE,
                    [0, bits(traced.rope.scale), row, place % size],
                    words(rows[Node.Q][row, part]),
                    words(rows[Node.Q_ROPE][row, part]),
                    1,
                ),
            ]
            for operation, parameters, first, second, answer in made:
                requests.append(request(operation, traced.reference, parameters, first, second))
                expected.append(answer)
    assert (recompute(requests) == expected).all()


@pytest.mark.parametrize("reference", list(Reference))
def test_exponentials_agree_where_they_are_short_and_where_they_are_not(
    recompute: Recompute, reference: Reference
) -> None:
    rng = np.random.default_rng(8)
    x = np.concatenate(
        [
            rng.uniform(-30, 30, 20000),
            rng.uniform(-200, 200, 5000),
            rng.choice([-1, 1], 5000) * 2.0 ** rng.uniform(-60, 8, 5000),
            np.arange(-150, 150) * np.log(2),
        ]
    ).astype(np.float32)
    found = recompute([request(EXPONENTIAL, reference, [bits(one)]) for one in x])
    assert (found == exponential(reference, x).view(np.uint32)).all()
