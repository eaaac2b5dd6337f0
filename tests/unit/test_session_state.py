"""What a session's words on chain mean, in the layouts of both generations."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from platformless.chain.errors import UnknownSession, UnreadableAnswer
from platformless.chain.networks import BASE_SEPOLIA
from platformless.chain.refusals import (
    ClaimsTooFast,
    ClaimTooSmall,
    DepositExceeded,
    DisputeWindowOpen,
    FirstClaimTooSmall,
    NotTheHost,
    SessionNotActive,
    SessionNotTimedOut,
)
from platformless.chain.session import (
    MarketplaceRules,
    ProofSubmission,
    Session,
    SessionStatus,
    check_claim,
    check_completion,
    check_timeout,
    decode_session,
)
from platformless.protocol.digests import Address, ProofHash
from platformless.protocol.transcript import Tokens

CLIENT, HOST = Address(b"\x01" * 20), Address(b"\x02" * 20)
HEAD = ["uint256", "address", "address", "address", *["uint256"] * 7]
TAIL = ["uint8", "uint256", "uint256", "string", "bytes32", "string"]
STARTED = 1_000_000
RULES = MarketplaceRules(Tokens(100), 30, 1000, Tokens(1000))
RATE = 2000


def words(*, session_id: int = 7, timeout: int | None = 300, status: int = 0) -> bytes:
    """What `sessionJobs` returns; without the timeout, as before 31 January 2026."""
    head = [session_id, str(CLIENT), str(HOST), str(BASE_SEPOLIA.usdc.address)]
    head += [500_000, 5_000, 0, 3600, STARTED, STARTED, 1000]
    tail = [status, 0, 0, "uConversation", b"\x05" * 32, "uProof"]
    if timeout is None:
        return encode(HEAD + TAIL, head + tail)
    return encode([*HEAD, "uint256", *TAIL], [*head, timeout, *tail])


def session(**changes: object) -> Session:
    decoded = decode_session(words(), BASE_SEPOLIA.token)
    return replace(decoded, **changes)  # type: ignore[arg-type]


def claim(tokens: int) -> ProofSubmission:
    return ProofSubmission(7, Tokens(tokens), ProofHash.zero(), "", "")


@pytest.mark.parametrize("timeout", [300, None])
def test_both_layouts_are_read(timeout: int | None) -> None:
    decoded = decode_session(words(timeout=timeout), BASE_SEPOLIA.token)
    assert decoded.proof_timeout_seconds == timeout
    assert (decoded.client, decoded.host) == (CLIENT, HOST)
    assert decoded.deposit == BASE_SEPOLIA.usdc.amount("0.5")
    assert decoded.proof_interval == 1000
    assert decoded.status is SessionStatus.ACTIVE
    assert decoded.conversation_cid == "uConversation"
    assert decoded.last_proof_cid == "uProof"


def test_an_unused_id_is_no_session() -> None:
    with pytest.raises(UnknownSession):
        decode_session(words(session_id=0), BASE_SEPOLIA.token)


@given(st.binary(max_size=800))
def test_other_bytes_are_no_session(data: bytes) -> None:
    with pytest.raises((UnreadableAnswer, UnknownSession)):
        decode_session(data, BASE_SEPOLIA.token)


def test_an_unknown_status_is_no_session() -> None:
    with pytest.raises(UnreadableAnswer):
        decode_session(words(status=3), BASE_SEPOLIA.token)


def test_the_first_of_both_timeouts_counts() -> None:
    assert session().times_out_at == STARTED + 300
    assert session(last_proof_at=STARTED + 3500).times_out_at == STARTED + 3600
    assert session(proof_timeout_seconds=None).times_out_at == STARTED + 3600


def test_the_dispute_window_counts_from_the_last_proof() -> None:
    assert session().host_may_complete_at(30) == STARTED + 30
    assert session(last_proof_at=STARTED + 50).host_may_complete_at(30) == STARTED + 80


def test_claims_are_checked_in_the_contracts_order() -> None:
    later = STARTED + 100

    def check(tokens: int, of: Session, sender: Address = HOST, now: int = later) -> type | None:
        found = check_claim(of, claim(tokens), sender, RULES, RATE, now)
        return None if found is None else type(found)

    fresh, proven = session(), session(tokens_proven=Tokens(2000))
    assert check(1, fresh, CLIENT) is NotTheHost
    assert check(1, session(status=SessionStatus.COMPLETED)) is SessionNotActive
    assert check(99, fresh) is ClaimTooSmall
    assert check(999, fresh) is FirstClaimTooSmall
    assert check(999, proven) is None
    assert check(200_001, proven) is ClaimsTooFast
    assert check(98_001, proven) is DepositExceeded
    assert check(98_000, proven) is None


@given(tokens=st.integers(1, 10**6), rate=st.integers(1, 10**5))
def test_the_rate_limit_allows_a_claim_from_that_second_on(tokens: int, rate: int) -> None:
    allowed = session().may_claim_at(Tokens(tokens), rate)
    assert tokens <= (allowed - STARTED) * rate
    assert tokens > (allowed - 1 - STARTED) * rate


def test_an_end_too_early_tells_when() -> None:
    early = check_completion(session(), HOST, RULES, STARTED + 29)
    assert isinstance(early, DisputeWindowOpen)
    assert early.wait_until == STARTED + 30
    assert check_completion(session(), HOST, RULES, STARTED + 30) is None
    assert check_completion(session(), CLIENT, RULES, STARTED) is None
    waiting = check_timeout(session(), STARTED + 300)
    assert isinstance(waiting, SessionNotTimedOut)
    assert waiting.wait_until == STARTED + 301
    assert check_timeout(session(), STARTED + 301) is None
    over = session(status=SessionStatus.TIMED_OUT)
    assert isinstance(check_timeout(over, STARTED), SessionNotActive)
    assert isinstance(check_completion(over, HOST, RULES, STARTED), SessionNotActive)
