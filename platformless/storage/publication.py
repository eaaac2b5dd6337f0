"""Publishing a checkpoint: bundle, delta and index, in this order, before its proof is submitted.

Everything is prepared in a folder of this machine first, so that a repetition after a failure or a
crash publishes the same bytes. Until the first upload what is prepared may change; from then on it
is this, or nothing. The index is kept there as well; it grows under a lock and never loses an
entry.

    <folder>/<host>/<session>/bundle_<n>        what is, or will be, published as proof n
    <folder>/<host>/<session>/delta_<n>.json    the same for delta n
    <folder>/<host>/<session>/content_<n>       tells whether delta n is of a given content and key
    <folder>/<host>/<session>/sent_<n>          made before the first upload of checkpoint n
    <folder>/<host>/<session>/index.json        the newest index
    <folder>/<host>/<session>/lock              held while the session is published

In storage that knows paths the same names are used under `home/checkpoints/`.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..files import write_atomically
from ..locks import FileLock, LockBusy
from ..protocol import delta as deltas
from ..protocol import index as indexes
from ..protocol.delta import Delta, SealedDelta, SignedDelta
from ..protocol.digests import Address, ProofHash
from ..protocol.errors import IndexConflict
from ..protocol.host_key import HostKey
from ..protocol.index import CheckpointIndex, IndexEntry, PublishedSample, SignedIndex
from ..protocol.sealing import seal
from ..protocol.secrecy import NONCE_BYTES, PublicKeyBytes
from ..protocol.signatures import Signature
from .cids import BlobId
from .errors import PublicationBusy, PublicationConflict

_LOCK_SECONDS = 120.0
_NAMED = b"named"
"""In the mark of a delta that was sent: the chain names it."""
_KEY_BYTES = 32


class Uploads(Protocol):
    """Storage that bytes can be put into."""

    async def put(self, source: bytes | Path) -> BlobId: ...


class Paths(Protocol):
    """Storage that keeps the newest bytes under a path, as the existing node's bridge does."""

    async def put_path(self, path: str, data: bytes) -> BlobId: ...


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is published. `delta` names the proof: `delta.proof_hash` is that of `bundle`."""

    delta: Delta
    bundle: bytes
    timestamp_ms: int
    recovery_key: PublicKeyBytes | None
    """Whom the delta is sealed for; None publishes it in the clear."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """A checkpoint that was published before, from another folder: by a machine that is lost."""

    delta: Delta
    recovery_key: PublicKeyBytes | None
    bundle: bytes
    published_delta: bytes
    """As it is in storage, sealed or in the clear."""


@dataclass(frozen=True, slots=True)
class Published:
    """Where a checkpoint is. The first two CIDs go on chain with the proof."""

    proof_cid: str
    delta_cid: str
    index_cid: str
    index: SignedIndex


@dataclass(frozen=True, slots=True)
class PublishedProof:
    """Where a proof of sampled cells is, and the index that names it."""

    proof_cid: str
    index_cid: str


class PublicationFolder:
    """What this machine has prepared, or published, for one host. Methods block."""

    def __init__(self, folder: Path, host: Address) -> None:
        self._folder = folder / str(host).lower()

    def of_session(self, session_id: int) -> Path:
        """The folder of a session; it need not exist."""
        return self._folder / str(session_id)

    def prepared(self, session_id: int, checkpoint: int) -> bytes | None:
        """The bundle that was prepared for a checkpoint: to be published, not proven again."""
        path = self.of_session(session_id) / f"bundle_{checkpoint}"
        return path.read_bytes() if path.exists() else None

    def index(self, session_id: int) -> SignedIndex | None:
        """The newest index of a session; None before its first checkpoint."""
        path = self.of_session(session_id) / "index.json"
        return indexes.decode(path.read_bytes()) if path.exists() else None


class CheckpointPublisher:
    """Publishes the checkpoints of one host.

    Args:
        key: The host's, with which deltas and indexes are signed.
        paths: Also keeps delta and index under their paths, when given.
    """

    def __init__(
        self,
        folder: Path,
        key: HostKey,
        uploads: Uploads,
        paths: Paths | None = None,
    ) -> None:
        self._prepared = PublicationFolder(folder, key.address)
        self._host = key.address
        self._key = key
        self._uploads = uploads
        self._paths = paths

    async def publish(self, checkpoint: Checkpoint) -> Published:
        """Publishes a checkpoint, or finishes publishing it. May be repeated at any time.

        Raises:
            PublicationConflict: when another delta or proof was published as this checkpoint.
                Another recovery key is none: what was sent for the first stays sealed for it.
            PublicationBusy: when another process publishes the session, for two minutes.
            IndexConflict: when an earlier checkpoint is not published yet.
            StorageError: when storage does not take it; nothing is lost, publish again.
        """
        async with self._alone(checkpoint.delta.session_id) as session:
            return await self._publish(session, checkpoint)

    async def take_over(self, made: Preparation) -> None:
        """Keeps what was published before as prepared here, so that `publish` gives the same CIDs.

        Raises:
            PublicationConflict: when another content of the checkpoint was published from here.
            PublicationBusy: when another process publishes the session, for two minutes.
            DeltaFormatError: when what is in storage is no delta.
        """
        delta = made.delta
        deltas.decode(made.published_delta)
        signed = await asyncio.to_thread(deltas.signed, delta, self._key)
        told = _told(deltas.plaintext(signed), made.recovery_key)
        async with self._alone(delta.session_id) as session:
            known = _content(session / f"content_{delta.checkpoint}")
            if (session / f"sent_{delta.checkpoint}").exists() and known != told:
                raise PublicationConflict(
                    f"checkpoint {delta.checkpoint} was published with another content",
                    expected=known.hex() if known else None,
                    got=told.hex(),
                )
            write_atomically(session / f"delta_{delta.checkpoint}.json", made.published_delta)
            write_atomically(session / f"content_{delta.checkpoint}", told)
            write_atomically(session / f"sent_{delta.checkpoint}", _NAMED)
            # Last: it says that all of it is there.
            write_atomically(session / f"bundle_{delta.checkpoint}", made.bundle)

    async def publish_sample(
        self, session_id: int, checkpoint: int, bundle: bytes
    ) -> PublishedProof:
        """Publishes the proof of a checkpoint's sampled cells, and the index with it. May be
        repeated. An earlier one of that checkpoint gives way: the block that drew its cells may
        have been another.

        Raises:
            IndexConflict: when the checkpoint is not published.
            PublicationBusy: when another process publishes the session, for two minutes.
            StorageError: when storage does not take it; nothing is lost, publish again.
        """
        async with self._alone(session_id) as session:
            known = self.index(session_id)
            if known is None:
                raise IndexConflict("a sample proof of a session without checkpoints")
            sample = PublishedSample(ProofHash.of(bundle), str(BlobId.of(bundle)))
            grown = known.index.with_sample(checkpoint, sample)
            await self._uploads.put(bundle)
            signed = await asyncio.to_thread(self._signed, grown, known.messages_signature)
            encoded = signed.encode()
            # Before the file: who settles names the newest index that is in storage.
            await self._uploads.put(encoded)
            write_atomically(session / "index.json", encoded)
            if self._paths is not None:
                where = f"home/checkpoints/{str(self._host).lower()}/{session_id}"
                await self._paths.put_path(f"{where}/index.json", encoded)
        return PublishedProof(sample.cid, str(BlobId.of(encoded)))

    def prepared(self, session_id: int, checkpoint: int) -> bytes | None:
        """As `PublicationFolder.prepared`."""
        return self._prepared.prepared(session_id, checkpoint)

    def index(self, session_id: int) -> SignedIndex | None:
        """As `PublicationFolder.index`."""
        return self._prepared.index(session_id)

    @asynccontextmanager
    async def _alone(self, session_id: int) -> AsyncIterator[Path]:
        """The session's folder, while nobody else publishes it.

        Raises:
            PublicationBusy
        """
        session = self._prepared.of_session(session_id)
        session.mkdir(parents=True, exist_ok=True)
        try:
            async with FileLock(session / "lock").held(_LOCK_SECONDS):
                for left_over in session.glob(".*"):  # of a process that was killed as it wrote
                    left_over.unlink(missing_ok=True)
                yield session
        except LockBusy as error:
            raise PublicationBusy(
                f"session {session_id} is being published elsewhere",
                expected=f"a free lock within {_LOCK_SECONDS:g} s",
            ) from error

    async def _publish(self, session: Path, checkpoint: Checkpoint) -> Published:
        delta = checkpoint.delta
        _require_named(checkpoint)
        grown = self._current(delta.session_id)
        if delta.checkpoint >= len(grown.entries):
            grown.require_next(delta.checkpoint, delta.tokens_before)
        staged, data = await asyncio.to_thread(self._staged, session, checkpoint)
        entry = IndexEntry(
            checkpoint=delta.checkpoint,
            proof_hash=delta.proof_hash,
            delta_cid=str(BlobId.of(data)),
            proof_cid=str(BlobId.of(checkpoint.bundle)),
            tokens_before=delta.tokens_before,
            tokens_after=delta.tokens_after,
            timestamp_ms=checkpoint.timestamp_ms,
            sealed=isinstance(staged, SealedDelta),
        )
        grown = grown.with_entry(entry)
        sent = session / f"sent_{delta.checkpoint}"
        if not sent.exists():
            write_atomically(sent, b"")
        await asyncio.gather(self._uploads.put(checkpoint.bundle), self._uploads.put(data))
        signed = await asyncio.to_thread(self._signed, grown, staged.signature)
        encoded = signed.encode()
        write_atomically(session / "index.json", encoded)
        await self._uploads.put(encoded)
        if self._paths is not None:
            where = f"home/checkpoints/{str(self._host).lower()}/{delta.session_id}"
            await self._paths.put_path(f"{where}/delta_{delta.checkpoint}.json", data)
            await self._paths.put_path(f"{where}/index.json", encoded)
        return Published(entry.proof_cid, entry.delta_cid, str(BlobId.of(encoded)), signed)

    def _staged(
        self, session: Path, checkpoint: Checkpoint
    ) -> tuple[SignedDelta | SealedDelta, bytes]:
        """The delta as it is published: what was prepared before, or made now and kept."""
        number = checkpoint.delta.checkpoint
        path = session / f"delta_{number}.json"
        content = _content(session / f"content_{number}")
        signed = deltas.signed(checkpoint.delta, self._key)
        plaintext = deltas.plaintext(signed)
        told = _told(plaintext, checkpoint.recovery_key)
        if content == told and path.exists():
            data = path.read_bytes()
            return deltas.decode(data), data
        sent = session / f"sent_{number}"
        if sent.exists():
            data = path.read_bytes()
            before = deltas.decode(data)
            key = before.recovery_key if isinstance(before, SealedDelta) else None
            if _told(plaintext, key) != content:
                raise PublicationConflict(
                    f"checkpoint {number} was published with another content",
                    expected=content.hex() if content else None,
                    got=told.hex(),
                )
            # The client has another key since. What may be in storage stays as it is, but for a
            # clear text that nothing names yet.
            is_named = sent.read_bytes() == _NAMED or self._names(checkpoint.delta)
            if key is not None or is_named:
                return before, data
        made: SignedDelta | SealedDelta = signed
        if checkpoint.recovery_key is not None:
            sealed = seal(
                plaintext,
                checkpoint.recovery_key,
                ephemeral=secrets.token_bytes(_KEY_BYTES),
                nonce=secrets.token_bytes(NONCE_BYTES),
            )
            made = deltas.signed_sealed(sealed, checkpoint.recovery_key, self._key)
        data = deltas.encode(made)
        write_atomically(session / f"bundle_{number}", checkpoint.bundle)
        write_atomically(path, data)
        write_atomically(session / f"content_{number}", told)
        return made, data

    def _names(self, delta: Delta) -> bool:
        """Whether the index has the checkpoint."""
        return delta.checkpoint < len(self._current(delta.session_id).entries)

    def _current(self, session_id: int) -> CheckpointIndex:
        known = self.index(session_id)
        return known.index if known is not None else CheckpointIndex(session_id, self._host)

    def _signed(self, index: CheckpointIndex, messages_signature: Signature) -> SignedIndex:
        known = self.index(index.session_id)
        if known is not None and known.index == index:
            return known
        return indexes.signed(index, messages_signature, self._key)


def _require_named(checkpoint: Checkpoint) -> None:
    """A delta names the proof that it is published with."""
    proof_hash = ProofHash.of(checkpoint.bundle)
    if checkpoint.delta.proof_hash != proof_hash:
        raise PublicationConflict(
            "the delta names another proof", expected=proof_hash, got=checkpoint.delta.proof_hash
        )


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _told(plaintext: bytes, recovery_key: PublicKeyBytes | None) -> bytes:
    """What tells one content from another. The plaintext holds a salt: its hash tells nothing."""
    key = recovery_key.value if recovery_key is not None else b""
    return hashlib.sha256(plaintext + key).digest()
