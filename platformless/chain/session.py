"""A session as the chain records it, and the rules that follow from its state.

Times are Unix seconds of the chain's blocks. The rules are those of the contract: they tell what
it would refuse, and from when on it would not.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from eth_abi.exceptions import DecodingError

from ..protocol.digests import Address, ModelId, ProofHash
from ..protocol.transcript import Tokens
from ..protocol.words import WORD_BYTES, split_words, word_number
from .abi import decode_abi
from .errors import ContractRefused, UnknownSession, UnreadableAnswer
from .money import Amount, Price, Token
from .refusals import (
    ClaimsTooFast,
    ClaimTooSmall,
    DepositExceeded,
    DisputeWindowOpen,
    FirstClaimTooSmall,
    NotTheHost,
    SessionNotActive,
    SessionNotTimedOut,
)

DEFAULT_PROOF_INTERVAL = Tokens(1000)
_HEAD = ["uint256", "address", "address", "address", *["uint256"] * 7]
_TAIL = ["uint8", "uint256", "uint256", "string", "bytes32", "string"]
_WITHOUT_TIMEOUT = _HEAD + _TAIL  # contracts before 31 January 2026
_WITH_TIMEOUT = [*_HEAD, "uint256", *_TAIL]
_CID_OFFSET_WITHOUT_TIMEOUT = 14


class SessionStatus(enum.Enum):
    """Status word of a session."""

    ACTIVE = 0
    COMPLETED = 1
    TIMED_OUT = 2


@dataclass(frozen=True, slots=True)
class MarketplaceRules:
    """What the marketplace asks of everyone. Read once; the owner may change the fee of an early
    end, an upgrade may change the rest."""

    minimum_claim: Tokens
    dispute_window_seconds: int
    fee_basis_points: int
    early_end_tokens: Tokens
    """Tokens that a client pays for when it ends a session that has no proof."""


@dataclass(frozen=True, slots=True)
class ProofSubmission:
    """What a host sends for a checkpoint. `tokens` are this checkpoint's, not the sum."""

    session_id: int
    tokens: Tokens
    proof_hash: ProofHash
    proof_cid: str
    delta_cid: str


@dataclass(frozen=True, slots=True)
class ProofRecord:
    """A proof as the session's storage keeps it. `accepted` says only that the hash was new: no
    contract verifies a proof."""

    proof_hash: ProofHash
    tokens: Tokens
    submitted_at: int
    accepted: bool
    delta_cid: str


