"""A client that signs while its checkpoint is being proven."""

from __future__ import annotations

from typing import Any

from platformless.protocol import acknowledgement
from platformless.protocol.bundle import Bundle
from platformless.protocol.claim import SessionClaim
from platformless.protocol.window import Window
from platformless.prover.ledger.job_states import JobState
from platformless.prover.ledger.job_values import Artefact, checkpoint_job
from platformless.prover.ledger.values import Changes, KeptAcknowledgement

from .line import Line
from .stand_in import StandInProver


async def test_a_signature_that_comes_during_the_proof_is_in_the_bundle(line: Line) -> None:
    class Slow(StandInProver):
        async def prove(self, window: Window, *rest: Any, **more: Any) -> Artefact:
            made = await super().prove(window, *rest, **more)
            signature = acknowledgement.sign(window.claim(), line.world.account("client").key)
            kept = KeptAcknowledgement(window.after.tokens, window.after.digest, signature)
            await line.ledger.append(window.header.terms.session_id, Changes(acknowledgement=kept))
            return made

    session_id = await line.open()
    async with line.running(Slow()):
        await line.record(session_id)
        await line.until_state(checkpoint_job(session_id, 0), JobState.CONFIRMED)
    told = await line.jobs.submission(checkpoint_job(session_id, 0))
    assert told.proof_cid is not None
    bundle = Bundle.decode(await line.stored(told.proof_cid))
    claim, signature = SessionClaim.decode(bundle.journal), bundle.acknowledgement_signature
    assert signature is not None
    assert acknowledgement.signer(claim, signature) == line.world.address("client")
