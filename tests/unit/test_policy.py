"""What an auditor may insist on."""

from __future__ import annotations

import dataclasses

import pytest

from platformless.audit.errors import UnexpectedClaim
from platformless.audit.policy import (
    ClaimPolicy,
    ExpectedChain,
    ExpectedClient,
    ExpectedHost,
    ExpectedMarketplace,
    ExpectedSession,
    ExpectedTokens,
    Follows,
)
from platformless.protocol.claim import SessionClaim
from platformless.protocol.digests import Address, HeaderDigest, StateDigest
from platformless.protocol.transcript import Tokens

from ..samples import FIRST, SECOND


@pytest.fixture(scope="module")
def claims() -> tuple[SessionClaim, SessionClaim]:
    """Two checkpoints of one session."""
    return FIRST.claim(), SECOND.claim()


def test_a_claim_that_is_expected_passes(claims: tuple[SessionClaim, SessionClaim]) -> None:
    first, second = claims
    rules: tuple[ClaimPolicy, ...] = (
        ExpectedChain(second.terms.chain_id),
        ExpectedMarketplace(second.terms.marketplace),
        ExpectedSession(second.terms.session_id),
        ExpectedHost(second.terms.host),
        ExpectedClient(second.terms.client),
        ExpectedTokens(second.tokens_before, second.tokens_after),
        Follows(first),
    )
    for rule in rules:
        rule.verify(second)


OTHER = Address(b"\xee" * 20)


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        (ExpectedChain(2**64 - 2), "another chain"),
        (ExpectedMarketplace(OTHER), "another marketplace"),
        (ExpectedSession(2**256 - 2), "another session"),
        (ExpectedHost(OTHER), "another host"),
        (ExpectedClient(OTHER), "another client"),
        (ExpectedTokens(Tokens(0), Tokens(2**60)), "another token range"),
    ],
)
def test_each_expectation_names_what_differs(
    claims: tuple[SessionClaim, SessionClaim], rule: ClaimPolicy, what: str
) -> None:
    with pytest.raises(UnexpectedClaim, match=what) as caught:
        rule.verify(claims[1])
    assert caught.value.expected is not None
    assert caught.value.got is not None


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"header_digest": HeaderDigest(b"\1" * 32)}, "another session header"),
        ({"checkpoint": 5}, "another checkpoint number"),
        ({"state_before": StateDigest(b"\1" * 32)}, "another state before"),
        ({"tokens_before": Tokens(2**40), "tokens_after": Tokens(2**41)}, "another tokens before"),
    ],
)
def test_a_claim_joins_the_one_before(
    claims: tuple[SessionClaim, SessionClaim], change: dict[str, object], what: str
) -> None:
    first, second = claims
    with pytest.raises(UnexpectedClaim, match=what):
        Follows(first).verify(dataclasses.replace(second, **change))  # type: ignore[arg-type]
