"""Makes the proofs of a session that commits to traces: `traced-0.bundle`, `traced-1.bundle`, and
of both in one, `traced-aggregate.bundle`.

The recorded session (`make_recovery`) with the weights root of the packaged model, a trace root in
each claim, and prompts whose texts say what the model saw: the client begins anew with the second
checkpoint. The roots are of no computation: what opens them is for other proofs. Run with
`python -m`.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from hashlib import sha256

from platformless.chain.devchain import DevChain, start_dev_chain
from platformless.engine.model import packaged_model
from platformless.engine.weights import weights_of
from platformless.protocol.digests import TraceRoot
from platformless.protocol.header import SessionHeader
from platformless.protocol.prompt import ChatMessage, Prompt
from platformless.protocol.transcript import Entry, Kind, State
from platformless.protocol.window import Window
from platformless.prover.aggregate import aggregate_bundles
from platformless.prover.binary import find_prover
from platformless.prover.process import StarkProver
from platformless.prover.proof import prove_window

from .make_recovery import CUT, HERE, RecordedCheckpoint, checkpoints

BUNDLES = (HERE / "traced-0.bundle", HERE / "traced-1.bundle")
AGGREGATE = HERE / "traced-aggregate.bundle"
TRACE_ROOTS = tuple(TraceRoot(sha256(f"trace {n}".encode()).digest()) for n in range(2))


def traced_checkpoints(dev_chain: DevChain) -> list[RecordedCheckpoint]:
    """The two checkpoints of the session."""
    plain = checkpoints(dev_chain)
    recorded = plain[0].window.header
    terms = replace(recorded.terms, weights_root=weights_of(packaged_model()).root)
    header = SessionHeader(terms, recorded.seed, recorded.salt)
    made, before, number = [], State.initial(header), 0
    for one, root in zip(plain, TRACE_ROOTS, strict=True):
        entries = []
        for entry in one.window.entries:
            entries.append(_as_a_node_records(entry, continues=number not in (0, CUT)))
            number += 1
        window = Window(
            header, one.window.checkpoint, before, tuple(entries), one.delta.digest(), root
        )
        made.append(RecordedCheckpoint(window, one.delta))
        before = window.after
    return made


def _as_a_node_records(entry: Entry, *, continues: bool) -> Entry:
    if entry.kind is not Kind.PROMPT:
        return entry
    return replace(entry, text=Prompt((ChatMessage("user", entry.text),), continues).text())


async def main() -> None:
    with await start_dev_chain() as dev_chain:
        made = traced_checkpoints(dev_chain)
    async with StarkProver(find_prover()) as prover:
        for checkpoint, path in zip(made, BUNDLES, strict=True):
            report = await prove_window(prover, checkpoint.window)
            path.write_bytes(report.data)
        whole = await aggregate_bundles(prover, [path.read_bytes() for path in BUNDLES])
        AGGREGATE.write_bytes(whole.data)


if __name__ == "__main__":
    asyncio.run(main())
