"""The guest `sample`, run by the executor: it says what Python says, and refuses what it must."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from platformless.engine.model import Model
from platformless.engine.settings import EngineSettings
from platformless.engine.trace.capture import NodeRows
from platformless.engine.weights import weights_of
from platformless.engine.weights_opening import WeightsTree
from platformless.protocol.bundle import Bundle
from platformless.protocol.sample.claim import SampleClaim
from platformless.protocol.sample.plan import SamplePlan
from platformless.protocol.sample.witness import Sampling, sample_witness
from platformless.protocol.trace.cells import SampledKind, Span
from platformless.protocol.trace.challenge import Beacon
from platformless.protocol.trace.nodes import Node
from platformless.prover.errors import ProverRefused
from platformless.prover.messages import Execution
from platformless.prover.process import StarkProver

from .conftest import SAMPLED_BUNDLE
from .sampled import Traced, context_of

PROGRAM = Path(__file__).parents[2] / "guest" / "elf" / "sample.bin"
Execute = Callable[[bytes], Execution]


@pytest.fixture(scope="module")
def execute(prover_binary: Path) -> Iterator[Execute]:
    with asyncio.Runner() as runner:
        prover = StarkProver(prover_binary)
        yield lambda witness: runner.run(prover.execute(witness, program_path=PROGRAM))
        runner.run(prover.close())


@pytest.fixture(scope="module")
def host() -> Iterator[Traced]:
    model = Model.load(EngineSettings(threads=1))
    tree = WeightsTree(model.path, model.header)
    yield Traced(model, tree, context_of(model, tree))
    model.close()


@pytest.fixture(scope="module")
def sampling(host: Traced) -> Sampling:
    return host.every_kind()


@pytest.fixture(scope="module")
def witness(host: Traced, sampling: Sampling) -> bytes:
    return host.witness(sampling)


@pytest.fixture(scope="module")
def head(sampling: Sampling) -> int:
    """Where the words behind the entries begin."""
    return len(sampling.context.window(sampling.trace_root).witness())


@pytest.fixture(scope="module")
def refused(execute: Execute) -> Callable[[bytes], str]:
    """Runs a witness that the guest must refuse; the code with which it does."""

    def run(witness: bytes) -> str:
        with pytest.raises(ProverRefused) as caught:
            execute(witness)
        assert caught.value.prover_code == "STP-011"
        message = str(caught.value.message)
        return message[message.index("GST-") :][:7]

    return run


def with_word(witness: bytes, at: int, word: int) -> bytes:
    return witness[:at] + struct.pack("<I", word) + witness[at + 4 :]


def test_cells_of_every_kind_give_the_claim_that_python_gives(
    execute: Execute, sampling: Sampling, witness: bytes
) -> None:
    execution = execute(witness)
    assert execution.journal == sampling.claim().encode().hex()
    claim = SampleClaim.decode(bytes.fromhex(execution.journal))
    assert claim == sampling.claim()
    assert claim.missing == ()


def test_the_tree_of_the_weights_has_the_root_that_the_header_names(host: Traced) -> None:
    assert host.tree.root == weights_of(host.model.path).root


def test_a_context_may_begin_later_in_the_transcript(host: Traced, execute: Execute) -> None:
    later = replace(host, context=context_of(host.model, host.tree, later=True))
    sampling = later.every_kind()
    execution = execute(later.witness(sampling))
    assert execution.journal == sampling.claim().encode().hex()
    assert sampling.claim().first_entry == 1


def test_a_context_that_begins_later_begins_with_a_prompt(
    host: Traced, refused: Callable[[bytes], str]
) -> None:
    """Else a host could leave out of its trace what an answer answers."""
    whole = context_of(host.model, host.tree, later=True)
    prompt, *rest = whole.entries
    before = whole.before.append(whole.header, prompt)
    answer = replace(host, context=replace(whole, before=before, entries=tuple(rest)))
    assert refused(answer.witness(answer.every_kind())) == "GST-203"


def test_rows_that_cells_share_are_opened_once(host: Traced, execute: Execute) -> None:
    """All positions but one are left out, so that every product has the same input row."""
    plan = SamplePlan.of({SampledKind.LOGITS: 8, SampledKind.RESULT_NORM: 2}, Span(3, 1))
    sampling = host.sampling(plan)
    witness = host.witness(sampling)
    assert execute(witness).journal == sampling.claim().encode().hex()
    assert len(sampling.runs()) < 2 * 10


@pytest.mark.parametrize(
    ("node", "change"),
    [
        (Node.Q, lambda values: values * np.float32(1.001)),
        (Node.SOFTMAX, lambda values: values * np.float32(0.999)),
        (Node.LAYER_OUT, lambda values: values * 0),
        (Node.LOGITS, lambda values: np.nextafter(values, np.float32(1e9))),
        (Node.Q_ROPE, lambda values: values * np.float32(1 + 2**-20)),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_a_committed_value_that_does_not_follow_is_refused(
    host: Traced, refused: Callable[[bytes], str], node: Node, change: Callable[..., object]
) -> None:
    def alter(rows: NodeRows) -> NodeRows:
        return replace(rows, values=change(rows.values)) if rows.node is node else rows  # type: ignore[arg-type]

    cheat = replace(host, alter=alter)
    span = Span(0, len(host.context.tokens))
    sampling = cheat.sampling(SamplePlan.of({SampledKind(node.value): 3}, span))
    assert refused(cheat.witness(sampling)) == "GST-212"


def test_a_committed_infinity_is_refused(host: Traced, refused: Callable[[bytes], str]) -> None:
    def alter(rows: NodeRows) -> NodeRows:
        if rows.node is not Node.FFN_GATE:
            return rows
        return replace(rows, values=np.full_like(rows.values, np.inf))

    cheat = replace(host, alter=alter)
    span = Span(0, len(host.context.tokens))
    sampling = cheat.sampling(SamplePlan.of({SampledKind.FFN_SWIGLU: 1}, span))
    assert refused(cheat.witness(sampling)) == "GST-213"


def test_a_changed_row_or_path_is_refused(
    host: Traced, sampling: Sampling, refused: Callable[[bytes], str]
) -> None:
    openings = host.openings(sampling)
    weights = host.tree.open(sampling.weight_rows())
    last = openings[-1]
    flipped = bytes([last.data[0] ^ 1]) + last.data[1:]
    wrong_row = replace(last, leaves=(flipped,))
    wrong_path = replace(last, node_path=(bytes(32), *last.node_path[1:]))
    for wrong in (wrong_row, wrong_path):
        changed = sample_witness(sampling, (*openings[:-1], wrong), weights)
        assert refused(changed) == "GST-210"
    first = weights[0]
    flipped = bytes([first.data[0] ^ 1]) + first.data[1:]
    for weight in (replace(first, data=flipped), replace(first, path=(bytes(32), *first.path[1:]))):
        changed = sample_witness(sampling, openings, (weight, *weights[1:]))
        assert refused(changed) == "GST-211"


def test_other_weights_than_the_headers_are_refused(
    host: Traced, sampling: Sampling, refused: Callable[[bytes], str]
) -> None:
    """The row of another matrix in place of the one that is needed."""
    rows = sampling.weight_rows()
    matrix = next(row for row in rows if row.tensor.type)
    opened = {one.row: one for one in host.tree.open(rows)}
    (other,) = host.tree.open([replace(matrix, row=matrix.row ^ 1)])
    opened[matrix] = replace(other, row=matrix)
    changed = sample_witness(sampling, host.openings(sampling), opened.values())
    assert refused(changed) == "GST-211"


def test_another_beacon_asks_for_other_cells(
    witness: bytes, head: int, refused: Callable[[bytes], str]
) -> None:
    changed = bytearray(witness)
    changed[head + 32] ^= 1
    assert refused(bytes(changed)) in ("GST-201", "GST-210", "GST-211")


def test_another_trace_root_is_refused(
    witness: bytes, head: int, refused: Callable[[bytes], str]
) -> None:
    changed = bytearray(witness)
    changed[head] ^= 1
    assert refused(bytes(changed)) in ("GST-201", "GST-210", "GST-211")


def test_a_token_of_another_transcript_is_refused(
    host: Traced, sampling: Sampling, refused: Callable[[bytes], str]
) -> None:
    """The trace and its openings stay; the transcript has one other token."""
    context = sampling.context
    first = context.entries[0]
    other = replace(first, tokens=(first.tokens[0] ^ 1, *first.tokens[1:]))
    changed = replace(sampling, context=replace(context, entries=(other, *context.entries[1:])))
    plan = SamplePlan.of({SampledKind.EMBEDDING: 40}, Span(0, 1))
    changed = replace(changed, plan=plan)
    assert refused(host.witness(changed)) == "GST-212"


def test_cells_that_the_host_chose_are_refused(
    host: Traced, sampling: Sampling, head: int, refused: Callable[[bytes], str]
) -> None:
    """A witness for the cells of another block, with this block's hash in it."""
    chosen = replace(sampling, beacon=Beacon(bytes(range(32))))
    changed = bytearray(host.witness(chosen))
    changed[head + 32 : head + 64] = sampling.beacon.value
    assert refused(bytes(changed)) in ("GST-201", "GST-210", "GST-211")


