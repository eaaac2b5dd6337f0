"""The host's checkpoint index against the chain. The chain decides; the index is a convenience."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ...protocol import index as indexes
from ...protocol.digests import Address
from ...protocol.errors import ProtocolError
from ...protocol.index import PublishedSample
from ..places import CheckpointOnChain
from .errors import IndexDiffers, IndexForeign, IndexStale

MAX_INDEX_BYTES = 8 << 20

IndexProblem = IndexDiffers | IndexForeign | IndexStale | ProtocolError


def check_index(
    data: bytes, session_id: int, host: Address, places: Sequence[CheckpointOnChain]
) -> Iterator[IndexProblem]:
    """What is wrong with an index. Bytes that are no index are one problem."""
    try:
        signed = indexes.decode(data)
        signed_by = signed.signer()
    except ProtocolError as error:
        yield error
        return
    if signed_by != host:
        yield IndexForeign("the index is not signed by the host", expected=host, got=signed_by)
    index = signed.index
    if (index.session_id, index.host) != (session_id, host):
        yield IndexDiffers(
            "the index of another session or host",
            expected=f"session {session_id} of {host}",
            got=f"session {index.session_id} of {index.host}",
        )
        return
    for place, entry in zip(places, index.entries, strict=False):
        expected = _named(place)
        got = {
            "proof": str(entry.proof_hash),
            "delta": entry.delta_cid,
            "bundle": entry.proof_cid,
            "tokens": f"{entry.tokens_before} to {entry.tokens_after}",
        }
        for what, value in expected.items():
            if value is not None and got[what] != value:
                yield IndexDiffers(
                    f"the index names another {what} for checkpoint {place.number}",
                    expected=value,
                    got=got[what],
                )
    if len(index.entries) > len(places):
        yield IndexDiffers(
            "the index has checkpoints that the chain has not",
            expected=len(places),
            got=len(index.entries),
        )
    if len(index.entries) < len(places):
        yield IndexStale(
            "the index ends before the chain does", expected=len(places), got=len(index.entries)
        )


def published_samples(
    data: bytes, session_id: int, host: Address, places: Sequence[CheckpointOnChain]
) -> Mapping[int, PublishedSample]:
    """Where the host says that its proofs of sampled cells are, by number of the checkpoint.

    An index that the host did not sign for this session says nothing of the host, nor does an
    entry of another checkpoint than the chain's.
    """
    try:
        signed = indexes.decode(data)
        index = signed.index
        if (signed.signer(), index.host, index.session_id) != (host, host, session_id):
            return {}
    except ProtocolError:
        return {}
    return {
        place.number: entry.sample
        for place, entry in zip(places, index.entries, strict=False)
        if entry.sample is not None and entry.proof_hash == place.proof_hash
    }


def _named(place: CheckpointOnChain) -> dict[str, str | None]:
    return {
        "proof": str(place.proof_hash),
        "delta": place.delta_cid,
        "bundle": place.proof_cid,
        "tokens": f"{place.tokens_before} to {place.tokens_after}",
    }
