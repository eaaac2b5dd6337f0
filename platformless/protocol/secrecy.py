"""Keys that two sides agree on, and authenticated encryption under them.

ECDH on secp256k1 (the shared point's x-coordinate), HKDF-SHA256 (RFC 5869) without salt,
XChaCha20-Poly1305 with 24-byte nonces. Randomness is the caller's.
"""

from __future__ import annotations

from typing import Self

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

NONCE_BYTES = 24
KEY_BYTES = 32


class PublicKeyBytes(FixedBytes):
    """A secp256k1 public key, compressed."""

    LENGTH = 33

    @classmethod
    def of(cls, private_key: bytes) -> PublicKeyBytes:
        return cls(PrivateKey(private_key).public_key.format())

    def require_point(self) -> Self:
        """Raises:
        ValueOutOfRange: when it is not a point of the curve: nothing can be sealed for it.
        """
        try:
            PublicKey(self.value)
        except ValueError as error:
            raise ValueOutOfRange("not a secp256k1 key", got=str(self)) from error
        return self


def agree(private_key: bytes, public_key: PublicKeyBytes) -> bytes:
    """The x-coordinate of the shared point, 32 bytes.

    Raises:
        ValueOutOfRange: when the public key is not a point of the curve.
    """
    try:
        point = PublicKey(public_key.value).multiply(private_key)
    except ValueError as error:
        raise ValueOutOfRange("not a secp256k1 key", got=str(public_key)) from error
    return point.format()[1:]


def derive(secret: bytes, info: bytes = b"") -> bytes:
    """A 32-byte key from a shared secret."""
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=info).derive(secret)


def encrypt(key: bytes, nonce: bytes, plaintext: bytes, associated: bytes = b"") -> bytes:
    """Ciphertext with its 16-byte tag. A nonce is used once under a key."""
    return crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, associated or None, nonce, key)


def decrypt(key: bytes, nonce: bytes, ciphertext: bytes, associated: bytes = b"") -> bytes:
    """Raises:
    SealBroken: when key, nonce, ciphertext and associated data do not belong together.
    """
    try:
        return crypto_aead_xchacha20poly1305_ietf_decrypt(
            ciphertext, associated or None, nonce, key
        )
    except (CryptoError, ValueError) as error:
        raise SealBroken(
            "cannot be opened with this key", expected="the key that it was sealed for"
        ) from error
