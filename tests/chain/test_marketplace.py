"""Sessions on the real contracts, through the clients: money, proofs, ends."""

from __future__ import annotations

import pytest

from platformless.chain.errors import (
    Disposition,
    MixedTokens,
    UnknownSession,
    UnreadableAnswer,
)
from platformless.chain.marketplace import Marketplace
from platformless.chain.money import NATIVE, settle
from platformless.chain.refusals import NoSuchProof
from platformless.chain.session import SessionStatus
from platformless.protocol.digests import Address
from platformless.protocol.errors import ValueOutOfRange
from platformless.protocol.transcript import Tokens

from .world import NATIVE_PRICE, World

TOKENS = 12_345


async def prove(world: World, session_id: int, tokens: int = TOKENS, name: str = "") -> None:
    await world.pass_time(60)
    await world.send(
        "host", world.marketplace.submit_proof(world.submission(session_id, tokens, name))
    )


async def test_a_session_reads_as_it_was_opened(world: World) -> None:
    session_id = await world.open_session()
    session = await world.marketplace.session(session_id)
    assert session.id == session_id
    assert session.client == world.address("client")
    assert session.host == world.address("host")
    assert session.deposit == world.network.usdc.amount("0.5")
    assert session.price == world.usdc_price
    assert session.proof_interval == 100
    assert session.proof_timeout_seconds == 300
    assert session.status is SessionStatus.ACTIVE
    assert session.started_at == session.last_proof_at
    assert session.tokens_left == 100_000
    assert await world.marketplace.model_of(session_id) == world.model_id


async def test_a_session_that_was_never_opened_is_unknown(world: World) -> None:
    with pytest.raises(UnknownSession) as error:
        await world.marketplace.session(10**9)
    assert error.value.got == 10**9


async def test_proofs_add_up_and_are_read_back(world: World) -> None:
    session_id = await world.open_session()
    await prove(world, session_id, 1000, "first")
    await prove(world, session_id, 500, "second")
    session = await world.marketplace.session(session_id)
    assert session.tokens_proven == 1500
    assert session.last_proof_cid == "uProof"
    proofs = await world.marketplace.proofs(session_id)
    assert [proof.tokens for proof in proofs] == [1000, 500]
    assert proofs[1].proof_hash == session.last_proof_hash
    assert all(proof.accepted and proof.delta_cid == "uDelta" for proof in proofs)
    assert await world.proof_system.is_used(proofs[0].proof_hash)
    with pytest.raises(NoSuchProof):
        await world.marketplace.proof(session_id, 2)


async def test_the_client_ends_a_session_and_everyone_gets_their_share(world: World) -> None:
    session_id = await world.open_session()
    await prove(world, session_id)
    wallet = await world.wallet("client")
    earned = await world.earnings.balance(world.address("host"), world.network.usdc)
    fees = await world.marketplace.collected_fees(world.network.usdc)
    await world.send("client", world.marketplace.complete(session_id, "uConversation"))
    session = await world.marketplace.session(session_id)
    rules = await world.marketplace.rules()
    expected = settle(session.deposit, session.price, Tokens(TOKENS), rules.fee_basis_points)
    assert session.status is SessionStatus.COMPLETED
    assert session.conversation_cid == "uConversation"
    assert (session.paid_to_host, session.refunded) == (expected.host, expected.refund)
    assert await world.wallet("client") == wallet + expected.refund
    assert await world.marketplace.collected_fees(world.network.usdc) == fees + expected.fee
    host = world.address("host")
    assert await world.earnings.balance(host, world.network.usdc) == earned + expected.host
    assert expected.gross + expected.refund == session.deposit


async def test_the_host_ends_a_session_after_the_dispute_window_and_withdraws(
    world: World,
) -> None:
    session_id = await world.open_session(deposit=NATIVE.amount("0.2"), price=NATIVE_PRICE)
    await prove(world, session_id)
    rules = await world.marketplace.rules()
    await world.pass_time(rules.dispute_window_seconds)
    await world.send("host", world.marketplace.complete(session_id))
    session = await world.marketplace.session(session_id)
    host = world.address("host")
    assert await world.earnings.balance(host, NATIVE) >= session.paid_to_host
    await world.send("host", world.earnings.withdraw_all([NATIVE, world.network.usdc]))
    assert (await world.earnings.balance(host, NATIVE)).units == 0
    totals = await world.earnings.totals(NATIVE)
    assert totals.credited - totals.withdrawn == totals.outstanding


async def test_anyone_ends_a_session_that_has_timed_out(world: World) -> None:
    session_id = await world.open_session(proof_timeout_seconds=60)
    await prove(world, session_id)
    session = await world.marketplace.session(session_id)
    assert session.times_out_at == session.last_proof_at + 60
    await world.pass_time(61)
    await world.send("auditor", world.marketplace.time_out(session_id))
    session = await world.marketplace.session(session_id)
    assert session.status is SessionStatus.TIMED_OUT
    assert session.paid_to_host.units > 0


async def test_a_client_that_ends_without_a_proof_pays_the_early_end(world: World) -> None:
    session_id = await world.open_session()
    await world.send("client", world.marketplace.complete(session_id))
    session = await world.marketplace.session(session_id)
    rules = await world.marketplace.rules()
    assert session.paid_to_host == session.price.cost(rules.early_end_tokens)
    assert session.refunded + session.paid_to_host == session.deposit


