"""The client's acknowledgement: an EIP-712 signature over what it received so far.

It signs chain, marketplace, session, tokens after and state after. All of that is public in the
claim, so the bundle carries the 65 signature bytes alone and anyone checks them natively; inside
the guest the same check would cost five million cycles.

The one fixed structure is hashed here, after EIP-712's `hashStruct`: the general libraries take
longer to import than a proof takes to verify. Tests compare it with eth-account.
"""

from __future__ import annotations

from coincurve import PrivateKey, PublicKey

from .claim import SessionClaim
from .digests import Address, FixedBytes, keccak256
from .errors import SignatureFormatError
from .words import address_word, number_word

DOMAIN_NAME = "Platformless AI"
DOMAIN_VERSION = "1"
_DOMAIN_TYPE = keccak256(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
_MESSAGE_TYPE = keccak256(b"Acknowledgement(uint256 sessionId,uint256 tokens,bytes32 state)")
_RECOVERY_ID_OFFSET = 27


class AcknowledgementSignature(FixedBytes):
    """r, s and v (27 or 28), as `eth_signTypedData_v4` returns them."""

    LENGTH = 65


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
    signature = PrivateKey(private_key).sign_recoverable(signing_digest(claim), hasher=None)
    return AcknowledgementSignature(signature[:64] + bytes([signature[64] + _RECOVERY_ID_OFFSET]))


def signer(claim: SessionClaim, signature: AcknowledgementSignature) -> Address:
    """Who signed this claim's acknowledgement.

    Raises:
        SignatureFormatError: when no key could have made the signature.
    """
    recovery_id = signature.value[64] - _RECOVERY_ID_OFFSET
    if recovery_id not in (0, 1):
        raise SignatureFormatError(
            "signature with an unknown recovery id", expected="27 or 28", got=signature.value[64]
        )
    try:
        key = PublicKey.from_signature_and_message(
            signature.value[:64] + bytes([recovery_id]), signing_digest(claim), hasher=None
        )
    except ValueError as error:
        raise SignatureFormatError("no key made this signature", got=str(error)) from error
    return Address(keccak256(key.format(compressed=False)[1:])[-Address.LENGTH :])
