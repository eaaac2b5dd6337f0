"""The named accounts of a dev chain. Their keys are derived from their names: never use them on
a chain that matters."""

from __future__ import annotations

from ...protocol.digests import keccak256
from ..accounts import Account, LocalAccount

OWNER = "owner"
"""Owns the contracts, receives the fees."""

NAMES = (OWNER, "host", "host-2", "client", "client-2", "delegate", "auditor")


def dev_account(name: str) -> LocalAccount:
    """The account of a name; any name has one, those of `NAMES` have money."""
    account: LocalAccount = Account.from_key(keccak256(f"dev chain account {name}".encode()))
    return account