@dataclass(frozen=True, slots=True)
class Session:
    """One session."""

    id: int
    client: Address
    host: Address
    deposit: Amount
    price: Price
    tokens_proven: Tokens
    longest_seconds: int
    started_at: int
    last_proof_at: int
    """The start, while there is no proof."""
    proof_interval: Tokens
    proof_timeout_seconds: int | None
    """None in contracts before 31 January 2026, which had none."""
    status: SessionStatus
    paid_to_host: Amount
    refunded: Amount
    conversation_cid: str
    last_proof_hash: ProofHash
    last_proof_cid: str

    @property
    def tokens_left(self) -> Tokens:
        """What the deposit still pays for."""
        return Tokens(max(0, self.price.affordable(self.deposit) - self.tokens_proven))

    @property
    def times_out_at(self) -> int:
        """From the second after this on, anyone may end the session."""
        at_the_latest = self.started_at + self.longest_seconds
        if self.proof_timeout_seconds is None:
            return at_the_latest
        return min(at_the_latest, self.last_proof_at + self.proof_timeout_seconds)

    def host_may_complete_at(self, dispute_window_seconds: int) -> int:
        """From when on the host may complete the session; contracts count from the start or from
        the last proof, this is right for both."""
        return max(self.started_at, self.last_proof_at) + dispute_window_seconds

    def may_claim_at(self, tokens: Tokens, tokens_per_second: int) -> int:
        """From when on the rate limit allows a claim of so many tokens."""
        return self.last_proof_at + -(-tokens // tokens_per_second)


def decode_session(data: bytes, token_at: Callable[[Address], Token]) -> Session:
    """Reads what `sessionJobs` returns, in the layouts of both generations of the contract.

    Raises:
        UnknownSession: when no session has this id.
        UnreadableAnswer: when the bytes are not a session.
    """
    words = split_words(data)
    expected = _WITH_TIMEOUT
    at = _CID_OFFSET_WITHOUT_TIMEOUT
    if len(words) > at and word_number(words[at]) == WORD_BYTES * len(_WITHOUT_TIMEOUT):
        expected = _WITHOUT_TIMEOUT
    try:
        fields = list(decode_abi(expected, data))
        if expected is _WITHOUT_TIMEOUT:
            fields.insert(len(_HEAD), None)
        if fields[0] == 0:
            raise UnknownSession("no such session", expected="a session id", got=0)
        token = token_at(Address.from_hex(fields[3]))
        return Session(
            id=fields[0],
            client=Address.from_hex(fields[1]),
            host=Address.from_hex(fields[2]),
            deposit=Amount(fields[4], token),
            price=Price(fields[5], token),
            tokens_proven=Tokens(fields[6]),
            longest_seconds=fields[7],
            started_at=fields[8],
            last_proof_at=fields[9],
            proof_interval=Tokens(fields[10]),
            proof_timeout_seconds=fields[11],
            status=SessionStatus(fields[12]),
            paid_to_host=Amount(fields[13], token),
            refunded=Amount(fields[14], token),
            conversation_cid=fields[15],
            last_proof_hash=ProofHash(fields[16]),
            last_proof_cid=fields[17],
        )
    except (DecodingError, ValueError) as error:
        raise UnreadableAnswer(
            "not a session", expected=f"({', '.join(_WITH_TIMEOUT)})", got=f"{len(data)} bytes"
        ) from error


def check_claim(
    session: Session,
    submission: ProofSubmission,
    sender: Address,
    rules: MarketplaceRules,
    tokens_per_second: int,
    now: int,
) -> ContractRefused | None:
    """The rule that a submission breaks at the time `now`, in the contract's order; None when
    the session's state allows it."""
    if sender != session.host:
        return NotTheHost("by state", expected=session.host, got=sender)
    if session.status is not SessionStatus.ACTIVE:
        return SessionNotActive("by state", expected="active", got=session.status.name.lower())
    tokens = submission.tokens
    if tokens < rules.minimum_claim:
        return ClaimTooSmall("by state", expected=f">= {rules.minimum_claim} tokens", got=tokens)
    if session.tokens_proven == 0 and tokens < session.proof_interval:
        return FirstClaimTooSmall(
            "by state", expected=f">= {session.proof_interval} tokens", got=tokens
        )
    allowed_from = session.may_claim_at(tokens, tokens_per_second)
    if now < allowed_from:
        return ClaimsTooFast(
            "by state",
            wait_until=allowed_from,
            expected=f"{tokens_per_second} tokens per second",
            got=f"{tokens} tokens in {now - session.last_proof_at} s",
        )
    if tokens > session.tokens_left:
        return DepositExceeded("by state", expected=f"<= {session.tokens_left} tokens", got=tokens)
    return None


def check_completion(
    session: Session, sender: Address, rules: MarketplaceRules, now: int
) -> ContractRefused | None:
    """As `check_claim`, for the end of a session by its host."""
    if session.status is not SessionStatus.ACTIVE:
        return SessionNotActive("by state", expected="active", got=session.status.name.lower())
    allowed_from = session.host_may_complete_at(rules.dispute_window_seconds)
    if sender == session.host and now < allowed_from:
        return DisputeWindowOpen(
            "by state", wait_until=allowed_from, expected=f"time >= {allowed_from}", got=now
        )
    return None


def check_timeout(session: Session, now: int) -> ContractRefused | None:
    """As `check_claim`, for the end of a session by its timeout."""
    if session.status is not SessionStatus.ACTIVE:
        return SessionNotActive("by state", expected="active", got=session.status.name.lower())
    if now <= session.times_out_at:
        return SessionNotTimedOut(
            "by state",
            wait_until=session.times_out_at + 1,
            expected=f"time > {session.times_out_at}",
            got=now,
        )
    return None


@dataclass(frozen=True, slots=True)
class SessionTermsOffer:
    """What a client asks for when it opens a session. Times in seconds."""

    host: Address
    model_id: ModelId
    deposit: Amount
    price: Price
    longest_seconds: int = 3600
    proof_interval: Tokens = DEFAULT_PROOF_INTERVAL
    proof_timeout_seconds: int = 300
