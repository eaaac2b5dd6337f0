"""What the transactions of a plan cost, before they are sent.

A node can only estimate what could be sent at once. What needs an earlier transaction of the plan
is reckoned from what such calls store; the tests compare it with what they take.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...chain.connection import Chain, GasPrices
from ...chain.errors import ContractRefused
from ...chain.money import BASIS_POINTS, NATIVE, Amount
from ...chain.sending.settings import SenderSettings
from ...protocol.digests import Address
from ...protocol.words import WORD_BYTES
from .errors import NotEnoughEth, StepRefused
from .steps import PRICE, REGISTER, Plan, Step

_TRANSACTION_GAS = 21_000
_BYTE_GAS = 16
_WORD_GAS = 22_500
"""A word of storage that was empty, with what its computing takes."""
_WORDS_OF_A_HOST = 3
"""More than the words of the call: stake, prices, places in lists, the token's balances."""
_WORDS_OF_A_MODEL = 5
_PRICE_GAS = 70_000


@dataclass(frozen=True, slots=True)
class Cost:
    """What a transaction is thought to cost."""

    gas: int
    is_measured: bool
    """Whether the node estimated the gas with the state as it is."""
    expected: Amount
    """At the chain's present prices."""
    most: Amount
    """What the account must have for it: gas limit times the highest fee that is offered."""


async def costs_of(
    chain: Chain, account: Address, plan: Plan, sending: SenderSettings, models: int
) -> tuple[Cost, ...]:
    """What each step costs, in the plan's order.

    Args:
        models: So many are registered.

    Raises:
        StepRefused: when the contract would refuse what could be sent at once.
        FeesAboveCap, RpcError
    """
    prices = await chain.gas_prices()
    first = min((step.stage for step in plan.steps), default=0)
    found = []
    for step in plan.steps:
        is_measured = step.stage == first
        if is_measured:
            try:
                gas = await chain.estimate_gas(step.call, account)
            except ContractRefused as refusal:
                raise refused(step, refusal) from refusal
        else:
            gas = reckoned_gas(step, models)
        found.append(_cost(gas, is_measured, prices, sending))
    return tuple(found)


def reckoned_gas(step: Step, models: int) -> int:
    """What a step takes whose state is not there yet; rather too much than too little."""
    data = len(step.call.data)
    if step.kind == REGISTER:
        words = data // WORD_BYTES + _WORDS_OF_A_HOST + _WORDS_OF_A_MODEL * models
        return _TRANSACTION_GAS + data * _BYTE_GAS + words * _WORD_GAS
    return {PRICE: _PRICE_GAS}.get(step.kind, _TRANSACTION_GAS + data * (_BYTE_GAS + _WORD_GAS))


def require_eth(account: Address, eth: Amount, costs: Sequence[Cost]) -> None:
    """Raises:
    NotEnoughEth: when the account cannot pay the most that it may come to.
    """
    most = total([cost.most for cost in costs])
    if eth < most:
        raise NotEnoughEth(
            f"{account} cannot pay {len(costs)} transactions", expected=most, got=eth
        )


def total(amounts: list[Amount]) -> Amount:
    """Of the native coin."""
    return Amount(sum(amount.units for amount in amounts), NATIVE)


def refused(step: Step, refusal: ContractRefused, done: int = 0) -> StepRefused:
    """A contract's refusal as an error of the registration."""
    sent = f"; {done} transactions before it are done" if done else "; nothing was sent"
    return StepRefused(
        f"{step.kind} is refused ({refusal.code} {refusal.message}){sent}",
        expected=step.text,
        got=refusal.reason,
    )


def _cost(gas: int, is_measured: bool, prices: GasPrices, sending: SenderSettings) -> Cost:
    offer = sending.fees.first_offer(prices)
    limit = gas * (BASIS_POINTS + sending.gas_margin_basis_points) // BASIS_POINTS
    at_once = min(offer.max_fee, prices.base_fee + offer.priority_fee)
    return Cost(
        gas, is_measured, Amount(gas * at_once, NATIVE), Amount(limit * offer.max_fee, NATIVE)
    )
