"""From what a contract gives back to a named error, for both generations of its texts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from platformless.chain.errors import ContractRefused, Disposition
from platformless.chain.refusals import (
    BalanceTooLow,
    ClaimsTooFast,
    ContractPaused,
    DisputeWindowOpen,
    NotAParty,
    NotAuthorised,
    NotTheHost,
    PriceRefused,
    SettingRefused,
)
from platformless.chain.replies import read_reply
from platformless.chain.reverts import NO_REASON, reason_of, refusal_for, refusal_of
from platformless.protocol.digests import keccak256

CONTRACTS = Path(__file__).parents[2] / "contracts" / "src"


def text(reason: str) -> bytes:
    return bytes.fromhex("08c379a0") + encode(["string"], [reason])


def custom(signature: str, *arguments: object) -> bytes:
    types = signature.partition("(")[2].rstrip(")").split(",")
    body = encode(types, arguments) if types != [""] else b""
    return keccak256(signature.encode())[:4] + body


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("Only host can submit proof", "Not host", NotTheHost),
        ("Excessive tokens claimed", "Too many", ClaimsTooFast),
        ("Must wait dispute window", "Dispute wait", DisputeWindowOpen),
        ("Only depositor or host can complete", "Only host/depositor", NotAParty),
        ("Price below host minimum for model", "Price < model min", PriceRefused),
    ],
)
def test_both_generations_of_a_text_mean_the_same(
    old: str, new: str, expected: type[ContractRefused]
) -> None:
    assert type(refusal_of(text(old))) is type(refusal_of(text(new))) is expected


def test_every_text_of_our_contracts_has_a_name() -> None:
    sources = "".join(path.read_text() for path in CONTRACTS.rglob("*.sol"))
    texts = set(re.findall(r'(?:require\(.*?,|revert\()\s*"([^"]+)"', sources, re.DOTALL))
    assert len(texts) > 60
    unknown = sorted(reason for reason in texts if type(refusal_for(reason)) is ContractRefused)
    assert unknown == []


def test_custom_errors_are_decoded_with_their_arguments() -> None:
    stranger = "0x" + "11" * 20
    refused = refusal_of(custom("OwnableUnauthorizedAccount(address)", stranger))
    assert isinstance(refused, NotAuthorised)
    assert stranger in str(refused)
    assert isinstance(refusal_of(custom("EnforcedPause()")), ContractPaused)
    allowance = custom("ERC20InsufficientAllowance(address,uint256,uint256)", stranger, 1, 2)
    assert isinstance(refusal_of(allowance), BalanceTooLow)


def test_a_panic_is_shown_with_its_code() -> None:
    panic = bytes.fromhex("4e487b71") + encode(["uint256"], [0x11])
    assert reason_of(panic) == "Panic(0x11)"


def test_a_text_without_bytes_is_taken_from_the_nodes_message() -> None:
    assert isinstance(refusal_of(b"", "execution reverted: Not host"), NotTheHost)
    assert refusal_of(b"", "execution reverted").reason == NO_REASON


def test_a_text_that_speaks_of_the_dispute_window_is_one() -> None:
    refused = refusal_of(text("Still within the dispute window"))
    assert isinstance(refused, DisputeWindowOpen)
    assert refused.disposition is Disposition.WAIT_UNTIL


def test_a_revert_that_speaks_of_a_rate_limit_is_still_a_revert() -> None:
    reverted = {"code": 3, "message": "execution reverted: Invalid rate limit", "data": "0x"}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "error": reverted}).encode()
    with pytest.raises(SettingRefused):
        read_reply("eth_call", 1, 200, body)


def test_an_unknown_text_is_kept() -> None:
    refused = refusal_of(text("Something new"))
    assert type(refused) is ContractRefused
    assert refused.reason == "Something new"
    assert reason_of(b"\x01\x02\x03\x04") == "unknown error 0x01020304"


@given(st.binary(max_size=200))
def test_any_bytes_become_a_refusal(data: bytes) -> None:
    assert isinstance(refusal_of(data), ContractRefused)
