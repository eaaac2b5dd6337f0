"""ABI and creation bytecode of every contract, as `make contracts` writes them."""

from __future__ import annotations

import importlib.resources
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
from eth_abi.codec import ABIDecoder
from eth_abi.decoding import StringDecoder
from eth_abi.exceptions import DecodingError
from eth_abi.registry import registry

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
    """The values of ABI-encoded bytes that a stranger sent. No contract checks that a string is
    UTF-8: of one that is not, the wrong bytes are spelled `\\xff`, as no CID or address is.

    Raises:
        DecodingError: for bytes that are not these values; also for lengths that no memory holds,
            on which `eth_abi` stumbles.
    """
    try:
        return _decoder().decode(types, data)
    except OverflowError as error:
        raise DecodingError(str(error)) from error


@cache
def _decoder() -> ABIDecoder:
    lenient = registry.copy()  # type: ignore[no-untyped-call]
    lenient.unregister_decoder("string")
    strings = StringDecoder("backslashreplace")  # type: ignore[no-untyped-call]
    lenient.register_decoder("string", strings, label="string")
    return ABIDecoder(lenient)
