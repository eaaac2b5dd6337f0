"""Whether what was paid follows from the tokens: the marketplace's arithmetic, done again.

gross = tokens · price / 1000, the treasury's fee and the host's share of it, the rest back to the
client; a client that ends a session before its first proof pays the fee of an early end. All
divisions round down. Source of the arithmetic: `chain.money.settle`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...chain.money import BASIS_POINTS, Amount, settle
from ...protocol.transcript import Tokens
from .errors import FeeUnclear, OverDeposit, PaymentNotFollowing
from .facts import SessionFacts


@dataclass(frozen=True, slots=True)
class Payment:
    """What a session costs, and what the contract has paid."""

    deposit: Amount
    price: str
    """As text, with its unit."""
    tokens: Tokens
    due: Amount
    """What the proven tokens cost; for an early end without a proof, its fee."""
    early_end: bool
    over: bool
    """Whether the session is settled."""
    paid_to_host: Amount
    refunded: Amount
    treasury: Amount
    """What is left of the due amount: the fee."""

    def to_json(self) -> dict[str, Any]:
        """Amounts in base units as text, beside the token's symbol."""
        amounts = {
            "deposit": self.deposit,
            "due": self.due,
            "paid_to_host": self.paid_to_host,
            "refunded": self.refunded,
            "treasury": self.treasury,
        }
        return {
            "token": str(self.deposit.token),
            "decimals": self.deposit.token.decimals,
            **{name: str(amount.units) for name, amount in amounts.items()},
            "price": self.price,
            "tokens": self.tokens,
            "settled": self.over,
            "early_end": self.early_end,
        }


def payment_of(facts: SessionFacts) -> Payment:
    """The payment of a session as the chain has it."""
    session = facts.session
    early = _ended_early(facts)
    due = _early_fee(facts) if early else session.price.cost(session.tokens_proven)
    rest = due.units - session.paid_to_host.units if facts.over else 0
    return Payment(
        deposit=session.deposit,
        price=str(session.price),
        tokens=session.tokens_proven,
        due=due,
        early_end=early,
        over=facts.over,
        paid_to_host=session.paid_to_host,
        refunded=session.refunded,
        treasury=Amount(max(0, rest), due.token),
    )


def check_payment(facts: SessionFacts) -> Iterator[PaymentNotFollowing | FeeUnclear | OverDeposit]:
    """What does not follow from the tokens."""
    session = facts.session
    settlement = settle(
        session.deposit, session.price, session.tokens_proven, facts.rules.fee_basis_points
    )
    if session.deposit < settlement.gross:
        yield OverDeposit(
            "the proven tokens cost more than the deposit",
            expected=f"at most {session.deposit}",
            got=settlement.gross,
        )
    if not facts.over:
        if session.paid_to_host.units or session.refunded.units:
            yield PaymentNotFollowing(
                "paid before the session ended",
                expected="nothing",
                got=f"{session.paid_to_host} to the host, {session.refunded} back",
            )
        return
    if _ended_early(facts):
        yield from _check_early(facts)
        return
    if session.refunded != settlement.refund:
        yield PaymentNotFollowing(
            "the refund does not follow from the tokens",
            expected=settlement.refund,
            got=session.refunded,
        )
    if settlement.gross < session.paid_to_host:
        yield PaymentNotFollowing(
            "the host was paid more than the tokens cost",
            expected=f"at most {settlement.gross}",
            got=session.paid_to_host,
        )
    elif session.paid_to_host != settlement.host:
        yield FeeUnclear(
            "the host's share is not today's: the fee may have been another then",
            expected=f"{settlement.host} at {facts.rules.fee_basis_points / BASIS_POINTS:.2%} fee",
            got=session.paid_to_host,
        )
    settled = facts.settled
    if settled is not None and (settled.gross, settled.refund) != (
        settlement.gross,
        settlement.refund,
    ):
        yield PaymentNotFollowing(
            "the event of the settlement tells other amounts",
            expected=f"{settlement.gross} gross, {settlement.refund} back",
            got=f"{settled.gross} gross, {settled.refund} back",
        )


def _ended_early(facts: SessionFacts) -> bool:
    settled = facts.settled
    return (
        facts.over
        and facts.session.tokens_proven == 0
        and settled is not None
        and settled.ended_by == facts.session.client
        and facts.rules.early_end_tokens > 0
    )


def _early_fee(facts: SessionFacts) -> Amount:
    fee = facts.session.price.cost(facts.rules.early_end_tokens)
    return min(fee, facts.session.deposit, key=lambda amount: amount.units)


def _check_early(facts: SessionFacts) -> Iterator[PaymentNotFollowing]:
    session, fee = facts.session, _early_fee(facts)
    expected = (fee, session.deposit - fee)
    if (session.paid_to_host, session.refunded) != expected:
        yield PaymentNotFollowing(
            "the fee of the early end is another",
            expected=f"{expected[0]} to the host, {expected[1]} back",
            got=f"{session.paid_to_host} to the host, {session.refunded} back",
        )
