"""The transaction sender: one for an account, shared by the tasks of a process.

`send` returns when its transaction is final. Until then everything may die: sent again with the
same outbox key, it goes on waiting for the same transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ParamSpec, Self, TypeVar

from ...closing import AsyncClosing
from ...locks import FileLock
from ...protocol.digests import Address
from ..connection import Chain, ContractCall, GasPrices, says
from ..errors import (
    ChainError,
    InsufficientFunds,
    NotConfirmedYet,
    RpcRefused,
    SenderClosed,
    TransactionReverted,
    UnreadableAnswer,
)
from ..money import BASIS_POINTS, NATIVE, Amount
from ..reverts import refusal_for
from .entry import Entry, State
from .keeper import Keeper
from .outbox import Outbox
from .settings import SenderSettings
from .signing import Account, key_of, signer

_log = logging.getLogger(__name__)
_PRICES_AGE_SECONDS = 1.0
_QUICK_LOOK_SECONDS = 0.01
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A transaction that succeeded and is final."""

    key: str
    transaction_hash: str
    block_number: int
    block_hash: str
    gas_used: int
    gas_price: int
    """Wei per gas."""

    @property
    def fee(self) -> Amount:
        return Amount(self.gas_used * self.gas_price, NATIVE)

    def to_json(self) -> dict[str, str | int]:
        """As commands print it; the fee is decimal digits."""
        return {
            "hash": self.transaction_hash,
            "block_number": self.block_number,
            "fee_wei": str(self.fee.units),
        }


