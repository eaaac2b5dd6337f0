"""A session as its node would have written it: checkpoints without a model."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Self

from platformless.node.sessions.authority import SessionAuthority
from platformless.node.sessions.metering import Meter
from platformless.node.sessions.transcribing import kept_checkpoint, messages_of
from platformless.protocol.digests import Address, Salt, WeightsRoot
from platformless.protocol.header import SessionHeader
from platformless.protocol.prompt import ChatMessage, Prompt
from platformless.protocol.secrecy import PublicKeyBytes
from platformless.protocol.seed import SeedPart, session_seed
from platformless.protocol.transcript import Entry, Kind, Sampler
from platformless.prover.ledger.job_values import checkpoint_job, settlement_job
from platformless.prover.ledger.ledger import Ledger
from platformless.prover.ledger.values import Binding, Changes, KeptEntry, SessionStart
from tests.chain.world import World

CLIENT_KEY = b"\x08" * 32
"""Opens what is published."""
SOME_WEIGHTS = WeightsRoot(b"\x55" * 32)
"""Of no model that is here."""
_SAMPLER = Sampler(0.7, 40, 0.95)
_QUESTION = (ChatMessage("user", "What is a lighthouse?"),)


class RecordedSession:
    """Made by `begin`."""

    def __init__(
        self, ledger: Ledger, start: SessionStart, meter: Meter, clock_ms: Callable[[], int]
    ) -> None:
        self._ledger = ledger
        self._start = start
        self._meter = meter
        self._clock_ms = clock_ms
        self._id = start.header.terms.session_id
        self._entries = 0

    @classmethod
    async def begin(
        cls,
        world: World,
        ledger: Ledger,
        host: Address,
        session_id: int,
        clock_ms: Callable[[], int],
        weights_root: WeightsRoot = SOME_WEIGHTS,
    ) -> Self:
        """A session that the chain has, bound to its client."""
        authority = SessionAuthority(world.chain, host, frozenset({world.model_id}))
        admitted = await authority.admit(session_id)
        terms = admitted.terms(weights_root)
        parts = SeedPart(secrets.token_bytes(32)), SeedPart(secrets.token_bytes(32))
        header = SessionHeader(terms, session_seed(*parts), Salt(secrets.token_bytes(32)))
        await ledger.bind(session_id, Binding("the client", PublicKeyBytes.of(CLIENT_KEY)))
        meter = Meter.start(header, admitted.claim_rules())
        return cls(ledger, SessionStart(header, *parts), meter, clock_ms)

    async def checkpoint(self, tokens: int, *, continues: bool = False) -> str:
        """A question, an answer of so many tokens, and the checkpoint, whose job is returned.

        Args:
            continues: Whether the model sees what was said before.
        """
        start = self._start if self._entries == 0 else None
        answer = Entry(Kind.COMPLETION, tuple(range(tokens)), "A tower.", _SAMPLER)
        entries = (
            self._keep(Entry(Kind.PROMPT, (1, 2, 3), Prompt(_QUESTION, continues).text())),
            self._keep(answer),
        )
        cut, self._meter = self._meter.cut()
        changes = Changes(
            start=start,
            entries=entries,
            checkpoint=kept_checkpoint(cut, self._clock_ms()),
            due_at=self._meter.rules.due_at,
        )
        await self._ledger.append(self._id, changes)
        return checkpoint_job(self._id, cut.window.checkpoint)

    async def end(self) -> str:
        """The end, whose job is returned."""
        entries = (self._keep(Entry(Kind.END)),)
        changes = Changes(entries=entries, ended=True, due_at=self._meter.rules.due_at)
        await self._ledger.append(self._id, changes)
        return settlement_job(self._id)

    def _keep(self, entry: Entry) -> KeptEntry:
        kept = KeptEntry(self._entries, entry, self._clock_ms())
        self._meter = self._meter.add(entry, *messages_of(kept))
        self._entries += 1
        return kept
