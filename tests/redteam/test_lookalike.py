"""A contract of the host's own that emits the marketplace's events: nobody counts them."""

from __future__ import annotations

from eth_abi.abi import encode

from platformless.chain.connection import ContractCall
from platformless.chain.contract import event_topic
from platformless.protocol.digests import Address

from .stage import Stage

_LOGGER = bytes.fromhex(
    # size = calldatasize - 96; copy the rest; log3(topics = first three words); stop
    "3660609003"
    + "8060606000"
    + "37"
    + "604035"
    + "602035"
    + "600035"
    + "83"
    + "6000"
    + "a3"
    + "00"
)


async def test_a_lookalike_event_of_another_contract_is_not_billed(stage: Stage) -> None:
    await stage.be_honest()
    honest = await stage.audit()
    lookalike = Address(b"\x77" * 20)
    chain = stage.world.chain
    await chain.command("anvil_setCode", str(lookalike), "0x" + _LOGGER.hex())
    host = stage.world.address("host")
    body = encode(
        ["uint256", "bytes32", "string", "string"], [1_000, b"\x01" * 32, "uProof", "uDelta"]
    )
    topics = (
        event_topic("JobMarketplace", "ProofSubmitted")
        + (1).to_bytes(32, "big")
        + host.value.rjust(32, b"\0")
    )
    sent = await stage.world.send("host", ContractCall(lookalike, topics + body))
    receipt = await chain.receipt(sent.transaction_hash)
    assert receipt is not None
    assert receipt.logs[0]["topics"][0] == "0x" + topics[:32].hex()
    assert receipt.logs[0]["address"] == str(lookalike).lower()
    report = await stage.audit()
    assert report.accepted
    assert report.tokens == honest.tokens
