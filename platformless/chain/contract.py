"""What the clients of the contracts have in common: encoding calls and reading answers by ABI."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

from eth_abi.abi import encode
from eth_abi.exceptions import DecodingError, EncodingError
from eth_utils.abi import get_abi_input_types, get_abi_output_types

from ..protocol.digests import Address, FixedBytes, keccak256
from ..protocol.errors import ValueOutOfRange
from .abi import decode_abi, load_abi
from .connection import LATEST, Chain, ContractCall
from .errors import UnreadableAnswer


class ContractClient:
    """A contract at an address. Methods that write return a `ContractCall` for a sender to send;
    methods that read ask the chain and may raise RpcError or ContractRefused."""

    CONTRACT: ClassVar[str]
    """Name of its ABI."""

    def __init__(self, chain: Chain, address: Address) -> None:
        self.chain = chain
        self.address = address

    def _write(
        self, function: str, *arguments: Any, value: int = 0, about: object = ""
    ) -> ContractCall:
        """A transaction that calls `function`. `value` is wei."""
        return ContractCall(
            to=self.address,
            data=encode_call(self.CONTRACT, function, arguments),
            value=value,
            description=f"{function}({about})",
        )

    async def _read(self, function: str, *arguments: Any, which: int | str = LATEST) -> Any:
        """What `function` returns: one value, or a tuple of several."""
        types = _output_types(self.CONTRACT, function)
        data = await self._read_bytes(function, *arguments, which=which)
        try:
            values = decode_abi(types, data)
        except DecodingError as error:
            raise UnreadableAnswer(
                f"{function} of {self.address} does not decode",
                expected=f"({', '.join(types)})",
                got=f"{len(data)} bytes",
            ) from error
        return values[0] if len(types) == 1 else values

    async def _read_bytes(self, function: str, *arguments: Any, which: int | str = LATEST) -> bytes:
        call = ContractCall(self.address, encode_call(self.CONTRACT, function, arguments))
        return await self.chain.call(call, which=which)


def encode_call(contract: str, function: str, arguments: tuple[Any, ...]) -> bytes:
    """Selector and arguments.

    Raises:
        ValueOutOfRange: for an argument that its type cannot hold.
    """
    selector, types = _function(contract, function)
    return selector + encode_arguments(function, types, arguments)


def encode_constructor(contract: str, *arguments: Any) -> bytes:
    """The arguments of a constructor, as they follow the bytecode."""
    entry = next(item for item in load_abi(contract) if item["type"] == "constructor")
    return encode_arguments("constructor", get_abi_input_types(entry), arguments)  # type: ignore[arg-type]


def encode_arguments(function: str, types: list[str], arguments: tuple[Any, ...]) -> bytes:
    try:
        return encode(types, [_plain(value) for value in arguments])
    except (EncodingError, ValueError) as error:
        raise ValueOutOfRange(
            f"{function} cannot be called with these arguments",
            expected=f"({', '.join(types)})",
            got=str(error),
        ) from error


def event_topic(contract: str, event: str) -> bytes:
    """The first topic of an event: hash of its signature."""
    entry = _entry(contract, "event", event)
    return keccak256(f"{event}({','.join(get_abi_input_types(entry))})".encode())  # type: ignore[arg-type]


def decode_event(contract: str, event: str, log: dict[str, Any]) -> dict[str, Any]:
    """The arguments of an event by their names.

    Raises:
        UnreadableAnswer: when the log is not such an event.
    """
    inputs = _entry(contract, "event", event)["inputs"]
    topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
    indexed = [item for item in inputs if item["indexed"]]
    others = [item for item in inputs if not item["indexed"]]
    try:
        if topics[:1] != [event_topic(contract, event)] or len(topics) != len(indexed) + 1:
            raise UnreadableAnswer(f"not a {event} event", got=log["topics"])
        found = {
            item["name"]: decode_abi([item["type"]], topic)[0]
            for item, topic in zip(indexed, topics[1:], strict=True)
        }
        body = decode_abi([item["type"] for item in others], bytes.fromhex(log["data"][2:]))
    except DecodingError as error:
        raise UnreadableAnswer(f"{event} event does not decode", got=str(error)) from error
    return found | {item["name"]: value for item, value in zip(others, body, strict=True)}


def _plain(value: Any) -> Any:
    """What the encoder takes for one of our values."""
    if isinstance(value, Address):
        return str(value)
    if isinstance(value, FixedBytes):
        return value.value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


@cache
def _function(contract: str, function: str) -> tuple[bytes, list[str]]:
    types = get_abi_input_types(_entry(contract, "function", function))  # type: ignore[arg-type]
    return keccak256(f"{function}({','.join(types)})".encode())[:4], types


@cache
def _output_types(contract: str, function: str) -> list[str]:
    return get_abi_output_types(_entry(contract, "function", function))  # type: ignore[arg-type]


def _entry(contract: str, kind: str, name: str) -> dict[str, Any]:
    return next(
        item for item in load_abi(contract) if item["type"] == kind and item["name"] == name
    )
