"""Fixed values for tests that need just one."""

from __future__ import annotations

from platformless.protocol.bundle import Bundle
from platformless.protocol.digests import Address, ModelId, Salt, Seed, WeightsRoot
from platformless.protocol.header import SessionHeader
from platformless.protocol.terms import SessionTerms
from platformless.protocol.transcript import Entry, Kind, Sampler, State
from platformless.protocol.window import Window

TERMS = SessionTerms(
    chain_id=31337,
    marketplace=Address(b"\x11" * 20),
    session_id=7,
    host=Address(b"\x22" * 20),
    client=Address(b"\x33" * 20),
    model_id=ModelId(b"\x44" * 32),
    weights_root=WeightsRoot(b"\x55" * 32),
    price=5000,
)
HEADER = SessionHeader(TERMS, Seed(b"\x66" * 32), Salt(b"\x77" * 32))
PROMPT = Entry(Kind.PROMPT, (1, 2, 3), "What is a lighthouse?")
COMPLETION = Entry(Kind.COMPLETION, tuple(range(50)), "A tower.", Sampler(0.7, 40, 0.95))
END = Entry(Kind.END)


def window_of(tokens: int, turns: int = 1) -> Window:
    """A first checkpoint of `tokens` completion tokens in `turns` turns."""
    share = [tokens // turns + (turn < tokens % turns) for turn in range(turns)]
    entries: list[Entry] = []
    for count in share:
        entries.append(Entry(Kind.PROMPT, tuple(range(40)), "A question of forty tokens."))
        entries.append(Entry(Kind.COMPLETION, tuple(i % 49152 for i in range(count)), "x" * count))
    return Window(HEADER, 0, State.initial(HEADER), tuple(entries))


FIRST = Window(HEADER, 0, State.initial(HEADER), (PROMPT, COMPLETION))
SECOND = Window(HEADER, 1, FIRST.after, (PROMPT, COMPLETION, END))
BUNDLE = Bundle(
    claim_kind="session",
    assurance="accounting",
    image_id=b"\x01" * 32,
    zkvm="risc0-zkvm 3.0.6",
    verifier_parameters=b"\x02" * 32,
    receipt_kind="composite",
    journal=FIRST.claim().encode(),
    receipt=b"\x03" * 100,
)
