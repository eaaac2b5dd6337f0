"""The bundles of all checkpoints of a session, as they were submitted: what one proof of them all
is made from."""

from __future__ import annotations

from collections.abc import Callable

from ...chain.connection import Chain
from ..evidence import Downloads, EvidenceLimits, Gathering
from .errors import NothingToAggregate
from .facts import read_facts


async def collect_bundles(
    chain: Chain,
    downloads: Downloads,
    session_id: int,
    *,
    limits: EvidenceLimits | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> list[bytes]:
    """Every bundle, in order. Hashes are checked, proofs are not.

    Raises:
        NothingToAggregate: when the session has no proof.
        UnknownSession, ChainError: when the chain has no such session, or cannot be read.
        RecoveryProblem, StorageError: when a bundle cannot be had: the first in order.
    """
    facts = await read_facts(chain, session_id)
    places = facts.places()
    if not places:
        raise NothingToAggregate(
            f"session {session_id} has no proofs", expected="at least one checkpoint", got="none"
        )
    gathering = Gathering(chain.network, downloads, facts.session, facts.model_id, limits=limits)
    bundles: list[bytes] = []
    for place in places:
        bundles.append(await gathering.bundle(place))
        if on_done is not None:
            on_done(len(bundles), len(places))
    return bundles
