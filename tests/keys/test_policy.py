"""What a signer signs, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from platformless.chain.connection import Chain
from platformless.chain.host_earnings import HostEarnings
from platformless.chain.marketplace import Marketplace
from platformless.chain.networks import BASE_SEPOLIA
from platformless.chain.session import ProofSubmission
from platformless.chain.token import Erc20
from platformless.node.keys.errors import NotPermitted
from platformless.node.keys.policy import FeeCaps, SigningPolicy
from platformless.protocol.digests import Address, ProofHash
from platformless.protocol.host_key import LocalKey
from platformless.protocol.transaction import Transaction
from platformless.protocol.transcript import Tokens

HOST = LocalKey(b"\x07" * 32).address
POLICY = SigningPolicy(BASE_SEPOLIA, HOST)
CHAIN = Chain(BASE_SEPOLIA)
SUBMISSION = ProofSubmission(7, Tokens(100), ProofHash.of(b"bundle"), "uProof", "uDelta")
CALL = Marketplace(CHAIN).submit_proof(SUBMISSION)
STRANGER = Address(b"\x66" * 20)
FAB = Erc20(CHAIN, BASE_SEPOLIA.fab)
HONEST = Transaction(
    chain_id=BASE_SEPOLIA.chain_id,
    nonce=3,
    to=CALL.to,
    value=0,
    data=CALL.data,
    gas_limit=300_000,
    max_fee=10**9,
    priority_fee=10**6,
)


def test_what_a_host_sends_is_signed() -> None:
    assert POLICY.require_transaction(HONEST).startswith("JobMarketplace 0x")
    withdrawal = HostEarnings(CHAIN).withdraw_all([BASE_SEPOLIA.usdc])
    earnings = replace(HONEST, to=withdrawal.to, data=withdrawal.data)
    assert POLICY.require_transaction(earnings).startswith("HostEarnings 0x")
    assert POLICY.require_transaction(replace(HONEST, to=BASE_SEPOLIA.node_registry))
    stake = FAB.approve(BASE_SEPOLIA.node_registry, BASE_SEPOLIA.fab.amount("1000"))
    approval = replace(HONEST, to=stake.to, data=stake.data)
    assert POLICY.require_transaction(approval) == "approve FAB for NodeRegistry"
    gap = replace(HONEST, to=HOST, data=b"", gas_limit=21_000)
    assert POLICY.require_transaction(gap)


APPROVED = FAB.approve(BASE_SEPOLIA.node_registry, BASE_SEPOLIA.fab.amount("1")).data


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"chain_id": 1}, "another chain"),
        ({"value": 1}, "with value"),
        ({"to": STRANGER}, "something else"),
        ({"to": BASE_SEPOLIA.usdc.address}, "something else"),
        ({"to": BASE_SEPOLIA.model_registry}, "something else"),
        ({"data": b""}, "something else"),
        ({"to": HOST}, "something else"),
        ({"to": HOST, "data": b"", "gas_limit": 90_000}, "something else"),
        ({"max_fee": 51 * 10**9}, "fee cap"),
        ({"priority_fee": 51 * 10**9}, "fee cap"),
        ({"max_fee": 49 * 10**9, "gas_limit": 30_000_000}, "cost"),
        ({"to": FAB.address, "data": b"\xa9\x05\x9c\xbb" + bytes(64)}, "FAB's contract"),
        ({"to": FAB.address, "data": APPROVED + b"\0"}, "FAB's contract"),
        (
            {"to": FAB.address, "data": FAB.approve(STRANGER, BASE_SEPOLIA.fab.amount("1")).data},
            "somebody else",
        ),
        (
            {"to": FAB.address, "data": APPROVED[:4] + b"\1" + APPROVED[5:]},
            "somebody else",
        ),
    ],
)
def test_everything_else_is_refused(changes: dict[str, object], why: str) -> None:
    with pytest.raises(NotPermitted, match=why):
        POLICY.require_transaction(replace(HONEST, **changes))  # type: ignore[arg-type]


def test_the_caps_are_the_operators() -> None:
    strict = replace(POLICY, caps=FeeCaps(per_gas=10**8))
    with pytest.raises(NotPermitted, match="fee cap"):
        strict.require_transaction(HONEST)


@pytest.mark.parametrize("text", [b"[]", b'[{"role":"user"}]', b"0f" * 32])
def test_texts_of_checkpoints_are_signed(text: bytes) -> None:
    POLICY.require_text(text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"example.com wants you to sign in with your Ethereum account:",
        b'{"format": "something else"}',
        b"0F" * 32,
        b"0f" * 33,
        b"7",
        b"\xff",
    ],
)
def test_other_texts_are_not(text: bytes) -> None:
    with pytest.raises(NotPermitted):
        POLICY.require_text(text)
