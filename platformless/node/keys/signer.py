"""`fabstir-llm-node signer`: holds the host's key and signs with it; it never gives it out."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import os
import socket
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ...chain.networks import Network
from ...console import Output, stop_requested
from ...decoding import decode_json
from ...errors import PlatformlessError
from ...protocol.errors import ProtocolError
from ...protocol.host_key import LocalKey
from ...protocol.secrecy import PublicKeyBytes
from ...web_server import WebServer
from ..errors import MissingSetting, PortInUse
from ..logs import set_up_logging
from ..reading_settings import load_settings
from .errors import SignerNotPrivate, TokenWrong
from .policy import FeeCaps, SigningPolicy
from .sources import open_local_key
from .wire import (
    MAX_BODY_BYTES,
    AgreeBody,
    ChallengeBody,
    KeyReply,
    Refusal,
    RefusalReply,
    SecretReply,
    SignatureReply,
    TextBody,
    TransactionBody,
)

log = logging.getLogger(__name__)
_Body = TypeVar("_Body", bound=Struct)


@dataclass(frozen=True, slots=True)
class SignerRequest:
    """Where to listen: a socket file, or a TCP port of an address of this machine."""

    socket_path: Path | None = None
    host: str = "127.0.0.1"
    port: int | None = None
    caps: FeeCaps = field(default_factory=FeeCaps)


class Signer:
    """Answers by wire.py. What it signed is in its log.

    Args:
        token: That askers must show; None on a socket that only this user may open.
    """

    def __init__(self, key: LocalKey, policy: SigningPolicy, token: str | None) -> None:
        self._key = key
        self._policy = policy
        self._token = token

    def app(self) -> Starlette:
        def posted(path: str, kind: type[_Body], answer: Callable[[_Body], Struct]) -> Route:
            async def endpoint(request: Request) -> Response:
                return await self._answered(request, kind, answer)

            return Route(path, endpoint, methods=["POST"])

        return Starlette(
            routes=[
                Route("/v1/key", self._show_key, methods=["GET"]),
                posted("/v1/agree", AgreeBody, self._agree),
                posted("/v1/sign-text", TextBody, self._sign_text),
                posted("/v1/sign-challenge", ChallengeBody, self._sign_challenge),
                posted("/v1/sign-transaction", TransactionBody, self._sign_transaction),
            ]
        )

    async def _show_key(self, request: Request) -> Response:
        try:
            self._require_token(request)
        except TokenWrong as error:
            return _refused(error)
        chain_id = self._policy.network.chain_id
        return _json(KeyReply(self._key.public_key.value.hex(), chain_id))

    async def _answered(
        self, request: Request, kind: type[_Body], answer: Callable[[_Body], Struct]
    ) -> Response:
        try:
            self._require_token(request)
            return _json(answer(decode_json(await _body(request), kind)))
        except PlatformlessError as error:
            log.warning("%s refused: %s", request.url.path, error)
            return _refused(error)
        except (msgspec.MsgspecError, ValueError):
            log.warning("%s refused: it cannot be read", request.url.path)
            return _refused(ProtocolError("the request cannot be read"))

    def _require_token(self, request: Request) -> None:
        if self._token is None:
            return
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
            raise TokenWrong("the signer wants its token", expected="a bearer token")

    def _agree(self, body: AgreeBody) -> SecretReply:
        with_key = PublicKeyBytes.from_hex(body.public_key)
        secret = self._key.agree(with_key)
        log.info("agreed on a secret with %s", with_key)
        return SecretReply(secret.hex())

    def _sign_text(self, body: TextBody) -> SignatureReply:
        text = bytes.fromhex(body.text)
        self._policy.require_text(text)
        signature = self._key.sign_text(text)
        digest = hashlib.sha256(text).hexdigest()
        log.info("signed a text of %d bytes, SHA-256 %s", len(text), digest)
        return SignatureReply(str(signature))

    def _sign_challenge(self, body: ChallengeBody) -> SignatureReply:
        signature = self._key.sign_challenge(bytes.fromhex(body.challenge))
        log.info("signed the challenge %s", body.challenge)
        return SignatureReply(str(signature))

    def _sign_transaction(self, body: TransactionBody) -> SignatureReply:
        transaction = body.transaction()
        purpose = self._policy.require_transaction(transaction)
        signature = self._key.sign_transaction(transaction)
        log.info(
            "signed transaction %d: %s, %d gas, at most %d wei a gas, data SHA-256 %s",
            transaction.nonce,
            purpose,
            transaction.gas_limit,
            transaction.max_fee,
            hashlib.sha256(transaction.data).hexdigest(),
        )
        return SignatureReply(str(signature))


def run_signer(output: Output, env_file: Path, request: SignerRequest) -> None:
    """Loads the key, listens, and stays.

    Raises:
        SettingsError, HostKeyError: when it cannot be started like this.
        PortInUse: when something else listens there.
    """
    settings, network = load_settings(env_file=env_file)
    set_up_logging(settings, "signer")
    token = settings.host_signer_token.get_secret_value() or None
    if request.socket_path is None and token is None:
        raise MissingSetting(
            "HOST_SIGNER_TOKEN is not set", expected="a token, since others may reach a port"
        )
    key = open_local_key(settings)
    policy = SigningPolicy(network, key.address, request.caps)
    asyncio.run(_serve(output, Signer(key, policy, token), key, network, request))


async def _serve(
    output: Output, signer: Signer, key: LocalKey, network: Network, request: SignerRequest
) -> None:
    stopping = stop_requested()
    listening = listener(request)
    try:
        async with WebServer(signer.app(), listening=listening) as server:
            path = request.socket_path
            url = f"unix://{path.absolute()}" if path else f"http://{request.host}:{server.port}"
            rows = {"url": url, "host": str(key.address), "chain": str(network.chain_id)}
            output.running("signer", rows)
            await stopping.wait()
    finally:
        if request.socket_path is not None:
            request.socket_path.unlink(missing_ok=True)


def listener(request: SignerRequest) -> socket.socket:
    """A socket file of mode 600 from its first moment, or a port of this machine.

    Raises:
        SignerNotPrivate: for an address that other machines reach: TLS is a proxy's business.
        PortInUse: when something else listens there.
    """
    if request.socket_path is not None:
        return _socket_file(request.socket_path)
    try:
        is_here = ip_address(request.host).is_loopback
    except ValueError:
        is_here = False
    if not is_here:
        raise SignerNotPrivate(
            "the signer listens on this machine alone", expected="127.0.0.1", got=request.host
        )
    family = socket.AF_INET6 if ":" in request.host else socket.AF_INET
    try:
        return socket.create_server((request.host, request.port or 0), family=family)
    except OSError as error:
        raise _taken(f"{request.host}, port {request.port}", error) from error


def _socket_file(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX)
    try:
        if _is_left_over(path):
            path.unlink()
        old_mask = os.umask(0o177)
        try:
            listening.bind(str(path))
        finally:
            os.umask(old_mask)
        listening.listen()
    except OSError as error:
        listening.close()
        raise _taken(str(path), error) from error
    return listening


def _is_left_over(path: Path) -> bool:
    """Whether it is a socket that nobody listens on any more."""
    if not path.exists() or not stat.S_ISSOCK(path.stat().st_mode):
        return False
    with socket.socket(socket.AF_UNIX) as asking:
        return asking.connect_ex(str(path)) != 0


def _taken(where: str, error: OSError) -> PortInUse:
    return PortInUse(f"cannot listen on {where}", got=error.strerror or error)


async def _body(request: Request) -> bytes:
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > MAX_BODY_BYTES:
            raise ProtocolError("the request is too large", expected=f"{MAX_BODY_BYTES} bytes")
    return bytes(data)


def _json(reply: Struct, status: int = 200) -> Response:
    return Response(msgspec.json.encode(reply), status, media_type="application/json")


def _refused(error: PlatformlessError) -> Response:
    if isinstance(error, TokenWrong):
        status = 401
    else:
        status = 400 if isinstance(error, ProtocolError) else 403
    told = Refusal(
        error.code,
        error.message,
        "" if error.expected is None else str(error.expected),
        "" if error.got is None else str(error.got),
    )
    return _json(RefusalReply(told), status)
