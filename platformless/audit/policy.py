"""What an auditor insists on: small rules, each with one `verify` that raises or returns nothing.

A rule that cannot be checked fails; there is no way to pass by leaving something out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..protocol.acknowledgement import Acknowledged, AcknowledgementSignature
from ..protocol.aggregate import AggregateClaim
from ..protocol.claim import SessionClaim
from ..protocol.digests import Address, ModelId
from ..protocol.errors import SignatureFormatError
from ..protocol.terms import SessionTerms
from ..protocol.transcript import Tokens
from .errors import (
    AcknowledgementForeign,
    AcknowledgementInvalid,
    AcknowledgementMissing,
    UnexpectedClaim,
)

Claim = SessionClaim | AggregateClaim
"""Both say which session they are of, and where they begin and end."""


class OfSession(Protocol):
    """A claim of any kind: all say which session they are of."""

    @property
    def terms(self) -> SessionTerms: ...


class ClaimPolicy(Protocol):
    """A rule about a claim, of one checkpoint or of a whole session."""

    def verify(self, claim: Claim) -> None:
        """Raises UnexpectedClaim when the claim breaks the rule."""


class TermsPolicy(Protocol):
    """A rule about the session that a claim of any kind is of."""

    def verify(self, claim: OfSession) -> None:
        """Raises UnexpectedClaim when the claim breaks the rule."""


@dataclass(frozen=True, slots=True)
class ExpectedChain:
    chain_id: int

    def verify(self, claim: OfSession) -> None:
        _same("chain", self.chain_id, claim.terms.chain_id)


@dataclass(frozen=True, slots=True)
class ExpectedMarketplace:
    marketplace: Address

    def verify(self, claim: OfSession) -> None:
        _same("marketplace", self.marketplace, claim.terms.marketplace)


@dataclass(frozen=True, slots=True)
class ExpectedSession:
    session_id: int

    def verify(self, claim: OfSession) -> None:
        _same("session", self.session_id, claim.terms.session_id)


@dataclass(frozen=True, slots=True)
class ExpectedHost:
    host: Address

    def verify(self, claim: OfSession) -> None:
        _same("host", self.host, claim.terms.host)


@dataclass(frozen=True, slots=True)
class ExpectedClient:
    client: Address

    def verify(self, claim: OfSession) -> None:
        _same("client", self.client, claim.terms.client)


@dataclass(frozen=True, slots=True)
class ExpectedTokens:
    """Completion tokens before and after."""

    before: Tokens
    after: Tokens

    def verify(self, claim: Claim) -> None:
        _same(
            "token range",
            f"{self.before}:{self.after}",
            f"{claim.tokens_before}:{claim.tokens_after}",
        )


@dataclass(frozen=True, slots=True)
class ExpectedModel:
    model_id: ModelId

    def verify(self, claim: OfSession) -> None:
        _same("model id", self.model_id, claim.terms.model_id)


@dataclass(frozen=True, slots=True)
class ExpectedPrice:
    """As on chain: in the payment token's base units for 1000 tokens."""

    price: int

    def verify(self, claim: OfSession) -> None:
        _same("price", self.price, claim.terms.price)


@dataclass(frozen=True, slots=True)
class ExpectedCheckpoint:
    """Number within the session, from 0. A claim of several checkpoints is not this one."""

    number: int

    def verify(self, claim: Claim) -> None:
        first, last = _checkpoints(claim)
        _same("checkpoint number", self.number, first)
        _same("last checkpoint number", self.number, last)


@dataclass(frozen=True, slots=True)
class Follows:
    """The claim joins the one before it: same header, next number, same state and count."""

    previous: Claim

    def verify(self, claim: Claim) -> None:
        previous = self.previous
        _same("session header", previous.header_digest, claim.header_digest)
        _same("checkpoint number", _checkpoints(previous)[1] + 1, _checkpoints(claim)[0])
        _same("state before", previous.state_after, claim.state_before)
        _same("tokens before", previous.tokens_after, claim.tokens_before)


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The client's signature: checked when there is one, insisted on when `required`."""

    required: bool = False

    def verify(self, claim: Claim, signature: AcknowledgementSignature | None) -> Address | None:
        """The client that acknowledged the claim, or None when nobody did and nobody must.

        Raises:
            AcknowledgementMissing, AcknowledgementInvalid, AcknowledgementForeign.
        """
        if signature is None:
            if self.required:
                raise AcknowledgementMissing(
                    "the client has not acknowledged this claim",
                    expected=claim.terms.client,
                    got="none",
                )
            return None
        try:
            signed_by = _acknowledged(claim).signer(signature)
        except SignatureFormatError as error:
            raise AcknowledgementInvalid(error.message, got=error.got) from error
        if signed_by != claim.terms.client:
            raise AcknowledgementForeign(
                "acknowledged by another key, or for another claim",
                expected=claim.terms.client,
                got=signed_by,
            )
        return signed_by


CHECKED_IF_PRESENT = Acknowledgement()

RECEIPT_KINDS = ("composite", "succinct", "groth16")
"""Every kind of receipt that carries a proof."""


def _checkpoints(claim: Claim) -> tuple[int, int]:
    """Numbers of the first and the last checkpoint of a claim."""
    if isinstance(claim, AggregateClaim):
        return claim.first_checkpoint, claim.last_checkpoint
    return claim.checkpoint, claim.checkpoint


def _acknowledged(claim: Claim) -> Acknowledged:
    """What a client signs that received everything up to where the claim ends."""
    terms = claim.terms
    return Acknowledged(
        terms.chain_id,
        terms.marketplace,
        terms.session_id,
        claim.tokens_after,
        claim.state_after,
    )


def _same(what: str, expected: object, got: object) -> None:
    if expected != got:
        raise UnexpectedClaim(f"another {what}", expected=expected, got=got)
