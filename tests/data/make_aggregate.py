"""Joins the proofs of the recorded session's two checkpoints: `recovery-aggregate.bundle`.

Made of `recovery-0.bundle` and `recovery-1.bundle` as they are. Run with `python -m`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from platformless.prover.aggregate import aggregate_bundles
from platformless.prover.binary import find_prover
from platformless.prover.process import StarkProver

HERE = Path(__file__).parent
PARTS = (HERE / "recovery-0.bundle", HERE / "recovery-1.bundle")
BUNDLE = HERE / "recovery-aggregate.bundle"


async def main() -> None:
    async with StarkProver(find_prover()) as prover:
        report = await aggregate_bundles(prover, [path.read_bytes() for path in PARTS])
    BUNDLE.write_bytes(report.data)


if __name__ == "__main__":
    asyncio.run(main())
