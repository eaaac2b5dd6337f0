"""What is still open when a host leaves: sessions, jobs of its ledger, earnings.

The registry asks about none of it: `unregisterNode` pays the whole stake back at once. The
marketplace goes by the session alone, so a host that has left may still prove, settle and withdraw;
new sessions with it are refused.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ...chain.connection import Chain
from ...chain.contract import ContractClient
from ...chain.errors import ContractRefused
from ...chain.host_earnings import HostEarnings
from ...chain.marketplace import Marketplace
from ...chain.money import Amount
from ...chain.session import SessionStatus
from ...protocol.digests import Address
from ...prover.ledger.errors import LedgerError
from ...prover.ledger.job_states import OVER
from ...prover.ledger.ledger import Ledger
from ..backing import chain_tag, ledger_settings
from ..settings import NodeSettings
from .facts import tokens_of

MOST_SESSIONS = 500
"""So many, the newest, are looked at."""


@dataclass(frozen=True, slots=True)
class OpenMatters:
    """What a host leaves behind."""

    sessions: tuple[int, ...]
    """Ids of those that are active on chain."""
    unread_sessions: int
    """Older ones that were not looked at."""
    jobs: int | None
    """Jobs of this machine's ledger that are neither confirmed nor given up; None: no ledger."""
    earnings: tuple[Amount, ...]
    """Not withdrawn yet, by token; only those above zero."""
    ledger_problem: str = ""

    def warnings(self) -> tuple[str, ...]:
        """For the operator, before the host leaves."""
        found = []
        if self.sessions:
            ids = ", ".join(map(str, self.sessions))
            found.append(
                f"sessions still open: {ids}. They can be proven and settled after leaving, and "
                "time out otherwise: keep the node running until they are settled"
            )
        if self.unread_sessions:
            found.append(f"{self.unread_sessions} older sessions were not looked at")
        if self.jobs:
            found.append(
                f"jobs not confirmed yet: {self.jobs}. `fabstir-llm-node jobs` shows them; keep "
                "the node running until they are confirmed"
            )
        if self.ledger_problem:
            found.append(f"the ledger's jobs were not looked at: {self.ledger_problem}")
        if self.earnings:
            amounts = " and ".join(map(str, self.earnings))
            found.append(
                f"earnings not withdrawn: {amounts}. They stay the account's: "
                "`fabstir-llm-node withdraw-earnings`"
            )
        return tuple(found)


class HostSessions(ContractClient):
    """The marketplace's list of a host's sessions, from the oldest."""

    CONTRACT = "JobMarketplace"

    def __init__(self, chain: Chain) -> None:
        super().__init__(chain, chain.network.marketplace)

    async def newest(self, host: Address, most: int) -> tuple[list[int], int]:
        """The ids of so many newest sessions, and how many older ones there are."""
        count = await self._count(host)
        places = range(max(0, count - most), count)
        ids = await asyncio.gather(*(self._read("hostSessions", host, at) for at in places))
        return [int(identity) for identity in ids], places.start

    async def _count(self, host: Address) -> int:
        """The list has no length that can be asked: places are, by halves."""
        above = 1
        while await self._has(host, above - 1):
            above *= 2
        low, high = above // 2, above - 1
        while low < high:
            middle = (low + high + 1) // 2
            if await self._has(host, middle - 1):
                low = middle
            else:
                high = middle - 1
        return low

    async def _has(self, host: Address, place: int) -> bool:
        try:
            await self._read("hostSessions", host, place)
        except ContractRefused:
            return False
        return True


async def open_matters(chain: Chain, host: Address, settings: NodeSettings) -> OpenMatters:
    """Looks at the chain and, where there is one, at the node's ledger.

    Raises:
        ChainError
    """
    marketplace, earnings = Marketplace(chain), HostEarnings(chain)
    ids, unread = await HostSessions(chain).newest(host, MOST_SESSIONS)
    sessions = await asyncio.gather(*(marketplace.session(identity) for identity in ids))
    balances = await asyncio.gather(
        *(earnings.balance(host, token) for token in tokens_of(chain.network))
    )
    jobs, problem = await _open_jobs(chain, settings)
    return OpenMatters(
        sessions=tuple(one.id for one in sessions if one.status is SessionStatus.ACTIVE),
        unread_sessions=unread,
        jobs=jobs,
        earnings=tuple(balance for balance in balances if balance.units),
        ledger_problem=problem,
    )


async def _open_jobs(chain: Chain, settings: NodeSettings) -> tuple[int | None, str]:
    """A ledger that cannot be read keeps nobody from leaving."""
    if not settings.ledger_url and not (settings.data_folder / "ledger.db").exists():
        return None, ""
    try:
        tag = await chain_tag(chain)
        async with await Ledger.open(ledger_settings(settings, tag)) as ledger:
            counts = await ledger.jobs.counts()
    except LedgerError as error:
        return None, str(error)
    by_state = counts.by_state.items()
    return sum(count for (_, state), count in by_state if state not in OVER), ""
