"""How sessions are let in and looked after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ..settings import NodeSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRules:
    """Times in seconds."""

    key_seconds: float = 3600.0
    require_wallet: bool = False
    """Every client must answer a wallet challenge."""
    allow_clear: bool = True
    """Whether sessions without encryption are served."""
    recheck_seconds: float = 15.0
    """The chain is asked again about a session after this."""
    grace_seconds: float = 15.0
    """A client that is gone may come back for so long before a checkpoint is cut."""
    settle_seconds: float = 120.0
    """A client that is gone for so long has left: its session is ended and settled."""
    proof_margin_seconds: float = 120.0
    """A checkpoint is cut so long before the session's proofs would be too late; at most half of
    its proof timeout."""
    tend_seconds: float = 1.0
    """How often sessions are looked after."""
    live_sessions: int = 2000
    """Sessions in memory, those included that a client left a moment ago; clients of further ones
    are not let in."""

    def proof_margin(self, proof_timeout_seconds: int | None) -> float:
        """Seconds before a session's timeout from which on what is unclaimed should be claimed."""
        if proof_timeout_seconds is None:
            return self.proof_margin_seconds
        return min(self.proof_margin_seconds, proof_timeout_seconds / 2)

    @classmethod
    def of(cls, settings: NodeSettings) -> Self:
        """As the settings say."""
        return cls(
            key_seconds=settings.session_key_ttl_seconds,
            require_wallet=settings.require_wallet_challenge,
            allow_clear=settings.allow_plaintext,
            grace_seconds=settings.disconnect_grace_seconds,
            settle_seconds=settings.settle_idle_seconds,
            live_sessions=2 * settings.max_connections,
        )
