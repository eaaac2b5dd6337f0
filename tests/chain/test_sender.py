"""The transaction sender on a real chain: once for each key, whatever the chain does."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from platformless.chain.connection import ContractCall
from platformless.chain.errors import (
    ContractRefused,
    Disposition,
    FeesAboveCap,
    InsufficientFunds,
    NotConfirmedYet,
    OutboxKeyReused,
    OutboxOfAnotherChain,
    SenderClosed,
)
from platformless.chain.sending.entry import State
from platformless.chain.sending.fees import GWEI, FeePolicy
from platformless.chain.sending.sender import Confirmed, TransactionSender
from platformless.protocol.digests import Address

from .bare import QUICK, RECIPIENT, BareChain, foreign, payment


async def until(sender: TransactionSender, key: str, state: State) -> None:
    """Waits, without mining, until an entry is in a state."""
    async with asyncio.timeout(10):
        while True:
            entry = sender.outbox.find(key)
            if entry is not None and entry.state is state:
                return
            await asyncio.sleep(0.01)


async def confirmed_while_mining(bare: BareChain, work: asyncio.Task[Confirmed]) -> Confirmed:
    async with asyncio.timeout(10):
        while not work.done():
            await bare.mine()
            await asyncio.sleep(0.02)
    return work.result()


async def test_a_transaction_is_final_only_with_its_confirmations(bare: BareChain) -> None:
    async with bare.sender(replace(QUICK, confirmations=3)) as sender:
        work = asyncio.create_task(sender.send("a", payment(5)))
        await until(sender, "a", State.MINED)
        await bare.mine()
        with pytest.raises(NotConfirmedYet):
            await sender.wait("a", confirm_seconds=0.2)
        await bare.mine()
        confirmed = await work
        assert confirmed.block_number == 1
        assert await bare.received() == 5


async def test_the_same_key_again_is_the_same_transaction(bare: BareChain) -> None:
    async with bare.sender() as sender:
        entries = await asyncio.gather(*(sender.submit("a", payment(5)) for _ in range(8)))
        assert len({entry.offers[0].hash for entry in entries}) == 1
        await bare.mine(3)
        assert await sender.send("a", payment(5)) == await sender.wait("a")
    assert await bare.received() == 5


async def test_a_key_does_not_take_another_call(bare: BareChain) -> None:
    async with bare.sender() as sender:
        await sender.submit("a", payment(5))
        with pytest.raises(OutboxKeyReused) as error:
            await sender.submit("a", payment(6))
        assert error.value.expected == "pay 5 wei"
        assert error.value.got == "pay 6 wei"


async def test_a_hundred_transactions_are_in_flight_at_once(bare: BareChain) -> None:
    await bare.fund(2**110)
    await bare.hold()
    async with bare.sender(replace(QUICK, bump_seconds=30)) as sender:
        work = [asyncio.create_task(sender.send(f"n{n}", payment(2**n))) for n in range(100)]
        async with asyncio.timeout(30):
            while len(sender.outbox.open_entries()) < 100:
                await asyncio.sleep(0.02)
        await bare.release()
        while not all(task.done() for task in work):
            await bare.mine()
            await asyncio.sleep(0.02)
        assert len({task.result().transaction_hash for task in work}) == 100
    assert await bare.received() == 2**100 - 1


async def test_a_reorg_sends_the_transaction_again(bare: BareChain) -> None:
    async with bare.sender(replace(QUICK, confirmations=4, bump_seconds=30)) as sender:
        work = asyncio.create_task(sender.send("a", payment(5)))
        await until(sender, "a", State.MINED)
        first = sender.outbox.find("a")
        await bare.hold()
        await bare.chain.command("anvil_reorg", 1, [])
        await until(sender, "a", State.PENDING)
        confirmed = await confirmed_while_mining(bare, work)
        assert first is not None
        assert confirmed.block_hash != first.mined_block_hash
        assert confirmed.transaction_hash == first.mined_hash
    assert await bare.received() == 5


async def test_a_reorg_deeper_than_the_confirmations_is_repaired(bare: BareChain) -> None:
    async with bare.sender() as sender:
        work = asyncio.create_task(sender.send("a", payment(5)))
        await confirmed_while_mining(bare, work)
        head = await bare.chain.head()
        await bare.chain.command("anvil_reorg", head.number, [])
        assert await bare.received() == 0
        later = asyncio.create_task(sender.send("b", payment(7)))
        await confirmed_while_mining(bare, later)
        await confirmed_while_mining(bare, asyncio.create_task(sender.wait("a")))
    assert await bare.received() == 12


async def test_a_transaction_that_the_node_forgot_is_sent_again(bare: BareChain) -> None:
    await bare.hold()
    async with bare.sender() as sender:
        work = asyncio.create_task(sender.send("a", payment(5)))
        await until(sender, "a", State.PENDING)
        await bare.chain.command("anvil_dropAllTransactions")
        await confirmed_while_mining(bare, work)
    assert await bare.received() == 5


async def test_a_stuck_transaction_is_replaced_by_one_that_offers_more(bare: BareChain) -> None:
    await bare.chain.command("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
    await bare.mine()
    await bare.hold()
    async with bare.sender() as sender:
        work = asyncio.create_task(sender.send("a", payment(5)))
        await until(sender, "a", State.PENDING)
        await bare.chain.command("anvil_setNextBlockBaseFeePerGas", hex(20 * GWEI))
        async with asyncio.timeout(10):
            while not work.done():
                await bare.chain.command("anvil_setNextBlockBaseFeePerGas", hex(20 * GWEI))
                await bare.mine()
                await asyncio.sleep(0.05)
        entry = sender.outbox.find("a")
        assert entry is not None
        assert len(entry.offers) > 1
        assert entry.mined_hash == work.result().transaction_hash != entry.offers[0].hash
    assert await bare.received() == 5


async def test_no_replacement_passes_the_fee_cap(bare: BareChain) -> None:
    await bare.chain.command("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
    await bare.mine()
    await bare.hold()
    settings = replace(QUICK, bump_seconds=0.05, fees=FeePolicy(cap=3 * GWEI))
    async with bare.sender(settings) as sender:
        await sender.submit("a", payment(5))
        for _ in range(10):
            await bare.chain.command("anvil_setNextBlockBaseFeePerGas", hex(4 * GWEI))
            await bare.mine()
            await asyncio.sleep(0.1)
        entry = sender.outbox.find("a")
        assert entry is not None
        assert max(offer.fees.max_fee for offer in entry.offers) <= 3 * GWEI
        await bare.chain.command("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
        await confirmed_while_mining(bare, asyncio.create_task(sender.wait("a")))


async def test_a_chain_that_stands_still_raises_no_fees(bare: BareChain) -> None:
    await bare.hold()
    async with bare.sender(replace(QUICK, bump_seconds=0.02)) as sender:
        await sender.submit("a", payment(5))
        await asyncio.sleep(0.5)
        entry = sender.outbox.find("a")
        assert entry is not None
        assert len(entry.offers) == 1


async def test_no_replacement_is_offered_that_the_account_cannot_pay(bare: BareChain) -> None:
    await bare.hold()
    async with bare.sender(replace(QUICK, bump_seconds=0.02)) as sender:
        entry = await sender.submit("a", payment(5))
        await bare.fund(5 + entry.gas_limit * entry.offers[0].fees.max_fee)
        await bare.chain.command("anvil_setNextBlockBaseFeePerGas", hex(40 * GWEI))
        await bare.mine()
        await asyncio.sleep(0.5)
        known = sender.outbox.find("a")
        assert known is not None
        assert len(known.offers) == 1
        await bare.chain.command("anvil_setNextBlockBaseFeePerGas", hex(GWEI // 10))
        await confirmed_while_mining(bare, asyncio.create_task(sender.wait("a")))


async def test_a_deep_reorg_is_noticed_while_nothing_is_open(bare: BareChain) -> None:
    async with bare.sender() as sender:
        await confirmed_while_mining(bare, asyncio.create_task(sender.send("a", payment(5))))
        head = await bare.chain.head()
        await bare.chain.command("anvil_reorg", head.number, [])
        assert await bare.received() == 0
        async with asyncio.timeout(20):
            while await bare.received() == 0:
                await bare.mine()
                await asyncio.sleep(0.05)
    assert await bare.received() == 5


async def test_a_gap_of_nonces_is_filled(bare: BareChain) -> None:
    """A foreign transaction was mined, counted, and lost again with its block."""
    other = bare.account.sign_transaction(foreign(0, 1000))
    await bare.chain.broadcast(other.raw_transaction)
    await bare.mine()
    await bare.hold()
    async with bare.sender() as sender:
        entry = await sender.submit("a", payment(5))
        assert entry.nonce == 1
        await bare.chain.command("anvil_dropAllTransactions")
        await bare.chain.command("anvil_reorg", 2, [])
        assert await bare.chain.nonce(bare.address) == 0
        await confirmed_while_mining(bare, asyncio.create_task(sender.wait("a")))
        assert [one.key for one in sender.outbox.entries()] == ["gap/0", "a"]
    assert await bare.received() == 5


async def test_fees_above_the_cap_send_nothing(bare: BareChain) -> None:
    async with bare.sender(replace(QUICK, fees=FeePolicy(cap=1))) as sender:
        with pytest.raises(FeesAboveCap) as error:
            await sender.submit("a", payment(5))
        assert error.value.disposition is Disposition.RETRY_LATER
        assert sender.outbox.entries() == []


@pytest.mark.parametrize("wei", [0, 30_000])
async def test_an_account_that_cannot_pay_sends_nothing(bare: BareChain, wei: int) -> None:
    await bare.fund(wei)
    async with bare.sender() as sender:
        with pytest.raises(InsufficientFunds) as error:
            await sender.submit("a", payment(5))
        assert error.value.disposition is Disposition.RETRY_LATER
        assert sender.outbox.entries() == []
        await bare.fund(10**18)
        await sender.submit("a", payment(5))
    assert await bare.received() == 5


async def test_what_is_pending_must_be_payable_too(bare: BareChain) -> None:
    await bare.hold()
    await bare.fund(10**18)
    async with bare.sender() as sender:
        await sender.submit("a", payment(6 * 10**17))
        with pytest.raises(InsufficientFunds):
            await sender.submit("b", payment(6 * 10**17))


async def test_a_foreign_transaction_that_takes_the_nonce_is_stepped_over(bare: BareChain) -> None:
    await bare.hold()
    async with bare.sender() as sender:
        work = asyncio.create_task(sender.send("a", payment(5)))
        await until(sender, "a", State.PENDING)
        await bare.chain.command("anvil_dropAllTransactions")
        other = bare.account.sign_transaction(foreign(0, 1000))
        await bare.chain.broadcast(other.raw_transaction)
        await confirmed_while_mining(bare, work)
        entry = sender.outbox.find("a")
        assert entry is not None
        assert entry.nonce == 1
    assert await bare.received() == 1005


async def test_the_same_call_sent_from_elsewhere_counts_as_sent(bare: BareChain) -> None:
    await bare.hold()
    async with bare.sender() as sender:
        work = asyncio.create_task(sender.send("a", payment(5)))
        await until(sender, "a", State.PENDING)
        await bare.chain.command("anvil_dropAllTransactions")
        other = bare.account.sign_transaction(foreign(0, 5))
        await bare.chain.broadcast(other.raw_transaction)
        confirmed = await confirmed_while_mining(bare, work)
        assert confirmed.transaction_hash == "0x" + other.hash.hex()
    assert await bare.received() == 5


async def test_an_outbox_goes_on_where_it_was_left(bare: BareChain) -> None:
    await bare.hold()
    async with bare.sender() as sender:
        await sender.submit("a", payment(5))
    await bare.chain.command("anvil_dropAllTransactions")
    async with bare.sender() as sender:
        await confirmed_while_mining(bare, asyncio.create_task(sender.wait("a")))
    assert await bare.received() == 5


async def test_an_outbox_is_not_used_for_another_chain(bare: BareChain) -> None:
    async with bare.sender() as sender:
        await sender.submit("a", payment(5))
    other = BareChain(bare.outbox_path.parent)
    try:
        with pytest.raises(OutboxOfAnotherChain):
            async with other.sender():
                pass
    finally:
        await other.chain.close()
        other.stop()


async def test_a_key_nobody_sent_cannot_be_waited_for(bare: BareChain) -> None:
    async with bare.sender() as sender:
        with pytest.raises(KeyError):
            await sender.wait("never")
    assert bare.address != RECIPIENT


async def test_a_key_that_another_task_has_sent_is_not_called_refused(bare: BareChain) -> None:
    """The second task's question to the node fails; by then the first has sent the transaction."""
    async with bare.sender() as sender:
        asked = asyncio.Event()

        async def refuse_when_sent(_call: ContractCall, _sender: Address) -> int:
            asked.set()
            await until(sender, "a", State.MINED)
            raise ContractRefused("too late")

        first = bare.chain.estimate_gas
        bare.chain.estimate_gas = refuse_when_sent  # type: ignore[method-assign, assignment]
        second = asyncio.create_task(sender.submit("a", payment(5)))
        await asked.wait()
        bare.chain.estimate_gas = first  # type: ignore[method-assign]
        sent = await sender.submit("a", payment(5))
        assert (await second).offers[0].hash == sent.offers[0].hash


async def test_a_closed_sender_says_so(bare: BareChain) -> None:
    async with bare.sender() as sender:
        await sender.submit("a", payment(5))
    for work in (sender.submit("b", payment(6)), sender.wait("a")):
        with pytest.raises(SenderClosed):
            await work
