"""Which chains a command is for, and how they are reached."""

from __future__ import annotations

from ...chain.connection import Chain
from ...chain.networks import BASE_SEPOLIA, Network
from ...chain.rpc import RpcSettings
from .errors import ChainNotKnown, ChainNotNamed

DEPLOYMENTS = (BASE_SEPOLIA,)
"""Where the marketplace is. A chain that the settings describe stands in for the deployment with
its id."""

PATIENCE = RpcSettings(patience_seconds=15.0)
"""Somebody waits for the command, and other chains may come after this one."""


def connected(network: Network) -> Chain:
    """A chain, as an asynchronous context."""
    return Chain(network, settings=PATIENCE)


def chosen(chain_id: int | None, all_chains: bool, configured: Network) -> tuple[Network, ...]:
    """The networks of `--chain` or `--all-chains`; the configured one comes first.

    Raises:
        ChainNotNamed, ChainNotKnown
    """
    known = (
        configured,
        *(one for one in DEPLOYMENTS if one.chain_id != configured.chain_id),
    )
    ids = ", ".join(str(network.chain_id) for network in known)
    if all_chains == (chain_id is not None):
        raise ChainNotNamed(
            "no chain was named" if chain_id is None else "one chain and all chains were named",
            expected=f"--chain with one of {ids}, or --all-chains",
        )
    if all_chains:
        return known
    found = tuple(network for network in known if network.chain_id == chain_id)
    if not found:
        raise ChainNotKnown("no such chain", expected=ids, got=chain_id)
    return found
