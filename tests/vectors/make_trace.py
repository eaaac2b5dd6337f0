"""Writes the vectors of traces that Python and Rust share: `python -m tests.vectors.make_trace`.

Inputs are fixed, so the file changes only when a layout does.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from platformless.protocol.digests import StateDigest, TraceRoot, tagged_sha256
from platformless.protocol.trace.cells import Population, SampledKind, Span
from platformless.protocol.trace.challenge import Beacon, Draws, challenge
from platformless.protocol.trace.layout import TraceLayout, leaf_digest
from platformless.protocol.trace.merkle import merkle_root, run_path
from platformless.protocol.trace.nodes import ModelShape, Node
from platformless.protocol.trace.opening import Opening, Run

FILE = Path(__file__).with_name("trace-challenge.json")
SMALL = ModelShape(
    layers=2, embedding=32, heads=4, kv_heads=2, head_size=8, ffn=64, vocabulary=1100
)
SMOLLM2 = ModelShape(
    layers=30, embedding=576, heads=9, kv_heads=3, head_size=64, ffn=1536, vocabulary=49152
)


def digest(number: int) -> bytes:
    return sha256(b"vector %d" % number).digest()


def plan(shape: ModelShape, positions: int, draws: int, answers: tuple[Span, ...]) -> list[Draws]:
    """The same number of every kind; choices at the positions before the tokens of answers."""
    everywhere = (Span(0, positions),)
    return [
        Draws(
            Population.of(kind, shape, answers if kind is SampledKind.CHOICE else everywhere),
            draws,
        )
        for kind in SampledKind
    ]


HUGE = [
    # 3 * 2^62 cells: a quarter of the draws is thrown away.
    Draws(Population(SampledKind.LOGITS, 3 << 20, 1 << 22, (Span(0, 1 << 20),)), 12)
]
CHALLENGES = {
    "small model, three positions": (1, plan(SMALL, 3, 2, (Span(1, 1),))),
    "SmolLM2, 268 positions, two answers": (
        2,
        plan(SMOLLM2, 268, 3, (Span(47, 100), Span(160, 90))),
    ),
    "new positions only": (
        3,
        [
            Draws(Population.of(SampledKind.KQ, SMOLLM2, (Span(200, 68),)), 4),
            Draws(Population.of(SampledKind.SOFTMAX, SMOLLM2, (Span(0, 8), Span(200, 68))), 4),
        ],
    ),
    "draws thrown away": (4, HUGE),
}


def challenge_vector(name: str) -> dict[str, Any]:
    number, draws = CHALLENGES[name]
    root, state = TraceRoot(digest(10 * number)), StateDigest(digest(10 * number + 1))
    beacon = Beacon(digest(10 * number + 2))
    seed = tagged_sha256("trace-challenge", root.value + state.value + beacon.value)
    return {
        "name": name,
        "root": root.value.hex(),
        "state_after": state.value.hex(),
        "beacon": beacon.value.hex(),
        "plan": [asked_for(one) for one in draws],
        "seed": seed.hex(),
        "cells": [
            [cell.kind.value, cell.layer, cell.position, cell.element, cell.key]
            for cell in challenge(root, state, beacon, draws)
        ],
    }


def asked_for(draws: Draws) -> dict[str, Any]:
    population = draws.population
    return {
        "kind": population.kind.value,
        "draws": draws.count,
        "layers": population.layers,
        "elements": population.elements,
        "spans": [[span.first, span.count] for span in population.spans],
    }


def leaf_bytes(layout: TraceLayout, index: int, node: Node, position: int, piece: int) -> bytes:
    """Made up: a run of the bytes of a hash."""
    size = layout.leaf_bytes(node, position, piece)
    block = sha256(b"leaf %d %d %d" % (index, position, piece)).digest()
    return (block * (size // len(block) + 1))[:size]


def openings() -> tuple[TraceLayout, TraceRoot, list[Opening]]:
    """A made-up trace of the small model, and some runs of it."""
    layout = TraceLayout(SMALL, 5)
    data: dict[tuple[int, int, int], bytes] = {}
    trees: list[list[bytes]] = [[] for _ in range(layout.node_count)]
    for node in Node:
        for layer in range(SMALL.layers if node.in_layers else 1):
            index = layout.index(node, layer)
            rows = 1 if node is Node.V_CACHE else layout.positions
            for position in range(rows):
                for piece in range(layout.pieces(node)):
                    content = leaf_bytes(layout, index, node, position, piece)
                    data[index, position, piece] = content
                    trees[index].append(leaf_digest(index, position, piece, content))
    roots = [merkle_root(tree) for tree in trees]
    opened = []
    for run in (
        Run.row(layout, Node.EMBEDDING, 0, 4),
        Run.row(layout, Node.LOGITS, 0, 3),
        Run.element(layout, Node.LOGITS, 0, 4, 1099),
        Run.head(Node.SOFTMAX, 1, 2, 3),
        Run.channel(1, 9),
    ):
        index = layout.index(run.node, run.layer)
        pieces = range(run.first_piece, run.first_piece + run.pieces)
        opened.append(
            Opening(
                run,
                tuple(data[index, run.position, piece] for piece in pieces),
                run_path(trees[index], run.first_leaf(layout), run.pieces),
                run_path(roots, index, 1),
            )
        )
    return layout, layout.root(merkle_root(roots)), opened


def opening_vector(layout: TraceLayout, opening: Opening) -> dict[str, Any]:
    run = opening.run
    return {
        "node": run.node.value,
        "layer": run.layer,
        "position": run.position,
        "first_piece": run.first_piece,
        "node_index": layout.index(run.node, run.layer),
        "first_leaf": run.first_leaf(layout),
        "node_leaves": layout.leaves(run.node),
        "nodes": layout.node_count,
        "leaves": [leaf.hex() for leaf in opening.leaves],
        "node_path": [one.hex() for one in opening.node_path],
        "top_path": [one.hex() for one in opening.top_path],
    }


def vectors() -> dict[str, Any]:
    layout, root, opened = openings()
    return {
        "challenges": [challenge_vector(name) for name in CHALLENGES],
        "trace": {
            "shape": [getattr(SMALL, name) for name in SMALL.__dataclass_fields__],
            "positions": layout.positions,
            "root": root.value.hex(),
            "openings": [opening_vector(layout, one) for one in opened],
        },
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(vectors(), indent=1) + "\n")
