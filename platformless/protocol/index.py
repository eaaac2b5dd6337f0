"""The checkpoint index of a session: which delta and proof belongs to which checkpoint.

JSON as the existing client reads it, over HTTP from the host or from storage. It is a convenience:
the chain's `ProofSubmitted` events name the same deltas and proofs. Both spellings of a CID's key
are written, since readers differ, and all three signatures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import msgspec
from msgspec import Struct

from ..decoding import decode_json
from . import canonical, signatures
from .digests import Address, ProofHash
from .errors import IndexConflict, IndexFormatError, ProtocolError
from .host_key import HostKey, LocalKey
from .signatures import Signature
from .transcript import Tokens


@dataclass(frozen=True, slots=True)
class PublishedSample:
    """Where the proof of a checkpoint's sampled cells is. The contract has no call for it."""

    proof_hash: ProofHash
    """SHA-256 of the bundle."""
    cid: str
    """Without `s5://`."""


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One checkpoint. CIDs are texts without `s5://`."""

    checkpoint: int
    """Number within the session, from 0; the number of its proof on chain."""
    proof_hash: ProofHash
    delta_cid: str
    proof_cid: str
    tokens_before: Tokens
    tokens_after: Tokens
    timestamp_ms: int
    sealed: bool
    sample: PublishedSample | None = None
    """Published after the checkpoint, or never."""

    def to_json(self) -> dict[str, Any]:
        fields = {
            "index": self.checkpoint,
            "proofHash": str(self.proof_hash),
            "deltaCid": self.delta_cid,
            "deltaCID": self.delta_cid,
            "proofCid": self.proof_cid,
            "proofCID": self.proof_cid,
            "tokenRange": [self.tokens_before, self.tokens_after],
            "timestamp": self.timestamp_ms,
        }
        if self.sealed:
            fields["encrypted"] = True
        if self.sample is not None:
            fields["sampleProofHash"] = str(self.sample.proof_hash)
            fields["sampleProofCid"] = fields["sampleProofCID"] = self.sample.cid
        return fields

    def is_same_checkpoint(self, other: IndexEntry) -> bool:
        """Whether both name the same proof and delta, whenever they were published."""
        return replace(self, timestamp_ms=other.timestamp_ms, sample=other.sample) == other


@dataclass(frozen=True, slots=True)
class CheckpointIndex:
    """The checkpoints of a session, numbered from 0 without a gap."""

    session_id: int
    host: Address
    entries: tuple[IndexEntry, ...] = ()

    def with_entry(self, entry: IndexEntry) -> CheckpointIndex:
        """The index with one more checkpoint; itself when it has that checkpoint.

        Raises:
            IndexConflict: when the number is taken by another checkpoint, or is not the next.
        """
        if entry.checkpoint < len(self.entries):
            known = self.entries[entry.checkpoint]
            if entry.is_same_checkpoint(known):
                return self
            raise IndexConflict(
                f"checkpoint {entry.checkpoint} is another one",
                expected=f"proof {known.proof_hash}, delta {known.delta_cid}",
                got=f"proof {entry.proof_hash}, delta {entry.delta_cid}",
            )
        self.require_next(entry.checkpoint, entry.tokens_before)
        return replace(self, entries=(*self.entries, entry))

    def with_sample(self, checkpoint: int, sample: PublishedSample) -> CheckpointIndex:
        """The index with the sample proof of a checkpoint, in place of an earlier one; itself when
        it has that proof.

        Raises:
            IndexConflict: when there is no such checkpoint.
        """
        if not 0 <= checkpoint < len(self.entries):
            raise IndexConflict(
                "a sample proof of a checkpoint that is not there",
                expected=f"below {len(self.entries)}",
                got=checkpoint,
            )
        known = self.entries[checkpoint]
        if known.sample == sample:
            return self
        entries = list(self.entries)
        entries[checkpoint] = replace(known, sample=sample)
        return replace(self, entries=tuple(entries))

    def require_next(self, checkpoint: int, tokens_before: Tokens) -> None:
        """Raises:
        IndexConflict: when this is not where the next checkpoint begins.
        """
        before = self.entries[-1] if self.entries else None
        _require_next(len(self.entries), before, checkpoint, tokens_before)


def _require_next(
    count: int, last: IndexEntry | None, checkpoint: int, tokens_before: Tokens
) -> None:
    before = last.tokens_after if last is not None else Tokens(0)
    if checkpoint != count or tokens_before != before:
        raise IndexConflict(
            "not the next checkpoint",
            expected=f"number {count} from token {before}",
            got=f"number {checkpoint} from token {tokens_before}",
        )


@dataclass(frozen=True, slots=True)
class SignedIndex:
    """An index with the host's signatures."""

    index: CheckpointIndex
    checkpoints_signature: Signature
    """Over the compact canonical JSON of the checkpoints (EIP-191)."""
    messages_signature: Signature
    """That of the newest delta, as it is published."""

    def to_json(self) -> dict[str, Any]:
        return {
            "sessionId": str(self.index.session_id),
            "hostAddress": str(self.index.host).lower(),
            "checkpoints": [entry.to_json() for entry in self.index.entries],
            "hostSignature": str(self.checkpoints_signature),
            "checkpointsSignature": str(self.checkpoints_signature),
            "messagesSignature": str(self.messages_signature),
        }

    def encode(self) -> bytes:
        """The bytes that are published."""
        return canonical.pretty(self.to_json())

    def signer(self) -> Address:
        """Raises:
        SignatureFormatError: when no key could have made the signature.
        """
        return signatures.text_signer(_text(self.index), self.checkpoints_signature)


