"""The driver: deadlines, crashes, cancellation, and nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from platformless.prover.errors import (
    DeadlineExceeded,
    ProofCancelled,
    ProverCrashed,
    ProverRefused,
)
from platformless.prover.messages import Executed, Progress
from platformless.prover.process import StarkProver

from ..samples import window_of

WITNESS = window_of(20).witness()


def drive(binary: Path, use: Callable[[StarkProver], Coroutine[Any, Any, None]]) -> None:
    """Runs `use` with a prover and checks that its whole process group is gone afterwards."""

    async def run() -> int | None:
        async with StarkProver(binary) as prover:
            await use(prover)
            return prover.process_id

    group = asyncio.run(run())
    if group is not None:
        assert_gone(group)


def once_proving(started: asyncio.Event) -> Callable[[Progress], None]:
    """A callback that tells when the guest has run and proving begins."""

    def on_progress(progress: Progress) -> None:
        assert isinstance(progress, Executed)
        started.set()

    return on_progress


def living_members(group: int) -> list[int]:
    """Processes of a group that have not ended; one that waits to be reaped has."""
    members = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, process_group = status.read_text().rpartition(")")[2].split()[:3]
            if int(process_group) == group and state not in "ZX":
                members.append(int(status.parent.name))
    return members


def assert_gone(group: int) -> None:
    """Every process of the group ends within ten seconds."""
    for member in living_members(group):
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(member)
            assert select.select([descriptor], [], [], 10)[0]
            os.close(descriptor)
    assert living_members(group) == []


async def start_proof(prover: StarkProver) -> asyncio.Task[Any]:
    started = asyncio.Event()
    task = asyncio.create_task(prover.prove(WITNESS, on_progress=once_proving(started)))
    await started.wait()
    return task


def test_a_process_serves_many_requests(prover_binary: Path) -> None:
    async def use(prover: StarkProver) -> None:
        first = await prover.execute(WITNESS)
        process = prover.process_id
        results = await asyncio.gather(*(prover.execute(WITNESS) for _ in range(4)))
        assert all(result == first for result in results)
        assert prover.process_id == process

    drive(prover_binary, use)


def test_a_deadline_kills_the_proof_and_the_next_request_works(prover_binary: Path) -> None:
    async def use(prover: StarkProver) -> None:
        with pytest.raises(DeadlineExceeded) as caught:
            await prover.prove(WITNESS, deadline_seconds=1)
        assert caught.value.expected == "at most 1 s"
        assert prover.process_id is None
        await prover.execute(WITNESS)

    drive(prover_binary, use)


def test_a_cancelled_proof_raises_and_the_process_stays(prover_binary: Path) -> None:
    async def use(prover: StarkProver) -> None:
        task = await start_proof(prover)
        process = prover.process_id
        await prover.cancel()
        with pytest.raises(ProofCancelled):
            await task
        await prover.execute(WITNESS)
        assert prover.process_id == process

    drive(prover_binary, use)


def test_cancelling_the_task_kills_the_process(prover_binary: Path) -> None:
    async def use(prover: StarkProver) -> None:
        task = await start_proof(prover)
        group = prover.process_id
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert group is not None
        assert_gone(group)
        await prover.execute(WITNESS)

    drive(prover_binary, use)


def test_a_crash_is_reported_and_the_process_started_again(prover_binary: Path) -> None:
    async def use(prover: StarkProver) -> None:
        task = await start_proof(prover)
        first = prover.process_id
        assert first is not None
        os.killpg(first, signal.SIGKILL)
        with pytest.raises(ProverCrashed):
            await task
        await prover.execute(WITNESS)
        assert prover.process_id != first

    drive(prover_binary, use)


def test_closing_during_a_proof_leaves_no_process(prover_binary: Path) -> None:
    async def run() -> list[int]:
        async with StarkProver(prover_binary) as prover:
            task = await start_proof(prover)
            pid = prover.process_id
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            descriptors = [os.pidfd_open(int(child)) for child in children]
            task.cancel()
        await asyncio.wait([task])
        return descriptors

    descriptors = asyncio.run(run())
    assert len(descriptors) == 1
    assert select.select(descriptors, [], [], 10)[0] == descriptors


def test_a_refusal_carries_the_provers_code(prover_binary: Path) -> None:
    async def use(prover: StarkProver) -> None:
        with pytest.raises(ProverRefused) as caught:
            await prover.execute(b"\0" * 64)
        assert caught.value.prover_code == "STP-011"
        assert "GST-001" in caught.value.message

    drive(prover_binary, use)


def script(path: Path, body: str) -> Path:
    """A program that stands for a broken stark-prover."""
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("exit 3", "ended during a request"),
        ("read line; echo nonsense", "not a reply"),
        ("read line; printf '{\"id\": '", "ended during a request"),
        ('read line; echo \'{"id": "info-1", "result": {"version": 1}}\'', "does not decode"),
        ("echo 'out of luck' >&2; exit 1", "out of luck"),
    ],
)
def test_a_binary_that_misbehaves_is_a_crash(tmp_path: Path, body: str, reason: str) -> None:
    async def use(prover: StarkProver) -> None:
        with pytest.raises(ProverCrashed, match=reason):
            await prover.info()

    drive(script(tmp_path / "prover", body), use)


def test_a_binary_that_is_not_there_is_a_crash(tmp_path: Path) -> None:
    async def use(prover: StarkProver) -> None:
        with pytest.raises(ProverCrashed, match="does not start"):
            await prover.info()

    drive(tmp_path / "nothing", use)


def test_settings_of_the_zkvm_do_not_reach_the_process(
    prover_binary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISC0_DEV_MODE", "1")

    async def use(prover: StarkProver) -> None:
        assert (await prover.info()).zkvm == "risc0-zkvm 3.0.6"

    drive(prover_binary, use)
