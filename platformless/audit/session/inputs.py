"""What an auditor has, and how it audits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ...chain.connection import Chain
from ...protocol.exported import ExportedTranscript
from ..evidence import EvidenceLimits
from ..replay.modes import WantedMode
from .session_policy import AuditPolicy

OnStage = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class AuditInputs:
    """All of it; the defaults are those of somebody who has nothing but chain and storage."""

    policy: AuditPolicy = field(default_factory=AuditPolicy)
    private_key: bytes | None = None
    """Of the client's recovery key, 32 bytes: opens sealed deltas."""
    transcript: ExportedTranscript | None = None
    """What the client received."""
    whole_session: bytes | None = None
    """The bundle of a proof of all checkpoints; accepted in place of theirs."""
    index: bytes | None = None
    """The host's index, where it is at hand."""
    ask_host: bool = False
    """Whether the host is asked for its index, at the address in the registry."""
    ask_private_hosts: bool = False
    """Whether it is asked also where that address is within a private network."""
    samples: tuple[bytes, ...] = ()
    """Bundles of sampled cells, where they are at hand; taken before those of the index."""
    model: Path | None = None
    """The model's GGUF file: the transcript is replayed, and sampled cells are of this model."""
    replay_mode: WantedMode = WantedMode.AUTO
    second_node: Chain | None = None
    """Another node of the same network, whose answers must be the same."""
    limits: EvidenceLimits = field(default_factory=EvidenceLimits)
    deadline_seconds: float = 3600.0
    """For all that is asked of chain, storage and host."""
