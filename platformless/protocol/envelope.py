"""The encrypted session of the existing client: how it begins, and its messages.

A client begins with an ephemeral key: what it encrypts for the host's static key names the job and
a fresh session key, under which both sides then encrypt. It signs ephemeral key, host key and
nonce with its own key; the ciphertext is not signed, but only the holder of the ephemeral key could
make it. Ids outside the ciphertext are not protected by anything: the job inside counts.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct

from ..decoding import decode_json
from . import signatures
from .digests import Address
from .errors import EnvelopeBroken, ProtocolError
from .host_key import HostKey
from .secrecy import (
    KEY_BYTES,
    NONCE_BYTES,
    PublicKeyBytes,
    agree,
    decrypt,
    derive,
    encrypt,
)
from .signatures import Signature

ALGORITHM = "secp256k1-ecdh(ephemeral→static)+hkdf(sha256)+xchacha20-poly1305"
FINAL_ASSOCIATED = b"encrypted_response_final"
UPDATE_ASSOCIATED = b"transcript_update"
_CHUNK = b"chunk_"
_ENCRYPTED = b"encrypted_"
_SALT = bytes(32)
_RECOVERY_ID_OFFSET = 27
_MOST_DIGITS = 20


class WalletProof(Struct, frozen=True):
    """A client's answer to a wallet challenge, in hex."""

    nonce: str
    signature: str


@dataclass(frozen=True, slots=True)
class SessionInit:
    """What a client asks for when it begins, or begins anew, as the host reads it."""

    job_id: int
    session_key: bytes
    model_name: str
    price: int
    """As the client says; 0 when it says none. The chain's price counts."""
    recovery_key: PublicKeyBytes | None
    client_key_address: Address
    """Whose signature it is: the account of the client's encryption key, not its wallet."""
    wallet: WalletProof | None = None
    """The wallet challenge that the client answered, if it did."""

    def __repr__(self) -> str:
        return f"SessionInit(job_id={self.job_id}, model_name={self.model_name!r})"


@dataclass(frozen=True, slots=True)
class Encrypted:
    """A payload: ciphertext with tag, nonce, associated data."""

    ciphertext: bytes
    nonce: bytes
    associated: bytes = b""

    def to_json(self) -> dict[str, str]:
        return {
            "ciphertextHex": self.ciphertext.hex(),
            "nonceHex": self.nonce.hex(),
            "aadHex": self.associated.hex(),
        }


@dataclass(frozen=True, slots=True)
class EncryptedInit:
    """The payload of `encrypted_session_init`."""

    ephemeral_key: PublicKeyBytes
    encrypted: Encrypted
    signature: Signature

    def to_json(self) -> dict[str, Any]:
        return {
            "ephPubHex": self.ephemeral_key.value.hex(),
            "saltHex": _SALT.hex(),
            "signatureHex": self.signature.value[:64].hex() + f"{self._recovery_id:02x}",
            "recid": self._recovery_id,
            "alg": ALGORITHM,
            "info": "",
            **self.encrypted.to_json(),
        }

    @property
    def _recovery_id(self) -> int:
        return self.signature.value[64] - _RECOVERY_ID_OFFSET


def open_init(init: EncryptedInit, host_key: HostKey) -> SessionInit:
    """Reads an init with the host's key. May block.

    Raises:
        EnvelopeBroken: when it was not encrypted for this host, was changed, is not signed, or does
            not say what an init must say.
    """
    host = host_key.public_key
    encrypted = init.encrypted
    try:
        key = derive(host_key.agree(init.ephemeral_key))
        plaintext = decrypt(key, encrypted.nonce, encrypted.ciphertext, encrypted.associated)
        signed_by = signatures.signer(
            signing_digest(init.ephemeral_key, host, encrypted), init.signature
        )
        fields = decode_json(plaintext, _InitFields)
        return SessionInit(
            job_id=_whole(fields.jobId),
            session_key=_session_key(fields.sessionKey),
            model_name=fields.modelName,
            price=_whole(fields.pricePerToken),
            recovery_key=_key(fields.recoveryPublicKey),
            client_key_address=signed_by,
            wallet=fields.wallet,
        )
    except (ProtocolError, msgspec.MsgspecError, ValueError) as error:
        raise EnvelopeBroken("the session init cannot be used", got=_told(error)) from error


