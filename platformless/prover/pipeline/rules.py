"""How the pipeline works."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...retrying import Backoff
from ..process import DEFAULT_MEMORY_BYTES

_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineRules:
    """Times in seconds."""

    lease_seconds: float = 30.0
    """A worker that is silent for so long is thought dead. It renews three times as often."""
    most_starts: int = 5
    """A proof that was begun so often and never finished is given up."""
    most_failures: int = 8
    """A step that fails so often in a row, for a reason that nobody foresaw, is given up."""
    backoff: Backoff = field(default_factory=lambda: Backoff(0.5, 30.0))
    reconcile_seconds: float = 5.0
    """How often the ledger is compared with what the broker was told."""
    watch_seconds: float = 60.0
    """How often the chain is asked about sessions that are not settled."""
    confirm_seconds: float = 120.0
    """How long a step waits for its transaction; then another attempt goes on waiting."""
    after_proof_seconds: float = 15.0
    """What publishing and submitting take: a proof must be there so long before it is due."""
    retry_margin_seconds: float = 60.0
    """A session with a failed proof is settled so long before it may be ended by others; until
    then an operator may have the proof tried again."""
    retention_seconds: float = 7 * _DAY_SECONDS
    """What was said in a session is deleted so long after it was settled."""
    prover_memory_bytes: int = DEFAULT_MEMORY_BYTES
    longest_proof_seconds: float = 3600.0
    sample_draws: int = 1
    """Cells of each kind that a sample proof recomputes."""
    sample_one_in: int = 1
    """Of so many traced checkpoints, one gets a sample proof: the beacon says which."""
    beacon_confirmations: int = 3
    """Blocks, the beacon's own counted, after which it is final."""
    chain_rest_seconds: float = 30.0
    """How long a sample waits before it asks a chain again that could not be asked."""
    longest_sample_seconds: float = float(_DAY_SECONDS)
    settling_at_once: int = 16
    """Publications, submissions and settlements under way at a time."""
    poll_seconds: float = 0.1
    """How often an idle worker asks the broker."""

    @property
    def lease_ms(self) -> int:
        return round(self.lease_seconds * 1000)
