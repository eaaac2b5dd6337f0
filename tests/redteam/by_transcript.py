"""A host that proves another conversation than the client received."""

from __future__ import annotations

from dataclasses import replace

from platformless.audit.session.inputs import AuditInputs
from platformless.protocol.digests import Salt
from platformless.protocol.header import SessionHeader
from platformless.protocol.transcript import Kind
from tests.data.make_redteam import bundle_of, told_falsely

from .attack import attack
from .scene import Scene


@attack("proves other tokens than it sent", "AUD-322")
async def rewritten(scene: Scene) -> AuditInputs:
    await scene.stage.open()
    await scene.stage.submit(0, bundle=bundle_of("rewritten").read_bytes())
    return AuditInputs(transcript=scene.stage.transcript)


@attack("bills tokens that never came", "AUD-323")
async def never_came(scene: Scene) -> AuditInputs:
    stage = scene.stage
    await stage.be_honest()
    answers = [n for n, one in enumerate(stage.transcript.entries) if one.kind is Kind.COMPLETION]
    received = replace(stage.transcript, entries=stage.transcript.entries[: answers[-1]])
    return AuditInputs(transcript=received)


@attack("proves a session with another salt", "AUD-321")
async def other_header(scene: Scene) -> AuditInputs:
    stage = scene.stage
    await stage.be_honest()
    header = SessionHeader(stage.header.terms, stage.header.seed, Salt(b"\x99" * 32))
    return AuditInputs(transcript=replace(stage.transcript, header=header))


@attack("publishes and proves a delta that tells other words", "AUD-324")
async def false_delta(scene: Scene) -> AuditInputs:
    from platformless.protocol.digests import ProofHash

    stage = scene.stage
    await stage.open()
    bundle = bundle_of("false-delta").read_bytes()
    delta = told_falsely(stage.world.dev_chain).with_proof(ProofHash.of(bundle))
    await stage.submit(0, bundle=bundle, delta=stage.delta_file(delta))
    first = stage.recorded_entries(1)
    return AuditInputs(transcript=replace(stage.transcript, entries=first))
