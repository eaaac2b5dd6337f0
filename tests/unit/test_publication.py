"""Publishing checkpoints: in order, the same bytes again after any failure, no entry ever lost."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from platformless.chain.accounts import Account
from platformless.protocol import delta as deltas
from platformless.protocol import index as indexes
from platformless.protocol.delta import Delta, Message, SealedDelta
from platformless.protocol.digests import Address, ProofHash, Salt
from platformless.protocol.errors import IndexConflict
from platformless.protocol.host_key import LocalKey
from platformless.protocol.index import PublishedSample
from platformless.protocol.secrecy import PublicKeyBytes
from platformless.protocol.transcript import Tokens
from platformless.storage.cids import BlobId
from platformless.storage.errors import PublicationConflict
from platformless.storage.publication import Checkpoint, CheckpointPublisher

HOST_KEY, CLIENT_KEY = b"\x07" * 32, b"\x08" * 32
HOST = Address.from_hex(Account.from_key(HOST_KEY).address)


class Crash(Exception):
    """The process dies here."""


class Shelf:
    """Storage in memory that dies, before or after it took something, at a chosen call."""

    def __init__(self, crash_at: int | None = None, *, after: bool = False) -> None:
        self.blobs: dict[BlobId, bytes] = {}
        self.paths: dict[str, bytes] = {}
        self.calls = 0
        self._crash_at = crash_at
        self._after = after

    async def put(self, source: bytes | Path) -> BlobId:
        data = source if isinstance(source, bytes) else source.read_bytes()
        self.calls += 1
        dies = self.calls == self._crash_at
        if dies and not self._after:
            raise Crash
        self.blobs[BlobId.of(data)] = data
        if dies:
            raise Crash
        await asyncio.sleep(0)
        return BlobId.of(data)

    async def put_path(self, path: str, data: bytes) -> BlobId:
        blob = await self.put(data)
        self.paths[path] = data
        return blob


def checkpoint(number: int, *, sealed: bool = True, text: str = "Hi") -> Checkpoint:
    bundle = b"bundle %d" % number
    delta = Delta(
        session_id=7,
        checkpoint=number,
        proof_hash=ProofHash.of(bundle),
        tokens_before=Tokens(1000 * number),
        tokens_after=Tokens(1000 * number + 1000),
        salt=Salt(b"\x77" * 32),
        messages=(Message("user", text, 1), Message("assistant", "Hello", 2)),
    )
    recovery_key = PublicKeyBytes.of(CLIENT_KEY) if sealed else None
    return Checkpoint(delta, bundle, 1_700_000_000_000 + number, recovery_key)


def publisher(folder: Path, shelf: Shelf) -> CheckpointPublisher:
    return CheckpointPublisher(folder, LocalKey(HOST_KEY), shelf, shelf)


async def test_a_checkpoint_is_published_with_its_index(tmp_path: Path) -> None:
    shelf = Shelf()
    published = await publisher(tmp_path, shelf).publish(checkpoint(0))
    stored = deltas.decode(shelf.blobs[BlobId.parse(published.delta_cid)])
    assert isinstance(stored, SealedDelta)
    assert stored.open(CLIENT_KEY).delta == checkpoint(0).delta
    assert shelf.blobs[BlobId.parse(published.proof_cid)] == b"bundle 0"
    assert 59 <= len(published.delta_cid) <= 65
    assert published.delta_cid.startswith("blobb")
    where = f"home/checkpoints/{str(HOST).lower()}/7"
    assert set(shelf.paths) == {f"{where}/delta_0.json", f"{where}/index.json"}
    written = json.loads(shelf.paths[f"{where}/index.json"])
    assert written["checkpoints"][0]["proofHash"] == str(ProofHash.of(b"bundle 0"))
    assert published.index.signer() == HOST


async def test_publishing_again_publishes_the_same(tmp_path: Path) -> None:
    shelf = Shelf()
    first = await publisher(tmp_path, shelf).publish(checkpoint(0))
    again = await publisher(tmp_path, shelf).publish(replace(checkpoint(0), timestamp_ms=5))
    assert again == first
    second = await publisher(tmp_path, shelf).publish(checkpoint(1))
    assert (await publisher(tmp_path, shelf).publish(checkpoint(0))).index == second.index


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("crash_at", range(1, 11))
async def test_a_crash_at_any_upload_is_repaired_by_publishing_again(
    tmp_path: Path, crash_at: int, after: bool
) -> None:
    shelf = Shelf(crash_at, after=after)
    results = []
    for number in range(2):
        try:
            results.append(await publisher(tmp_path, shelf).publish(checkpoint(number)))
        except Crash:
            results.append(await publisher(tmp_path, shelf).publish(checkpoint(number)))
    index = results[-1].index.index
    assert [entry.checkpoint for entry in index.entries] == [0, 1]
    for entry in index.entries:
        stored = deltas.decode(shelf.blobs[BlobId.parse(entry.delta_cid)])
        assert isinstance(stored, SealedDelta)
        assert BlobId.parse(entry.proof_cid) in shelf.blobs
    assert BlobId.parse(results[-1].index_cid) in shelf.blobs
    sealed = [data for data in shelf.blobs.values() if b'"ciphertext"' in data]
    assert len(sealed) == 2, "a delta was sealed twice"


async def test_writers_at_the_same_time_lose_no_entry(tmp_path: Path) -> None:
    shelf = Shelf()
    for number in range(3):
        work = [publisher(tmp_path, shelf).publish(checkpoint(number)) for _ in range(4)]
        assert len({result.delta_cid for result in await asyncio.gather(*work)}) == 1
    index = publisher(tmp_path, shelf).index(7)
    assert index is not None
    assert [entry.checkpoint for entry in index.index.entries] == [0, 1, 2]


async def test_a_later_checkpoint_waits_for_the_earlier(tmp_path: Path) -> None:
    with pytest.raises(IndexConflict):
        await publisher(tmp_path, Shelf()).publish(checkpoint(1))
    assert publisher(tmp_path, Shelf()).index(7) is None


async def test_another_content_under_the_same_number_is_refused(tmp_path: Path) -> None:
    shelf = Shelf()
    await publisher(tmp_path, shelf).publish(checkpoint(0))
    with pytest.raises(PublicationConflict):
        await publisher(tmp_path, shelf).publish(checkpoint(0, text="Other"))


@pytest.mark.parametrize("sealed", [True, False])
async def test_a_client_with_another_key_hinders_no_publication(
    tmp_path: Path, sealed: bool
) -> None:
    """It may change its key whenever it likes; what may be in storage already stays as it is."""
    shelf = Shelf()
    first = await publisher(tmp_path, shelf).publish(checkpoint(0, sealed=sealed))
    other_key = replace(checkpoint(0), recovery_key=PublicKeyBytes.of(b"\x09" * 32))
    for later in (checkpoint(0, sealed=not sealed), other_key):
        assert await publisher(tmp_path, shelf).publish(later) == first


SAMPLE = b"a proof of sampled cells"


async def test_a_sample_is_published_beside_its_checkpoint(tmp_path: Path) -> None:
    shelf = Shelf()
    for number in (0, 1):
        before = await publisher(tmp_path, shelf).publish(checkpoint(number))
    published = await publisher(tmp_path, shelf).publish_sample(7, 0, SAMPLE)
    assert shelf.blobs[BlobId.parse(published.proof_cid)] == SAMPLE
    stored = indexes.decode(shelf.blobs[BlobId.parse(published.index_cid)])
    assert stored == publisher(tmp_path, shelf).index(7)
    assert stored.signer() == HOST
    assert stored.messages_signature == before.index.messages_signature
    assert stored.index.entries[0].sample == PublishedSample(
        ProofHash.of(SAMPLE), published.proof_cid
    )
    assert stored.index.entries[1].sample is None
    where = f"home/checkpoints/{str(HOST).lower()}/7/index.json"
    assert indexes.decode(shelf.paths[where]) == stored


async def test_a_sample_that_is_published_again_is_the_same(tmp_path: Path) -> None:
    shelf = Shelf()
    await publisher(tmp_path, shelf).publish(checkpoint(0))
    first = await publisher(tmp_path, shelf).publish_sample(7, 0, SAMPLE)
    assert await publisher(tmp_path, shelf).publish_sample(7, 0, SAMPLE) == first
    # Proven again, because another block draws: that one stands.
    other = await publisher(tmp_path, shelf).publish_sample(7, 0, b"another proof")
    assert other != first
    stored = publisher(tmp_path, shelf).index(7)
    assert stored is not None
    assert stored.index.entries[0].sample == PublishedSample(
        ProofHash.of(b"another proof"), other.proof_cid
    )


async def test_checkpoints_that_are_published_later_keep_a_sample(tmp_path: Path) -> None:
    shelf = Shelf()
    await publisher(tmp_path, shelf).publish(checkpoint(0))
    sampled = await publisher(tmp_path, shelf).publish_sample(7, 0, SAMPLE)
    again = await publisher(tmp_path, shelf).publish(checkpoint(0))
    assert again.index_cid == sampled.index_cid
    grown = await publisher(tmp_path, shelf).publish(checkpoint(1))
    assert grown.index.index.entries[0].sample is not None


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("crash_at", [1, 2, 3])
async def test_a_crash_while_a_sample_is_published_is_repaired_by_doing_it_again(
    tmp_path: Path, crash_at: int, after: bool
) -> None:
    shelf = Shelf()
    known = await publisher(tmp_path, shelf).publish(checkpoint(0))
    dies = Shelf(crash_at, after=after)
    dies.blobs = shelf.blobs
    with pytest.raises(Crash):
        await publisher(tmp_path, dies).publish_sample(7, 0, SAMPLE)
    told = publisher(tmp_path, shelf).index(7)
    assert told is not None
    # Whoever settles now names an index that is in storage.
    assert BlobId.of(told.encode()) in shelf.blobs
    if crash_at < 3:
        assert told == known.index
    published = await publisher(tmp_path, shelf).publish_sample(7, 0, SAMPLE)
    stored = indexes.decode(shelf.blobs[BlobId.parse(published.index_cid)])
    assert stored.index.entries[0].sample == PublishedSample(
        ProofHash.of(SAMPLE), published.proof_cid
    )
    assert BlobId.parse(published.proof_cid) in shelf.blobs


async def test_a_sample_of_no_checkpoint_is_refused(tmp_path: Path) -> None:
    shelf = Shelf()
    with pytest.raises(IndexConflict, match="without checkpoints"):
        await publisher(tmp_path, shelf).publish_sample(7, 0, SAMPLE)
    await publisher(tmp_path, shelf).publish(checkpoint(0))
    with pytest.raises(IndexConflict, match="not there"):
        await publisher(tmp_path, shelf).publish_sample(7, 1, SAMPLE)
    assert SAMPLE not in shelf.blobs.values()


async def test_samples_and_checkpoints_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    shelf = Shelf()
    for number in range(2):
        await publisher(tmp_path, shelf).publish(checkpoint(number))
    await asyncio.gather(
        publisher(tmp_path, shelf).publish_sample(7, 0, b"of 0"),
        publisher(tmp_path, shelf).publish(checkpoint(2)),
        publisher(tmp_path, shelf).publish_sample(7, 1, b"of 1"),
    )
    found = publisher(tmp_path, shelf).index(7)
    assert found is not None
    assert [entry.sample is not None for entry in found.index.entries] == [True, True, False]


async def test_what_was_sealed_for_nobody_is_not_published_for_somebody(tmp_path: Path) -> None:
    """A delta in the clear was about to go up when the client gave its key: it goes up sealed, as
    long as no index names it."""
    dead = Shelf(1)
    with pytest.raises(Crash):
        await publisher(tmp_path, dead).publish(checkpoint(0, sealed=False))
    shelf = Shelf()
    published = await publisher(tmp_path, shelf).publish(checkpoint(0))
    delta = deltas.decode(shelf.blobs[BlobId.parse(published.delta_cid)])
    assert isinstance(delta, deltas.SealedDelta)
    assert published.index.index.entries[0].sealed


async def test_until_something_is_sent_what_is_prepared_may_change(tmp_path: Path) -> None:
    with pytest.raises(IndexConflict):
        await publisher(tmp_path, Shelf()).publish(checkpoint(1))
    assert files(tmp_path / "0x") == []
    shelf = Shelf()
    for number in (0, 1):
        await publisher(tmp_path, shelf).publish(checkpoint(number, text="Other"))
    prepared = publisher(tmp_path, shelf).prepared(7, 1)
    assert prepared == checkpoint(1).bundle
    assert publisher(tmp_path, shelf).prepared(7, 2) is None


async def test_a_delta_that_names_another_proof_is_refused(tmp_path: Path) -> None:
    wrong = replace(checkpoint(0), bundle=b"another")
    shelf = Shelf()
    with pytest.raises(PublicationConflict):
        await publisher(tmp_path, shelf).publish(wrong)
    assert shelf.blobs == {}


async def test_what_is_private_leaves_the_process_only_sealed(tmp_path: Path) -> None:
    shelf = Shelf()
    await publisher(tmp_path, shelf).publish(checkpoint(0, text="my secret question"))
    everything = [*shelf.blobs.values(), *(path.read_bytes() for path in files(tmp_path))]
    assert everything
    assert not any(b"secret" in data for data in everything)


async def test_without_a_recovery_key_the_delta_is_in_the_clear(tmp_path: Path) -> None:
    shelf = Shelf()
    published = await publisher(tmp_path, shelf).publish(checkpoint(0, sealed=False))
    assert b"Hello" in shelf.blobs[BlobId.parse(published.delta_cid)]
    (entry,) = published.index.index.entries
    assert not entry.sealed
    assert "encrypted" not in entry.to_json()


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