def test_facts_that_are_not_the_models_are_refused(
    host: Traced, sampling: Sampling, refused: Callable[[bytes], str]
) -> None:
    facts = replace(sampling.facts, epsilon_bits=sampling.facts.epsilon_bits + (20 << 23))
    span = Span(0, len(host.context.tokens))
    plan = SamplePlan.of({SampledKind.FFN_NORM: 4}, span)
    assert refused(host.witness(replace(sampling, facts=facts, plan=plan))) == "GST-212"


@pytest.mark.parametrize(
    ("word", "value", "codes"),
    [
        (18, 3, "GST-207"),  # reference
        (19, 10**6, "GST-208"),  # first position
        (20, 0, "GST-208"),  # positions
        (21, 0, "GST-208"),  # kinds
        (21, 22, "GST-208"),
        (22, 0, "GST-207"),  # settings
        (22, 513, "GST-207"),
    ],
)
def test_heads_out_of_range_are_refused(
    witness: bytes,
    head: int,
    refused: Callable[[bytes], str],
    word: int,
    value: int,
    codes: str,
) -> None:
    assert refused(with_word(witness, head + 4 * word, value)) == codes


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({"flash_attention": True}, False),
        ({"gpu_layers": 1}, False),
        ({"kv_type": "q8_0"}, False),
        ({"ubatch_tokens": 1}, False),
        ({"product_lanes": 4}, False),
        ({"threads": 7, "llama_build": "another"}, True),
    ],
)
def test_settings_must_fit_the_arithmetic(
    host: Traced,
    sampling: Sampling,
    execute: Execute,
    refused: Callable[[bytes], str],
    change: dict[str, object],
    fits: bool,
) -> None:
    """Those on which no bit depends are only named."""
    changed = replace(sampling, settings=replace(sampling.settings, **change))  # type: ignore[arg-type]
    weights = host.tree.open(sampling.weight_rows())
    witness = sample_witness(changed, host.openings(sampling), weights)
    if fits:
        assert execute(witness).journal == changed.claim().encode().hex()
    else:
        assert refused(witness) == "GST-207"


