"""`fabstir-llm-node withdraw-earnings`: pays the host out."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...chain.connection import Chain, Receipt
from ...chain.contract import decode_event, event_topic
from ...chain.host_earnings import HostEarnings
from ...chain.money import NATIVE, Amount, Token
from ...chain.networks import Network
from ...chain.sending.sender import Confirmed, TransactionSender
from ...chain.sending.settings import SenderSettings
from ...console import Output
from ...protocol.digests import Address
from ..keys.sources import open_key
from ..reading_settings import load_settings
from ..settings import NodeSettings

CONFIRM_SECONDS = 600.0
SENDING = SenderSettings()
_ALL = "all"
_EVENT = "EarningsWithdrawn"


@dataclass(frozen=True, slots=True)
class WithdrawalRequest:
    """What was asked for on the command line."""

    token: str = _ALL
    """A symbol in any case, or `all`."""
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class TokenEarnings:
    """What the host had in one token, was paid, and has now."""

    before: Amount
    withdrawn: Amount
    after: Amount


@dataclass(frozen=True, slots=True)
class WithdrawalReport:
    """What was withdrawn."""

    host: Address
    earnings: tuple[TokenEarnings, ...]
    confirmed: Confirmed | None
    """The transaction; None when nothing was sent."""

    @property
    def has_earnings(self) -> bool:
        """Whether there was anything to withdraw."""
        return any(of_token.before.units for of_token in self.earnings)


async def withdraw(
    settings: NodeSettings,
    network: Network,
    request: WithdrawalRequest,
    sending: SenderSettings = SENDING,
) -> WithdrawalReport:
    """Withdraws all earnings in the tokens asked for, in one transaction, and waits until it is
    final. A node that runs meanwhile sends by the same outbox: neither disturbs the other.

    Raises:
        HostKeyError: when the host's key cannot be had.
        UnknownName: for a token that the network does not have.
        ChainError: also `NotConfirmedYet`, when the transaction is still under way.
    """
    tokens = (
        (network.usdc, NATIVE) if request.token == _ALL else (network.token_named(request.token),)
    )
    host_key = await asyncio.to_thread(open_key, settings)
    host = host_key.address
    async with Chain(network) as chain:
        contract = HostEarnings(chain)
        before = await _balances(contract, host, tokens)
        paid = [amount.token for amount in before if amount.units]
        if request.dry_run or not paid:
            unchanged = tuple(TokenEarnings(had, Amount(0, had.token), had) for had in before)
            return WithdrawalReport(host, unchanged, None)
        outbox = settings.data_folder / "outbox.db"
        async with TransactionSender(chain, host_key, outbox, sending) as sender:
            key = f"withdraw-earnings {uuid.uuid4()}"
            call = contract.withdraw_all(paid)
            confirmed = await sender.send(key, call, confirm_seconds=CONFIRM_SECONDS)
        receipt = await chain.receipt(confirmed.transaction_hash)
        after = await _balances(contract, host, tokens)
        earnings = tuple(
            TokenEarnings(had, _withdrawn(receipt, contract.address, had), has)
            for had, has in zip(before, after, strict=True)
        )
        return WithdrawalReport(host, earnings, confirmed)


def show_withdrawal(output: Output, env_file: Path, request: WithdrawalRequest) -> WithdrawalReport:
    """Withdraws, and prints what.

    Raises:
        SettingsError, ChainError
    """
    settings, network = load_settings(env_file=env_file)
    report = asyncio.run(withdraw(settings, network, request, SENDING))
    if output.as_json:
        output.json("done", dry_run=request.dry_run, **report_json(report))
        return report
    if not report.has_earnings:
        output.line(f"nothing to withdraw: {report.host} has no earnings")
        return report
    for of_token in report.earnings:
        before, after = of_token.before, of_token.after
        if report.confirmed is not None:
            output.line(f"{of_token.withdrawn} withdrawn; before {before}, now {after}")
        elif before.units:
            output.line(f"{before} can be withdrawn")
    if report.confirmed is None:
        output.line("nothing was sent: a dry run")
    else:
        output.line(f"transaction {report.confirmed.transaction_hash}")
        output.line(f"in block {report.confirmed.block_number:,}, fee {report.confirmed.fee}")
    return report


def report_json(report: WithdrawalReport) -> dict[str, Any]:
    """Amounts are decimal digits of the token's smallest unit."""
    confirmed = report.confirmed
    return {
        "host": str(report.host),
        "earnings": [
            {
                "token": of_token.before.token.symbol,
                "token_address": str(of_token.before.token.address),
                "decimals": of_token.before.token.decimals,
                "before": str(of_token.before.units),
                "withdrawn": str(of_token.withdrawn.units),
                "after": str(of_token.after.units),
            }
            for of_token in report.earnings
        ],
        "transaction": None if confirmed is None else confirmed.to_json(),
    }


async def _balances(contract: HostEarnings, host: Address, tokens: Sequence[Token]) -> list[Amount]:
    return list(await asyncio.gather(*(contract.balance(host, token) for token in tokens)))


def _withdrawn(receipt: Receipt | None, contract: Address, had: Amount) -> Amount:
    """What the contract says that it paid: earnings may have come in since they were read. A node
    that does not have the receipt any more leaves what was read."""
    if receipt is None:
        return had
    topic = "0x" + event_topic(HostEarnings.CONTRACT, _EVENT).hex()
    events = (
        decode_event(HostEarnings.CONTRACT, _EVENT, log)
        for log in receipt.logs
        if log["topics"][:1] == [topic] and Address.from_hex(log["address"]) == contract
    )
    units = (
        event["amount"] for event in events if Address.from_hex(event["token"]) == had.token.address
    )
    return Amount(sum(units), had.token)
