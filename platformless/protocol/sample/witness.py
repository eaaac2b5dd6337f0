"""The private input of the guest `sample` (docs/formats.md, "Sample witness").

Prologue and entries of the context as the guest `session` reads them; 32 words; the settings' text;
the model's facts; kind and draws of each kind; four words a cell that say where its rows come from;
then, cell by cell, the rows that are opened anew: path, room for what is hashed before the bytes,
and the bytes, filled up to whole words.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..arithmetic.operations import Reference
from ..digests import TraceRoot
from ..trace.cells import Cell
from ..trace.challenge import Beacon, challenge
from ..trace.layout import TraceLayout, leaf_digest
from ..trace.merkle import root_of_run
from ..trace.needs import needed_runs
from ..trace.opening import Opening, Run
from ..trace.settings import TraceSettings
from .claim import SampleClaim, sampled_cells
from .context import Context
from .errors import WitnessIncomplete
from .facts import ModelFacts, WeightRow
from .plan import SamplePlan

_SLOTS = 4
_FRESH, _KEEP, _KEPT = 0, 1, 2
_MOST_KEPT = 256
ROOM_WORDS = 1 << 18
"""The guest's memory for opened rows: those of one cell, and those that are kept."""
_DIGEST_WORDS, _PADDING_WORDS = 8, 18
_CROWN_LEVEL, _CROWN = 5, 128
"""Level of the tree over the nodes whose digests the guest remembers, and how many of them."""
_REFERENCES = {Reference.AVX2: 1, Reference.AVX512: 2}
_LEAF_HEAD, _WEIGHT_HEAD = bytes(12), bytes(8)


@dataclass(frozen=True, slots=True)
class Sampling:
    """What is sampled: everything that the claim follows from, before anything is opened."""

    context: Context
    facts: ModelFacts
    trace_root: TraceRoot
    settings: TraceSettings
    reference: Reference
    beacon_number: int
    beacon: Beacon
    plan: SamplePlan

    @property
    def layout(self) -> TraceLayout:
        return TraceLayout(self.facts.shape, len(self.context.tokens))

    def cells(self) -> tuple[Cell, ...]:
        """The cells that the beacon asks for, in their order."""
        plan = self.plan.challenged(self.layout)
        return challenge(self.trace_root, self.context.after.digest, self.beacon, plan)

    def runs(self) -> tuple[Run, ...]:
        """The leaves that are opened, each once."""
        layout = self.layout
        needed = (run for cell in self.cells() for run in needed_runs(layout, cell))
        return tuple(dict.fromkeys(needed))

    def weight_rows(self) -> tuple[WeightRow, ...]:
        """The rows of the weights that are opened, each once."""
        tokens = self.context.tokens
        needed = (self.facts.weight_row(cell, tokens) for cell in self.cells())
        return tuple(dict.fromkeys(row for row in needed if row is not None))

    def claim(self) -> SampleClaim:
        """What a proof will say."""
        after = self.context.after
        return SampleClaim(
            header_digest=self.context.header.digest(),
            terms=self.context.header.terms,
            tokens_after=after.tokens,
            state_after=after.digest,
            first_entry=self.context.before.entries,
            tokens_before=self.context.before.tokens,
            layout=self.layout,
            trace_root=self.trace_root,
            settings=self.settings.digest,
            reference=self.reference,
            model=self.facts.digest,
            beacon_number=self.beacon_number,
            beacon=self.beacon,
            covered=self.plan.covered,
            cells=sampled_cells(self.plan, self.layout),
        )


@dataclass(frozen=True, slots=True)
class OpenedWeight:
    """A row of the weights, and the digests beside it in the tree of the weights."""

    row: WeightRow
    data: bytes
    path: tuple[bytes, ...]


def sample_witness(
    sampling: Sampling, openings: Iterable[Opening], weights: Iterable[OpenedWeight]
) -> bytes:
    """The guest's input. Openings are taken as they are: the guest refuses what does not lead to
    the roots.

    Raises:
        WitnessIncomplete: when a row that a cell needs is not among those given.
    """
    rows = {one.run: one for one in openings}
    if not rows:
        raise WitnessIncomplete("nothing is opened")
    weighed = {one.row: one for one in weights}
    settings, plan = sampling.settings.encode(), sampling.plan
    head = struct.pack(
        "<32s32sQ6I32x",
        _top(sampling.layout, next(iter(rows.values()))),
        sampling.beacon.value,
        sampling.beacon_number,
        _REFERENCES[sampling.reference],
        plan.covered.first,
        plan.covered.count,
        len(plan.draws),
        len(settings),
        sampling.facts.shape.layers,
    )
    kinds = b"".join(struct.pack("<2I", kind.value, count) for kind, count in plan.draws)
    slots, opened = _cells(sampling, rows, weighed)
    return b"".join(
        (
            sampling.context.window(sampling.trace_root).witness(),
            head,
            _fill(settings),
            sampling.facts.encode(),
            kinds,
            slots,
            opened,
        )
    )


