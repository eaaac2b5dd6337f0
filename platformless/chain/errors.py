"""Errors of the chain.

ChainError                      CHN-000
├── RpcError                    CHN-100
│   ├── EndpointsUnavailable    CHN-101   retry later   no endpoint gave a usable answer in time
│   ├── WrongChain              CHN-102   permanent     every endpoint serves another chain
│   └── RpcRefused              CHN-103   permanent     the node answered with an error
├── ContractRefused             CHN-200   a contract reverted; refusals.py names the rules
│   └── … one class a rule      CHN-2xx
├── SenderError                 CHN-300
│   ├── OutboxKeyReused         CHN-301   permanent     the key stands for another transaction
│   ├── InsufficientFunds       CHN-302   retry later   the account cannot pay for gas or value
│   ├── FeesAboveCap            CHN-303   retry later   the chain asks more than the fee cap
│   ├── NotConfirmedYet         CHN-304   retry later   still under way; ask again with the key
│   ├── TransactionReverted     CHN-305   permanent     mined, and reverted; the key is spent
│   ├── OutboxOfAnotherChain    CHN-306   permanent     the outbox belongs to another chain
│   ├── NonceUnclear            CHN-307   retry later   who used a nonce cannot be found out
│   ├── OutboxUnavailable       CHN-308   retry later   the outbox file cannot be read or written
│   └── SenderClosed            CHN-309   retry later   the sender was closed meanwhile
├── ValueNotOnChain             CHN-400
│   ├── UnknownSession          CHN-401   permanent     no session has this id
│   ├── UnknownName             CHN-402   permanent     no network or token is so called
│   ├── MixedTokens             CHN-403   permanent     amounts of different tokens
│   └── UnreadableAnswer        CHN-404   permanent     a contract's answer does not decode
├── EventRangeRefused           CHN-500   retry later   one block's events are too many
├── ChainMoved                  CHN-501   retry later   the chain changed while it was read
└── DevChainError               CHN-600
    ├── AnvilNotFound           CHN-601   permanent     no anvil binary
    └── AnvilFailed             CHN-602   permanent     anvil ended or did not start

Every error says what may be done about it: `disposition`.
"""

from __future__ import annotations

import enum
from typing import Any, ClassVar

from ..errors import PlatformlessError


class Disposition(enum.Enum):
    """What becomes of the same attempt when it is made again."""

    PERMANENT = "permanent"  # the same again fails the same
    RETRY_LATER = "retry later"  # may succeed at any time
    WAIT_UNTIL = "wait until"  # succeeds from a known time on: `wait_until`


class ChainError(PlatformlessError):
    """Something that has to do with the chain failed."""

    code = "CHN-000"
    disposition: ClassVar[Disposition] = Disposition.PERMANENT


class RpcError(ChainError):
    """The chain could not be asked."""

    code = "CHN-100"


class EndpointsUnavailable(RpcError):
    code = "CHN-101"
    disposition = Disposition.RETRY_LATER
    advice = "check the RPC addresses, or add another"


class WrongChain(RpcError):
    code = "CHN-102"
    advice = "the RPC addresses must serve the chain of the configured network"


class RpcRefused(RpcError):
    """`rpc_code` and `data` are those of the node's JSON-RPC error."""

    code = "CHN-103"

    def __init__(self, message: str, *, rpc_code: int, data: Any = None) -> None:
        super().__init__(f"the node refused: {message}", got=f"JSON-RPC error {rpc_code}")
        self.rpc_message = message
        self.rpc_code = rpc_code
        self.data = data


class ContractRefused(ChainError):
    """A contract reverted. `reason` is its text or the name of its error, as far as known."""

    code = "CHN-200"

    def __init__(
        self,
        reason: str,
        *,
        wait_until: int | None = None,
        expected: object = None,
        got: object = None,
    ) -> None:
        super().__init__(f"{self.rule}: {reason}", expected=expected, got=got)
        self.reason = reason
        self.wait_until = wait_until
        """Unix time in seconds from which the same call is accepted, when it is known."""

    rule: ClassVar[str] = "the contract refused"


class SenderError(ChainError):
    """A transaction is not, or not yet, done."""

    code = "CHN-300"


class OutboxKeyReused(SenderError):
    code = "CHN-301"


class InsufficientFunds(SenderError):
    code = "CHN-302"
    disposition = Disposition.RETRY_LATER
    advice = "send the chain's native coin to the account"


class FeesAboveCap(SenderError):
    code = "CHN-303"
    disposition = Disposition.RETRY_LATER
    advice = "wait for lower fees, or raise the fee cap"


class NotConfirmedYet(SenderError):
    code = "CHN-304"
    disposition = Disposition.RETRY_LATER


class TransactionReverted(SenderError):
    """`refusal` is the contract's reason, when the node could tell it."""

    code = "CHN-305"

    def __init__(self, message: str, *, refusal: ContractRefused | None, got: object) -> None:
        super().__init__(message, expected="success", got=got)
        self.refusal = refusal


class OutboxOfAnotherChain(SenderError):
    code = "CHN-306"
    advice = "give every chain its own outbox file"


class NonceUnclear(SenderError):
    code = "CHN-307"
    disposition = Disposition.RETRY_LATER
    advice = "add an RPC address that keeps older blocks"


class OutboxUnavailable(SenderError):
    code = "CHN-308"
    disposition = Disposition.RETRY_LATER
    advice = "check the outbox's disk: space, permissions, and that it is a local file system"


class SenderClosed(SenderError):
    code = "CHN-309"
    disposition = Disposition.RETRY_LATER


class ValueNotOnChain(ChainError):
    """What was asked for is not on the chain."""

    code = "CHN-400"


class UnknownSession(ValueNotOnChain):
    code = "CHN-401"


class UnknownName(ValueNotOnChain):
    code = "CHN-402"


class MixedTokens(ValueNotOnChain):
    code = "CHN-403"


class UnreadableAnswer(ValueNotOnChain):
    code = "CHN-404"
    advice = "the address must be that of a marketplace contract"


class EventRangeRefused(ChainError):
    code = "CHN-500"
    disposition = Disposition.RETRY_LATER
    advice = "add an RPC address with larger limits"


class ChainMoved(ChainError):
    code = "CHN-501"
    disposition = Disposition.RETRY_LATER
    advice = "read again; if it goes on, use one RPC address instead of several"


class DevChainError(ChainError):
    """The dev chain could not be run."""

    code = "CHN-600"


class AnvilNotFound(DevChainError):
    code = "CHN-601"
    advice = "install it with `make contracts`, or set ANVIL to its path"


class AnvilFailed(DevChainError):
    code = "CHN-602"
