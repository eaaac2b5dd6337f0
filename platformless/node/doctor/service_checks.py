"""Portals and broker: what the node talks to besides the chain."""

from __future__ import annotations

import asyncio
import secrets

import msgspec
from redis.asyncio import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from ...decoding import decode_json
from ...errors import PlatformlessError
from ...prover.broker import valkey
from ...storage.client import ClientSettings, PortalClient
from ...storage.wire import Wire, WireSettings
from ..backing import broker_folder
from .endpoints import shown
from .finding import Finding, error, ok
from .shared import Subject

_SECONDS = 5.0
_WIRE = WireSettings(connect_seconds=_SECONDS, silence_seconds=_SECONDS, request_seconds=_SECONDS)
_TRIAL_BYTES = 64


class _Version(msgspec.Struct):
    node: str = ""
    version: str = ""


async def check_portals(subject: Subject) -> list[Finding]:
    """Every portal of S5_PORTAL_URL by itself."""
    urls = [url.strip() for url in subject.settings.s5_portal_url.split(",") if url.strip()]
    if not urls:
        folder = subject.settings.data_folder.absolute() / "portal"
        return [ok("portal", f"S5_PORTAL_URL is not set: the node runs its own in {folder}")]
    token = subject.settings.s5_portal_token.get_secret_value() or None
    write = subject.options.write
    return list(await asyncio.gather(*(_portal(url, token, write) for url in urls)))


async def _portal(url: str, token: str | None, write: bool) -> Finding:
    advice = "check S5_PORTAL_URL and S5_PORTAL_TOKEN, and that the portal runs"
    try:
        says = await _about(url, token)
        if write:
            await _write(url, token)
            says += "; a blob was written and read back"
    except PlatformlessError as problem:
        return error("portal", f"{shown(url)}: {problem}", problem.advice or advice)
    return ok("portal", f"{shown(url)} answers{says}")


async def _about(url: str, token: str | None) -> str:
    """What the portal says it is; empty when it does not."""
    wire = Wire(url, token=token, settings=_WIRE)
    try:
        answer = await wire.ask("GET", "/s5/version")
    finally:
        await wire.close()
    try:
        told = decode_json(answer.body, _Version) if answer.ok else _Version()
    except msgspec.MsgspecError:
        return ""
    named = " ".join(filter(None, (told.node, told.version)))
    return f", {named}" if named else ""


async def _write(url: str, token: str | None) -> None:
    """Leaves a blob of a few random bytes behind."""
    async with PortalClient(ClientSettings(url, token=token, wire=_WIRE)) as portal:
        await portal.check(await portal.put(secrets.token_bytes(_TRIAL_BYTES)))


async def check_broker(subject: Subject) -> list[Finding]:
    """The broker of BROKER_URL, or whether the embedded one can run."""
    url = subject.settings.broker_url
    if not url:
        return [await _embedded(subject)]
    try:
        await _reach(url)
    except (RedisError, OSError, ValueError) as problem:
        advice = "check BROKER_URL and that it runs; jobs go on without it, some seconds later each"
        says = f"{shown(url)} does not answer: {str(problem) or type(problem).__name__}"
        return [error("broker", says.replace(url, shown(url)), advice)]
    except PlatformlessError as problem:
        return [error("broker", str(problem), problem.advice or "correct BROKER_URL")]
    return [ok("broker", f"{shown(url)} answers")]


async def _embedded(subject: Subject) -> Finding:
    folder = broker_folder(subject.settings)
    try:
        await asyncio.to_thread(valkey.server_command, folder)
    except (PlatformlessError, ImportError) as problem:
        advice = valkey.EmbeddedBrokerUnusable.advice
        return error("broker", f"BROKER_URL is not set, and {problem}", advice)
    if await valkey.is_up(valkey.broker_url(folder)):
        return ok("broker", f"the embedded one runs in {folder}")
    return ok("broker", "BROKER_URL is not set: the node runs its own")


async def _reach(url: str) -> None:
    if url.startswith(("amqp:", "amqps:")):
        await asyncio.to_thread(_reach_rabbitmq, url)
        return
    client = Redis.from_url(
        url,
        socket_timeout=_SECONDS,
        socket_connect_timeout=_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        await client.ping()
    finally:
        await client.aclose()


def _reach_rabbitmq(url: str) -> None:
    """Raises:
    OSError: when no connection comes about.
    """
    import pika  # type: ignore[import-untyped]
    from pika.exceptions import AMQPError  # type: ignore[import-untyped]

    parameters = pika.URLParameters(url)
    parameters.socket_timeout = parameters.stack_timeout = _SECONDS
    parameters.blocked_connection_timeout = _SECONDS
    parameters.connection_attempts = 1
    try:
        pika.BlockingConnection(parameters).close()
    except AMQPError as problem:
        raise OSError(repr(problem)) from problem
