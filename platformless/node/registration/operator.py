"""Whose registration it is: the one place where these commands get at the host's key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...chain.sending.settings import SenderSettings
from ...protocol.digests import Address
from ...protocol.host_key import HostKey
from ..keys.sources import open_key
from ..settings import NodeSettings


@dataclass(frozen=True, slots=True)
class Operator:
    """A host's key, and how its transactions are sent."""

    key: HostKey
    outbox: Path
    """The node's own: one account has one."""
    sending: SenderSettings

    @property
    def address(self) -> Address:
        return self.key.address


def operator_of(settings: NodeSettings) -> Operator:
    """The operator of the node with these settings."""
    sending = SenderSettings(
        confirmations=settings.confirmations, poll_seconds=settings.chain_poll_seconds
    )
    return Operator(open_key(settings), settings.data_folder / "outbox.db", sending)
