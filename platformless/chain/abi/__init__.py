"""ABI and creation bytecode of every contract, as `make contracts` writes them."""

from __future__ import annotations

import importlib.resources
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

CONTRACTS = (
    "JobMarketplace",
    "NodeRegistry",
    "ModelRegistry",
    "ProofSystem",
    "HostEarnings",
    "ERC1967Proxy",
    "TestToken",
)


@cache
def _artifact(contract: str) -> dict[str, Any]:
    data = (importlib.resources.files(__package__) / f"{contract}.json").read_bytes()
    artifact: dict[str, Any] = msgspec.json.decode(data)
    return artifact


def load_abi(contract: str) -> list[dict[str, Any]]:
    """Entries of the contract's ABI. Callers must not change them."""
    entries: list[dict[str, Any]] = _artifact(contract)["abi"]
    return entries


def load_bytecode(contract: str) -> bytes:
    """Creation bytecode, without constructor arguments."""
    return bytes.fromhex(_artifact(contract)["bytecode"].removeprefix("0x"))


def decode_abi(types: Sequence[str], data: bytes) -> tuple[Any, ...]:
    """The values of ABI-encoded bytes that a stranger sent.

    Raises:
        DecodingError, UnicodeDecodeError: for bytes that are not these values; also for lengths
            that no memory holds, on which `eth_abi` stumbles.
    """
    try:
        return decode(types, data)
    except OverflowError as error:
        raise DecodingError(str(error)) from error
