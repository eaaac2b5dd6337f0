"""What a revert means: from the bytes a contract gives back to an error of our tree.

The contracts revert with short texts, OpenZeppelin's libraries with custom errors. The texts were
shortened in February 2026; both generations are known here. A text that is not known becomes a
plain `ContractRefused`, which carries it.
"""

from __future__ import annotations

from functools import cache

from eth_abi.exceptions import DecodingError

from ..protocol.digests import keccak256
from .abi import CONTRACTS, decode_abi, load_abi
from .errors import ContractRefused
from .refusals import (
    BalanceTooLow,
    ClaimsTooFast,
    ClaimTooSmall,
    ContractPaused,
    DepositExceeded,
    DepositOutOfRange,
    DisputeWindowOpen,
    FirstClaimTooSmall,
    HostNotAvailable,
    ModelNotAvailable,
    NoSuchProof,
    NotAParty,
    NotAuthorised,
    NotTheHost,
    PriceRefused,
    ProofHashUsed,
    ProposalRefused,
    RegistrationRefused,
    SessionNotActive,
    SessionNotTimedOut,
    SettingRefused,
    SlashRefused,
    TermsOutOfRange,
    TokenNotAccepted,
    TransferFailed,
)

_ERROR = bytes.fromhex("08c379a0")  # Error(string)
_PANIC = bytes.fromhex("4e487b71")  # Panic(uint256)
NO_REASON = "no reason given"


_REASONS: dict[type[ContractRefused], tuple[str, ...]] = {
    NotTheHost: ("Not host", "Only host can submit proof"),
    SessionNotActive: ("Session not active",),
    ClaimTooSmall: ("Must claim minimum tokens",),
    FirstClaimTooSmall: ("Low first",),
    ClaimsTooFast: ("Too many", "Excessive tokens claimed"),
    DepositExceeded: ("Exceeds deposit",),
    ProofHashUsed: ("Proof used", "Invalid proof signature"),
    DisputeWindowOpen: ("Dispute wait", "Must wait dispute window"),
    NotAParty: ("Only host/depositor", "Only depositor or host can complete"),
    SessionNotTimedOut: ("Session not timed out",),
    ContractPaused: ("EnforcedPause",),
    HostNotAvailable: ("Invalid host", "Host not registered", "Host not active"),
    ModelNotAvailable: (
        "Host does not support model",
        "Model not active",
        "Model not approved",
        "Model not supported",
        "Model unsupported",
        "Unknown model",
    ),
    PriceRefused: (
        "Invalid native price",
        "Invalid price",
        "Invalid stable price",
        "No model pricing",
        "Price < model min",
        "Price below host minimum",
        "Price below host minimum for model",
    ),
    DepositOutOfRange: (
        "Deposit too large",
        "Deposit too small for proof interval",
        "Insufficient deposit",
        "Low deposit",
        "Zero amount",
        "Zero deposit",
    ),
    TermsOutOfRange: (
        "Invalid duration",
        "Invalid proof interval",
        "Proof interval too small",
        "Proof timeout",
    ),
    TokenNotAccepted: (
        "ERC20 only",
        "Invalid token",
        "Token max deposit not configured",
        "Token not accepted",
        "Token not configured",
    ),
    BalanceTooLow: (
        "ERC20InsufficientAllowance",
        "ERC20InsufficientBalance",
        "Exceeds surplus",
        "Insufficient balance",
        "Insufficient fees",
        "Insufficient native balance",
        "Insufficient token balance",
        "No earnings",
        "No fees",
        "SafeERC20FailedOperation",
    ),
    NotAuthorised: (
        "Invalid delegate",
        "Not authorized",
        "Not slashing authority",
        "Only treasury",
        "Only treasury or owner",
        "OwnableUnauthorizedAccount",
        "Self delegate",
        "Unauthorized",
        "Unauthorized sender",
    ),
    NoSuchProof: ("Bad index", "Proof index out of bounds"),
    RegistrationRefused: (
        "Already registered",
        "Empty API URL",
        "Empty metadata",
        "No models",
        "Node not active",
        "Not active",
        "Not registered",
    ),
    ProposalRefused: (
        "Already executed",
        "Empty hash",
        "Empty name",
        "Model active",
        "Model exists",
        "No proposal",
        "No votes",
        "Proposal cooldown",
        "Proposal exists",
        "Votes locked",
        "Voting ended",
        "Voting not ended",
    ),
    SlashRefused: (
        "Empty evidence",
        "Empty reason",
        "Slash cooldown",
        "Slash too large",
    ),
    SettingRefused: (
        "Already configured",
        "Already initialized",
        "Empty symbol",
        "Fee too high",
        "Invalid authority",
        "Invalid caller",
        "Invalid dispute window",
        "Invalid host earnings",
        "Invalid maximum",
        "Invalid minimum",
        "Invalid model registry",
        "Invalid node registry",
        "Invalid proof system",
        "Invalid rate limit",
        "Invalid treasury",
        "Length mismatch",
        "Node not corrupt",
        "Not initialized",
        "Token already accepted",
    ),
    TransferFailed: ("FailedCall", "Low gas", "Not funded", "Short transfer", "Transfer failed"),
}

_BY_REASON = {reason: kind for kind, reasons in _REASONS.items() for reason in reasons}


def refusal_of(data: bytes, message: str = "") -> ContractRefused:
    """The error for a revert.

    Args:
        data: What the contract gave back; may be empty.
        message: The node's own text, used when there are no bytes.
    """
    return refusal_for(reason_of(data) or _text_after_prefix(message) or NO_REASON)


def refusal_for(reason: str) -> ContractRefused:
    """The error for a revert text, or for the name of a custom error."""
    name = reason.split("(", 1)[0]
    kind = _BY_REASON.get(reason) or _BY_REASON.get(name)
    if kind is None and "dispute window" in reason.lower():
        kind = DisputeWindowOpen
    return (kind or ContractRefused)(reason)


def reason_of(data: bytes) -> str | None:
    """The revert text, or `Name(arguments)` of a custom error; None when the bytes say nothing."""
    selector, body = data[:4], data[4:]
    try:
        if selector == _ERROR:
            return str(decode_abi(["string"], body)[0])
        if selector == _PANIC:
            return f"Panic(0x{decode_abi(['uint256'], body)[0]:02x})"
        if selector in _custom_errors():
            name, types = _custom_errors()[selector]
            return f"{name}({', '.join(str(value) for value in decode_abi(types, body))})"
    except DecodingError:
        return None
    return f"unknown error 0x{selector.hex()}" if selector else None


@cache
def _custom_errors() -> dict[bytes, tuple[str, list[str]]]:
    """Selector → name and argument types of every custom error in the contracts' ABIs."""
    found = {}
    for contract in CONTRACTS:
        for entry in load_abi(contract):
            if entry["type"] == "error":
                types = [item["type"] for item in entry["inputs"]]
                selector = keccak256(f"{entry['name']}({','.join(types)})".encode())[:4]
                found[selector] = (entry["name"], types)
    return found


def _text_after_prefix(message: str) -> str:
    """`execution reverted: text` → `text`."""
    _, found, text = message.partition("execution reverted")
    return text.lstrip(":, ").strip() if found else ""
