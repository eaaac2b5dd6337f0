"""Users of a node whose processes die: they talk, come back when a connection breaks, and leave."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

from platformless.client import ClientSession
from platformless.client.errors import ConnectionProblem, HostRefused, HostUnreachable
from platformless.client.requests import Sampling
from tests.node.world import NodeWorld

_QUESTIONS = (
    "Tell me a very long story about the sea.",
    "Write a long essay about lighthouses.",
    "Explain in great detail how a ship is built.",
)
_ANSWER_TOKENS = 60
_REST_SECONDS = 0.2
_OVER = ("SESSION_ENDED", "JOB_NOT_ACTIVE")
"""What a node says of a session that it has ended because its client was gone."""


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation that is over for its user."""

    session_id: int
    tokens: int
    """That the user has verified."""
    key: bytes
    """What the user opens its deltas with."""
    end: str
    """ended, left, or the code with which the node refused it."""


@dataclass
class Users:
    """What all users have lived through."""

    talks: list[Talk] = field(default_factory=list)
    broken: int = 0
    """How often a connection broke, or was not to be had."""
    refused: Counter[str] = field(default_factory=Counter)

    async def talk_on(
        self,
        nodes: NodeWorld,
        name: str,
        chance: random.Random,
        stopping: asyncio.Event,
        goals: tuple[int, ...],
    ) -> None:
        """One user, with the account `name`: at least one session, and further ones until
        `stopping`; the last one is brought to its end.

        Args:
            goals: Tokens of a session; one of them is chosen.
        """
        async with nodes.client(name, folder=name) as client:
            while True:
                session = await nodes.open(client)
                end = await self._talk(session, chance, chance.choice(goals))
                key = client.wallet.encryption_key
                self.talks.append(Talk(session.id, session.tokens, key, end))
                if stopping.is_set():
                    return

    async def _talk(self, session: ClientSession, chance: random.Random, goal: int) -> str:
        leaves, anew = chance.random() < 0.4, False
        while True:
            try:
                if not session.is_connected:
                    await session.connect()
                wanted = min(goal - session.tokens, _ANSWER_TOKENS)
                if wanted > 0:
                    answer = await session.ask(
                        chance.choice(_QUESTIONS),
                        max_tokens=wanted,
                        sampling=Sampling(temperature=0.8),
                        new_context=anew,
                    )
                    await answer.text()
                    anew = answer.report.tokens < wanted  # the model thinks that all is said
                elif leaves:
                    await session.close()
                    return "left"
                else:
                    await session.end()
                    return "ended"
            except (ConnectionProblem, HostUnreachable):
                self.broken += 1
                await asyncio.sleep(_REST_SECONDS)
            except HostRefused as refusal:
                self.refused[refusal.wire_code] += 1
                if refusal.wire_code in _OVER:
                    await session.close()
                    return refusal.wire_code
                anew = True  # for TOKEN_LIMIT_EXCEEDED
                await asyncio.sleep(_REST_SECONDS)
            assert session.distrust is None
