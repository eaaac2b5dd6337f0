"""What a node counts while it serves. Everything that takes part increments it directly."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from .latency import FirstTokens

OUTCOMES = ("complete", "cancelled", "error", "deposit_used_up", "shutting_down")
"""How prompts end, as `stream_end` says it."""
REFUSALS = (
    "address_blocked",
    "address_connections",
    "address_rate",
    "frame_rate",
    "frame_too_large",
    "idle",
    "node_full",
    "prompt_too_large",
    "queue_full",
    "session_memory",
    "wallet_blocked",
    "wallet_rate",
)
"""Why something was refused before anything was done for it."""
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class Counted:
    """Counters of one node, each with all its labels at zero from the start."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.first_tokens = FirstTokens()
        self.prompts = Counter(
            "platformless_prompts",
            "Prompts that were taken, by how their answers ended.",
            ("outcome",),
            registry=self.registry,
        )
        self.refused = Counter(
            "platformless_refused",
            "Connections, requests, frames and prompts that a limit refused.",
            ("reason",),
            registry=self.registry,
        )
        self.wallet_proofs = Counter(
            "platformless_wallet_proofs",
            "Signatures of wallets that were checked.",
            ("result",),
            registry=self.registry,
        )
        self.completion_tokens = Counter(
            "platformless_completion_tokens",
            "Tokens that were generated and sent.",
            registry=self.registry,
        )
        self.generation_seconds = Counter(
            "platformless_generation_seconds",
            "Time from a prompt's turn to the end of its answer, all prompts together.",
            registry=self.registry,
        )
        self.first_token_seconds = Histogram(
            "platformless_time_to_first_token_seconds",
            "From a prompt to the first token of its answer; waiting in line counts.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        for outcome in OUTCOMES:
            self.prompts.labels(outcome)
        for reason in REFUSALS:
            self.refused.labels(reason)
        for result in ("accepted", "refused"):
            self.wallet_proofs.labels(result)
