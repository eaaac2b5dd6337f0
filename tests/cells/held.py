"""A whole trace in memory: opened at will, and changed as a cheating host would change it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from platformless.audit.cells.checking import Source, check_cell
from platformless.audit.cells.weights import FileWeights
from platformless.engine.chat import ChatFormat
from platformless.engine.context import Context
from platformless.engine.model import Model
from platformless.engine.settings import EngineSettings
from platformless.engine.trace.capture import NodeRows, capture
from platformless.engine.trace.leaves import cache_values
from platformless.engine.trace.supported import traceable_settings
from platformless.engine.trace.tracing import TraceForest, layout_of
from platformless.protocol.arithmetic.operations import Reference
from platformless.protocol.arithmetic.rounding import Singles
from platformless.protocol.digests import TraceRoot
from platformless.protocol.prompt import ChatMessage
from platformless.protocol.trace.cells import Cell, Population, SampledKind, Span
from platformless.protocol.trace.layout import TraceLayout
from platformless.protocol.trace.needs import needed_runs
from platformless.protocol.trace.nodes import Node
from platformless.protocol.trace.opening import Opening, Run

SETTINGS = traceable_settings(threads=1)
REFERENCE = {one.lanes: one for one in Reference}[SETTINGS.product_lanes]
Place = tuple[Node, int]


@dataclass(frozen=True)
class Transcript:
    """Tokens as the model saw them; those from `answer` on it chose greedily itself, with the
    arithmetic of prompts."""

    tokens: tuple[int, ...]
    answer: int

    def cut(self, count: int) -> Transcript:
        return Transcript(self.tokens[:count], min(self.answer, count))


@dataclass(frozen=True)
class HeldTrace:
    """The rows that a host commits to, and the tokens that it says they are of."""

    tokens: tuple[int, ...]
    layout: TraceLayout
    rows: Mapping[Place, Singles]
    """f32 [positions, values]; of attention [positions, heads, positions]. Without V_CACHE, which
    is made of V."""

    @classmethod
    def of(cls, model: Model, tokens: Sequence[int]) -> HeldTrace:
        """What `model` computes for `tokens`."""
        rows: dict[Place, Singles] = {}

        def keep(got: NodeRows) -> None:
            values = got.values[..., : len(tokens)] if got.node.causal else got.values
            rows[got.node, got.layer] = np.array(values)

        capture(model, tokens, SETTINGS, keep)
        return cls(tuple(tokens), layout_of(model, tokens), rows)

    def changed(self, rows: Mapping[Place, Singles]) -> HeldTrace:
        """With other rows, committed to as the rest."""
        return replace(self, rows={**self.rows, **rows})

    def leaves(self, run: Run) -> tuple[bytes, ...]:
        """The bytes of a run."""
        pieces = range(run.first_piece, run.first_piece + run.pieces)
        if run.node is Node.V_CACHE:
            columns = cache_values(self.rows[Node.V, run.layer][:, list(pieces)])
            return tuple(column.tobytes() for column in columns)
        row = self.rows[run.node, run.layer][run.position]
        if run.node.causal:
            return tuple(row[head, : run.position + 1].tobytes() for head in pieces)
        size = self.layout.piece_values(run.node)
        return tuple(row[piece * size : (piece + 1) * size].tobytes() for piece in pieces)

    def opened(self, cell: Cell) -> dict[Run, bytes]:
        """What is opened for a cell, without paths."""
        return {run: b"".join(self.leaves(run)) for run in needed_runs(self.layout, cell)}

    def openings(self, runs: Sequence[Run]) -> tuple[TraceRoot, tuple[Opening, ...]]:
        """The root of exactly these rows, and rows opened against it."""
        forest = TraceForest(self.layout, runs)
        for (node, layer), values in self.rows.items():
            forest.add(NodeRows(node, layer, 0, values))
        root = forest.root()
        return root, tuple(forest.opening(run) for run in runs)

    @property
    def root(self) -> TraceRoot:
        return self.openings(())[0]

    def population(self, kind: SampledKind, answer: int = 1) -> Population:
        """All cells of a kind; of choices, those of the tokens from `answer` on."""
        spans = (Span(0, len(self.tokens)),)
        if kind is SampledKind.CHOICE:
            spans = (Span(answer - 1, len(self.tokens) - answer),)
        return Population.of(kind, self.layout.shape, spans)


class Auditor:
    """Checks cells with the registered weights."""

    def __init__(self, model: Model) -> None:
        self.weights = FileWeights(model.path)

    def source(self, held: HeldTrace) -> Source:
        return Source(held.layout, held.tokens, self.weights, REFERENCE)

    def check(self, held: HeldTrace, cell: Cell) -> None:
        """Raises: as `check_cell`."""
        check_cell(self.source(held), cell, held.opened(cell))


def asked(model: Model, question: str) -> tuple[int, ...]:
    """A question in the model's chat template."""
    chat = ChatFormat(model.vocabulary, model.chat_template)
    return chat.opening([ChatMessage("system", "Be brief."), ChatMessage("user", question)])


def answered(model: Model, prompt: Sequence[int], length: int) -> Transcript:
    """`prompt` and the model's greedy answer, `length` tokens in all or up to its end. Each token
    is decoded in company, so that its logits are those of a prompt."""
    settings = EngineSettings(sequences=1, context_tokens=512, threads=1)
    context = Context(model, settings)
    tokens = list(prompt)
    context.decode_marked(0, tokens, 0, [False] * (len(tokens) - 1) + [True])
    row = len(tokens) - 1
    while len(tokens) < length:
        token = int(np.argmax(context.logits(row)))
        tokens.append(token)
        if token in model.vocabulary.end_tokens:
            break
        context.decode_marked(0, [token, token], len(tokens) - 1, [True, False])
        context.keep(0, len(tokens))
        row = 0
    context.close()
    return Transcript(tuple(tokens), len(prompt))
