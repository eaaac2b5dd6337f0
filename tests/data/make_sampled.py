"""Makes a proof of sampled cells, one of each kind: `sampled.bundle`, of the context that
`tests.proof.sampled` traces. Takes ten minutes on two cores. Run with `python -m`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from platformless.engine.model import Model
from platformless.engine.settings import EngineSettings
from platformless.engine.weights_opening import WeightsTree
from platformless.prover.binary import find_prover
from platformless.prover.process import StarkProver
from platformless.prover.sample import prove_sample
from tests.proof.sampled import Traced, context_of

BUNDLE = Path(__file__).parent / "sampled.bundle"


async def make() -> None:
    model = Model.load(EngineSettings(threads=1))
    tree = WeightsTree(model.path, model.header)
    traced = Traced(model, tree, context_of(model, tree))
    sampling = traced.every_kind()
    witness = traced.witness(sampling)
    model.close()
    async with StarkProver(find_prover()) as prover:
        made = await prove_sample(prover, sampling, witness)
    BUNDLE.write_bytes(made.data)
    print(f"{len(made.data):,} bytes, {made.proof.prove_seconds:.0f} s")


if __name__ == "__main__":
    asyncio.run(make())
