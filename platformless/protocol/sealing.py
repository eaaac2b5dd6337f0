"""Sealing for a secp256k1 key: anyone can write what only the holder of the key can read.

    S   = SHA-256(x-coordinate of ECDH(ephemeral key, recipient's key))
    key = HKDF-SHA256(S, no salt, info "checkpoint-delta-encryption-v1", 32 bytes)
    XChaCha20-Poly1305(key, 24-byte nonce, no associated data)

as the existing client opens it. Randomness is the caller's.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from .errors import SealBroken, ValueOutOfRange
from .secrecy import PublicKeyBytes, agree, decrypt, derive, encrypt

INFO = b"checkpoint-delta-encryption-v1"


@dataclass(frozen=True, slots=True)
class Sealed:
    """What is stored: the ephemeral key, the nonce and the ciphertext with its tag."""

    ephemeral_key: PublicKeyBytes
    nonce: bytes
    ciphertext: bytes


def seal(plaintext: bytes, recipient: PublicKeyBytes, *, ephemeral: bytes, nonce: bytes) -> Sealed:
    """Seals for `recipient`.

    Args:
        ephemeral: A private key that is used this once, 32 random bytes.
        nonce: 24 random bytes.

    Raises:
        ValueOutOfRange: when the recipient's key is not one.
    """
    ciphertext = encrypt(sealing_key(ephemeral, recipient), nonce, plaintext)
    return Sealed(PublicKeyBytes.of(ephemeral), nonce, ciphertext)


def unseal(sealed: Sealed, private_key: bytes) -> bytes:
    """The plaintext, for the holder of the recipient's private key.

    Raises:
        SealBroken: when it was sealed for another key, or was changed.
    """
    try:
        key = sealing_key(private_key, sealed.ephemeral_key)
    except ValueOutOfRange as error:
        raise SealBroken("the ephemeral key is none", got=sealed.ephemeral_key) from error
    return decrypt(key, sealed.nonce, sealed.ciphertext)


def sealing_key(private_key: bytes, public_key: PublicKeyBytes) -> bytes:
    """The 32-byte key that both sides come to.

    Raises:
        ValueOutOfRange: when the public key is not a point of the curve.
    """
    return derive(hashlib.sha256(agree(private_key, public_key)).digest(), INFO)
