"""Proves the recorded session with the weak test guest: `session-weak.bundle`.

The proof is real and its claim false: it bills the prompts. Run with `python -m`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from platformless.protocol.record import SessionRecord
from platformless.prover.binary import find_prover
from platformless.prover.process import StarkProver
from platformless.prover.proof import bundle_of

HERE = Path(__file__).parent


async def main() -> None:
    window = SessionRecord.decode((HERE / "session-1000.json").read_bytes()).window(0)
    async with StarkProver(find_prover()) as prover:
        proof = await prover.prove(window.witness(), program_path=HERE / "session-weak.bin")
    (HERE / "session-weak.bundle").write_bytes(bundle_of(proof, None).encode())


if __name__ == "__main__":
    asyncio.run(main())
