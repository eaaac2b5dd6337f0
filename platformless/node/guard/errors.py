"""What a limit refused. Nothing was done for it; clients hear `wire_code`, or the status.

GuardError (a SessionError)    GRD-000
├── AddressBlocked             GRD-101   403   the operator serves nobody at this address
├── WalletBlocked              GRD-102   403   nor who pays with this wallet
├── TooManyConnections         GRD-201   429   as many WebSockets as one address may have
├── RateLimited                GRD-202   429   too much in too short a time
├── PromptTooLarge             GRD-301   400   more text than one prompt may have
└── SessionTooLarge            GRD-302   400   a conversation that takes more memory than one may

BlocklistBroken (a SettingsError) GRD-401   a line of the blocklist that cannot be read
"""

from __future__ import annotations

import math

from ..errors import SessionError, SettingsError


class GuardError(SessionError):
    """A limit refuses this."""

    code = "GRD-000"
    retry_after: int | None = None
    """Whole seconds after which it may be tried again, where time changes anything."""


class AddressBlocked(GuardError):
    code = "GRD-101"
    wire_code = "ADDRESS_BLOCKED"


class WalletBlocked(GuardError):
    code = "GRD-102"
    wire_code = "WALLET_BLOCKED"


class TooManyConnections(GuardError):
    """Of one address. They end when their clients end them: no time can be named."""

    code = "GRD-201"
    wire_code = "TOO_MANY_CONNECTIONS"
    advice = "use the connections that are open, or close one"
    retry_after = 10


class RateLimited(GuardError):
    """`retry_after` says when there is one more."""

    code = "GRD-202"
    wire_code = "RATE_LIMITED"
    advice = "send less at once"

    def __init__(self, message: str, wait_seconds: float, *, expected: object = None) -> None:
        self.retry_after = max(1, math.ceil(wait_seconds))
        super().__init__(message, expected=expected, got=f"one more: try in {self.retry_after} s")


class PromptTooLarge(GuardError):
    code = "GRD-301"
    wire_code = "PROMPT_TOO_LARGE"
    advice = "send a shorter prompt"


class SessionTooLarge(GuardError):
    code = "GRD-302"
    wire_code = "SESSION_TOO_LARGE"
    advice = "end this session and open another"


class BlocklistBroken(SettingsError):
    code = "GRD-401"
    advice = "an address, a network, a wallet (0x…) or a comment (#…) a line"
