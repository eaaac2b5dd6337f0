"""What the chain says of a host, asked in the background: nothing that is served waits for it.

The head is asked for every 15 s, what concerns the host's account every minute. A chain that gives
no answer leaves nothing to tell but that, and since when.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from ...chain.connection import Block, Chain
from ...chain.errors import ChainError
from ...chain.host_earnings import HostEarnings
from ...chain.money import NATIVE, Amount
from ...chain.networks import Network
from ...chain.node_registry import NodeRegistry
from ...chain.rpc import RpcSettings
from ...closing import AsyncClosing, ended
from ...protocol.digests import Address
from ...retrying import Backoff
from .credits import CreditsSeen

log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")
_Family = TypeVar("_Family", GaugeMetricFamily, CounterMetricFamily)
BLOCK_SECONDS = 2.0
"""Between two blocks of Base."""
_PATIENCE = RpcSettings(request_seconds=4, patience_seconds=6, backoff=Backoff(0.2, 4))


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the chain is asked."""

    head_seconds: float = 15.0
    account_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class HeadReading:
    """The newest block, and how far behind it is."""

    number: int
    age_seconds: float
    """When it was read."""
    lag_blocks: float
    """The blocks that its age makes, or those that another endpoint is ahead, whichever is
    more."""


@dataclass(frozen=True, slots=True)
class AccountReading:
    """What the contracts and the chain have of the host."""

    is_registered: bool
    """And active."""
    stake: Amount
    required_stake: Amount
    withdrawable: tuple[Amount, ...]
    balance: Amount
    gas_price_wei: int


@dataclass(frozen=True, slots=True)
class ChainReading:
    """What is known now. None is what could not be asked the last time."""

    silent_seconds: float
    """Since the chain last answered."""
    head: HeadReading | None = None
    account: AccountReading | None = None
    credited: tuple[Amount, ...] | None = None
    """To the host, since the node started."""

    @property
    def is_reachable(self) -> bool:
        return self.head is not None


def head_reading(number: int, timestamp: int, now: float, best: int | None) -> HeadReading:
    """Args:
    timestamp: The block's, and `now`: Unix times in seconds.
    best: The newest block of any endpoint.
    """
    age = max(0.0, now - timestamp)
    behind = 0 if best is None else max(0, best - number)
    return HeadReading(number, age, max(age / BLOCK_SECONDS, float(behind)))


