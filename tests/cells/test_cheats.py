"""Cheats that llama.cpp really runs, and rows changed by hand: which cells they are caught at."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.cheats_cases import Case, Cases
from benchmarks.cheats_curves import rejects
from benchmarks.cheats_grinding import foreign_root
from benchmarks.cheats_models import HEAD, LAYER
from benchmarks.cheats_verdicts import KINDS
from platformless.engine.model import Model
from platformless.protocol.trace.cells import Cell, SampledKind
from platformless.protocol.trace.nodes import Node
from tests.engine.traced import TracedModel

from .held import Auditor

TOKENS = 36
CELLS = 12  # of each kind and layer that is looked at


@pytest.fixture(scope="module")
def cases(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Cases:
    return Cases(TracedModel(model), tmp_path_factory.mktemp("cheats"), TOKENS)


def caught(auditor: Auditor, case: Case, kind: SampledKind, layer: int) -> float:
    """The part of random cells of a kind in a layer that is rejected."""
    rng = np.random.default_rng(kind.value)
    population = case.held.population(kind)
    each = population.size // population.layers
    numbers = layer * each + rng.integers(0, each, CELLS)
    cells = [population.cell(int(number)) for number in numbers]
    return sum(rejects(auditor, case.held, cell) for cell in cells) / CELLS


def found_in(auditor: Auditor, case: Case, layer: int) -> dict[str, float]:
    """By kind, where anything is rejected."""
    parts = {
        kind.name: caught(auditor, case, kind, layer if kind.node.in_layers else 0)
        for kind in KINDS
    }
    return {kind: part for kind, part in parts.items() if part}


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (Cases.skipped, {LAYER: {"ATTN_OUT", "FFN_OUT"}, LAYER + 1: set()}),
        (Cases.headless, {LAYER: {"ATTN_OUT"}}),
        (Cases.replaced, {LAYER: {"FFN_UP"}, LAYER - 1: set()}),
        (Cases.zeros, {LAYER: {"EMBEDDING"}}),
        (Cases.zeros_behind_embedding, {0: {"ATTN_NORM", "FFN_INPUT"}, LAYER: set()}),
        (Cases.other_transcript_from_a_layer, {LAYER: {"ATTN_NORM", "FFN_INPUT"}}),
    ],
)
def test_a_cheat_is_caught_where_it_leaves_the_model_and_nowhere_else(
    auditor: Auditor,
    cases: Cases,
    make: Callable[[Cases], Case],
    where: dict[int, set[str]],
) -> None:
    case = make(cases)
    for layer, kinds in where.items():
        found = found_in(auditor, case, layer)
        assert found.keys() == kinds
        assert all(part > 0.2 for part in found.values())


def test_coarser_weights_are_caught_in_every_matrix_of_every_layer(
    auditor: Auditor, cases: Cases
) -> None:
    case = cases.coarser()
    for kind, layers in case.touched.items():
        for layer in layers[::10]:
            assert caught(auditor, case, kind, layer) == 1


def test_a_head_of_zeros_is_caught_in_its_own_cells_only(auditor: Auditor, cases: Cases) -> None:
    """The projection of the committed zeros is right: one cell of 270 of the kind deviates."""
    case = cases.headless_with_zeros()
    size = case.held.layout.shape.head_size

    def rejected(head: int) -> int:
        cells = (Cell(SampledKind.KQV, LAYER, at, head * size + at) for at in range(1, CELLS))
        return sum(rejects(auditor, case.held, cell) for cell in cells)

    assert rejected(HEAD) == CELLS - 1
    assert rejected(HEAD + 1) == 0
    assert caught(auditor, case, SampledKind.ATTN_OUT, LAYER) == 0


def test_activations_of_another_transcript_are_caught_at_its_tokens(
    auditor: Auditor, cases: Cases
) -> None:
    case = cases.other_transcript()
    for position, (said, run) in enumerate(zip(case.held.tokens, cases.other.tokens, strict=True)):
        cell = Cell(SampledKind.EMBEDDING, 0, position, position)
        if said == run:
            assert not rejects(auditor, case.held, cell)
    assert caught(auditor, case, SampledKind.EMBEDDING, 0) > 0.2


def test_a_foreign_cache_is_caught_in_attention(auditor: Auditor, cases: Cases) -> None:
    case = cases.other_cache()
    last = TOKENS - 1
    for layer in (5, 20):
        assert rejects(auditor, case.held, Cell(SampledKind.KQ, layer, last, 3, case.answer - 2))
        assert not rejects(auditor, case.held, Cell(SampledKind.KQ, layer, last, 3, last))
        assert rejects(auditor, case.held, Cell(SampledKind.KQV, layer, last, 70))


def test_a_foreign_cache_whose_rows_are_committed_is_caught_at_the_prompt_only(
    auditor: Auditor, cases: Cases
) -> None:
    """So a challenge that leaves the prompt out does not see it."""
    case = cases.other_prompt()
    wrong = [
        position
        for position in range(TOKENS)
        if rejects(auditor, case.held, Cell(SampledKind.EMBEDDING, 0, position, 50))
    ]
    assert wrong
    assert max(wrong) < case.answer
    assert found_in(auditor, case, LAYER).keys() <= {"EMBEDDING"}


def test_noise_is_caught_in_every_kind_that_is_computed(auditor: Auditor, cases: Cases) -> None:
    found = found_in(auditor, cases.noise(), LAYER)
    assert found.keys() == {kind.name for kind in KINDS} - {"V_CACHE"}
    assert all(part > 0.5 for part in found.values())


def test_one_raised_logit_is_wrong_in_one_cell_only(auditor: Auditor, cases: Cases) -> None:
    """Sampling is no answer to this; replay is."""
    case = cases.logit_raised()
    raised = np.argwhere(case.held.rows[Node.LOGITS, 0] != cases.honest.rows[Node.LOGITS, 0])
    ((position, token),) = raised.tolist()
    assert rejects(auditor, case.held, Cell(SampledKind.LOGITS, 0, position, token))
    assert rejects(auditor, case.held, Cell(SampledKind.CHOICE, 0, position, 0))
    assert caught(auditor, case, SampledKind.LOGITS, 0) == 0


def test_no_row_opens_under_the_root_of_another_run(cases: Cases) -> None:
    runs, rejected = foreign_root(cases.honest, cases.other)
    assert rejected == runs > 40
