"""The ledger's key under a passphrase, as it may lie in a backup.

sealed   salt (16 bytes) ‖ nonce (24) ‖ XChaCha20-Poly1305 of the key's 32 bytes, with its tag
key      scrypt of passphrase and salt (n 2^16, r 8, p 1)
"""

from __future__ import annotations

import hashlib
import secrets

from ...protocol.errors import SealBroken
from ...protocol.secrecy import KEY_BYTES, NONCE_BYTES, decrypt, encrypt
from .errors import PassphraseNeeded

_SALT_BYTES = 16
_ROUNDS = 1 << 16
_BLOCK = 8
_MEMORY_BYTES = 128 << 20
_ASSOCIATED = b"platformless-backup/1 ledger key"


def seal_key(key: bytes, passphrase: str) -> bytes:
    salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(NONCE_BYTES)
    return salt + nonce + encrypt(_stretched(passphrase, salt), nonce, key, _ASSOCIATED)


def open_key(sealed: bytes, passphrase: str) -> bytes:
    """Raises:
    PassphraseNeeded: when it is another one.
    """
    salt, rest = sealed[:_SALT_BYTES], sealed[_SALT_BYTES:]
    nonce, ciphertext = rest[:NONCE_BYTES], rest[NONCE_BYTES:]
    try:
        return decrypt(_stretched(passphrase, salt), nonce, ciphertext, _ASSOCIATED)
    except SealBroken:
        raise PassphraseNeeded(
            "the passphrase does not open the key in the backup", got="not shown"
        ) from None


def _stretched(passphrase: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        passphrase.encode(),
        salt=salt,
        n=_ROUNDS,
        r=_BLOCK,
        p=1,
        maxmem=_MEMORY_BYTES,
        dklen=KEY_BYTES,
    )
