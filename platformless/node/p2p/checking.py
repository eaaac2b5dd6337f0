"""What is believed of a node: what its host signed, what is of now, what the chain confirms."""

from __future__ import annotations

from dataclasses import dataclass

from ...chain.connection import Chain
from ...chain.node_registry import NodeRegistry
from ...protocol import node_record
from ...protocol.digests import Address, ModelId
from ...protocol.errors import NodeRecordRefused
from ...protocol.node_record import SignedNodeRecord
from .errors import NotOnChain


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a record must be of."""

    chain_id: int
    marketplace: Address
    model: ModelId


def believed(data: bytes, peer_id: str, wanted: Wanted, now_seconds: float) -> SignedNodeRecord:
    """The record that a peer sent, when it is that peer's, of this marketplace and model, signed
    by its host and not expired.

    Raises:
        NodeRecordRefused: otherwise.
        SignatureFormatError: when its signature is none.
    """
    signed = node_record.decode(data)
    signed.require_current(now_seconds)
    record = signed.record
    if record.peer_id != peer_id:
        raise NodeRecordRefused("the record of another peer", expected=peer_id, got=record.peer_id)
    if (record.chain_id, record.marketplace) != (wanted.chain_id, wanted.marketplace):
        raise NodeRecordRefused(
            "the record of another marketplace",
            expected=f"{wanted.marketplace} on chain {wanted.chain_id}",
            got=f"{record.marketplace} on chain {record.chain_id}",
        )
    if wanted.model not in record.models:
        raise NodeRecordRefused(
            "the record is not of this model",
            expected=wanted.model,
            got=", ".join(str(model) for model in record.models[:4]),
        )
    return signed


async def require_registered(chain: Chain, signed: SignedNodeRecord, model: ModelId) -> None:
    """Raises:
    NotOnChain: when NodeRegistry does not have the host, with this URL, for this model.
    ChainError: when it cannot be asked.
    """
    record = signed.record
    host = await NodeRegistry(chain).host(record.host)
    if host is None or not host.active:
        raise NotOnChain(f"{record.host} is no active host")
    if host.api_url != record.api_url:
        raise NotOnChain(
            f"{record.host} is registered with another URL",
            expected=host.api_url,
            got=record.api_url,
        )
    if model not in host.models:
        raise NotOnChain(f"{record.host} is not registered for this model", got=model)
