"""Makes the proofs of a session on the dev chain: `recovery-0.bundle`, `recovery-1.bundle`.

The recorded chat, cut into two checkpoints whose claims carry the digests of their deltas, as
session 1 of the account `client` with the account `host` on a new dev chain. The contracts'
addresses there depend only on the order in which they are deployed. Run with `python -m`.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, replace
from pathlib import Path

from platformless.chain.devchain import DevChain, start_dev_chain
from platformless.protocol.delta import Delta, Message, delta_salt
from platformless.protocol.digests import Address, ProofHash
from platformless.protocol.header import SessionHeader
from platformless.protocol.record import SessionRecord
from platformless.protocol.transcript import Entry, Kind, State
from platformless.protocol.window import Window
from platformless.prover.binary import find_prover
from platformless.prover.process import StarkProver
from platformless.prover.proof import prove_window

HERE = Path(__file__).parent
RECORD = HERE / "session-1000.json"
BUNDLES = (HERE / "recovery-0.bundle", HERE / "recovery-1.bundle")
SESSION_ID = 1
PRICE = 5_000
CUT = 8
"""Entries of the first checkpoint: four prompts and their answers."""
STARTED_MS = 1_700_000_000_000
_QUESTION = re.compile(r"<\|im_start\|>user\n(.*?)<\|im_end\|>", re.DOTALL)


@dataclass(frozen=True)
class RecordedCheckpoint:
    window: Window
    delta: Delta
    """Names no proof yet."""


def checkpoints(dev_chain: DevChain) -> list[RecordedCheckpoint]:
    """The two checkpoints of the session."""
    recorded = SessionRecord.decode(RECORD.read_bytes()).window(0)
    terms = replace(
        recorded.header.terms,
        chain_id=dev_chain.network.chain_id,
        marketplace=dev_chain.network.marketplace,
        session_id=SESSION_ID,
        host=Address.from_hex(dev_chain.accounts["host"].address),
        client=Address.from_hex(dev_chain.accounts["client"].address),
        price=PRICE,
    )
    header = SessionHeader(terms, recorded.header.seed, recorded.header.salt)
    made: list[RecordedCheckpoint] = []
    before = State.initial(header)
    for number, entries in enumerate((recorded.entries[:CUT], recorded.entries[CUT:])):
        window = Window(header, number, before, entries)
        delta = Delta(
            session_id=SESSION_ID,
            checkpoint=number,
            proof_hash=ProofHash.zero(),
            tokens_before=window.before.tokens,
            tokens_after=window.after.tokens,
            salt=delta_salt(header.salt, number),
            messages=tuple(_messages(entries, STARTED_MS + number)),
        )
        made.append(RecordedCheckpoint(replace(window, delta_digest=delta.digest()), delta))
        before = window.after
    return made


def _messages(entries: tuple[Entry, ...], timestamp_ms: int) -> list[Message]:
    found = []
    for entry in entries:
        if entry.kind is Kind.PROMPT:
            (question,) = _QUESTION.findall(entry.text)
            found.append(Message("user", question, timestamp_ms))
        elif entry.kind is Kind.COMPLETION:
            found.append(Message("assistant", entry.text, timestamp_ms))
    return found


async def main() -> None:
    with await start_dev_chain() as dev_chain:
        made = checkpoints(dev_chain)
    async with StarkProver(find_prover()) as prover:
        for checkpoint, path in zip(made, BUNDLES, strict=True):
            report = await prove_window(prover, checkpoint.window)
            path.write_bytes(report.data)


if __name__ == "__main__":
    asyncio.run(main())
