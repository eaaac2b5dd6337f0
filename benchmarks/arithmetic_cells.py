"""All cells of a real prompt, recomputed: `python -m benchmarks.arithmetic_cells`.

268 tokens of the packaged model: every element of every product, norm, sum, gate and head is
recomputed from the rows that llama.cpp had, and every rotation held against its bound. Writes a
table (Markdown) and figures (JSON) to `benchmarks/results/`, named by the arithmetic of this
machine's llama.cpp; ends with status 1 on a mismatch.

    --tokens N   of the prompt
    --layers N   only the first ones; written nowhere
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from platformless.engine.build import llama_build
from platformless.engine.model import Model
from platformless.engine.settings import EngineSettings
from platformless.protocol.arithmetic import glue
from platformless.protocol.arithmetic.operations import ROPE_BOUND, Operation
from platformless.protocol.arithmetic.rounding import Singles
from tests.engine.traced import Rows, TracedModel, compared_layer, rotation_deviation

from .machine import machine

RESULTS = Path(__file__).parent / "results"
TEXT = Path(__file__).parents[1] / "README.md"
UNIT = 2.0**-24


class Counts:
    """Cells and mismatches by operation and name, and the largest deviation of a rotation."""

    def __init__(self) -> None:
        self.cells: Counter[tuple[Operation, str]] = Counter()
        self.wrong: Counter[tuple[Operation, str]] = Counter()
        self.seconds: defaultdict[tuple[Operation, str], float] = defaultdict(float)
        self.rotated = 0
        self.deviation = 0.0

    def layer(self, traced: TracedModel, layer: int, before: Singles, rows: Rows) -> None:
        start = time.perf_counter()
        for compared in compared_layer(traced, layer, before, rows):
            key = compared.operation, compared.name
            self.cells[key] += compared.expected.size
            self.wrong[key] += compared.wrong
            now = time.perf_counter()
            self.seconds[key] += now - start
            start = now
        if layer < traced.shape.layers:
            self.deviation = max(self.deviation, rotation_deviation(traced, rows))
            self.rotated += sum(rows[node].size for node in rows if node.name.endswith("_ROPE"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=268)
    parser.add_argument("--layers", type=int)
    options = parser.parse_args()
    model = Model.load(EngineSettings(threads=1))
    traced, counts = TracedModel(model), Counts()
    tokens = model.vocabulary.tokenize(TEXT.read_text())[: options.tokens]
    checked = options.layers or traced.shape.layers + 1

    def visit(layer: int, before: Singles, rows: Rows) -> None:
        if layer == 0:
            table = traced.matrix("token_embd", traced.shape.embedding)
            got = glue.embeddings(table.take(np.array(tokens)))
            key = Operation.EMBEDDING, "embd"
            counts.cells[key] = got.size
            counts.wrong[key] = int((got.view("u4") != before.view("u4")).sum())
        if layer < checked:
            counts.layer(traced, layer, before, rows)
            print(f"layer {layer}: {sum(counts.wrong.values())} mismatches", file=sys.stderr)

    traced.run(tokens, visit)
    figures = _figures(traced, counts, len(tokens))
    print(_table(figures))
    if options.layers is None:
        name = f"arithmetic_cells_{traced.reference.value}"
        (RESULTS / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n")
        (RESULTS / f"{name}.md").write_text(_table(figures) + "\n")
    model.close()
    if sum(counts.wrong.values()) or counts.deviation > ROPE_BOUND:
        sys.exit(1)


def _figures(traced: TracedModel, counts: Counts, tokens: int) -> dict[str, Any]:
    return {
        "version": 1,
        "tokens": tokens,
        "reference": traced.reference.value,
        "llama_build": llama_build(),
        "machine": machine(),
        "cells": [
            {
                "operation": operation.name,
                "name": name,
                "cells": cells,
                "mismatches": counts.wrong[operation, name],
                "seconds": round(counts.seconds[operation, name], 2),
            }
            for (operation, name), cells in counts.cells.items()
        ],
        "rotated_elements": counts.rotated,
        "rotation_deviation_u": round(counts.deviation / UNIT, 3),
        "rotation_bound_u": ROPE_BOUND / UNIT,
    }


def _table(figures: dict[str, Any]) -> str:
    lines = [
        f"{figures['tokens']} tokens, all layers, `{figures['reference']}`:",
        "",
        "| operation | node or matrix | cells | mismatches |",
        "|---|---|---:|---:|",
    ]
    for one in sorted(figures["cells"], key=lambda one: Operation[one["operation"]]):
        lines.append(
            f"| {one['operation'].lower()} | {one['name']} | {one['cells']:,} "
            f"| {one['mismatches']} |"
        )
    cells = sum(one["cells"] for one in figures["cells"])
    wrong = sum(one["mismatches"] for one in figures["cells"])
    products = sum(one["cells"] for one in figures["cells"] if one["operation"] == "WEIGHT_PRODUCT")
    lines += [
        f"| all | | {cells:,} | {wrong} |",
        "",
        f"{products:,} of them are weight products. Of {figures['rotated_elements']:,} rotated"
        f" elements the largest deviation is {figures['rotation_deviation_u']}u; the bound is"
        f" {figures['rotation_bound_u']:g}u (u = 2^-24).",
        "",
        f"{figures['llama_build']}. {figures['machine']}",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
