"""Brings an outbox and the chain together: one round looks at every open transaction.

A round finds receipts, waits for confirmations, notices reorgs, sends again what the node forgot,
replaces what is stuck, and gives another nonce to what lost its own to a foreign transaction.
Every step may be repeated, by this process or by its successor.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from ...errors import PlatformlessError
from ...protocol.host_key import KeyUnavailable, TransactionKey
from ..connection import Block, Chain, ContractCall, GasPrices, says
from ..errors import (
    ChainError,
    ContractRefused,
    FeesAboveCap,
    NonceUnclear,
    RpcError,
    RpcRefused,
)
from ..reverts import NO_REASON
from .entry import Entry, Offer, State
from .fees import Fees
from .outbox import Outbox, Sign
from .settings import SenderSettings
from .signing import signer

_log = logging.getLogger(__name__)
_ROUNDS_BEFORE_REOPENING = 3
_IDLE_ROUNDS = 10
"""With nothing open, one round in so many looks at the chain."""
_FINAL_ENTRIES = 50
_BLOCKS_PASSED_OVER = 2
"""Blocks that left out a transaction which offers enough, before it offers more."""
_GAS_OF_A_PAYMENT = 21_000
_AT_A_TIME = 16
_HARMLESS = ("already known", "already imported", "nonce too low", "known transaction")
InThread = Callable[..., Awaitable[Any]]


class Keeper:
    """Keeps the outbox of one account. Only the process that leads may run rounds.

    Args:
        in_thread: Runs a blocking function of the outbox.
    """

    def __init__(
        self,
        chain: Chain,
        key: TransactionKey,
        outbox: Outbox,
        settings: SenderSettings,
        in_thread: InThread,
    ) -> None:
        self._chain = chain
        self._key = key
        self._address = key.address
        self._outbox = outbox
        self._settings = settings
        self._in_thread = in_thread
        self._sent_at: dict[str, float] = {}
        self._seen_at: dict[str, int] = {}
        """Block in which a signed version was first looked at."""
        self._rounds = 0
        self._rounds_reorganised = 0
        self._gap_since: int | None = None

    async def broadcast(self, offer: Offer) -> None:
        """Hands the node a signed transaction; a failure is left to later rounds."""
        self._sent_at[offer.hash] = time.monotonic()
        try:
            await self._chain.broadcast(offer.raw)
        except RpcRefused as refusal:
            if not says(refusal, *_HARMLESS):
                _log.warning("nonce %d, %s: %s", offer.nonce, offer.hash, refusal)
        except ChainError as error:
            _log.warning("nonce %d, %s not sent yet: %s", offer.nonce, offer.hash, error)

    async def round(self) -> None:
        """Advances every open transaction as far as the chain allows.

        Raises:
            RpcError: when the chain cannot be asked; nothing is lost.
        """
        self._rounds += 1
        entries: list[Entry] = await self._in_thread(self._outbox.open_entries)
        if not entries:
            self._sent_at.clear()
            self._seen_at.clear()
            if self._rounds % _IDLE_ROUNDS:
                return
        head, mined, prices = await asyncio.gather(
            self._chain.head(), self._chain.nonce(self._address), self._chain.gas_prices()
        )
        view = _View(self._chain, head, mined, prices)
        await self._notice_deep_reorg(view)
        await self._notice_gap(entries, view)
        slots = asyncio.Semaphore(_AT_A_TIME)

        async def advance(entry: Entry) -> None:
            async with slots:
                try:
                    await self._advance(entry, view)
                except (ChainError, KeyUnavailable, TimeoutError) as error:
                    _log.warning("%s waits: %s", entry.key, error)
                except Exception:
                    _log.exception("%s waits", entry.key)

        await asyncio.gather(*map(advance, entries))

    async def _advance(self, entry: Entry, view: _View) -> None:
        if entry.state is State.MINED:
            await self._confirm(entry, view)
        elif entry.nonce is not None and entry.nonce < view.mined_nonces:
            await self._find_receipt(entry, view)
        else:
            await self._push(entry, view)

    async def _confirm(self, entry: Entry, view: _View) -> None:
        """Mined: final when deep enough, pending again when its block is no longer the chain's."""
        block = await view.block(entry.mined_block or 0)
        if block is None or block.hash != entry.mined_block_hash:
            if view.head.number >= (entry.mined_block or 0):
                _log.warning("%s was in block %s, which is gone", entry.key, entry.mined_block)
                await self._in_thread(self._outbox.set_pending, entry)
                await self.broadcast(entry.offers[-1])
            return
        if view.head.number - block.number + 1 < self._settings.confirmations:
            return
        reason = "" if entry.succeeded else await self._why_reverted(entry)
        await self._in_thread(self._outbox.set_final, entry, reason=reason)
        if entry.succeeded:
            _log.debug("%s: final in block %d", entry.key, block.number)
        else:
            _log.warning("%s: reverted in block %d: %s", entry.key, block.number, reason)
        for offer in entry.offers:
            self._sent_at.pop(offer.hash, None)
            self._seen_at.pop(offer.hash, None)

    async def _find_receipt(self, entry: Entry, view: _View) -> None:
        """Its nonce is used: by one of its own versions, or by a foreign transaction."""
        for offer in reversed(entry.offers):
            receipt = await self._chain.receipt(offer.hash)
            if receipt is not None:
                await self._in_thread(self._outbox.set_mined, entry, receipt)
                if self._settings.confirmations <= 1:
                    await self._confirm(await self._again(entry), view)
                return
        await self._find_foreign(entry, view)

    async def _again(self, entry: Entry) -> Entry:
        found: Entry = await self._in_thread(self._outbox.find, entry.key)
        return found

    async def _find_foreign(self, entry: Entry, view: _View) -> None:
        """Looks for the transaction that took the nonce, once that is deep in the chain."""
        nonce = entry.nonce or 0
        deep = view.head.number - self._settings.confirmations + 1
        if deep < 0 or await self._chain.nonce(self._address, deep) <= nonce:
            return
        try:
            block_number = await self._block_that_used(nonce, deep)
        except RpcError as error:
            raise NonceUnclear(
                f"nonce {nonce} is used, but no node tells since which block",
                expected=f"how many transactions {self._address} had sent before block {deep}",
                got=error,
            ) from error
        used = [
            item
            for item in await self._chain.transactions_from(self._address, block_number)
            if int(item["nonce"], 16) == nonce
        ]
        if not used:
            raise NonceUnclear(
                f"nonce {nonce} is used, but block {block_number} does not show by what",
                expected=f"a transaction of {self._address}",
                got="none",
            )
        if used[0]["hash"] in {offer.hash for offer in entry.offers}:
            return  # its receipt is late
        if _is_same_call(used[0], entry):
            _log.warning("%s was sent from elsewhere as %s", entry.key, used[0]["hash"])
            receipt = await self._chain.receipt(used[0]["hash"])
            if receipt is not None:
                await self._in_thread(self._outbox.set_mined, entry, receipt)
            return
        _log.warning("nonce %d of %s was taken by %s", nonce, entry.key, used[0]["hash"])
        await self._renumber(entry, view)

    async def _block_that_used(self, nonce: int, known_block: int) -> int:
        """The block in which the account's nonce passed `nonce`, by bisection. Nodes without
        old states refuse; the search goes back in growing steps, not from block 0."""
        step, high = 1, known_block
        low = max(0, high - step)
        while low > 0 and await self._chain.nonce(self._address, low) > nonce:
            high, step = low, step * 4
            low = max(0, high - step)
        while high - low > 1:
            middle = (low + high) // 2
            if await self._chain.nonce(self._address, middle) > nonce:
                high = middle
            else:
                low = middle
        return high

    async def _renumber(self, entry: Entry, view: _View) -> None:
        """None of its versions can be mined any more: sign for another nonce, or give up when
        the contract now refuses."""
        try:
            await self._chain.estimate_gas(entry.call, self._address)
            fees = self._settings.fees.first_offer(view.prices)
        except ContractRefused as refusal:
            await self._in_thread(self._outbox.refuse, entry, refusal.reason)
            return
        sign = self._signer(entry.call, entry.gas_limit, fees)
        await self._in_thread(self._outbox.renumber, entry, next_nonce=view.mined_nonces, sign=sign)
        await self.broadcast((await self._again(entry)).offers[-1])

    async def _push(self, entry: Entry, view: _View) -> None:
        """Not mined: replace it when it is stuck and that may help, else send it again when that
        is due: also when it cannot be replaced, for the node may have forgotten it."""
        offer = entry.offers[-1]
        settings = self._settings
        is_next = entry.nonce == view.mined_nonces
        offers_enough = settings.fees.pays(offer.fees, view.prices)
        overdue = time.time() - offer.signed_at >= settings.bump_seconds
        seen_at = self._seen_at.setdefault(offer.hash, view.head.number)
        passed_over = is_next and view.head.number - seen_at >= _BLOCKS_PASSED_OVER
        is_stuck = passed_over and not settings.fees.tips_most(offer.fees, view.prices)
        if overdue and (is_stuck or not offers_enough):
            better = await self._replacement(entry, offer, view)
            if better is not None:
                if await self._in_thread(self._outbox.add_offer, entry, better):
                    await self.broadcast(better)
                return
        sent_at = self._sent_at.get(offer.hash)
        if sent_at is None or time.monotonic() - sent_at >= settings.rebroadcast_seconds:
            await self.broadcast(offer)

    async def _replacement(self, entry: Entry, offer: Offer, view: _View) -> Offer | None:
        fees = self._settings.fees.replacement(offer.fees, view.prices)
        if fees is None:
            error = FeesAboveCap("a replacement would pass the fee cap", got=offer.fees)
            _log.warning("%s is stuck: %s", entry.key, error)
            return None
        cost = entry.call.value + entry.gas_limit * fees.max_fee
        if await self._chain.balance(self._address) < cost:
            _log.warning("%s is stuck: the account cannot pay a replacement", entry.key)
            return None
        _log.info("%s, nonce %s: offers %s instead of %s", entry.key, entry.nonce, fees, offer.fees)
        sign = self._signer(entry.call, entry.gas_limit, fees)
        try:
            replacement: Offer = await self._in_thread(sign, offer.nonce)
        except PlatformlessError as error:
            _log.warning("%s is stuck: no replacement is signed: %s", entry.key, error)
            return None
        return replacement

    def _signer(self, call: ContractCall, gas_limit: int, fees: Fees) -> Sign:
        return signer(self._key, self._chain.network.chain_id, call, gas_limit, fees)

    async def _why_reverted(self, entry: Entry) -> str:
        """Runs the call again where it failed; a node does not keep the reason. That it reverted
        is known without it: nodes that have no old states, or are down, hold nothing up."""
        block = entry.mined_block or 0
        for which in (block - 1, block):
            try:
                await self._chain.call(
                    entry.call, sender=self._address, which=which, gas=entry.gas_limit
                )
            except ContractRefused as refusal:
                return refusal.reason
            except RpcRefused as refusal:
                _log.info("%s: no reason for its revert: %s", entry.key, refusal)
            except RpcError as error:
                _log.warning("%s: no reason for its revert: %s", entry.key, error)
                break
        return "out of gas" if entry.gas_used == entry.gas_limit else NO_REASON

    async def _notice_deep_reorg(self, view: _View) -> None:
        """Final transactions whose blocks are not the chain's any more, several rounds long, are
        pending again. A node that is behind shows no block at their height, and says nothing."""
        gone = await self._gone(1, view)
        if gone:  # seldom; every round reads the newest one only
            gone = await self._gone(_FINAL_ENTRIES, view)
        self._rounds_reorganised = self._rounds_reorganised + 1 if gone else 0
        if self._rounds_reorganised >= _ROUNDS_BEFORE_REOPENING:
            for entry in gone:
                await self._in_thread(self._outbox.set_pending, entry)
            _log.error("a deep reorg undid %d final transactions: looking again", len(gone))
            self._rounds_reorganised = 0

    async def _gone(self, count: int, view: _View) -> list[Entry]:
        """Of so many newest final entries, those before the first whose block is the chain's."""
        gone: list[Entry] = []
        for entry in await self._in_thread(self._outbox.newest_final, count):
            block = await view.block(entry.mined_block or 0)
            if block is None or block.hash == entry.mined_block_hash:
                break
            gone.append(entry)
        return gone

    async def _notice_gap(self, entries: list[Entry], view: _View) -> None:
        """A nonce that no transaction has keeps all later ones waiting. It comes of a foreign
        transaction that was counted and then lost; a payment of nothing to oneself takes its
        place once the chain has gone on without it for as long as confirmations take."""
        lowest = min((entry.nonce for entry in entries if entry.nonce is not None), default=0)
        if lowest <= view.mined_nonces:
            self._gap_since = None
            return
        if self._gap_since is None:
            self._gap_since = view.head.number
        if view.head.number - self._gap_since < self._settings.confirmations:
            return
        call = ContractCall(self._address, b"", description="fill a gap of nonces")
        fees = self._settings.fees.first_offer(view.prices)
        sign = self._signer(call, _GAS_OF_A_PAYMENT, fees)
        for nonce in range(view.mined_nonces, lowest):
            filled: Entry | None = await self._in_thread(
                self._outbox.fill_gap, nonce, call, _GAS_OF_A_PAYMENT, sign
            )
            if filled is not None:
                _log.error("no transaction has nonce %d: filling it", nonce)
                await self.broadcast(filled.offers[-1])


class _View:
    """The chain as one round sees it. `mined_nonces` is the account's nonce at the head."""

    def __init__(self, chain: Chain, head: Block, mined_nonces: int, prices: GasPrices) -> None:
        self._chain = chain
        self.head = head
        self.mined_nonces = mined_nonces
        self.prices = prices
        self._blocks: dict[int, asyncio.Task[Block | None]] = {}

    async def block(self, number: int) -> Block | None:
        """Asked once a round for each block."""
        if number not in self._blocks:
            self._blocks[number] = asyncio.ensure_future(self._chain.block(number))
        return await self._blocks[number]


def _is_same_call(transaction: dict[str, Any], entry: Entry) -> bool:
    call = entry.call
    return (
        str(transaction.get("to", "")).lower() == "0x" + call.to.value.hex()
        and str(transaction.get("input", "")).lower() == "0x" + call.data.hex()
        and int(transaction.get("value", "0x0"), 16) == call.value
    )