def seal_init(
    fields: dict[str, Any],
    host: PublicKeyBytes,
    client_key: bytes,
    *,
    ephemeral: bytes,
    nonce: bytes,
) -> EncryptedInit:
    """Writes an init as a client does.

    Args:
        fields: `jobId`, `modelName`, `sessionKey`, `pricePerToken`, `recoveryPublicKey`.
        ephemeral: A private key that is used this once, 32 random bytes.
        nonce: 24 random bytes.
    """
    key = derive(agree(ephemeral, host))
    encrypted = Encrypted(encrypt(key, nonce, msgspec.json.encode(fields)), nonce)
    ephemeral_key = PublicKeyBytes.of(ephemeral)
    signature = signatures.sign(signing_digest(ephemeral_key, host, encrypted), client_key)
    return EncryptedInit(ephemeral_key, encrypted, signature)


def signing_digest(
    ephemeral_key: PublicKeyBytes, host: PublicKeyBytes, encrypted: Encrypted
) -> bytes:
    """The 32 bytes that a client signs for an init."""
    parts = [b"E2EEv1", ephemeral_key.value, host.value, _SALT, encrypted.nonce, b""]
    if encrypted.associated:
        parts.append(encrypted.associated)
    return hashlib.sha256(b"|".join(parts)).digest()


def open_client_message(encrypted: Encrypted, session_key: bytes) -> bytes:
    """As `open_message`, for what a client sends. Both sides use one key: what the host itself has
    sent must not come back as a client's.

    Raises:
        EnvelopeBroken: also when it is an answer of the host.
    """
    associated = encrypted.associated
    hosts = (FINAL_ASSOCIATED, UPDATE_ASSOCIATED)
    if associated in hosts or associated.startswith((_CHUNK, _ENCRYPTED)):
        raise EnvelopeBroken("this is an answer of the host", expected="a client's message")
    return open_message(encrypted, session_key)


def open_message(encrypted: Encrypted, session_key: bytes) -> bytes:
    """Raises:
    EnvelopeBroken: when it was not encrypted with this key, or was changed.
    """
    try:
        return decrypt(session_key, encrypted.nonce, encrypted.ciphertext, encrypted.associated)
    except ProtocolError as error:
        raise EnvelopeBroken("the message cannot be opened", got=error.message) from error


def seal_message(
    plaintext: bytes, session_key: bytes, *, nonce: bytes, associated: bytes
) -> Encrypted:
    """Encrypts a message. A nonce is used once under a key."""
    return Encrypted(encrypt(session_key, nonce, plaintext, associated), nonce, associated)


def chunk_associated(index: int) -> bytes:
    """Associated data of the `index`-th chunk of an answer."""
    return _CHUNK + b"%d" % index


def encrypted_from_hex(ciphertext: str, nonce: str, associated: str) -> Encrypted:
    """A payload from its hex texts, with or without `0x`.

    Raises:
        ValueError: when a text is not hex.
        EnvelopeBroken: when the nonce has another length.
    """
    encrypted = Encrypted(_bytes(ciphertext), _bytes(nonce), _bytes(associated))
    if len(encrypted.nonce) != NONCE_BYTES:
        raise EnvelopeBroken(
            "nonce of a wrong length", expected=f"{NONCE_BYTES} bytes", got=len(encrypted.nonce)
        )
    return encrypted


def init_signature(text: str) -> Signature:
    """A client's signature from hex: its last byte is 0 or 1, or 27 or 28.

    Raises:
        ValueError, ValueOutOfRange: when it is not 65 bytes of hex.
    """
    value = _bytes(text)
    if value and value[-1] < _RECOVERY_ID_OFFSET:
        value = value[:-1] + bytes([value[-1] + _RECOVERY_ID_OFFSET])
    return Signature(value)


class _InitFields(Struct, frozen=True):
    jobId: str | int  # noqa: N815
    modelName: str  # noqa: N815
    sessionKey: str  # noqa: N815
    pricePerToken: int | str = 0  # noqa: N815
    recoveryPublicKey: str | None = None  # noqa: N815
    wallet: WalletProof | None = None


def _whole(value: str | int) -> int:
    """A number that JavaScript may have written as text, with `n` at its end."""
    text = str(value).removesuffix("n")
    if len(text) > _MOST_DIGITS or not text.isascii() or not text.isdecimal():
        raise ValueError(f"not a whole number: {str(value)[:40]!r}")
    return int(text)


def _session_key(text: str) -> bytes:
    key = _bytes(text)
    if len(key) != KEY_BYTES:
        raise ValueError(f"session key of {len(key)} bytes")
    return key


def _key(text: str | None) -> PublicKeyBytes | None:
    return PublicKeyBytes.from_hex(text).require_point() if text else None


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:] if text[:2] in ("0x", "0X") else text)


def _told(error: Exception) -> str:
    """What may be told to a client of an error: never what was decrypted."""
    return error.message if isinstance(error, ProtocolError) else type(error).__name__
