"""Sealing for a secp256k1 key: anyone can write what only the holder of the key can read.

    S   = SHA-256(x-coordinate of ECDH(ephemeral key, recipient's key))
    key = HKDF-SHA256(S, no salt, info "checkpoint-delta-encryption-v1", 32 bytes)
    XChaCha20-Poly1305(key, 24-byte nonce, no associated data)

as the existing client opens it. Randomness is the caller's.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from coincurve import PrivateKey, PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError

from .digests import FixedBytes
from .errors import SealBroken, ValueOutOfRange

INFO = b"checkpoint-delta-encryption-v1"
NONCE_BYTES = 24


class PublicKeyBytes(FixedBytes):
    """A secp256k1 public key, compressed."""

    LENGTH = 33

    @classmethod
    def of(cls, private_key: bytes) -> PublicKeyBytes:
        return cls(PrivateKey(private_key).public_key.format())


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
    key = sealing_key(ephemeral, recipient)
    ciphertext = crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, None, nonce, key)
    return Sealed(PublicKeyBytes.of(ephemeral), nonce, ciphertext)


def unseal(sealed: Sealed, private_key: bytes) -> bytes:
    """The plaintext, for the holder of the recipient's private key.

    Raises:
        SealBroken: when it was sealed for another key, or was changed.
    """
    try:
        key = sealing_key(private_key, sealed.ephemeral_key)
        return crypto_aead_xchacha20poly1305_ietf_decrypt(
            sealed.ciphertext, None, sealed.nonce, key
        )
    except (CryptoError, ValueError, ValueOutOfRange) as error:
        raise SealBroken(
            "cannot be opened with this key", expected="the key that it was sealed for"
        ) from error


def sealing_key(private_key: bytes, public_key: PublicKeyBytes) -> bytes:
    """The 32-byte key that both sides come to.

    Raises:
        ValueOutOfRange: when the public key is not a point of the curve.
    """
    try:
        point = PublicKey(public_key.value).multiply(private_key)
    except ValueError as error:
        raise ValueOutOfRange("not a secp256k1 key", got=str(public_key)) from error
    shared = hashlib.sha256(point.format()[1:]).digest()
    return HKDF(SHA256(), 32, salt=None, info=INFO).derive(shared)
