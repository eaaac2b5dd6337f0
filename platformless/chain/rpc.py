"""The way to the chain: JSON-RPC over several endpoints.

One endpoint is used until it fails; then the next one is. A failed endpoint rests, longer each
time. An endpoint's chain id is checked on every new connection, before an answer that came over it
is used. What an endpoint says is checked for its shape (replies.py).
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec

from ..retrying import Backoff, rest_asked
from .errors import ChainError, EndpointsUnavailable, WrongChain
from .replies import EndpointFault, StateMissing, read_reply

_log = logging.getLogger(__name__)
_SERVER_ERROR = 500
_OF_A_BLOCK = ("eth_call", "eth_getBalance", "eth_getTransactionCount")
"""Requests whose last parameter says of which block the state is asked."""
_NOT_FOR_US = (401, 402, 403, 429)
"""HTTP statuses with which a provider turns a customer away, whatever it writes beside them."""


@dataclass(frozen=True, slots=True)
class RpcSettings:
    """How patiently the endpoints are asked. All times in seconds."""

    request_seconds: float = 10.0
    """After this an endpoint is taken to have failed."""
    patience_seconds: float = 30.0
    """How long one call may take over all endpoints and repetitions."""
    backoff: Backoff = field(default_factory=Backoff)
    requests_at_once: int = 32
    largest_answer_bytes: int = 32 << 20
    """An answer that is longer, unpacked, is a fault of its endpoint."""


@dataclass(slots=True, eq=False)
class _Endpoint:
    url: str = field(repr=False)
    failures: int = 0
    rested_at: float = 0.0
    resting_until: float = 0.0
    last_fault: str = ""
    checked: bool = True
    """Whether nothing speaks against its chain id: a connection that ended in a failure before it
    was checked does."""
    foreign_chain_id: int | None = None
    next_id: int = 1

    @property
    def name(self) -> str:
        """What is shown of it: a provider's key is often in the rest."""
        scheme, separator, rest = self.url.partition("://")
        if not separator:
            return "an address that is no URL"
        return f"{scheme}://{re.split('[/?#]', rest, maxsplit=1)[0].rpartition('@')[2]}"


