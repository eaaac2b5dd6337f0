"""The proofs of a long session, made once and kept in the cache folder.

Session 1 of a new dev chain: a hundred checkpoints of a hundred tokens, each a question and an
answer of random tokens. The contracts' addresses on a new dev chain are always the same, so the
proofs fit every one of them; what they are of is in the folder's name. Twenty minutes on two cores.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from dataclasses import dataclass, replace
from pathlib import Path

from platformless.audit.release import trusted_images
from platformless.chain.devchain import DevChain, start_dev_chain
from platformless.files import write_atomically
from platformless.places import cache_folder
from platformless.protocol.delta import Delta, Message, delta_salt
from platformless.protocol.digests import Address, ProofHash, Salt, Seed, WeightsRoot
from platformless.protocol.header import SessionHeader
from platformless.protocol.prompt import ChatMessage, Prompt
from platformless.protocol.terms import SessionTerms
from platformless.protocol.transcript import Entry, Kind, Sampler, State
from platformless.protocol.window import Window
from platformless.prover.binary import find_prover
from platformless.prover.process import StarkProver
from platformless.prover.proof import prove_window

SESSION_ID = 1
CHECKPOINTS = 100
TOKENS = 100
PRICE = 5_000
_VOCABULARY = 49_152
_STARTED_MS = 1_700_000_000_000


@dataclass(frozen=True)
class LongCheckpoint:
    window: Window
    delta: Delta
    """Names no proof yet."""


def long_session(dev_chain: DevChain, checkpoints: int = CHECKPOINTS) -> list[LongCheckpoint]:
    """The checkpoints, the same every time."""
    chance = random.Random(7)  # noqa: S311 - the same every time
    terms = SessionTerms(
        chain_id=dev_chain.network.chain_id,
        marketplace=dev_chain.network.marketplace,
        session_id=SESSION_ID,
        host=Address.from_hex(dev_chain.accounts["host"].address),
        client=Address.from_hex(dev_chain.accounts["client"].address),
        model_id=dev_chain.model.id,
        weights_root=WeightsRoot(b"\x55" * 32),
        price=PRICE,
    )
    header = SessionHeader(terms, Seed(b"\x11" * 32), Salt(b"\x22" * 32))
    made: list[LongCheckpoint] = []
    before = State.initial(header)
    for number in range(checkpoints):
        question = f"Question {number}?"
        prompt = Prompt((ChatMessage("user", question),), continues=number > 0)
        entries = (
            Entry(Kind.PROMPT, _tokens(chance, 20), prompt.text()),
            Entry(Kind.COMPLETION, _tokens(chance, TOKENS), f"Answer {number}.", Sampler(0.7, 40)),
        )
        window = Window(header, number, before, entries)
        delta = Delta(
            session_id=SESSION_ID,
            checkpoint=number,
            proof_hash=ProofHash.zero(),
            tokens_before=window.before.tokens,
            tokens_after=window.after.tokens,
            salt=delta_salt(header.salt, number),
            messages=(
                Message("user", question, _STARTED_MS + number),
                Message("assistant", f"Answer {number}.", _STARTED_MS + number),
            ),
        )
        made.append(LongCheckpoint(replace(window, delta_digest=delta.digest()), delta))
        before = window.after
    return made


async def proofs_of(checkpoints: list[LongCheckpoint]) -> list[Path]:
    """The bundles' files; those that the cache has not are made."""
    folder = cache_folder() / "benchmarks" / f"audit-{_name(checkpoints[0])}"
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number}.bundle" for number in range(len(checkpoints))]
    missing = [number for number, path in enumerate(paths) if not path.exists()]
    if missing:
        async with StarkProver(find_prover()) as prover:
            for number in missing:
                report = await prove_window(prover, checkpoints[number].window)
                write_atomically(paths[number], report.data)
                print(
                    f"proven: checkpoint {number}, {report.proof.prove_seconds:.1f} s", flush=True
                )
    return paths


def _name(first: LongCheckpoint) -> str:
    """Names what the proofs are of: the first claim and the guest."""
    content = first.window.claim().encode() + trusted_images()["session"].value
    return hashlib.sha256(content).hexdigest()[:16]


def _tokens(chance: random.Random, count: int) -> tuple[int, ...]:
    return tuple(chance.randrange(_VOCABULARY) for _ in range(count))


async def main() -> None:
    with await start_dev_chain() as dev_chain:
        checkpoints = long_session(dev_chain)
    await proofs_of(checkpoints)


if __name__ == "__main__":
    asyncio.run(main())
