"""Where the marketplace is: chain id, contract addresses and payment tokens of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..protocol.digests import Address
from ..protocol.errors import ValueOutOfRange
from .errors import UnknownName
from .money import NATIVE, Token


@dataclass(frozen=True, slots=True)
class Network:
    """One deployment of the marketplace."""

    name: str
    chain_id: int
    marketplace: Address
    node_registry: Address
    model_registry: Address
    proof_system: Address
    host_earnings: Address
    fab: Token
    usdc: Token
    rpc_urls: tuple[str, ...] = field(default=(), repr=False)
    """Not shown: a provider's key may be in them."""

    def token(self, address: Address) -> Token:
        """The payment token at an address; an unknown one counts in base units."""
        for known in (NATIVE, self.usdc, self.fab):
            if known.address == address:
                return known
        return Token(address, f"units of {address}", 0)

    def token_named(self, symbol: str) -> Token:
        """Raises:
        UnknownName: when no token of the network has this symbol.
        """
        for known in (NATIVE, self.usdc, self.fab):
            if known.symbol == symbol.upper():
                return known
        raise UnknownName("no such token", expected="ETH, USDC or FAB", got=symbol)


BASE_SEPOLIA = Network(
    name="base-sepolia",
    chain_id=84532,
    marketplace=Address.from_hex("0xD067719Ee4c514B5735d1aC0FfB46FECf2A9adA4"),
    node_registry=Address.from_hex("0x8BC0Af4aAa2dfb99699B1A24bA85E507de10Fd22"),
    model_registry=Address.from_hex("0x1a9d91521c85bD252Ac848806Ff5096bBb9ACDb2"),
    proof_system=Address.from_hex("0xE8DCa89e1588bbbdc4F7D5F78263632B35401B31"),
    host_earnings=Address.from_hex("0xE4F33e9e132E60fc3477509f99b9E1340b91Aee0"),
    fab=Token(Address.from_hex("0xC78949004B4EB6dEf2D66e49Cd81231472612D62"), "FAB", 18),
    usdc=Token(Address.from_hex("0x036CbD53842c5426634e7929541eC2318f3dCF7e"), "USDC", 6),
    rpc_urls=("https://sepolia.base.org",),
)

_VARIABLES = {
    "CONTRACT_JOB_MARKETPLACE": "marketplace",
    "CONTRACT_NODE_REGISTRY": "node_registry",
    "CONTRACT_MODEL_REGISTRY": "model_registry",
    "CONTRACT_PROOF_SYSTEM": "proof_system",
    "CONTRACT_HOST_EARNINGS": "host_earnings",
}
_TOKEN_VARIABLES = {"FAB_TOKEN": "fab", "USDC_TOKEN": "usdc"}


def network_from(environment: Mapping[str, str], base: Network = BASE_SEPOLIA) -> Network:
    """The network that environment variables describe; what they leave out is `base`'s.

    `CHAIN_ID`, `RPC_URL` (several with commas), `CONTRACT_JOB_MARKETPLACE` and its likes,
    `FAB_TOKEN`, `USDC_TOKEN`: as `fabstir-llm-node dev-chain` prints them.

    Raises:
        ValueOutOfRange: when a value is no address or no number.
    """
    changes: dict[str, Any] = {
        variable: Address.from_hex(environment[name])
        for name, variable in _VARIABLES.items()
        if environment.get(name)
    }
    for name, variable in _TOKEN_VARIABLES.items():
        if environment.get(name):
            changes[variable] = replace(
                getattr(base, variable), address=Address.from_hex(environment[name])
            )
    if environment.get("CHAIN_ID"):
        text = environment["CHAIN_ID"]
        if not text.isdecimal():
            raise ValueOutOfRange("CHAIN_ID is no number", expected="a whole number", got=text)
        changes["chain_id"] = int(text)
    urls = tuple(url.strip() for url in environment.get("RPC_URL", "").split(",") if url.strip())
    if urls:
        changes["rpc_urls"] = urls
    return replace(base, **changes) if changes else base


_NETWORKS = {BASE_SEPOLIA.name: BASE_SEPOLIA}


def network_named(name: str) -> Network:
    """Raises:
    UnknownName: when there is no deployment of this name.
    """
    try:
        return _NETWORKS[name]
    except KeyError:
        raise UnknownName("no such network", expected=" or ".join(_NETWORKS), got=name) from None
