"""A chain of one's own: anvil with the marketplace deployed. For demos and tests only: the keys
of its accounts are public."""

from .running import DevChain, DevChainSettings, start_dev_chain

__all__ = ["DevChain", "DevChainSettings", "start_dev_chain"]
