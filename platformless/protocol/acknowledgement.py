"""The client's acknowledgement: an EIP-712 signature over what it received so far.

It signs chain, marketplace, session, tokens after and state after. All of that is public in the
claim, so the bundle carries the 65 signature bytes alone and anyone checks them natively; inside
the guest the same check would cost five million cycles.
"""

from __future__ import annotations

from . import signatures
from .claim import SessionClaim
from .digests import Address
from .typed_data import type_hash, typed_digest
from .words import number_word

_MESSAGE_TYPE = type_hash("Acknowledgement(uint256 sessionId,uint256 tokens,bytes32 state)")


class AcknowledgementSignature(signatures.Signature):
    """As `eth_signTypedData_v4` returns it."""


def signing_digest(claim: SessionClaim) -> bytes:
    """The 32 bytes that the client signs for `claim` (EIP-712)."""
    terms = claim.terms
    words = (
        number_word(terms.session_id) + number_word(claim.tokens_after) + claim.state_after.value
    )
    return typed_digest(terms.chain_id, terms.marketplace, _MESSAGE_TYPE, words)


def sign(claim: SessionClaim, private_key: bytes) -> AcknowledgementSignature:
    """The signature of the client that holds `private_key` (32 bytes)."""
    return AcknowledgementSignature(signatures.sign(signing_digest(claim), private_key).value)


def signer(claim: SessionClaim, signature: AcknowledgementSignature) -> Address:
    """Who signed this claim's acknowledgement.

    Raises:
        SignatureFormatError: when no key could have made the signature.
    """
    return signatures.signer(signing_digest(claim), signature)