async def test_a_session_is_paid_from_a_deposit(world: World) -> None:
    usdc = world.network.usdc
    client = world.address("client-2")
    await world.send("client-2", world.usdc.approve(world.network.marketplace, usdc.amount(2)))
    before = await world.marketplace.balance(client, usdc)
    await world.send("client-2", world.marketplace.deposit(usdc.amount(2)))
    opened = await world.send(
        "client-2", world.marketplace.open_session_from_deposit(world.offer())
    )
    session_id = await world.opened_by(opened)
    assert (await world.marketplace.session(session_id)).client == client
    left = await world.marketplace.balance(client, usdc)
    assert left == before + usdc.amount("1.5")
    assert usdc.amount("0.5") <= await world.marketplace.locked(client, usdc)
    await world.send("client-2", world.marketplace.withdraw(left))
    assert (await world.marketplace.balance(client, usdc)).units == 0


async def test_native_deposits_work_as_well(world: World) -> None:
    client = world.address("client-2")
    await world.send("client-2", world.marketplace.deposit(NATIVE.amount("0.5")))
    offer = world.offer(deposit=NATIVE.amount("0.2"), price=NATIVE_PRICE)
    opened = await world.send("client-2", world.marketplace.open_session_from_deposit(offer))
    session = await world.marketplace.session(await world.opened_by(opened))
    assert session.deposit == NATIVE.amount("0.2")
    assert NATIVE.amount("0.2") <= await world.marketplace.locked(client, NATIVE)
    await world.send("client-2", world.marketplace.withdraw(NATIVE.amount("0.3")))


async def test_a_delegate_opens_a_session_that_its_client_pays(world: World) -> None:
    client, delegate = world.address("client"), world.address("delegate")
    await world.send("client", world.marketplace.allow_delegate(delegate, True))
    assert await world.marketplace.is_delegate(client, delegate)
    approval = world.usdc.approve(world.network.marketplace, world.offer().deposit)
    await world.send("client", approval)
    wallet = await world.wallet("client")
    opened = await world.send("delegate", world.marketplace.open_session_for(client, world.offer()))
    session = await world.marketplace.session(await world.opened_by(opened))
    assert session.client == client
    assert await world.wallet("client") == wallet - session.deposit


async def test_a_host_registers_prices_and_leaves(world: World) -> None:
    await world.register("host-2")
    address = world.address("host-2")
    host = await world.nodes.host(address)
    assert host is not None
    assert host.active
    assert host.stake == await world.nodes.required_stake()
    assert host.models == (world.model_id,)
    assert address in await world.nodes.active_hosts()
    assert address in await world.nodes.hosts_of(world.model_id)
    assert await world.nodes.price(address, world.model_id, NATIVE) == NATIVE_PRICE
    bounds = await world.nodes.price_bounds(world.network.usdc)
    assert bounds.lowest.per_thousand_tokens == 1
    await world.send("host-2", world.nodes.set_api_url("https://host.example"))
    await world.send("host-2", world.nodes.set_metadata("{}"))
    await world.send("host-2", world.nodes.set_models((world.model_id,)))
    await world.send("host-2", world.nodes.clear_price(world.model_id, NATIVE))
    changed = await world.nodes.host(address)
    assert changed is not None
    assert (changed.api_url, changed.metadata) == ("https://host.example", "{}")
    stake = await world.fab.balance(address)
    await world.send("host-2", world.nodes.unregister())
    assert await world.fab.balance(address) == stake + host.stake
    assert await world.nodes.host(address) is None


async def test_models_are_approved_by_the_owner(world: World) -> None:
    model = await world.models.model(world.model_id)
    assert model is not None
    assert model.file == world.dev_chain.model
    assert model.approved
    assert model.by_owner
    assert await world.models.is_approved(world.model_id)
    assert world.model_id in await world.models.all_models()
    assert await world.models.rate_limit(world.model_id) == 2000


async def test_an_address_without_the_contract_is_told(world: World) -> None:
    world.marketplace.address = Address(b"\x01" * 20)
    with pytest.raises(UnreadableAnswer):
        await world.marketplace.next_session_id()
    with pytest.raises(UnreadableAnswer):
        await world.marketplace.session(1)


def test_a_price_and_a_deposit_of_different_tokens_are_not_sent(world: World) -> None:
    with pytest.raises(ValueOutOfRange):
        world.marketplace.open_session(world.offer(price=NATIVE_PRICE))
    with pytest.raises(MixedTokens):
        world.usdc_price.affordable(NATIVE.amount(1))


def test_a_number_that_does_not_fit_is_not_sent(world: World) -> None:
    with pytest.raises(ValueOutOfRange):
        world.marketplace.complete(2**256)
    with pytest.raises(ValueOutOfRange):
        world.marketplace.complete(-1)


async def test_clients_say_what_they_send(world: World) -> None:
    call = world.marketplace.submit_proof(world.submission(7, 1000))
    assert call.description == "submitProofOfWork(session 7, 1000 tokens)"
    assert call.data[:4].hex() == "7c5cb561"
    assert isinstance(world.marketplace, Marketplace)
    assert Disposition.PERMANENT.value == "permanent"
