"""The client's acknowledgement: an EIP-712 signature over what it received so far.

It signs chain, marketplace, session, tokens after and state after. All of that is public in the
claim, so the bundle carries the 65 signature bytes alone and anyone checks them natively; inside
the guest the same check would cost five million cycles.

The one fixed structure is hashed here, after EIP-712's `hashStruct`: the general libraries take
longer to import than a proof takes to verify. Tests compare it with eth-account.
"""

from __future__ import annotations

from . import signatures
from .claim import SessionClaim
from .digests import Address, keccak256
from .words import address_word, number_word

DOMAIN_NAME = "Platformless AI"
DOMAIN_VERSION = "1"
_DOMAIN_TYPE = keccak256(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
_MESSAGE_TYPE = keccak256(b"Acknowledgement(uint256 sessionId,uint256 tokens,bytes32 state)")


class AcknowledgementSignature(signatures.Signature):
    """As `eth_signTypedData_v4` returns it."""


def signing_digest(claim: SessionClaim) -> bytes:
    """The 32 bytes that the client signs for `claim` (EIP-712)."""
    domain = keccak256(
        _DOMAIN_TYPE
        + keccak256(DOMAIN_NAME.encode())
        + keccak256(DOMAIN_VERSION.encode())
        + number_word(claim.terms.chain_id)
        + address_word(claim.terms.marketplace)
    )
    message = keccak256(
        _MESSAGE_TYPE
        + number_word(claim.terms.session_id)
        + number_word(claim.tokens_after)
        + claim.state_after.value
    )
    return keccak256(b"\x19\x01" + domain + message)


def sign(claim: SessionClaim, private_key: bytes) -> AcknowledgementSignature:
    """The signature of the client that holds `private_key` (32 bytes)."""
    return AcknowledgementSignature(signatures.sign(signing_digest(claim), private_key).value)


def signer(claim: SessionClaim, signature: AcknowledgementSignature) -> Address:
    """Who signed this claim's acknowledgement.

    Raises:
        SignatureFormatError: when no key could have made the signature.
    """
    return signatures.signer(signing_digest(claim), signature)
