"""A tracer whose model file changes under it, or whose work is to end."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from platformless.engine.model import packaged_model
from platformless.protocol.digests import TraceRoot
from platformless.protocol.sample.context import Context
from platformless.protocol.trace.challenge import Beacon
from platformless.protocol.transcript import Entry, Kind, State
from platformless.prover.pipeline.errors import ForeignModel
from platformless.prover.pipeline.tracing import Tracer
from platformless.prover.sample import even_plan
from tests.samples import HEADER


def context_for(tracer: Tracer, tokens: int) -> Context:
    header = replace(HEADER, terms=replace(HEADER.terms, weights_root=tracer.weights_root))
    prompt = Entry(Kind.PROMPT, tuple(range(100, 100 + tokens)), "asked")
    return Context(header, State.initial(header), (prompt,))


async def test_rows_are_not_opened_from_a_file_that_took_the_models_place(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    shutil.copy(packaged_model(), path)
    async with await Tracer.open(path, threads=1) as tracer:
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        other = tmp_path / "other"
        other.write_bytes(content)
        other.replace(path)
        context = context_for(tracer, 3)
        root, beacon = TraceRoot(b"\x01" * 32), Beacon(b"\x02" * 32)
        sampling = tracer.sampling(context, root, 9, beacon, even_plan(1))
        with pytest.raises(ForeignModel, match="another file"):
            await tracer.witness(sampling)


async def test_a_trace_that_is_cancelled_ends_and_the_next_one_is_made() -> None:
    async with await Tracer.open(None, threads=1) as tracer:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await tracer.root(context_for(tracer, 500))
        expected = tracer.expected_seconds(3)
        assert not (await tracer.root(context_for(tracer, 3))).is_zero
        assert tracer.expected_seconds(3) != expected