class RpcEndpoints:
    """Sends every request to the endpoint in use, and to the next when that fails.

    Args:
        urls: HTTP addresses, the preferred one first.
        chain_id: What every endpoint must serve.
    """

    def __init__(
        self,
        urls: tuple[str, ...],
        chain_id: int,
        settings: RpcSettings | None = None,
    ) -> None:
        if not urls:
            raise EndpointsUnavailable("no RPC address", expected="at least one", got="none")
        self.settings = settings or RpcSettings()
        self.chain_id = chain_id
        self._endpoints = [_Endpoint(url) for url in urls]
        self._slots = asyncio.Semaphore(self.settings.requests_at_once)
        self._session: aiohttp.ClientSession | None = None
        self._current = 0

    async def close(self) -> None:
        """Closes every connection."""
        if self._session is not None:
            await self._session.close()

    async def ask(self, method: str, *params: Any) -> Any:
        """The result that the first endpoint with a usable answer gives. One that does not keep
        the state of a block with a number is sound all the same: it does not rest, and this
        question goes to the others.

        Raises:
            ContractRefused, RpcRefused: what a node answered; not tried elsewhere. Also when no
                endpoint keeps the state of the block that is asked for by its number.
            WrongChain: when every endpoint serves another chain.
            EndpointsUnavailable: when none gave a usable answer in `patience_seconds`.
        """
        deadline = time.monotonic() + self.settings.patience_seconds
        pruned: list[_Endpoint] = []
        while True:
            endpoint = await self._next_endpoint(method, deadline, pruned)
            began = time.monotonic()
            try:
                result = await self._ask(endpoint, method, params)
            except StateMissing as missing:
                if not _names_a_block(method, params):
                    self._rest(endpoint, missing, began)
                    continue
                endpoint.failures = 0
                pruned.append(endpoint)
                if len(pruned) == len(self._endpoints):
                    raise missing.refusal from missing
            except EndpointFault as fault:
                self._rest(endpoint, fault, began)
            else:
                endpoint.failures = 0
                return result

    async def _next_endpoint(
        self, method: str, deadline: float, without: list[_Endpoint]
    ) -> _Endpoint:
        """The endpoint in use, or the next that is not resting; waits when all are. Which one is
        in use is not changed by a question that cannot be asked it."""
        while True:
            now = time.monotonic()
            chosen = self._least_tired(now, without)
            if not without:
                self._current = chosen
            endpoint = self._endpoints[chosen]
            if endpoint.resting_until > deadline or now > deadline:
                raise self._unavailable(method)
            if endpoint.resting_until <= now:
                return endpoint
            # Looked at again afterwards: what others learned meanwhile may prolong the rest.
            await asyncio.sleep(endpoint.resting_until - now)

    def _least_tired(self, now: float, without: list[_Endpoint]) -> int:
        """The first endpoint, from the one in use on, that does not rest; or that is soonest
        awake."""
        count = len(self._endpoints)
        in_turn = [(self._current + step) % count for step in range(count)]
        left = [index for index in in_turn if self._endpoints[index] not in without]
        return min(left, key=lambda index: max(now, self._endpoints[index].resting_until))

    def _unavailable(self, method: str) -> EndpointsUnavailable | WrongChain:
        foreign = [end.foreign_chain_id for end in self._endpoints]
        if all(chain_id is not None for chain_id in foreign):
            return WrongChain(
                "the RPC endpoints serve another chain",
                expected=f"chain id {self.chain_id}",
                got=", ".join(str(chain_id) for chain_id in foreign),
            )
        return EndpointsUnavailable(
            f"{method} got no answer",
            expected=f"an answer within {self.settings.patience_seconds:g} s",
            got="; ".join(f"{end.name}: {end.last_fault or 'slow'}" for end in self._endpoints),
        )

    def _rest(self, endpoint: _Endpoint, fault: EndpointFault, began: float) -> None:
        """Requests that failed together count once."""
        if began >= endpoint.rested_at:
            endpoint.failures += 1
        endpoint.rested_at = time.monotonic()
        rest = fault.rest_seconds
        if rest is None:
            rest = self.settings.backoff.rest_seconds(endpoint.failures)
        endpoint.resting_until = time.monotonic() + rest
        endpoint.last_fault = fault.reason
        _log.warning("%s rests %.1f s: %s", endpoint.name, rest, fault.reason)

    async def _ask(self, endpoint: _Endpoint, method: str, params: tuple[Any, ...]) -> Any:
        if not endpoint.checked:
            await self._check_chain(endpoint)
        noted = _Noted()
        try:
            result = await self._post(endpoint, method, params, noted)
        except (ChainError, StateMissing):
            if noted.connected:
                await self._check_chain(endpoint)
            raise
        except EndpointFault:
            endpoint.checked = endpoint.checked and not noted.connected
            raise
        if noted.connected:
            await self._check_chain(endpoint)
        return result

    async def _check_chain(self, endpoint: _Endpoint) -> None:
        endpoint.checked = False
        chain_id = int(await self._post(endpoint, "eth_chainId", (), _Noted()), 16)
        if chain_id != self.chain_id:
            endpoint.foreign_chain_id = chain_id
            raise EndpointFault(
                f"chain id {chain_id} instead of {self.chain_id}",
                rest_seconds=self.settings.patience_seconds + 1,
            )
        endpoint.foreign_chain_id = None
        endpoint.checked = True

    async def _post(
        self, endpoint: _Endpoint, method: str, params: tuple[Any, ...], noted: _Noted
    ) -> Any:
        request_id, endpoint.next_id = endpoint.next_id, endpoint.next_id + 1
        body = msgspec.json.encode(
            {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        )
        if self._session is None:
            self._session = _session()
        try:
            async with (
                self._slots,
                asyncio.timeout(self.settings.request_seconds),
                self._session.post(endpoint.url, data=body, trace_request_ctx=noted) as answer,
            ):
                status, content = answer.status, await self._content(answer)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            said = f"{type(error).__name__} {error}".strip().replace(endpoint.url, endpoint.name)
            raise EndpointFault(said) from error
        if status in _NOT_FOR_US or status >= _SERVER_ERROR:
            raise EndpointFault(f"HTTP {status}", rest_seconds=rest_asked(answer.headers))
        return read_reply(method, request_id, status, content)

    async def _content(self, answer: aiohttp.ClientResponse) -> bytes:
        content = bytearray()
        async for piece in answer.content.iter_any():
            content += piece
            if len(content) > self.settings.largest_answer_bytes:
                raise EndpointFault(
                    f"an answer of more than {self.settings.largest_answer_bytes} bytes"
                )
        return bytes(content)


@dataclass(slots=True)
class _Noted:
    """What is known of a request afterwards: whether it made a new connection."""

    connected: bool = False


def _names_a_block(method: str, params: tuple[Any, ...]) -> bool:
    """Whether the state of a block with a number is asked for, not of the newest one."""
    return method in _OF_A_BLOCK and bool(params) and str(params[-1]).startswith("0x")


def _session() -> aiohttp.ClientSession:
    """A session that notes for each request whether it made a connection."""
    trace = aiohttp.TraceConfig()

    async def note(_session: object, context: Any, _parameters: object) -> None:
        context.trace_request_ctx.connected = True

    trace.on_connection_create_end.append(note)
    return aiohttp.ClientSession(
        headers={"content-type": "application/json"},
        timeout=aiohttp.ClientTimeout(),
        trace_configs=[trace],
    )
