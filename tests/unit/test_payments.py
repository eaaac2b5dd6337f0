"""What was paid follows from the tokens, or is found."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.audit.session.facts import SessionFacts
from platformless.audit.session.payments import check_payment, payment_of
from platformless.chain.connection import Block
from platformless.chain.events import Place, SessionSettled
from platformless.chain.money import Amount, Price, Token, settle
from platformless.chain.session import MarketplaceRules, Session, SessionStatus
from platformless.protocol.digests import Address, ModelId, ProofHash
from platformless.protocol.transcript import Tokens

USDC = Token(Address(b"\x01" * 20), "USDC", 6)
CLIENT, HOST = Address(b"\x02" * 20), Address(b"\x03" * 20)
RULES = MarketplaceRules(Tokens(100), 30, 1_000, Tokens(1_000))
PLACE = Place(1, 0, "0x" + "00" * 32, "0x" + "00" * 32)


def facts(
    tokens: int = 1_234,
    deposit: int = 50_000,
    price: int = 5_000,
    *,
    ended_by: Address = HOST,
    status: SessionStatus = SessionStatus.COMPLETED,
) -> SessionFacts:
    """A session that was settled as the marketplace does it."""
    held, asked = Amount(deposit, USDC), Price(price, USDC)
    paid = settle(held, asked, Tokens(tokens), RULES.fee_basis_points)
    over = status is not SessionStatus.ACTIVE
    session = Session(
        id=1,
        client=CLIENT,
        host=HOST,
        deposit=held,
        price=asked,
        tokens_proven=Tokens(tokens),
        longest_seconds=3600,
        started_at=1,
        last_proof_at=2,
        proof_interval=Tokens(100),
        proof_timeout_seconds=300,
        status=status,
        paid_to_host=paid.host if over else Amount(0, USDC),
        refunded=paid.refund if over else Amount(0, USDC),
        conversation_cid="",
        last_proof_hash=ProofHash.zero(),
        last_proof_cid="",
    )
    settled = SessionSettled(PLACE, 1, ended_by, Tokens(tokens), paid.gross, paid.refund)
    return SessionFacts(
        session=session,
        model_id=ModelId(b"\x04" * 32),
        events=(settled,) if over else (),
        records=(),
        rules=RULES,
        host=None,
        model=None,
        head=Block(1, "0x" + "00" * 32, 1, 0),
    )


def codes(found: SessionFacts) -> list[str]:
    return [one.code for one in check_payment(found)]


def other(found: SessionFacts, **changes: object) -> SessionFacts:
    return replace(found, session=replace(found.session, **changes))  # type: ignore[arg-type]


@given(
    tokens=st.integers(1, 10**7),
    price=st.integers(1, 10**9),
    spare=st.integers(0, 10**9),
)
def test_what_the_marketplace_pays_follows(tokens: int, price: int, spare: int) -> None:
    found = facts(tokens, tokens * price // 1000 + spare, price)
    assert codes(found) == []
    payment = payment_of(found)
    assert payment.paid_to_host + payment.treasury + payment.refunded == payment.deposit


@pytest.mark.parametrize("more", [1, -1])
def test_a_unit_more_or_less_is_found(more: int) -> None:
    found = facts()
    refunded = Amount(found.session.refunded.units + more, USDC)
    assert codes(other(found, refunded=refunded)) == ["AUD-202"]
    paid = Amount(found.session.paid_to_host.units + more, USDC)
    assert codes(other(found, paid_to_host=paid)) == ["AUD-203"]


def test_a_host_that_got_more_than_the_tokens_cost_is_found() -> None:
    found = facts()
    gross = found.session.price.cost(found.session.tokens_proven)
    assert codes(other(found, paid_to_host=gross)) == ["AUD-203"]
    assert codes(other(found, paid_to_host=gross + Amount(1, USDC))) == ["AUD-202"]


def test_an_event_that_tells_other_amounts_is_found() -> None:
    found = facts()
    settled = found.settled
    assert settled is not None
    told = replace(settled, gross=settled.gross + Amount(1, USDC))
    assert codes(replace(found, events=(told,))) == ["AUD-202"]


def test_more_than_the_deposit_is_found() -> None:
    assert codes(facts(tokens=100_000)) == ["AUD-204"]


def test_nothing_is_paid_before_the_end() -> None:
    active = facts(status=SessionStatus.ACTIVE)
    assert codes(active) == []
    assert codes(other(active, paid_to_host=Amount(1, USDC))) == ["AUD-202"]
    assert payment_of(active).treasury.units == 0


def test_the_fee_of_an_early_end() -> None:
    early = facts(tokens=0, ended_by=CLIENT)
    fee = early.session.price.cost(RULES.early_end_tokens)
    right = other(early, paid_to_host=fee, refunded=early.session.deposit - fee)
    assert codes(right) == []
    assert payment_of(right).due == fee
    assert codes(early) == ["AUD-202"]
    assert codes(facts(tokens=0, ended_by=HOST)) == []


def test_the_fee_of_an_early_end_is_never_more_than_the_deposit() -> None:
    early = facts(tokens=0, deposit=10, ended_by=CLIENT)
    assert codes(other(early, paid_to_host=Amount(10, USDC), refunded=Amount(0, USDC))) == []
