"""Each documented reason for which the contracts refuse, provoked on the real contracts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from platformless.chain.connection import ContractCall
from platformless.chain.errors import ContractRefused, Disposition, TransactionReverted
from platformless.chain.money import NATIVE, Price
from platformless.chain.refusals import (
    BalanceTooLow,
    ClaimsTooFast,
    ClaimTooSmall,
    ContractPaused,
    DepositExceeded,
    DepositOutOfRange,
    DisputeWindowOpen,
    FirstClaimTooSmall,
    HostNotAvailable,
    ModelNotAvailable,
    NotAParty,
    NotAuthorised,
    NotTheHost,
    PriceRefused,
    ProofHashUsed,
    SessionNotActive,
    SessionNotTimedOut,
    TermsOutOfRange,
    TokenNotAccepted,
)
from platformless.protocol.digests import Address, ModelId
from platformless.protocol.transcript import Tokens

from .world import World


async def refusal(world: World, name: str, call: ContractCall) -> ContractRefused:
    """The error with which the sender refuses to send a call; nothing is in the outbox."""
    sender = await world.sender(name)
    before = sender.outbox.entries()
    with pytest.raises(ContractRefused) as error:
        await world.send(name, call)
    assert sender.outbox.entries() == before
    return error.value


Provoke = Callable[[World], Awaitable[tuple[str, ContractCall]]]


async def proven(world: World) -> int:
    session_id = await world.open_session()
    await world.pass_time(60)
    await world.send("host", world.marketplace.submit_proof(world.submission(session_id, 1000)))
    return session_id


async def not_the_host(world: World) -> tuple[str, ContractCall]:
    session_id = await world.open_session()
    await world.pass_time(60)
    return "client", world.marketplace.submit_proof(world.submission(session_id, 1000))


async def not_active(world: World) -> tuple[str, ContractCall]:
    session_id = await world.open_session()
    await world.send("client", world.marketplace.complete(session_id))
    await world.pass_time(60)
    return "host", world.marketplace.submit_proof(world.submission(session_id, 1000))


async def claim_too_small(world: World) -> tuple[str, ContractCall]:
    session_id = await proven(world)
    await world.pass_time(60)
    return "host", world.marketplace.submit_proof(world.submission(session_id, 99))


async def first_too_small(world: World) -> tuple[str, ContractCall]:
    session_id = await world.open_session(proof_interval=Tokens(1000))
    await world.pass_time(60)
    return "host", world.marketplace.submit_proof(world.submission(session_id, 999))


async def too_fast(world: World) -> tuple[str, ContractCall]:
    session_id = await world.open_session()
    return "host", world.marketplace.submit_proof(world.submission(session_id, 90_000))


async def beyond_the_deposit(world: World) -> tuple[str, ContractCall]:
    session_id = await world.open_session()
    await world.pass_time(3600)
    return "host", world.marketplace.submit_proof(world.submission(session_id, 100_001))


async def hash_used(world: World) -> tuple[str, ContractCall]:
    session_id = await proven(world)
    await world.pass_time(60)
    return "host", world.marketplace.submit_proof(world.submission(session_id, 1000))


async def host_in_the_dispute_window(world: World) -> tuple[str, ContractCall]:
    session_id = await proven(world)
    return "host", world.marketplace.complete(session_id)


async def ended_by_a_stranger(world: World) -> tuple[str, ContractCall]:
    session_id = await proven(world)
    return "auditor", world.marketplace.complete(session_id)


async def ended_twice(world: World) -> tuple[str, ContractCall]:
    session_id = await proven(world)
    await world.send("client", world.marketplace.complete(session_id))
    return "client", world.marketplace.complete(session_id)


async def not_timed_out(world: World) -> tuple[str, ContractCall]:
    session_id = await proven(world)
    return "auditor", world.marketplace.time_out(session_id)


async def host_unknown(world: World) -> tuple[str, ContractCall]:
    return "client", await approved(world, host=world.address("auditor"))


async def model_unknown(world: World) -> tuple[str, ContractCall]:
    return "client", await approved(world, model_id=ModelId(b"\x01" * 32))


async def price_too_low(world: World) -> tuple[str, ContractCall]:
    return "client", await approved(world, price=Price(4_999, world.network.usdc))


async def no_price(world: World) -> tuple[str, ContractCall]:
    return "client", await approved(world, price=Price(0, world.network.usdc))


async def deposit_too_small(world: World) -> tuple[str, ContractCall]:
    return "client", await approved(world, deposit=world.network.usdc.amount("0.49"))


async def deposit_too_large(world: World) -> tuple[str, ContractCall]:
    offer = world.offer(deposit=NATIVE.amount(1001), price=Price(10_000_000, NATIVE))
    return "rich", world.marketplace.open_session(offer)


async def deposit_below_an_interval(world: World) -> tuple[str, ContractCall]:
    return "client", await approved(world, proof_interval=Tokens(100_001))


async def interval_too_small(world: World) -> tuple[str, ContractCall]:
    return "client", await approved(world, proof_interval=Tokens(99))


async def no_interval(world: World) -> tuple[str, ContractCall]:
    return "client", await approved(world, proof_interval=Tokens(0))


async def no_duration(world: World) -> tuple[str, ContractCall]:
    return "client", await approved(world, longest_seconds=0)


async def timeout_too_short(world: World) -> tuple[str, ContractCall]:
    return "client", await approved(world, proof_timeout_seconds=59)


async def timeout_too_long(world: World) -> tuple[str, ContractCall]:
    return "client", await approved(world, proof_timeout_seconds=3601)


async def token_not_accepted(world: World) -> tuple[str, ContractCall]:
    fab = world.network.fab
    return "client", await approved(world, deposit=fab.amount(1), price=Price(5_000, fab))


async def withdrawal_of_more_than_there_is(world: World) -> tuple[str, ContractCall]:
    return "auditor", world.marketplace.withdraw(NATIVE.amount(1))


async def token_withdrawal_of_more_than_there_is(world: World) -> tuple[str, ContractCall]:
    return "auditor", world.marketplace.withdraw(world.network.usdc.amount(1))


async def nothing_approved(world: World) -> tuple[str, ContractCall]:
    nothing = world.network.usdc.amount(0)
    await world.send("auditor", world.usdc.approve(world.network.marketplace, nothing))
    return "auditor", world.marketplace.open_session(world.offer())


async def not_a_delegate(world: World) -> tuple[str, ContractCall]:
    client = world.address("client-2")
    return "auditor", world.marketplace.open_session_for(client, world.offer())


async def not_the_owner(world: World) -> tuple[str, ContractCall]:
    return "auditor", world.marketplace.pause()


async def not_the_treasury(world: World) -> tuple[str, ContractCall]:
    return "auditor", world.marketplace.withdraw_fees([NATIVE])


async def price_out_of_bounds(world: World) -> tuple[str, ContractCall]:
    return "host", world.nodes.set_price(world.model_id, Price(1, NATIVE))


async def earnings_of_more_than_there_is(world: World) -> tuple[str, ContractCall]:
    return "auditor", world.earnings.withdraw(NATIVE.amount(1))


async def approved(world: World, **changes: object) -> ContractCall:
    offer = world.offer(**changes)
    if offer.deposit.token.address == world.network.usdc.address:
        approval = world.usdc.approve(world.network.marketplace, offer.deposit)
        await world.send("client", approval)
    return world.marketplace.open_session(offer)


REASONS: list[tuple[Provoke, type[ContractRefused]]] = [
    (not_the_host, NotTheHost),
    (not_active, SessionNotActive),
    (claim_too_small, ClaimTooSmall),
    (first_too_small, FirstClaimTooSmall),
    (too_fast, ClaimsTooFast),
    (beyond_the_deposit, DepositExceeded),
    (hash_used, ProofHashUsed),
    (host_in_the_dispute_window, DisputeWindowOpen),
    (ended_by_a_stranger, NotAParty),
    (ended_twice, SessionNotActive),
    (not_timed_out, SessionNotTimedOut),
    (host_unknown, HostNotAvailable),
    (model_unknown, ModelNotAvailable),
    (price_too_low, PriceRefused),
    (no_price, PriceRefused),
    (price_out_of_bounds, PriceRefused),
    (deposit_too_small, DepositOutOfRange),
    (deposit_too_large, DepositOutOfRange),
    (deposit_below_an_interval, DepositOutOfRange),
    (interval_too_small, TermsOutOfRange),
    (no_interval, TermsOutOfRange),
    (no_duration, TermsOutOfRange),
    (timeout_too_short, TermsOutOfRange),
    (timeout_too_long, TermsOutOfRange),
    (token_not_accepted, TokenNotAccepted),
    (withdrawal_of_more_than_there_is, BalanceTooLow),
    (token_withdrawal_of_more_than_there_is, BalanceTooLow),
    (earnings_of_more_than_there_is, BalanceTooLow),
    (nothing_approved, BalanceTooLow),
    (not_a_delegate, NotAuthorised),
    (not_the_owner, NotAuthorised),
    (not_the_treasury, NotAuthorised),
]


@pytest.mark.parametrize(
    ("provoke", "expected"), REASONS, ids=[provoke.__name__ for provoke, _ in REASONS]
)
async def test_a_refusal_is_named_before_anything_is_sent(
    world: World, provoke: Provoke, expected: type[ContractRefused]
) -> None:
    await world.chain.command(
        "anvil_setBalance", str(world.address("rich")), hex(NATIVE.amount(10_000).units)
    )
    name, call = await provoke(world)
    assert type(await refusal(world, name, call)) is expected


async def test_a_paused_marketplace_is_tried_again_later(world: World) -> None:
    session_id = await world.open_session()
    await world.pass_time(60)
    await world.send("owner", world.marketplace.pause())
    try:
        submission = world.marketplace.submit_proof(world.submission(session_id, 1000))
        refused = await refusal(world, "host", submission)
    finally:
        await world.send("owner", world.marketplace.unpause())
    assert isinstance(refused, ContractPaused)
    assert refused.disposition is Disposition.RETRY_LATER
    await world.send("host", submission)


async def test_too_fast_tells_from_when_on_it_is_accepted(world: World) -> None:
    session_id = await world.open_session()
    submission = world.submission(session_id, 90_000)
    refused = await refusal(world, "host", world.marketplace.submit_proof(submission))
    host = world.address("host")
    explained = await world.marketplace.explain_submission(refused, submission, host)
    session = await world.marketplace.session(session_id)
    assert isinstance(explained, ClaimsTooFast)
    assert explained.wait_until == session.last_proof_at + 45
    await world.move_clock_to(explained.wait_until)
    await world.send("host", world.marketplace.submit_proof(submission))


async def test_the_dispute_window_tells_from_when_on_the_host_may_complete(world: World) -> None:
    session_id = await proven(world)
    refused = await refusal(world, "host", world.marketplace.complete(session_id))
    host = world.address("host")
    explained = await world.marketplace.explain_completion(refused, session_id, host)
    session = await world.marketplace.session(session_id)
    assert isinstance(explained, DisputeWindowOpen)
    assert explained.wait_until == session.last_proof_at + 30
    await world.move_clock_to(explained.wait_until)
    await world.send("host", world.marketplace.complete(session_id))


async def test_the_timeout_tells_from_when_on_anyone_may_end(world: World) -> None:
    session_id = await proven(world)
    refused = await refusal(world, "auditor", world.marketplace.time_out(session_id))
    explained = await world.marketplace.explain_timeout(refused, session_id)
    session = await world.marketplace.session(session_id)
    assert isinstance(explained, SessionNotTimedOut)
    assert explained.wait_until == session.times_out_at + 1
    await world.move_clock_to(explained.wait_until)
    await world.send("auditor", world.marketplace.time_out(session_id))


@pytest.mark.parametrize(
    ("provoke", "expected"), REASONS[:7], ids=[provoke.__name__ for provoke, _ in REASONS[:7]]
)
async def test_a_text_nobody_knows_is_explained_by_the_state(
    world: World, provoke: Provoke, expected: type[ContractRefused]
) -> None:
    """What a future contract may say is judged by what the session is like."""
    name, call = await provoke(world)
    await refusal(world, name, call)
    session_id, tokens = int.from_bytes(call.data[4:36], "big"), call.data[36:68]
    submission = world.submission(session_id, int.from_bytes(tokens, "big"))
    unknown = ContractRefused("E17")
    explained = await world.marketplace.explain_submission(unknown, submission, world.address(name))
    assert type(explained) is expected


async def test_what_passes_the_check_and_reverts_when_mined_is_told_with_its_reason(
    world: World,
) -> None:
    """With a gas limit of its own, a call is sent unchecked."""
    session_id = await world.open_session()
    submission = world.marketplace.submit_proof(world.submission(session_id, 90_000))
    unchecked = ContractCall(
        submission.to, submission.data, description=submission.description, gas_limit=500_000
    )
    sender = await world.sender("host")
    with pytest.raises(TransactionReverted) as error:
        await sender.send(f"reverts {session_id}", unchecked)
    assert isinstance(error.value.refusal, ClaimsTooFast)
    with pytest.raises(TransactionReverted):
        await sender.send(f"reverts {session_id}", unchecked)
    host = Address.from_hex(world.account("host").address)
    assert len(await world.chain.transactions_from(host, (await world.chain.head()).number)) <= 1
