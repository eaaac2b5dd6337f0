"""The client's acknowledgement: an EIP-712 signature over what it received so far.

It signs chain, marketplace, session, tokens after and state after. All of that is public in the
claim, so the bundle carries the 65 signature bytes alone and anyone checks them natively; inside
the guest the same check would cost five million cycles.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import signatures
from .claim import SessionClaim
from .digests import Address, StateDigest
from .transcript import Tokens
from .typed_data import type_hash, typed_digest
from .words import U64_MAX, U256_MAX, in_range, number_word

_MESSAGE_TYPE = type_hash("Acknowledgement(uint256 sessionId,uint256 tokens,bytes32 state)")


class AcknowledgementSignature(signatures.Signature):
    """As `eth_signTypedData_v4` returns it."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What a client signs. A claim that ends there says the same.

    Raises:
        ValueOutOfRange: for a number that does not fit its word.
    """

    chain_id: int
    marketplace: Address
    session_id: int
    tokens: Tokens
    """Completion tokens of the session up to there."""
    state: StateDigest

    def __post_init__(self) -> None:
        in_range("chain id", self.chain_id, U64_MAX)
        in_range("session id", self.session_id, U256_MAX)
        in_range("tokens", self.tokens, U64_MAX)

    @classmethod
    def of(cls, claim: SessionClaim) -> Acknowledged:
        """What is acknowledged of a claim: where it ends."""
        terms = claim.terms
        return cls(
            terms.chain_id,
            terms.marketplace,
            terms.session_id,
            claim.tokens_after,
            claim.state_after,
        )

    def signing_digest(self) -> bytes:
        """The 32 bytes that the client signs (EIP-712)."""
        words = number_word(self.session_id) + number_word(self.tokens) + self.state.value
        return typed_digest(self.chain_id, self.marketplace, _MESSAGE_TYPE, words)

    def sign(self, private_key: bytes) -> AcknowledgementSignature:
        """The signature of the client that holds `private_key` (32 bytes)."""
        return AcknowledgementSignature(signatures.sign(self.signing_digest(), private_key).value)

    def signer(self, signature: AcknowledgementSignature) -> Address:
        """Who signed this.

        Raises:
            SignatureFormatError: when no key could have made the signature.
        """
        return signatures.signer(self.signing_digest(), signature)


def sign(claim: SessionClaim, private_key: bytes) -> AcknowledgementSignature:
    """The signature over a claim, as `Acknowledged.sign`."""
    return Acknowledged.of(claim).sign(private_key)


def signer(claim: SessionClaim, signature: AcknowledgementSignature) -> Address:
    """Who signed this claim's acknowledgement; with the errors of `Acknowledged.signer`."""
    return Acknowledged.of(claim).signer(signature)