def _cells(
    sampling: Sampling,
    rows: Mapping[Run, Opening],
    weighed: Mapping[WeightRow, OpenedWeight],
) -> tuple[bytes, bytes]:
    """The words that say where rows come from, and the rows."""
    layout, tokens, cells = sampling.layout, sampling.context.tokens, sampling.cells()
    needs = [needed_runs(layout, cell) for cell in cells]
    beside = [_weight_of(sampling.facts.weight_row(cell, tokens), weighed) for cell in cells]
    kept = kept_rows(layout, needs, [0 if one is None else _weight_words(one) for one in beside])
    known: set[Run] = set()
    crown: set[int] = set()
    slots, opened = bytearray(), []
    for runs, weight in zip(needs, beside, strict=True):
        words = [_FRESH] * _SLOTS
        for place, run in enumerate(runs):
            if run in known:
                words[place] = _KEPT + kept[run]
                continue
            if run in kept:
                words[place] = _KEEP
                known.add(run)
            opened.append(_opened_row(layout, rows.get(run), run, crown))
        slots += struct.pack(f"<{_SLOTS}I", *words)
        if weight is not None:
            opened.append(b"".join((*weight.path, _WEIGHT_HEAD, _fill(weight.data))))
    return bytes(slots), b"".join(opened)


def kept_rows(
    layout: TraceLayout, needs: Sequence[tuple[Run, ...]], weight_words: Sequence[int]
) -> dict[Run, int]:
    """The rows that the guest keeps because a later cell needs them again, numbered as they come:
    as many as its memory holds beside the largest cell. The others are opened again.

    Args:
        needs: Of each cell.
        weight_words: What each cell's row of the weights takes, in words; 0 without one.
    """
    uses = Counter(run for runs in needs for run in runs)
    sizes = {run: _row_words(layout, run) for run in uses}
    largest = max(
        sum(sizes[run] for run in runs) + words
        for runs, words in zip(needs, weight_words, strict=True)
    )
    room, kept = ROOM_WORDS - largest, dict[Run, int]()
    for run, count in uses.items():
        if count > 1 and len(kept) < _MOST_KEPT and sizes[run] <= room:
            room -= sizes[run]
            kept[run] = len(kept)
    return kept


def _row_words(layout: TraceLayout, run: Run) -> int:
    """What a row takes of the guest's memory, in words, at most."""
    levels = layout.leaves(run.node).bit_length() + layout.node_count.bit_length()
    size = layout.leaf_bytes(run.node, run.position, run.first_piece)
    return _opened_words(levels, _LEAF_HEAD, size)


def _weight_words(weight: OpenedWeight) -> int:
    return _opened_words(len(weight.path), _WEIGHT_HEAD, len(weight.data))


def _opened_words(digests: int, head: bytes, size: int) -> int:
    return digests * _DIGEST_WORDS + len(head) // 4 + -(-size // 4) + _PADDING_WORDS


def _weight_of(
    row: WeightRow | None, weighed: Mapping[WeightRow, OpenedWeight]
) -> OpenedWeight | None:
    if row is None:
        return None
    found = weighed.get(row)
    if found is None:
        raise WitnessIncomplete("a row of the weights is not opened", got=row)
    return found


def _top(layout: TraceLayout, opening: Opening) -> bytes:
    """The root of the tree over the nodes, of which the trace root is made."""
    run = opening.run
    index = layout.index(run.node, run.layer)
    leaf = leaf_digest(index, run.position, run.first_piece, opening.data)
    leaves = layout.leaves(run.node)
    node = root_of_run([leaf], run.first_leaf(layout), leaves, opening.node_path)
    return root_of_run([node], index, layout.node_count, opening.top_path)


def _opened_row(layout: TraceLayout, opening: Opening | None, run: Run, crown: set[int]) -> bytes:
    """A row; its path ends at a digest of the crown that another row led to the root before."""
    if opening is None or len(opening.leaves) != 1:
        raise WitnessIncomplete("a row of the trace is not opened", got=run)
    index = layout.index(run.node, run.layer)
    top, bucket = opening.top_path, index >> _CROWN_LEVEL
    if bucket in crown:
        top = top[: _digests_below_crown(index, layout.node_count)]
    elif bucket < _CROWN:
        crown.add(bucket)
    return b"".join((*opening.node_path, *top, _LEAF_HEAD, _fill(opening.data)))


def _digests_below_crown(index: int, nodes: int) -> int:
    """How many digests a path has on the levels below the crown."""
    count = 0
    for _ in range(_CROWN_LEVEL):
        count += nodes > 1 and (index % 2 == 1 or index + 1 < nodes)
        index, nodes = index // 2, (nodes + 1) // 2
    return count


def _fill(data: bytes) -> bytes:
    """`data` and zeros up to a whole word."""
    return data + bytes(-len(data) % 4)
