"""Makes proofs of false sessions: true receipts of what the chain does not bill for.

Each is of the recorded session's first or second checkpoint (`make_recovery`) with one thing
changed, so that everything else about it is right. Run with `python -m`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from platformless.chain.devchain import DevChain, start_dev_chain
from platformless.protocol.delta import Delta
from platformless.protocol.digests import ModelId
from platformless.protocol.header import SessionHeader
from platformless.protocol.terms import SessionTerms
from platformless.protocol.transcript import Kind, State
from platformless.protocol.window import Window
from platformless.prover.binary import find_prover
from platformless.prover.process import StarkProver
from platformless.prover.proof import prove_window
from tests.data.make_recovery import HERE, checkpoints

FOLDER = HERE / "redteam"


def other_session(dev_chain: DevChain) -> Window:
    """The same answers, sold in session 2."""
    return _with_terms(dev_chain, lambda terms: replace(terms, session_id=2))


def other_model(dev_chain: DevChain) -> Window:
    """The same answers, of a model that the client did not choose."""
    return _with_terms(dev_chain, lambda terms: replace(terms, model_id=ModelId(b"\x66" * 32)))


def other_price(dev_chain: DevChain) -> Window:
    """The same answers, at half the price."""
    return _with_terms(dev_chain, lambda terms: replace(terms, price=terms.price // 2))


def invented(dev_chain: DevChain) -> Window:
    """A second checkpoint that follows a first one which never was: its answers said the same in
    as many tokens, but other ones."""
    first, second = checkpoints(dev_chain)
    header = first.window.header
    entries = tuple(
        replace(entry, tokens=tuple(token + 1 for token in entry.tokens))
        if entry.kind is Kind.COMPLETION
        else entry
        for entry in first.window.entries
    )
    before = State.initial(header).extend(header, entries)
    return replace(second.window, before=before)


def rewritten(dev_chain: DevChain) -> Window:
    """The first checkpoint with one word changed after the client had read it."""
    first, _ = checkpoints(dev_chain)
    *entries, last = first.window.entries
    changed = replace(last, tokens=(*last.tokens[:-1], last.tokens[-1] + 1))
    return replace(first.window, entries=(*entries, changed))


def false_delta(dev_chain: DevChain) -> Window:
    """The first checkpoint, whose claim commits to a delta that tells other words."""
    return replace(checkpoints(dev_chain)[0].window, delta_digest=told_falsely(dev_chain).digest())


def told_falsely(dev_chain: DevChain) -> Delta:
    """That delta; names no proof yet."""
    delta = checkpoints(dev_chain)[0].delta
    *messages, last = delta.messages
    return replace(delta, messages=(*messages, replace(last, content="Never said.")))


FALSE_SESSIONS: dict[str, Callable[[DevChain], Window]] = {
    "other-session": other_session,
    "other-model": other_model,
    "other-price": other_price,
    "invented": invented,
    "rewritten": rewritten,
    "false-delta": false_delta,
}


def bundle_of(name: str) -> Path:
    return FOLDER / f"{name}.bundle"


def _with_terms(dev_chain: DevChain, change: Callable[[SessionTerms], SessionTerms]) -> Window:
    first, _ = checkpoints(dev_chain)
    window = first.window
    header = SessionHeader(change(window.header.terms), window.header.seed, window.header.salt)
    return Window(header, 0, State.initial(header), window.entries, window.delta_digest)


async def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with await start_dev_chain() as dev_chain:
        windows = {
            name: make(dev_chain)
            for name, make in FALSE_SESSIONS.items()
            if not bundle_of(name).exists()
        }
    async with StarkProver(find_prover()) as prover:
        for name, window in windows.items():
            report = await prove_window(prover, window)
            bundle_of(name).write_bytes(report.data)


if __name__ == "__main__":
    asyncio.run(main())