def sign(index: CheckpointIndex, messages_signature: Signature, host_key: bytes) -> SignedIndex:
    """As `signed`, with the host's private key, 32 bytes."""
    return signed(index, messages_signature, LocalKey(host_key))


def signed(index: CheckpointIndex, messages_signature: Signature, key: HostKey) -> SignedIndex:
    """Signs an index with the host's key. May block."""
    return SignedIndex(index, key.sign_text(_text(index)), messages_signature)


def decode(data: bytes) -> SignedIndex:
    """Reads an index that this project wrote.

    Raises:
        IndexFormatError: when the bytes are not such an index.
    """
    try:
        fields = decode_json(data, _IndexFields)
        entries = tuple(_entry(item) for item in fields.checkpoints)
        host = Address.from_hex(fields.hostAddress)
        for number, (before, entry) in enumerate(zip((None, *entries), entries, strict=False)):
            _require_next(number, before, entry.checkpoint, entry.tokens_before)
        return SignedIndex(
            CheckpointIndex(int(fields.sessionId), host, entries),
            Signature.from_hex(fields.checkpointsSignature),
            Signature.from_hex(fields.messagesSignature),
        )
    except (msgspec.MsgspecError, ProtocolError, ValueError, RecursionError) as error:
        raise IndexFormatError("not a checkpoint index", got=str(error)) from error


class _EntryFields(Struct, frozen=True):
    index: int
    proofHash: str  # noqa: N815
    deltaCid: str  # noqa: N815
    proofCid: str  # noqa: N815
    tokenRange: tuple[int, int]  # noqa: N815
    timestamp: int
    encrypted: bool = False
    sampleProofHash: str = ""  # noqa: N815
    sampleProofCid: str = ""  # noqa: N815


class _IndexFields(Struct, frozen=True):
    sessionId: str  # noqa: N815
    hostAddress: str  # noqa: N815
    checkpoints: list[_EntryFields]
    checkpointsSignature: str  # noqa: N815
    messagesSignature: str  # noqa: N815


def _entry(fields: _EntryFields) -> IndexEntry:
    return IndexEntry(
        checkpoint=fields.index,
        proof_hash=ProofHash.from_hex(fields.proofHash),
        delta_cid=fields.deltaCid,
        proof_cid=fields.proofCid,
        tokens_before=Tokens(fields.tokenRange[0]),
        tokens_after=Tokens(fields.tokenRange[1]),
        timestamp_ms=fields.timestamp,
        sealed=fields.encrypted,
        sample=_sample(fields),
    )


def _sample(fields: _EntryFields) -> PublishedSample | None:
    """Raises:
    ValueError: when there is a hash without a CID, or a CID without a hash.
    """
    proof_hash, cid = fields.sampleProofHash, fields.sampleProofCid
    if not proof_hash and not cid:
        return None
    if not proof_hash or not cid:
        raise ValueError(f"checkpoint {fields.index}: sample proof with hash or CID alone")
    return PublishedSample(ProofHash.from_hex(proof_hash), cid)


def _text(index: CheckpointIndex) -> bytes:
    return canonical.compact([entry.to_json() for entry in index.entries])