class ChainWatch(AsyncClosing):
    """Asks for as long as it is open, over connections of its own. Belongs to one event loop.

    Args:
        clock_ms: Unix time in milliseconds, for tests.
        pace: For tests.
    """

    def __init__(
        self,
        network: Network,
        host: Address,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        pace: Pace | None = None,
    ) -> None:
        self._clock_ms = clock_ms
        self._pace = pace or Pace()
        self._host = host
        self._chain = Chain(network, settings=_PATIENCE)
        urls = network.rpc_urls if len(network.rpc_urls) > 1 else ()
        self._each = [Chain(network, rpc_urls=(url,), settings=_PATIENCE) for url in urls]
        self._registry = NodeRegistry(self._chain)
        self._earnings = HostEarnings(self._chain)
        self._tokens = (NATIVE, network.usdc)
        self._credits = CreditsSeen(self._chain, host, self._tokens)
        self._head: HeadReading | None = None
        self._account: AccountReading | None = None
        self._credited: tuple[Amount, ...] | None = None
        self._account_at = 0.0
        self._answered_at = time.monotonic()
        self._failing: set[str] = set()
        self._asked = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def reading(self) -> ChainReading:
        """What is known. Asks nothing."""
        silent = time.monotonic() - self._answered_at
        return ChainReading(silent, self._head, self._account, self._credited)

    async def asked(self) -> None:
        """Returns once the chain has been asked, whether it answered or not."""
        await self._asked.wait()

    async def close(self) -> None:
        await ended(self._task)
        for chain in (self._chain, *self._each):
            await chain.close()

    async def _run(self) -> None:
        while True:
            self._head = await self._told("its newest block", self._ask_head)
            self._asked.set()
            if self._head is None:
                self._account = self._credited = None
            else:
                self._answered_at = time.monotonic()
                if self._account is None or self._is_due():
                    self._account, self._credited = await asyncio.gather(
                        self._told("the host's account", self._ask_account),
                        self._told("the host's credits", self._ask_credits),
                    )
                    self._account_at = time.monotonic()
            await asyncio.sleep(self._pace.head_seconds)

    def _is_due(self) -> bool:
        return time.monotonic() - self._account_at >= self._pace.account_seconds

    async def _told(self, what: str, ask: Callable[[], Awaitable[_Answer]]) -> _Answer | None:
        """None when the chain does not tell, of which the log hears once."""
        try:
            answer = await ask()
        except Exception as error:
            if what not in self._failing:
                foreseen = isinstance(error, ChainError)
                log.warning("the chain does not tell %s: %s", what, error, exc_info=not foreseen)
            self._failing.add(what)
            return None
        self._failing.discard(what)
        return answer

    async def _ask_head(self) -> HeadReading:
        head, best = await asyncio.gather(self._chain.head(), self._best_head())
        return head_reading(head.number, head.timestamp, self._clock_ms() / 1000, best)

    async def _best_head(self) -> int | None:
        heads = await asyncio.gather(*(one.head() for one in self._each), return_exceptions=True)
        return max((head.number for head in heads if isinstance(head, Block)), default=None)

    async def _ask_account(self) -> AccountReading:
        host, required, wei, prices, withdrawable = await asyncio.gather(
            self._registry.host(self._host),
            self._registry.required_stake(),
            self._chain.balance(self._host),
            self._chain.gas_prices(),
            asyncio.gather(*(self._earnings.balance(self._host, one) for one in self._tokens)),
        )
        return AccountReading(
            is_registered=host is not None and host.active,
            stake=Amount(0, self._chain.network.fab) if host is None else host.stake,
            required_stake=required,
            withdrawable=tuple(withdrawable),
            balance=Amount(wei, NATIVE),
            gas_price_wei=prices.base_fee + prices.priority_fee,
        )

    async def _ask_credits(self) -> tuple[Amount, ...]:
        if self._head is not None:
            await self._credits.go_on(self._head.number)
        return self._credits.totals


def chain_families(reading: ChainReading) -> Iterator[Metric]:
    """The reading as Prometheus names it."""
    yield _gauge("chain_reachable", "Whether the chain answered last.", reading.is_reachable)
    yield _gauge("chain_silent_seconds", "Since the chain last answered.", reading.silent_seconds)
    if reading.head is not None:
        yield _gauge("chain_head_block", "The newest block.", reading.head.number)
        yield _gauge("chain_head_age_seconds", "The newest block's age.", reading.head.age_seconds)
        yield _gauge(
            "chain_lag_blocks",
            "Blocks that the head's age makes, or that another endpoint is ahead.",
            reading.head.lag_blocks,
        )
    if reading.account is not None:
        yield from _account_families(reading.account)
    if reading.credited is not None:
        yield _by_token(
            CounterMetricFamily(
                "platformless_earnings",
                "Credited to the host since the node started, in whole tokens.",
                labels=("token",),
            ),
            reading.credited,
        )


def _account_families(account: AccountReading) -> Iterator[Metric]:
    yield _gauge("registered", "Whether the host is registered, active.", account.is_registered)
    yield _gauge("stake_fab", "What the host has staked.", whole(account.stake))
    yield _gauge("required_stake_fab", "What a host must stake.", whole(account.required_stake))
    yield _gauge("account_balance_eth", "What the host pays gas from.", whole(account.balance))
    yield _gauge("gas_price_wei", "Base fee and usual tip for a gas.", account.gas_price_wei)
    yield _by_token(
        GaugeMetricFamily(
            "platformless_earnings_withdrawable",
            "What the host may withdraw, in whole tokens.",
            labels=("token",),
        ),
        account.withdrawable,
    )


def whole(amount: Amount) -> float:
    """In whole tokens."""
    return float(Decimal(amount.units).scaleb(-amount.token.decimals))


def _by_token(family: _Family, amounts: tuple[Amount, ...]) -> _Family:
    for amount in amounts:
        family.add_metric((amount.token.symbol,), whole(amount))
    return family


def _gauge(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"platformless_{name}", help_text, value=value)
