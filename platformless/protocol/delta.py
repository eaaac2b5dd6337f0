"""Deltas: the conversation of one checkpoint, as the existing client reads it back.

A delta is JSON with the messages since the last checkpoint, signed by the host; published in the
clear, or sealed for the client's recovery key. Its `proofHash` names the proof, so the proof's
claim cannot hold the digest of the file: it holds the content digest, over the delta without
`proofHash` and signatures (docs/formats.md, "Delta").
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec
from msgspec import Struct

from ..decoding import decode_json
from . import canonical, signatures
from .digests import Address, DeltaDigest, ProofHash, Salt, keccak256, tagged_sha256
from .engine_record import EngineRecord, EngineRecordFields
from .errors import DeltaFormatError, ProtocolError
from .host_key import HostKey, LocalKey
from .sealing import Sealed, unseal
from .secrecy import NONCE_BYTES, PublicKeyBytes
from .signatures import Signature
from .transcript import Tokens
from .words import U64_MAX, U256_MAX, in_range

Role = Literal["user", "assistant", "system"]
_DIGEST_TAG = "delta"
_SALT_TAG = "delta-salt"
_LARGEST_EXACT = 2**53 - 1
"""JavaScript's whole numbers are exact up to this."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the conversation. `partial`: the next delta goes on with it."""

    role: Role
    content: str
    timestamp_ms: int
    """Unix time in milliseconds."""
    partial: bool = False

    def to_json(self) -> dict[str, Any]:
        fields = {"role": self.role, "content": self.content, "timestamp": self.timestamp_ms}
        return {**fields, "metadata": {"partial": True}} if self.partial else fields


@dataclass(frozen=True, slots=True)
class Delta:
    """What a checkpoint adds to the conversation."""

    session_id: int
    checkpoint: int
    """Number within the session, from 0; the number of its proof on chain."""
    proof_hash: ProofHash
    tokens_before: Tokens
    tokens_after: Tokens
    salt: Salt
    """`delta_salt` of the session's: it lets the reader recompute the content digest."""
    messages: tuple[Message, ...]
    engine: EngineRecord | None = None
    """How the host's engine was set while it answered; None where it does not say."""

    def __post_init__(self) -> None:
        in_range("session id", self.session_id, U256_MAX)
        in_range("checkpoint number", self.checkpoint, U64_MAX)
        in_range("tokens after", self.tokens_after, _LARGEST_EXACT)
        for message in self.messages:
            in_range("timestamp", message.timestamp_ms, _LARGEST_EXACT)
        in_range("tokens before", self.tokens_before, self.tokens_after)

    def content(self) -> dict[str, Any]:
        """Everything but proof hash, salt and signature."""
        content = {
            "sessionId": str(self.session_id),
            "checkpointIndex": self.checkpoint,
            "startToken": self.tokens_before,
            "endToken": self.tokens_after,
            "messages": [message.to_json() for message in self.messages],
        }
        return {**content, "engine": self.engine.to_json()} if self.engine else content

    def digest(self) -> DeltaDigest:
        """The content digest that the claim carries: SHA-256 over tag, salt and the content's
        compact canonical JSON."""
        payload = self.salt.value + canonical.compact(self.content())
        return DeltaDigest(tagged_sha256(_DIGEST_TAG, payload))

    def with_proof(self, proof_hash: ProofHash) -> Delta:
        """The same delta, naming the proof that was made of it."""
        return replace(self, proof_hash=proof_hash)


def delta_salt(session_salt: Salt, checkpoint: int) -> Salt:
    """The salt of one delta. Published in the clear, it opens no other delta's digest."""
    payload = session_salt.value + checkpoint.to_bytes(8, "little")
    return Salt(tagged_sha256(_SALT_TAG, payload))


@dataclass(frozen=True, slots=True)
class SignedDelta:
    """A delta with the host's signature over its messages."""

    delta: Delta
    signature: Signature

    def to_json(self) -> dict[str, Any]:
        return {
            **self.delta.content(),
            "proofHash": str(self.delta.proof_hash),
            "salt": str(self.delta.salt),
            "hostSignature": str(self.signature),
        }

    def signer(self) -> Address:
        """Raises:
        SignatureFormatError: when no key could have made the signature.
        """
        return signatures.text_signer(_messages_text(self.delta), self.signature)


@dataclass(frozen=True, slots=True)
class SealedDelta:
    """A signed delta that only the holder of `recovery_key` can read."""

    recovery_key: PublicKeyBytes
    sealed: Sealed
    signature: Signature
    """The host's, over the ciphertext."""

    def to_json(self) -> dict[str, Any]:
        return {
            "encrypted": True,
            "version": 1,
            "userRecoveryPubKey": str(self.recovery_key),
            "ephemeralPublicKey": str(self.sealed.ephemeral_key),
            "nonce": self.sealed.nonce.hex(),
            "ciphertext": self.sealed.ciphertext.hex(),
            "hostSignature": str(self.signature),
        }

    def signer(self) -> Address:
        """Raises:
        SignatureFormatError: when no key could have made the signature.
        """
        return signatures.text_signer(_ciphertext_text(self.sealed), self.signature)

    def open(self, private_key: bytes) -> SignedDelta:
        """Raises:
        SealBroken: when it was sealed for another key, or was changed.
        DeltaFormatError: when what was sealed is not a delta.
        """
        opened = decode(unseal(self.sealed, private_key))
        if not isinstance(opened, SignedDelta):
            raise DeltaFormatError("a sealed delta within a sealed delta", expected="messages")
        return opened


