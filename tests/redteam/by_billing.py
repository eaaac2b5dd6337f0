"""A host that bills what it may not, with proofs that are true of something else."""

from __future__ import annotations

from tests.data.make_redteam import bundle_of

from .attack import attack
from .scene import Scene


@attack("pads tokens up to what the contract asks for", "VER-601")
async def pads_tokens(scene: Scene) -> None:
    await scene.stage.open()
    await scene.stage.submit(0, tokens=1_000)


@attack("bills one checkpoint twice, the proof spelled anew", "VER-601")
async def bills_twice(scene: Scene) -> None:
    stage = scene.stage
    await stage.open()
    await stage.submit(0)
    await stage.submit(0, bundle=stage.acknowledged(stage.bundles[0]))


@attack("drops a checkpoint and bills the next", "VER-601")
async def drops_a_checkpoint(scene: Scene) -> None:
    await scene.stage.open()
    await scene.stage.submit(1)


@attack("bills checkpoints in another order", "VER-601")
async def reorders(scene: Scene) -> None:
    await scene.stage.open()
    await scene.stage.submit(1)
    await scene.stage.submit(0)


@attack("bills without any proof", "AUD-602")
async def bills_without_proof(scene: Scene) -> None:
    await scene.stage.open()
    await scene.stage.submit(0, proof_cid="")


@attack("swaps the model", "VER-601")
async def swaps_the_model(scene: Scene) -> None:
    await scene.stage.open()
    await scene.stage.submit(0, bundle=bundle_of("other-model").read_bytes())


@attack("proves another price than it bills", "VER-601")
async def another_price(scene: Scene) -> None:
    await scene.stage.open()
    await scene.stage.submit(0, bundle=bundle_of("other-price").read_bytes())


@attack("bills with another session's proof", "VER-601")
async def another_session(scene: Scene) -> None:
    await scene.stage.open()
    await scene.stage.submit(0, bundle=bundle_of("other-session").read_bytes())


@attack("goes on from a history that never was", "VER-601")
async def invented_history(scene: Scene) -> None:
    await scene.stage.open()
    await scene.stage.submit(0)
    await scene.stage.submit(1, bundle=bundle_of("invented").read_bytes())


@attack("leaves a gap that later proofs jump over", "AUD-602")
async def gap(scene: Scene) -> None:
    await scene.stage.open()
    await scene.stage.submit(0, proof_cid="")
    await scene.stage.submit(1)
