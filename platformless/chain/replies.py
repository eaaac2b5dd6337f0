"""Reading a node's JSON-RPC replies with suspicion: pure functions, no IO.

A reply is a result, a refusal that the caller must hear of, or a fault of the endpoint, for which
another endpoint is asked (JSON-RPC 2.0, section 5).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from .errors import ChainError, RpcRefused
from .reverts import refusal_of

_TOO_MANY_REQUESTS = 429
_LIMIT_EXCEEDED = -32005  # EIP-1474
_REVERTED = 3
_RATE_WORDS = re.compile(
    r"rate.?limit|too many requests|throttl|request limit|compute units|exceeded.*per second",
    re.IGNORECASE,
)
_BEHIND_WORDS = re.compile(r"header not found|block not found", re.IGNORECASE)
"""What lagging nodes say: another endpoint may know the block."""
_PRUNED_WORDS = re.compile(r"missing trie node|state .*(pruned|not available)", re.IGNORECASE)
"""What nodes say that do not keep the states of old blocks: another endpoint may."""
_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")
_DATA = re.compile(r"0x([0-9a-fA-F]{2})*")
_HASH = re.compile(r"0x[0-9a-fA-F]{64}")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


class EndpointFault(Exception):
    """An endpoint gave no usable answer; `rest_seconds` is how long it asked to be left alone."""

    def __init__(self, reason: str, *, rest_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.rest_seconds = rest_seconds


class StateMissing(EndpointFault):
    """An endpoint does not have the state of the block that it was asked about. That is a fault
    when it should have it; of an old block, `refusal` is its answer."""

    def __init__(self, refusal: RpcRefused) -> None:
        super().__init__(f"does not have the state: {refusal.rpc_message[:60]}")
        self.refusal = refusal


def read_reply(method: str, request_id: int, status: int, body: bytes) -> Any:
    """The result in a reply, of the shape that `method` promises.

    Raises:
        EndpointFault: when the reply is not one, or says that the endpoint is overloaded.
        ContractRefused: when a contract reverted.
        RpcRefused: when the node answered with another error.
    """
    try:
        reply = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EndpointFault(f"HTTP {status}, not JSON: {body[:60]!r}") from error
    if not isinstance(reply, dict) or ("result" in reply) == (reply.get("error") is not None):
        raise EndpointFault(f"HTTP {status}, not a JSON-RPC reply: {body[:60]!r}")
    if reply.get("error") is not None:
        raise _refusal(method, reply["error"])
    if reply.get("id") != request_id:
        raise EndpointFault(f"answer to another request: id {reply.get('id')!r}")
    result = reply["result"]
    expected = _SHAPES.get(method)
    if expected is not None and not expected(result):
        raise EndpointFault(f"{method} answered {str(result)[:60]!r}")
    return result


def _refusal(method: str, error: Any) -> EndpointFault | ChainError:
    if not isinstance(error, dict):
        return EndpointFault(f"{method} failed without a JSON-RPC error: {str(error)[:60]!r}")
    code, message, data = error.get("code"), str(error.get("message", "")), error.get("data")
    if not isinstance(code, int):
        return EndpointFault(f"{method} failed without a code: {message[:60]!r}")
    if code == _REVERTED or "execution reverted" in message.lower():
        return refusal_of(_revert_data(data), message)
    limited = code == _LIMIT_EXCEEDED and method != "eth_getLogs"
    if code == _TOO_MANY_REQUESTS or limited or _RATE_WORDS.search(message):
        return EndpointFault(f"rate limit: {message[:60]}")
    if method != "eth_getLogs" and _BEHIND_WORDS.search(message):
        return EndpointFault(f"does not have the block: {message[:60]}")
    refusal = RpcRefused(message, rpc_code=code, data=data)
    is_pruned = method != "eth_getLogs" and _PRUNED_WORDS.search(message)
    return StateMissing(refusal) if is_pruned else refusal


def _revert_data(data: Any) -> bytes:
    """Nodes put the bytes into `data`, or into `data.data`."""
    if isinstance(data, dict):
        data = data.get("data")
    if isinstance(data, str) and _DATA.fullmatch(data):
        return bytes.fromhex(data[2:])
    return b""


def _matches(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _block(value: Any) -> bool:
    return value is None or (
        isinstance(value, dict)
        and all(_matches(_QUANTITY)(value.get(name)) for name in ("number", "timestamp"))
        and _matches(_HASH)(value.get("hash"))
        and _is_absent_or(_QUANTITY, value.get("baseFeePerGas"))
    )


def _is_absent_or(pattern: re.Pattern[str], value: Any) -> bool:
    return value is None or _matches(pattern)(value)


def _receipt(value: Any) -> bool:
    return value is None or (
        isinstance(value, dict)
        and all(
            _matches(_QUANTITY)(value.get(name)) for name in ("blockNumber", "status", "gasUsed")
        )
        and _is_absent_or(_QUANTITY, value.get("effectiveGasPrice"))
        and (value.get("logs") is None or _logs(value["logs"]))
        and all(_matches(_HASH)(value.get(name)) for name in ("blockHash", "transactionHash"))
    )


def _transaction(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and _matches(_HASH)(value.get("hash")))


def _logs(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(log, dict)
        and isinstance(log.get("topics"), list)
        and all(map(_matches(_HASH), log["topics"]))
        and _matches(_DATA)(log.get("data"))
        and _matches(_ADDRESS)(log.get("address"))
        and all(_matches(_QUANTITY)(log.get(name)) for name in ("blockNumber", "logIndex"))
        and all(_matches(_HASH)(log.get(name)) for name in ("blockHash", "transactionHash"))
        for log in value
    )


def _fee_history(value: Any) -> bool:
    fees = value.get("baseFeePerGas") if isinstance(value, dict) else None
    return isinstance(fees, list) and bool(fees) and all(map(_matches(_QUANTITY), fees))


_SHAPES: dict[str, Callable[[Any], bool]] = {
    "eth_blockNumber": _matches(_QUANTITY),
    "eth_call": _matches(_DATA),
    "eth_chainId": _matches(_QUANTITY),
    "eth_estimateGas": _matches(_QUANTITY),
    "eth_feeHistory": _fee_history,
    "eth_getBalance": _matches(_QUANTITY),
    "eth_getBlockByHash": _block,
    "eth_getBlockByNumber": _block,
    "eth_getCode": _matches(_DATA),
    "eth_getLogs": _logs,
    "eth_getTransactionByHash": _transaction,
    "eth_getTransactionCount": _matches(_QUANTITY),
    "eth_getTransactionReceipt": _receipt,
    "eth_maxPriorityFeePerGas": _matches(_QUANTITY),
    "eth_sendRawTransaction": _matches(_HASH),
}
