"""A host that commits to a trace, and shows other cells of it than were drawn."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from aiohttp import ClientSession, web

from platformless.audit.session.inputs import AuditInputs
from platformless.protocol.assurance import Assurance
from platformless.protocol.digests import TraceRoot
from platformless.protocol.sample.beacon import beacon_block
from platformless.protocol.sample.claim import SampleClaim, sampled_cells
from platformless.protocol.sample.facts import ModelFactsDigest
from platformless.protocol.sample.plan import COVERED_KINDS, SamplePlan
from platformless.protocol.trace.cells import SampledKind, Span
from platformless.protocol.trace.challenge import Beacon
from platformless.protocol.transcript import Kind, Tokens
from tests.data.make_traced import AGGREGATE

from .attack import attack
from .sampling import (
    beacon_at,
    bill,
    honest_claim,
    mine_beacons,
    publish,
    sample_falsely,
    sample_honestly,
    submitted_in,
    trusting,
)
from .scene import Scene

_OTHER = b"\x5a" * 32


def _planned(claim: SampleClaim, plan: SamplePlan) -> dict[str, Any]:
    return {"covered": plan.covered, "cells": sampled_cells(plan, claim.layout)}


@attack("draws its cells by another block", "VER-805")
async def another_block(scene: Scene) -> AuditInputs:
    stage = scene.stage
    await bill(stage)
    other = beacon_block(await submitted_in(stage, 0)) - 1
    beacon = await beacon_at(stage, other)
    claim = await honest_claim(stage, 0)
    await publish(stage, 0, replace(claim, beacon_number=other, beacon=beacon))
    return trusting(stage)


@attack("draws its cells by a hash that no block has", "VER-805")
async def no_block(scene: Scene) -> AuditInputs:
    await sample_falsely(scene.stage, 0, beacon=Beacon(_OTHER))
    return trusting(scene.stage)


@attack("leaves kinds of cells out", "VER-806")
async def kinds_left_out(scene: Scene) -> AuditInputs:
    stage = scene.stage
    await bill(stage)
    claim = await honest_claim(stage, 1)
    linked = {SampledKind.EMBEDDING, SampledKind.KQ}
    kept: dict[SampledKind, int] = dict.fromkeys(
        (kind for kind in COVERED_KINDS if kind not in linked), 20
    )
    await publish(stage, 1, replace(claim, **_planned(claim, SamplePlan.of(kept, claim.covered))))
    return trusting(stage)


@attack("draws fewer cells than are asked for", "VER-807")
async def few_draws(scene: Scene) -> AuditInputs:
    await sample_honestly(scene.stage, 0, 1, draws=7)
    return trusting(scene.stage, sample_draws=8)


@attack("draws cells from the answers' positions alone", "VER-808")
async def answers_alone(scene: Scene) -> AuditInputs:
    stage = scene.stage
    await bill(stage)
    claim = await honest_claim(stage, 1)
    prompt = stage.recorded_entries(2)[claim.first_entry]
    assert prompt.kind is Kind.PROMPT
    answers = Span(len(prompt.tokens), claim.layout.positions - len(prompt.tokens))
    plan = SamplePlan(claim.plan.draws, answers)
    await publish(stage, 1, replace(claim, **_planned(claim, plan)))
    return trusting(stage)


@attack("opens another trace than it committed to", "VER-803")
async def another_trace(scene: Scene) -> AuditInputs:
    await sample_falsely(scene.stage, 0, trace_root=TraceRoot(_OTHER))
    return trusting(scene.stage)


@attack("publishes another checkpoint's sampled cells", "VER-802")
async def another_checkpoint(scene: Scene) -> AuditInputs:
    stage = scene.stage
    await sample_honestly(stage, 0, 1)
    stage.samples[1] = stage.samples[0]
    return trusting(stage)


@attack("publishes no sampled cells of a checkpoint that was drawn", "AUD-601")
async def no_sample(scene: Scene) -> AuditInputs:
    await sample_honestly(scene.stage, 0)
    return trusting(scene.stage, minimum_assurance=Assurance.SAMPLED)


@attack("publishes no sampled cells of a session that is replayed", "AUD-608")
async def no_sample_at_all(scene: Scene) -> AuditInputs:
    await bill(scene.stage)
    return trusting(scene.stage, require_samples=True)


@attack("names false facts of the model", "VER-809")
async def false_facts(scene: Scene) -> AuditInputs:
    await sample_falsely(scene.stage, 1, model=ModelFactsDigest(_OTHER))
    return trusting(scene.stage)


@attack("has a context begin later than it did", "VER-810")
async def later_context(scene: Scene) -> AuditInputs:
    """The second checkpoint's answers were given with what came before in mind."""
    stage = scene.stage
    await bill(stage)
    claim = await honest_claim(stage, 1)
    before = stage.recorded_entries(2)[claim.first_entry : claim.first_entry + 2]
    shorter = claim.layout.positions - sum(len(entry.tokens) for entry in before)
    layout = replace(claim.layout, positions=shorter)
    plan = SamplePlan(claim.plan.draws, Span(0, shorter))
    later = replace(
        claim,
        first_entry=claim.first_entry + len(before),
        tokens_before=Tokens(claim.tokens_before + sum(entry.billed for entry in before)),
        layout=layout,
        covered=plan.covered,
        cells=sampled_cells(plan, layout),
    )
    await publish(stage, 1, later)
    return replace(trusting(stage), transcript=stage.transcript)


@attack("publishes other sampled cells than its index names", "RCV-006")
async def another_file(scene: Scene) -> AuditInputs:
    stage = scene.stage
    await sample_honestly(stage, 0, 1)
    first, second = stage.samples[0], stage.samples[1]
    stage.samples[1] = replace(second, cid=first.cid)
    return trusting(stage)


@attack("publishes something else in the place of sampled cells", "VER-102")
async def no_sampled_cells(scene: Scene) -> AuditInputs:
    stage = scene.stage
    await sample_honestly(stage, 0, 1)
    own = stage.submitted[1]
    stage.samples[1] = replace(stage.samples[1], proof_hash=own.proof_hash, cid=own.proof_cid)
    return trusting(stage)


@attack("makes up another trace for the whole session's proof, once it is drawn", "AUD-346")
async def root_after_the_beacon(scene: Scene) -> AuditInputs:
    """The proofs whose hashes are on chain commit to no trace."""
    stage = scene.stage
    untraced = stage.bundles
    stage.commit_to_traces()
    traced, stage.bundles = stage.bundles, untraced
    await stage.be_honest()
    await mine_beacons(stage)
    stage.bundles = traced
    for number in range(2):
        await publish(stage, number, await honest_claim(stage, number))
    return replace(trusting(stage), whole_session=AGGREGATE.read_bytes())


@attack("lies about the block that draws the cells", "AUD-101", who="node")
async def false_beacon(scene: Scene) -> AuditInputs:
    """With the host, which opens the cells that it likes."""
    stage = scene.stage
    scene.second_opinion = True
    await sample_falsely(stage, 0, beacon=Beacon(_OTHER))
    number = hex(beacon_block(await submitted_in(stage, 0)))
    real = stage.world.dev_chain.rpc_url

    async def fault(call: dict[str, Any]) -> web.Response | None:
        if call["method"] != "eth_getBlockByNumber" or call["params"][0] != number:
            return None
        async with ClientSession() as http, http.post(real, json=call) as answer:
            document = json.loads(await answer.text())
        document["result"]["hash"] = str(Beacon(_OTHER))
        return web.json_response(document)

    scene.node.fault = fault
    return trusting(stage)
