"""What is sent to fill an auditor's memory does not: peaks of whole processes.

An honest audit of this session takes about 120 MiB, most of it Python and the compiled verifier. A
bundle of 16 MB, the largest that is fetched, may take six times its size in the sandbox.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest

from .attack import Play
from .by_deltas import huge_delta, nested_delta
from .by_nodes import huge_answer
from .by_proofs import huge_bundle, memory_bomb, nested_receipt, wide_bundle
from .by_storage import decompression_bomb, endless
from .scene import Scene

MOST_MIB = 400


@pytest.mark.parametrize(
    "play",
    [
        decompression_bomb,
        endless,
        huge_answer,
        huge_bundle,
        huge_delta,
        memory_bomb,
        nested_delta,
        nested_receipt,
        wide_bundle,
    ],
    ids=lambda play: play.__name__,
)
async def test_memory_stays_what_it_is(scene: Scene, play: Play) -> None:
    await play(scene)
    job = {
        "environment": scene.stage.world.dev_chain.environment(),
        "rpc_url": scene.node.url,
        "portal": scene.portal.url if scene.portal_lies else scene.stage.portal.url,
    }
    child = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "tests.redteam.auditing_process"],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert child.returncode == 0, child.stderr[-2000:]
    told = json.loads(child.stdout)
    assert told["outcome"] != "accepted"
    assert told["peak_mib"] < MOST_MIB
