"""A host that commits to traces and publishes sampled cells, honestly but for what is given.

Chain, portal, index and the checkpoints' own proofs are real; of the sampled cells the claim is
what an honest guest would publish, and the receipt a stand-in (`tests.sampled_cells`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from platformless.audit.model_file import identify_model
from platformless.audit.session.inputs import AuditInputs
from platformless.audit.session.session_policy import AuditPolicy
from platformless.engine.model import packaged_model
from platformless.protocol.bundle import Bundle
from platformless.protocol.claim import SessionClaim
from platformless.protocol.digests import ProofHash, WeightsRoot
from platformless.protocol.index import PublishedSample
from platformless.protocol.sample.beacon import BEACON_DELAY_BLOCKS, beacon_block
from platformless.protocol.sample.claim import SampleClaim
from platformless.protocol.sample.context import Context
from platformless.protocol.sample.facts import ModelFactsDigest
from platformless.protocol.trace.challenge import Beacon
from tests.sampled_cells import bundle_of, claim_of

from .stage import Stage


@cache
def trusted_model() -> tuple[WeightsRoot, ModelFactsDigest]:
    """The packaged model."""
    found = identify_model(packaged_model())
    assert found.facts is not None
    return found.weights_root, found.facts


def trusting(stage: Stage, **policy: Any) -> AuditInputs:
    """What an auditor has that trusts the model's facts and was given the host's index."""
    root, facts = trusted_model()
    return AuditInputs(policy=AuditPolicy(models={root: facts}, **policy), index=stage.index())


async def bill(stage: Stage) -> None:
    """The whole session, with trace roots in its claims; the beacons' blocks are there."""
    stage.commit_to_traces()
    await stage.be_honest()
    await mine_beacons(stage)


async def mine_beacons(stage: Stage) -> None:
    await stage.world.chain.command("anvil_mine", hex(BEACON_DELAY_BLOCKS))


async def submitted_in(stage: Stage, number: int) -> int:
    """The block that holds the submission of a checkpoint."""
    from platformless.chain.events import SessionEvents

    session = await stage.world.marketplace.session(1)
    proofs = await SessionEvents(stage.world.chain).proofs(session)
    return proofs[number].place.block_number


async def beacon_at(stage: Stage, block_number: int) -> Beacon:
    block = await stage.world.chain.block(block_number)
    assert block is not None
    return Beacon.from_hex(block.hash)


async def honest_claim(stage: Stage, number: int, *, draws: int = 2) -> SampleClaim:
    """What an honest host claims of the sampled cells of a checkpoint."""
    drawn_by = beacon_block(await submitted_in(stage, number))
    context = Context.last_of(stage.header, stage.recorded_entries(number + 1))
    return claim_of(
        SessionClaim.decode(Bundle.decode(stage.bundles[number]).journal),
        positions=len(context.tokens),
        first_entry=context.before.entries,
        tokens_before=context.before.tokens,
        draws=draws,
        beacon_number=drawn_by,
        beacon=await beacon_at(stage, drawn_by),
        model=trusted_model()[1],
    )


async def publish(stage: Stage, number: int, claim: SampleClaim) -> bytes:
    """Puts a bundle into storage and names it in the index."""
    data = bundle_of(claim).encode()
    stage.samples[number] = PublishedSample(ProofHash.of(data), await stage.put(data))
    return data


async def sample_honestly(stage: Stage, *numbers: int, draws: int = 2) -> None:
    """Bills the session and publishes the sampled cells of these checkpoints."""
    await bill(stage)
    for number in numbers:
        await publish(stage, number, await honest_claim(stage, number, draws=draws))


async def sample_falsely(stage: Stage, number: int, **changes: Any) -> None:
    """As `sample_honestly` of both checkpoints, but one claim says something else."""
    await sample_honestly(stage, 0, 1)
    await publish(stage, number, replace(await honest_claim(stage, number), **changes))