class TransactionSender(AsyncClosing):
    """Sends the transactions of one account. Use as an asynchronous context manager.

    Args:
        outbox_path: SQLite file; the account's other processes on this machine use the same.
    """

    def __init__(
        self,
        chain: Chain,
        account: Account,
        outbox_path: Path,
        settings: SenderSettings | None = None,
    ) -> None:
        self.chain = chain
        self._key = key_of(account)
        self.address: Address = self._key.address
        self.settings = settings or SenderSettings()
        self._outbox_path = outbox_path
        self._waiting: dict[str, set[asyncio.Future[Entry]]] = {}
        self._wake = asyncio.Event()
        self._prices: tuple[float, GasPrices] | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        chain_id = self.chain.network.chain_id
        genesis = await self.chain.block(0)
        if genesis is None:
            raise UnreadableAnswer("the node has no block 0")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="outbox")
        try:
            self.outbox = await self._in_thread(Outbox, self._outbox_path, chain_id, self.address)
            await self._in_thread(self.outbox.claim_chain, genesis.hash)
        except BaseException:
            self._thread.shutdown()
            raise
        path = self._outbox_path.resolve()
        lock = f"{path.name}.{chain_id}.{self.address.value.hex()}.lock"
        self._leadership = FileLock(path.with_name(lock))
        self._keeper = Keeper(self.chain, self._key, self.outbox, self.settings, self._in_thread)
        self._keeping = asyncio.create_task(self._keep())
        return self

    async def close(self) -> None:
        """Stops keeping the outbox. What is under way stays in it; `send` and `wait` that are
        still waiting are cancelled."""
        self._closed = True
        self._keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._keeping
        for futures in self._waiting.values():
            for future in futures:
                future.cancel()
        self._leadership.release()
        # Behind whatever a `send` that is still under way has handed to the thread.
        await asyncio.get_running_loop().run_in_executor(self._thread, self.outbox.close)
        self._thread.shutdown()

    async def send(
        self, key: str, call: ContractCall, *, confirm_seconds: float | None = None
    ) -> Confirmed:
        """Sends a call, at most once for its key, and waits until it is final.

        Raises:
            ContractRefused: the contract would revert; nothing was sent.
            TransactionReverted: it was mined and reverted; the key is spent.
            NotConfirmedYet: not final after `confirm_seconds`; it is still under way.
            OutboxKeyReused, InsufficientFunds, FeesAboveCap, RpcError: nothing was sent.
        """
        await self.submit(key, call)
        return await self.wait(key, confirm_seconds=confirm_seconds)

    async def submit(self, key: str, call: ContractCall) -> Entry:
        """Like `send`, but returns once the transaction is in the outbox and was handed to the
        node; when the node does not take it now, it is handed over again later."""
        entry = await self._known(key, call)
        if entry is not None:
            return entry
        try:
            gas_limit, balance, nonce, prices = await asyncio.gather(
                self._gas_limit(call),
                self.chain.balance(self.address),
                self.chain.nonce(self.address),
                self._gas_prices(),
            )
            fees = self.settings.fees.first_offer(prices)
        except ChainError:
            # Another task or process may have sent it meanwhile: then it was refused for that.
            entry = await self._known(key, call)
            if entry is not None:
                return entry
            raise
        entry = await self._in_thread(
            self.outbox.add,
            key,
            call,
            gas_limit,
            next_nonce=nonce,
            balance=balance,
            sign=signer(self._key, self.chain.network.chain_id, call, gas_limit, fees),
        )
        await self._keeper.broadcast(entry.offers[-1])
        self._wake.set()
        _log.debug("%s: nonce %s, sent as %s", key, entry.nonce, entry.offers[-1].hash)
        return entry

    async def known(self, key: str) -> Entry | None:
        """What the outbox has under a key, whatever it sends."""
        return await self._in_thread(self.outbox.find, key)

    async def wait(self, key: str, *, confirm_seconds: float | None = None) -> Confirmed:
        """Waits until a transaction that is in the outbox is final.

        Raises:
            TransactionReverted, NotConfirmedYet: as `send`.
            ContractRefused: a foreign transaction took its nonce, and then it was refused.
            KeyError: when the outbox has no such key.
        """
        future: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, set()).add(future)
        try:
            entry = await self._in_thread(self.outbox.find, key)
            if entry is None:
                raise KeyError(key)
            if not _is_over(entry):
                async with asyncio.timeout(confirm_seconds):
                    entry = await future
        except TimeoutError:
            raise NotConfirmedYet(
                f"{key} is not final yet",
                expected=f"{self.settings.confirmations} confirmations in {confirm_seconds} s",
                got=entry.state.value if entry is not None else None,
            ) from None
        finally:
            self._waiting[key].discard(future)
            if not self._waiting[key]:
                del self._waiting[key]
        return _outcome(entry)

    async def _known(self, key: str, call: ContractCall) -> Entry | None:
        """The key's entry, unless it may be tried again."""
        entry = await self._in_thread(self.outbox.find, key, call)
        return None if entry is None or entry.state is State.REFUSED else entry

    async def _gas_limit(self, call: ContractCall) -> int:
        if call.gas_limit is not None:
            return call.gas_limit
        try:
            estimate = await self.chain.estimate_gas(call, self.address)
        except RpcRefused as refusal:
            if says(refusal, "insufficient funds", "outofbalance", "out of funds"):
                raise InsufficientFunds(
                    f"account {self.address} cannot pay",
                    expected=f"at least {Amount(call.value, NATIVE)} and gas",
                    got=refusal.rpc_message,
                ) from refusal
            raise
        return estimate * (BASIS_POINTS + self.settings.gas_margin_basis_points) // BASIS_POINTS

    async def _gas_prices(self) -> GasPrices:
        """Those of the last second are good enough: the first offer has headroom."""
        now = time.monotonic()
        if self._prices is None or now - self._prices[0] > _PRICES_AGE_SECONDS:
            self._prices = (now, await self.chain.gas_prices())
        return self._prices[1]

    async def _keep(self) -> None:
        """Rounds, for as long as the sender is open; when another process leads, only looking.
        After something was sent they come quickly at first: a chain may mine it at once."""
        rest = self.settings.poll_seconds
        while True:
            if self._wake.is_set():
                rest = min(_QUICK_LOOK_SECONDS, self.settings.poll_seconds)
            self._wake.clear()
            try:
                if self._leadership.take():
                    await self._keeper.round()
                await self._tell_waiting()
            except ChainError as error:
                _log.warning("outbox of %s: %s", self.address, error)
            except Exception:
                _log.exception("outbox of %s", self.address)
            rest = min(2 * rest, self.settings.poll_seconds)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(rest):
                    await self._wake.wait()

    async def _tell_waiting(self) -> None:
        if not self._waiting:
            return
        for entry in await self._in_thread(self.outbox.over, list(self._waiting)):
            for future in self._waiting.get(entry.key, ()):
                if not future.done():
                    future.set_result(entry)

    async def _in_thread(
        self,
        function: Callable[_Arguments, _Result],
        *arguments: _Arguments.args,
        **named: _Arguments.kwargs,
    ) -> _Result:
        """Runs a blocking function of the outbox in the sender's one thread.

        Raises:
            SenderClosed: after `close`.
        """
        if self._closed:
            raise SenderClosed("the sender is closed", expected="an open sender")
        call = partial(function, *arguments, **named)
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


def _is_over(entry: Entry) -> bool:
    return entry.state in (State.CONFIRMED, State.REVERTED, State.REFUSED)


def _outcome(entry: Entry) -> Confirmed:
    if entry.state is State.REFUSED:
        raise refusal_for(entry.refusal)
    if entry.state is State.REVERTED:
        raise TransactionReverted(
            f"{entry.key} was mined and reverted",
            refusal=refusal_for(entry.refusal),
            got=f"{entry.refusal}, in block {entry.mined_block}",
        )
    return Confirmed(
        key=entry.key,
        transaction_hash=entry.mined_hash or "",
        block_number=entry.mined_block or 0,
        block_hash=entry.mined_block_hash or "",
        gas_used=entry.gas_used or 0,
        gas_price=entry.gas_price or 0,
    )
