"""Finding hosts on chain, and making sure that a key is a host's.

An account's address is the hash of its public key: a key from anywhere is the host's exactly when
it hashes to the address on chain.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from coincurve import PublicKey

from ..chain.connection import Chain
from ..chain.errors import ContractRefused
from ..chain.host_metadata import key_in_metadata, owner
from ..chain.money import Price, Token
from ..chain.node_registry import Host, NodeRegistry
from ..protocol.digests import Address, FixedBytes, ModelId
from ..protocol.secrecy import PublicKeyBytes
from .errors import HostKeyForeign, NoHost


@dataclass(frozen=True, slots=True)
class HostOffer:
    """A host that serves a model, and what it asks."""

    address: Address
    api_url: str
    price: Price
    """The least that it takes."""
    public_key: PublicKeyBytes | None
    """From its metadata, if it hashes to the address; None: the host must be asked."""


class KeyChallenge(FixedBytes):
    """32 random bytes that a host signs to show its key."""


class HostSignature(FixedBytes):
    """r and s."""

    LENGTH = 64


class HostDirectory:
    """The hosts of a network."""

    def __init__(self, chain: Chain) -> None:
        self._registry = NodeRegistry(chain)

    async def offers(self, model_id: ModelId, token: Token) -> list[HostOffer]:
        """The active hosts that serve a model for a token, the cheapest first."""
        found = []
        for address in await self._registry.hosts_of(model_id):
            offer = await self._offer(address, model_id, token)
            if offer is not None:
                found.append(offer)
        return sorted(found, key=lambda offer: offer.price.per_thousand_tokens)

    async def offer(self, address: Address, model_id: ModelId, token: Token) -> HostOffer:
        """What one host offers.

        Raises:
            NoHost: when it does not serve the model for this token.
        """
        offer = await self._offer(address, model_id, token)
        if offer is None:
            raise NoHost(
                f"host {address} does not offer this",
                expected=f"an active host of model {model_id}, paid in {token}",
            )
        return offer

    async def host(self, address: Address) -> Host:
        """Raises:
        NoHost: when the address is not registered.
        """
        host = await self._registry.host(address)
        if host is None:
            raise NoHost("no such host", expected="the address of a host", got=address)
        return host

    async def _offer(self, address: Address, model_id: ModelId, token: Token) -> HostOffer | None:
        host = await self._registry.host(address)
        if host is None or not host.active or model_id not in host.models:
            return None
        try:
            price = await self._registry.price(address, model_id, token)
        except ContractRefused:
            return None
        if price.per_thousand_tokens == 0:
            return None
        return HostOffer(address, host.api_url, price, key_in_metadata(host.metadata, address))


def check_key(key: PublicKeyBytes, address: Address) -> None:
    """Raises:
    HostKeyForeign: when the key is not that of the account.
    """
    account = owner(key)
    if account is None:
        raise HostKeyForeign("not a secp256k1 key", got=key)
    if account != address:
        raise HostKeyForeign("another account's key", expected=address, got=account)


def key_from_signature(
    challenge: KeyChallenge, signature: HostSignature, recovery_id: int, address: Address
) -> PublicKeyBytes:
    """The key that signed a challenge (its SHA-256), if it is the host's.

    Raises:
        HostKeyForeign
    """
    digest = hashlib.sha256(challenge.value).digest()
    if recovery_id not in (0, 1):
        raise HostKeyForeign("no such recovery id", expected="0 or 1", got=recovery_id)
    try:
        recovered = PublicKey.from_signature_and_message(
            signature.value + bytes([recovery_id]), digest, hasher=None
        )
    except ValueError as error:
        raise HostKeyForeign("no key made this signature", got=signature) from error
    key = PublicKeyBytes(recovered.format())
    check_key(key, address)
    return key
