"""What cheating hosts commit to: rows of real runs of other models or other tokens, and rows that
were changed afterwards, under a root of exactly these rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from platformless.engine.model import Model
from platformless.engine.settings import EngineSettings
from platformless.protocol.arithmetic import attention, glue
from platformless.protocol.arithmetic.rounding import Singles
from platformless.protocol.trace.cells import SampledKind
from platformless.protocol.trace.nodes import Node
from tests.cells.held import REFERENCE, HeldTrace, Place, Transcript, answered, asked
from tests.engine.traced import TracedModel

from . import cheats_models
from .cheats_models import HEAD, LAYER
from .cheats_verdicts import KINDS

QUESTION, OTHER_QUESTION = "Why is the sky blue?", "Name three rivers of Europe, and their seas."
NOISE = 1e-3
SKIPPED = "one layer skipped"
_PRODUCT_KINDS = (
    SampledKind.Q,
    SampledKind.K,
    SampledKind.V,
    SampledKind.ATTN_OUT,
    SampledKind.FFN_GATE,
    SampledKind.FFN_UP,
    SampledKind.FFN_OUT,
)
Touched = dict[SampledKind, list[int]]


@dataclass(frozen=True)
class Case:
    """One cheat."""

    name: str
    held: HeldTrace
    answer: int
    """Position of the first token of the answer."""
    touched: Touched = field(default_factory=dict)
    """Kinds and layers in which cells can deviate. All others are sampled, to see that they are
    right."""


class Cases:
    """All cheats, on transcripts of `length` tokens."""

    def __init__(self, registered: TracedModel, folder: Path, length: int) -> None:
        self._registered, self._folder, self._length = registered, folder, length
        self._every = list(range(registered.shape.layers))
        self._prompt = asked(registered.model, QUESTION)
        other = answered(registered.model, asked(registered.model, OTHER_QUESTION), length)
        self._own = answered(registered.model, self._prompt, length)
        if len(other.tokens) != length or len(self._own.tokens) != length:
            raise ValueError("the questions have shorter answers")
        self.honest = HeldTrace.of(registered.model, self._own.tokens)
        self.other = HeldTrace.of(registered.model, other.tokens)
        self._rng = np.random.default_rng(11)

    def all(self) -> Iterator[Case]:
        """One after another: each holds a whole trace."""
        for make in (
            self.coarser,
            self.perturbed,
            self.skipped,
            self.headless,
            self.headless_with_zeros,
            self.replaced,
            self.zeros,
            self.zeros_behind_embedding,
            self.other_transcript,
            self.other_transcript_from_a_layer,
            self.other_cache,
            self.other_prompt,
            self.noise,
            self.logit_raised,
            self.logits_replaced,
        ):
            yield make()

    def coarser(self) -> Case:
        everywhere = dict.fromkeys(_PRODUCT_KINDS, self._every)
        return self._of_file("3-bit weights, all layers", cheats_models.coarser, everywhere)

    def perturbed(self) -> Case:
        everywhere = dict.fromkeys(_PRODUCT_KINDS, self._every)
        name = "another fine-tune (stand-in: 1 % of weights off by 1)"
        return self._of_file(name, cheats_models.perturbed, everywhere)

    def skipped(self) -> Case:
        touched = {SampledKind.ATTN_OUT: [LAYER], SampledKind.FFN_OUT: [LAYER]}
        return self._of_file(SKIPPED, cheats_models.skipped, touched)

    def headless(self) -> Case:
        touched = {SampledKind.ATTN_OUT: [LAYER]}
        return self._of_file("one head left out", cheats_models.headless, touched)

    def headless_with_zeros(self) -> Case:
        """The same run, with a head of zeros committed: then the projection is right."""
        case = self.headless()
        size = self._registered.shape.head_size
        row = case.held.rows[Node.KQV, LAYER].copy()
        row[:, HEAD * size : (HEAD + 1) * size] = 0
        held = case.held.changed({(Node.KQV, LAYER): row})
        touched = {SampledKind.KQV: [LAYER]}
        return Case("one head left out, zeros committed", held, case.answer, touched)

    def replaced(self) -> Case:
        touched = {SampledKind.FFN_UP: [LAYER]}
        return self._of_file("one matrix replaced", cheats_models.replaced, touched)

    def _own_case(self, name: str, rows: dict[Place, Singles], touched: Touched) -> Case:
        return Case(name, self.honest.changed(rows), self._own.answer, touched)

    def _of_file(self, name: str, make: Callable[[Path], Path], touched: Touched) -> Case:
        """The transcript that a changed file gives, and its trace."""
        with _loaded(make(self._folder)) as model:
            said: Transcript = answered(model, self._prompt, self._length)
            return Case(name, HeldTrace.of(model, said.tokens), said.answer, touched)

    def _zero_rows(self) -> dict[Place, Singles]:
        """Zeros wherever zeros follow from zeros, and what follows from them elsewhere."""
        registered = self._registered
        rows = {place: np.zeros_like(row) for place, row in self.honest.rows.items()}
        count = len(self._own.tokens)
        empty = np.zeros((count, count), np.float32)
        even = attention.softmax(REFERENCE, empty, np.arange(1, count + 1), registered.score_scale)
        names = {Node.ATTN_NORM: "attn_norm", Node.FFN_NORM: "ffn_norm"}
        for node, layer in rows:
            if node is Node.SOFTMAX:
                rows[node, layer] = np.repeat(even[:, None], registered.shape.heads, axis=1)
            elif node in names or node is Node.RESULT_NORM:  # zeros have signs
                name = f"blk.{layer}.{names[node]}" if node in names else "output_norm"
                vector = registered.vector(name)
                rows[node, layer] = glue.norm(rows[node, layer], vector, registered.epsilon)
        return rows

    def zeros(self) -> Case:
        return self._own_case(
            "all activations zero", self._zero_rows(), {SampledKind.EMBEDDING: [0]}
        )

    def zeros_behind_embedding(self) -> Case:
        place = (Node.EMBEDDING, 0)
        rows = {**self._zero_rows(), place: self.honest.rows[place]}
        touched = {SampledKind.ATTN_NORM: [0], SampledKind.FFN_INPUT: [0]}
        return self._own_case("all zero behind the embedding", rows, touched)

    def other_transcript(self) -> Case:
        rows = dict(self.other.rows)
        touched = {SampledKind.EMBEDDING: [0]}
        return self._own_case("activations of another transcript", rows, touched)

    def other_transcript_from_a_layer(self) -> Case:
        """Its own rows before the layer; whatever comes later is of the other transcript."""
        rows = {
            (node, layer): row
            for (node, layer), row in self.other.rows.items()
            if layer >= LAYER or node in (Node.RESULT_NORM, Node.LOGITS)
        }
        touched = {SampledKind.ATTN_NORM: [LAYER], SampledKind.FFN_INPUT: [LAYER]}
        return self._own_case(f"of another transcript, from layer {LAYER} on", rows, touched)

    def other_cache(self) -> Case:
        """The answer was decoded behind another prompt; the rows of the prompt are its own."""
        first, foreign = self._behind_another_prompt()
        tokens = self._prompt + foreign.tokens[first:]
        before = HeldTrace.of(self._registered.model, tokens)
        rows = {
            place: np.concatenate([row[:first], foreign.rows[place][first:]])
            for place, row in before.rows.items()
        }
        touched = {SampledKind.KQ: self._every, SampledKind.KQV: self._every}
        held = before.changed(rows)
        return Case("KV cache of another conversation", held, first, touched)

    def other_prompt(self) -> Case:
        """The same, with the rows of the other prompt committed: all deviating cells are at the
        positions of the prompt."""
        first, foreign = self._behind_another_prompt()
        held = replace(foreign, tokens=self._prompt + foreign.tokens[first:])
        name = "KV cache of another conversation, its rows committed"
        return Case(name, held, first, {SampledKind.EMBEDDING: [0]})

    def _behind_another_prompt(self) -> tuple[int, HeldTrace]:
        """Where the answer begins, and the run of another prompt of that length and its answer."""
        first, model = len(self._prompt), self._registered.model
        said = answered(model, self.other.tokens[:first], self._length)
        return first, HeldTrace.of(model, said.tokens)

    def noise(self) -> Case:
        rows = {
            place: row * self._rng.choice(np.array([1 - NOISE, 1 + NOISE], np.float32), row.shape)
            for place, row in self.honest.rows.items()
        }
        layers: Touched = {
            kind: self._every if kind.node.in_layers else [0]
            for kind in KINDS
            if kind is not SampledKind.V_CACHE
        }
        return self._own_case("noise of a thousandth, all rows", rows, layers)

    def logit_raised(self) -> Case:
        """The token that came second wins, once."""
        place = (Node.LOGITS, 0)
        logits = self.honest.rows[place].copy()
        row = logits[self._own.answer]
        row[np.argsort(row)[-2]] = np.nextafter(row.max(), np.float32(np.inf))
        touched = {SampledKind.LOGITS: [0]}
        return self._own_case("one logit raised, so that another wins", {place: logits}, touched)

    def logits_replaced(self) -> Case:
        """The rows of logits that the answer was chosen from, permuted: another head."""
        place = (Node.LOGITS, 0)
        logits = self.honest.rows[place].copy()
        first = self._own.answer - 1
        logits[first:-1] = logits[first:-1, self._rng.permutation(logits.shape[1])]
        touched = {SampledKind.LOGITS: [0]}
        return self._own_case("all logits of the answer replaced", {place: logits}, touched)


@contextmanager
def _loaded(path: Path) -> Iterator[Model]:
    model = Model.load(EngineSettings(model_path=path, threads=1))
    try:
        yield model
    finally:
        model.close()
