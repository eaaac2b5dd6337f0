"""A traced context of the real model, ready to be sampled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

from platformless.engine.model import Model
from platformless.engine.trace.capture import NodeRows, capture
from platformless.engine.trace.supported import traceable_settings
from platformless.engine.trace.tracing import TraceForest, layout_of
from platformless.engine.weights_opening import WeightsTree
from platformless.protocol.sample.context import Context
from platformless.protocol.sample.plan import SamplePlan
from platformless.protocol.sample.witness import Sampling, sample_witness
from platformless.protocol.trace.cells import Span
from platformless.protocol.trace.challenge import Beacon
from platformless.protocol.trace.opening import Opening, Run
from platformless.protocol.transcript import Entry, Kind, Sampler, State
from platformless.prover.sample import sampling_of

from ..samples import HEADER

TEXT = "A lighthouse keeper climbs the stairs each night and lights the lamp."
BEACON = Beacon(sha256(b"a block").digest())
Alter = Callable[[NodeRows], NodeRows]


def context_of(model: Model, tree: WeightsTree, *, later: bool = False) -> Context:
    """A prompt and its answer; `later` in a transcript that had another context before."""
    tokens = model.vocabulary.tokenize(TEXT)
    header = replace(HEADER, terms=replace(HEADER.terms, weights_root=tree.root))
    before = State.initial(header)
    if later:
        before = before.append(header, Entry(Kind.COMPLETION, (5, 6, 7), "before"))
    half = len(tokens) // 2
    entries = (
        Entry(Kind.PROMPT, tokens[:half], "asked"),
        Entry(Kind.COMPLETION, tokens[half:], "answered", Sampler(0.7, 40, 0.95)),
        Entry(Kind.END),
    )
    return Context(header, before, entries)


@dataclass(frozen=True)
class Traced:
    """A host that commits to a trace, as computed or altered, and answers a beacon."""

    model: Model
    tree: WeightsTree
    context: Context
    alter: Alter = lambda rows: rows

    def sampling(self, plan: SamplePlan) -> Sampling:
        forest = self._run(())
        return sampling_of(
            self.model,
            self.context,
            forest.root(),
            traceable_settings(threads=1),
            77,
            BEACON,
            plan,
        )

    def every_kind(self) -> Sampling:
        return self.sampling(SamplePlan.even(21, Span(0, len(self.context.tokens))))

    def openings(self, sampling: Sampling) -> tuple[Opening, ...]:
        runs = sampling.runs()
        forest = self._run(runs)
        forest.root()
        return tuple(forest.opening(run) for run in runs)

    def witness(self, sampling: Sampling) -> bytes:
        weights = self.tree.open(sampling.weight_rows())
        return sample_witness(sampling, self.openings(sampling), weights)

    def _run(self, runs: tuple[Run, ...]) -> TraceForest:
        tokens = self.context.tokens
        forest = TraceForest(layout_of(self.model, tokens), runs)

        def add(rows: NodeRows) -> None:
            forest.add(self.alter(rows))

        capture(self.model, tokens, traceable_settings(threads=1), add)
        return forest
