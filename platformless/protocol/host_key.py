"""The host's key behind one interface, so that it need not be in the process that uses it.

A signer never signs 32 bytes of somebody else's choice: it is told what is to be signed, and hashes
that itself, each kind in its own way.

| asked for | is signed |
|---|---|
| `sign_text` | EIP-191: keccak-256 of a prefix, the length and the text |
| `sign_challenge` | SHA-256 of exactly 32 bytes |
| `sign_transaction` | keccak-256 of the transaction's fields |
"""

from __future__ import annotations

import hashlib
from typing import Protocol

from coincurve import PrivateKey

from ..errors import PlatformlessError
from . import signatures
from .digests import Address
from .errors import ValueOutOfRange
from .secrecy import KEY_BYTES, PublicKeyBytes, agree
from .signatures import Signature, personal_digest
from .transaction import Transaction

CHALLENGE_BYTES = 32


class KeyUnavailable(PlatformlessError):
    """The key is elsewhere and cannot be asked now; nothing was signed. It may pass."""

    code = "KEY-004"


class TransactionKey(Protocol):
    """An account that signs transactions. Methods may block, and raise `KeyUnavailable`."""

    @property
    def address(self) -> Address: ...

    def sign_transaction(self, transaction: Transaction) -> Signature: ...


class HostKey(TransactionKey, Protocol):
    """The key of a host's account. Methods may block, and raise `KeyUnavailable`."""

    @property
    def public_key(self) -> PublicKeyBytes: ...

    def agree(self, public_key: PublicKeyBytes) -> bytes:
        """The x-coordinate of the point shared with `public_key`, 32 bytes.

        Raises:
            ValueOutOfRange: when that is not a point of the curve.
        """
        ...

    def sign_text(self, text: bytes) -> Signature:
        """EIP-191, version 0x45."""
        ...

    def sign_challenge(self, challenge: bytes) -> Signature:
        """Over the SHA-256 of 32 bytes.

        Raises:
            ValueOutOfRange: when they are not 32.
        """
        ...


class LocalKey:
    """A key in this process's memory, 32 bytes. Never shown.

    Raises:
        ValueOutOfRange: when the bytes are no private key.
    """

    __slots__ = ("_key", "address", "public_key")

    def __init__(self, key: bytes) -> None:
        try:
            public = PrivateKey(key).public_key if len(key) == KEY_BYTES else None
        except ValueError:
            public = None
        if public is None:
            raise ValueOutOfRange(
                "no private key", expected=f"{KEY_BYTES} bytes below the curve's order"
            )
        self._key = key
        self.public_key: PublicKeyBytes = PublicKeyBytes(public.format())
        self.address: Address = signatures.address_of_key(public)

    def __repr__(self) -> str:
        return f"LocalKey({self.address})"

    def __reduce__(self) -> str:
        raise TypeError("a private key is not pickled")

    def agree(self, public_key: PublicKeyBytes) -> bytes:
        return agree(self._key, public_key)

    def sign_text(self, text: bytes) -> Signature:
        return signatures.sign(personal_digest(text), self._key)

    def sign_challenge(self, challenge: bytes) -> Signature:
        return signatures.sign(challenge_digest(challenge), self._key)

    def sign_transaction(self, transaction: Transaction) -> Signature:
        return signatures.sign(transaction.digest, self._key)

    def secret(self) -> bytes:
        """The 32 bytes, for who keeps them elsewhere."""
        return self._key


def challenge_digest(challenge: bytes) -> bytes:
    """What is signed for a challenge.

    Raises:
        ValueOutOfRange: when it is not 32 bytes long.
    """
    if len(challenge) != CHALLENGE_BYTES:
        raise ValueOutOfRange(
            "a challenge of a wrong length", expected=f"{CHALLENGE_BYTES} bytes", got=len(challenge)
        )
    return hashlib.sha256(challenge).digest()