def test_every_other_rule_has_its_code(
    sampling: Sampling, witness: bytes, head: int, refused: Callable[[bytes], str]
) -> None:
    settings = -(-len(sampling.settings.encode()) // 4) * 4
    facts = head + 128 + settings
    kinds = facts + len(sampling.facts.encode())
    slots = kinds + 8 * len(sampling.plan.draws)
    entries = 512
    assert refused(witness[:-40]) == "GST-201"
    assert refused(with_word(witness, 0, 1)) == "GST-202"
    assert refused(witness[: 6 * 32] + bytes(32) + witness[7 * 32 :]) == "GST-202"
    assert refused(with_word(witness, 4 * 100, 1)) == "GST-203"
    assert refused(with_word(witness, entries + 4, 9)) == "GST-204"
    assert refused(with_word(witness, entries + 8, 8193)) == "GST-205"
    assert refused(with_word(witness, facts + 4 * 9, 7)) == "GST-206"
    assert refused(with_word(witness, kinds, 21)) == "GST-208"
    assert refused(with_word(witness, kinds + 4, 513)) == "GST-208"
    assert refused(with_word(witness, slots, 2)) == "GST-209"


def test_the_committed_proof_is_of_the_context_that_is_traced_here(sampling: Sampling) -> None:
    """Of the same trace, where llama.cpp computes as it did on the machine that proved."""
    claim = SampleClaim.decode(Bundle.decode(SAMPLED_BUNDLE.read_bytes()).journal)
    here = sampling.claim()
    if claim.reference is not here.reference:
        claim = replace(claim, reference=here.reference, trace_root=here.trace_root)
    # Settings are called otherwise on every machine.
    assert replace(claim, settings=here.settings) == here
