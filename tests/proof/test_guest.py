"""The guest itself, run by the executor: it says what Python says, and refuses what it must."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from platformless.audit.release import trusted_images
from platformless.protocol.window import Window
from platformless.prover.errors import ProverRefused
from platformless.prover.messages import Execution
from platformless.prover.process import StarkProver

from ..samples import window_of
from ..strategies import windows
from ..vectors.make import FILE
from .conftest import WEAK_PROGRAM

Execute = Callable[..., Execution]


@pytest.fixture(scope="module")
def execute(prover_binary: Path) -> Any:
    """Executes witnesses in one prover process."""
    with asyncio.Runner() as runner:
        prover = StarkProver(prover_binary)

        def run(witness: bytes, **options: Any) -> Execution:
            result: Awaitable[Execution] = prover.execute(witness, **options)
            return runner.run(result)  # type: ignore[arg-type]

        yield run
        runner.run(prover.close())


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(window=windows())
def test_the_guest_publishes_the_claim_of_any_window(execute: Execute, window: Window) -> None:
    execution = execute(window.witness())
    assert execution.journal == window.claim().encode().hex()
    assert execution.image_id == trusted_images()["session"].value.hex()


def test_the_guest_agrees_with_every_vector(execute: Execute) -> None:
    vectors = json.loads(FILE.read_text())
    checkpoints = [c for vector in vectors["transcripts"] for c in vector["checkpoints"]]
    for case in [*checkpoints, *vectors["overridden"]]:
        assert execute(bytes.fromhex(case["witness"])).journal == case["claim"]


def test_the_guest_refuses_every_broken_witness_for_its_own_reason(execute: Execute) -> None:
    for case in json.loads(FILE.read_text())["broken"]:
        with pytest.raises(ProverRefused) as caught:
            execute(bytes.fromhex(case["witness"]))
        assert caught.value.prover_code == "STP-011", case["name"]
        assert case["fault"] in caught.value.message, case["name"]


@pytest.mark.parametrize(
    ("tokens", "turns", "po2"),
    [(100, 1, 15), (500, 3, 15), (1000, 8, 15), (4000, 10, 16), (16000, 20, 17)],
)
def test_cycles_stay_within_their_power_of_two(
    execute: Execute, tokens: int, turns: int, po2: int
) -> None:
    """Deterministic: the figure that decides the cost of a proof on any machine."""
    execution = execute(window_of(tokens, turns).witness())
    assert execution.segment_po2 == [po2]


def test_the_weak_guest_bills_what_the_trusted_one_does_not(execute: Execute) -> None:
    window = window_of(100, 2)
    weak = execute(window.witness(), program_path=WEAK_PROGRAM)
    assert weak.journal != window.claim().encode().hex()
    assert weak.image_id != trusted_images()["session"].value.hex()


def test_a_small_memory_budget_cuts_a_run_into_segments(execute: Execute) -> None:
    execution = execute(window_of(16000, 20).witness(), memory_bytes=700 << 20)
    assert 2 <= execution.segments <= 8
    assert max(execution.segment_po2) == 16


def test_a_run_that_fits_one_segment_is_never_cut(execute: Execute) -> None:
    """4,000 tokens fill most of a segment of 2^16, the largest that this budget allows."""
    execution = execute(window_of(4000, 10).witness(), memory_bytes=700 << 20)
    assert execution.segment_po2 == [16]


@pytest.mark.parametrize(("tokens", "budget"), [(10, 1 << 20), (4000, 400 << 20)])
def test_a_budget_for_no_segment_is_refused(execute: Execute, tokens: int, budget: int) -> None:
    with pytest.raises(ProverRefused) as caught:
        execute(window_of(tokens).witness(), memory_bytes=budget)
    assert caught.value.prover_code == "STP-010"
    assert caught.value.got == budget
    needed = int(str(caught.value.expected))
    assert execute(window_of(tokens).witness(), memory_bytes=needed).segments == 1
