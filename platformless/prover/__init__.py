"""Builds proofs by driving the Rust program `stark-prover`.

`process.StarkProver` talks to the program, `proof` turns a window into a verified bundle, `cli` is
the command `prove-session`. From synchronous code: `prove_session`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from ..protocol.record import SessionRecord
from .binary import find_prover
from .messages import OnProgress
from .process import DEFAULT_MEMORY_BYTES, StarkProver
from .proof import ProofReport, prove_window

__all__ = ["prove_session"]


def prove_session(
    record: bytes,
    checkpoint: int = 0,
    *,
    receipt_kind: str = "composite",
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    deadline_seconds: float = 3600,
    on_progress: OnProgress | None = None,
    binary: Path | None = None,
) -> ProofReport:
    """Proves one checkpoint of a recorded session and verifies the bundle: the whole in one call.

    Args:
        record: a session record, JSON (docs/formats.md).
        checkpoint: number of the checkpoint, from 0.
        binary: stark-prover; found by `find_prover` when not given.

    Raises:
        RecordFormatError: when the record breaks its rules.
        ProverError: when no proof could be made.
        Rejection: when the record's acknowledgement is not the client's.
    """
    decoded = SessionRecord.decode(record)
    window = decoded.window(checkpoint)
    acknowledgement = decoded.acknowledgement(checkpoint)

    async def prove() -> ProofReport:
        async with StarkProver(binary or find_prover()) as prover:
            return await prove_window(
                prover,
                window,
                acknowledgement=acknowledgement,
                receipt_kind=receipt_kind,
                memory_bytes=memory_bytes,
                deadline_seconds=deadline_seconds,
                on_progress=on_progress,
            )

    return asyncio.run(prove())