def sign(delta: Delta, host_key: bytes) -> SignedDelta:
    """As `signed`, with the host's private key, 32 bytes."""
    return signed(delta, LocalKey(host_key))


def signed(delta: Delta, key: HostKey) -> SignedDelta:
    """Signs the messages with the host's key (EIP-191 over their canonical JSON). May block."""
    return SignedDelta(delta, key.sign_text(_messages_text(delta)))


def sign_sealed(sealed: Sealed, recovery_key: PublicKeyBytes, host_key: bytes) -> SealedDelta:
    """As `signed_sealed`, with the host's private key, 32 bytes."""
    return signed_sealed(sealed, recovery_key, LocalKey(host_key))


def signed_sealed(sealed: Sealed, recovery_key: PublicKeyBytes, key: HostKey) -> SealedDelta:
    """Signs a ciphertext (EIP-191 over the 64 hex digits of its keccak-256). May block."""
    return SealedDelta(recovery_key, sealed, key.sign_text(_ciphertext_text(sealed)))


def encode(delta: SignedDelta | SealedDelta) -> bytes:
    """The bytes that are published."""
    return canonical.pretty(delta.to_json())


def plaintext(delta: SignedDelta) -> bytes:
    """The bytes that are sealed."""
    return canonical.compact(delta.to_json())


def decode(data: bytes) -> SignedDelta | SealedDelta:
    """Reads a published delta. Fields that are not known are passed over.

    Raises:
        DeltaFormatError: when the bytes are not a delta.
    """
    try:
        # Typed from the first byte: unknown fields are passed over, not built.
        if decode_json(data, _KindField).encrypted:
            return _sealed(decode_json(data, _SealedFields))
        return _signed(decode_json(data, _DeltaFields))
    except (msgspec.MsgspecError, ProtocolError, ValueError, RecursionError) as error:
        raise DeltaFormatError("not a delta", got=str(error)) from error


def merge(deltas: list[Delta]) -> tuple[Message, ...]:
    """The conversation: messages in order of their checkpoints. An assistant's message that
    follows a partial one goes on with it, but never over a checkpoint that is not there."""
    merged: list[Message] = []
    next_checkpoint = 0
    for delta in sorted(deltas, key=lambda delta: delta.checkpoint):
        joins = delta.checkpoint == next_checkpoint
        next_checkpoint = delta.checkpoint + 1
        for place, message in enumerate(delta.messages):
            last = merged[-1] if merged and (joins or place) else None
            if last is not None and last.partial and last.role == message.role == "assistant":
                merged[-1] = replace(
                    last, content=last.content + message.content, partial=message.partial
                )
            else:
                merged.append(message)
    return tuple(merged)


class _KindField(Struct, frozen=True):
    encrypted: bool = False


class _Metadata(Struct, frozen=True):
    partial: bool = False


class _MessageFields(Struct, frozen=True):
    role: Role
    content: str
    timestamp: int
    metadata: _Metadata = _Metadata()


class _DeltaFields(Struct, frozen=True):
    sessionId: str  # noqa: N815
    checkpointIndex: int  # noqa: N815
    startToken: int  # noqa: N815
    endToken: int  # noqa: N815
    messages: list[_MessageFields]
    proofHash: str  # noqa: N815
    hostSignature: str  # noqa: N815
    salt: str = ""
    engine: EngineRecordFields | None = None


class _SealedFields(Struct, frozen=True):
    version: Literal[1]
    userRecoveryPubKey: str  # noqa: N815
    ephemeralPublicKey: str  # noqa: N815
    nonce: str
    ciphertext: str
    hostSignature: str  # noqa: N815


def _signed(fields: _DeltaFields) -> SignedDelta:
    if not fields.sessionId.isascii() or not fields.sessionId.isdecimal():
        raise DeltaFormatError("session id", expected="a decimal number", got=fields.sessionId)
    messages = (
        Message(item.role, item.content, item.timestamp, item.metadata.partial)
        for item in fields.messages
    )
    delta = Delta(
        session_id=int(fields.sessionId),
        checkpoint=fields.checkpointIndex,
        proof_hash=ProofHash.from_hex(fields.proofHash),
        tokens_before=Tokens(fields.startToken),
        tokens_after=Tokens(fields.endToken),
        salt=Salt.from_hex(fields.salt) if fields.salt else Salt.zero(),
        messages=tuple(messages),
        engine=EngineRecord.of(fields.engine) if fields.engine else None,
    )
    return SignedDelta(delta, Signature.from_hex(fields.hostSignature))


def _sealed(fields: _SealedFields) -> SealedDelta:
    nonce = bytes.fromhex(fields.nonce)
    if len(nonce) != NONCE_BYTES:
        raise DeltaFormatError("nonce", expected=f"{NONCE_BYTES} bytes", got=len(nonce))
    sealed = Sealed(
        ephemeral_key=PublicKeyBytes.from_hex(fields.ephemeralPublicKey),
        nonce=nonce,
        ciphertext=bytes.fromhex(fields.ciphertext),
    )
    return SealedDelta(
        PublicKeyBytes.from_hex(fields.userRecoveryPubKey),
        sealed,
        Signature.from_hex(fields.hostSignature),
    )


def _messages_text(delta: Delta) -> bytes:
    return canonical.compact([message.to_json() for message in delta.messages])


def _ciphertext_text(sealed: Sealed) -> bytes:
    return keccak256(sealed.ciphertext).hex().encode()
