"""Ethereum signatures: 65 bytes over a 32-byte digest, and who made them.

`personal_digest` is EIP-191, version 0x45, as `personal_sign` signs it.
"""

from __future__ import annotations

from coincurve import PrivateKey, PublicKey

from .digests import Address, FixedBytes, keccak256
from .errors import SignatureFormatError

_RECOVERY_ID_OFFSET = 27


class Signature(FixedBytes):
    """r, s and v (27 or 28), as wallets return them."""

    LENGTH = 65


def personal_digest(message: bytes) -> bytes:
    """The 32 bytes that `personal_sign` signs for a message."""
    return keccak256(b"\x19Ethereum Signed Message:\n%d" % len(message) + message)


def sign(digest: bytes, private_key: bytes) -> Signature:
    """Signs 32 bytes with the key's 32 bytes (RFC 6979)."""
    signature = PrivateKey(private_key).sign_recoverable(digest, hasher=None)
    return Signature(signature[:64] + bytes([signature[64] + _RECOVERY_ID_OFFSET]))


def signer(digest: bytes, signature: Signature) -> Address:
    """Who signed the 32 bytes.

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
            signature.value[:64] + bytes([recovery_id]), digest, hasher=None
        )
    except ValueError as error:
        raise SignatureFormatError("no key made this signature", got=str(error)) from error
    return address_of_key(key)


def text_signer(text: bytes, signature: Signature) -> Address:
    """Who signed a text by EIP-191.

    Raises:
        SignatureFormatError: as `signer`.
    """
    return signer(personal_digest(text), signature)


def address_of_key(key: PublicKey) -> Address:
    """The account of a public key."""
    return Address(keccak256(key.format(compressed=False)[1:])[-Address.LENGTH :])
