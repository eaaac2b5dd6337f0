"""The host's HTTP endpoints that a client needs: to prove whose they are, both ways."""

from __future__ import annotations

import os
import time
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct

from ..decoding import decode_json
from ..protocol.digests import Address
from ..protocol.errors import ProtocolError
from ..protocol.secrecy import PublicKeyBytes
from ..protocol.wallet_challenge import ChallengeNonce, WalletChallenge
from .errors import ChallengeForeign, HostKeyForeign, HostRefused, HostUnreachable
from .hosts import HostSignature, KeyChallenge, key_from_signature
from .verifying import Agreed

_OK = 200
_LARGEST_ANSWER_BYTES = 64 << 10
_LONGEST_CHALLENGE_SECONDS = 24 * 3600
_TOLD_CHARACTERS = 200


def endpoint(api_url: str, path: str) -> str:
    """An address below a host's `api_url`, which may end with a slash."""
    return api_url.rstrip("/") + path


def websocket_url(api_url: str) -> str:
    """Where a host's WebSocket is.

    Raises:
        HostUnreachable: when the address is not one of HTTP.
    """
    for scheme, replacement in (("http://", "ws://"), ("https://", "wss://")):
        if api_url.lower().startswith(scheme):
            return endpoint(replacement + api_url[len(scheme) :], "/v1/ws")
    raise HostUnreachable("not an address of HTTP", expected="http:// or https://", got=api_url)


class HostWeb:
    """The HTTP side of one host.

    Args:
        seconds: How long one request may take.
    """

    def __init__(self, http: aiohttp.ClientSession, api_url: str, *, seconds: float = 30) -> None:
        self._http = http
        self._api_url = api_url
        self._timeout = aiohttp.ClientTimeout(total=seconds)

    async def host_key(self, address: Address) -> PublicKeyBytes:
        """Has the host show the key of its account.

        Raises:
            HostKeyForeign: when it shows another.
            HostUnreachable, HostRefused
        """
        challenge = KeyChallenge(os.urandom(KeyChallenge.LENGTH))
        data = await self._ask(
            "POST", "/v1/auth/challenge", json={"challenge": challenge.value.hex()}
        )
        try:
            fields = decode_json(data, _KeyShown)
            signature = HostSignature.from_hex(fields.signature)
        except (msgspec.MsgspecError, ProtocolError) as error:
            raise HostKeyForeign("not a signature", got=str(error)) from error
        return key_from_signature(challenge, signature, fields.recid, address)

    async def wallet_challenge(self, agreed: Agreed) -> WalletChallenge:
        """What the wallet shall sign to take up a session, checked.

        Raises:
            ChallengeForeign: when it is not about this session.
            HostUnreachable, HostRefused
        """
        params = {"session_id": str(agreed.session_id)}
        data = await self._ask("GET", "/v1/auth/challenge", params=params)
        return read_challenge(data, agreed, time.time())

    async def _ask(self, method: str, path: str, **options: Any) -> bytes:
        try:
            async with self._http.request(
                method,
                endpoint(self._api_url, path),
                timeout=self._timeout,
                allow_redirects=False,
                **options,
            ) as answer:
                data = bytearray()
                async for piece in answer.content.iter_any():
                    data += piece
                    if len(data) > _LARGEST_ANSWER_BYTES:
                        raise HostUnreachable(
                            f"{path} gives a strange answer",
                            expected=f"at most {_LARGEST_ANSWER_BYTES} bytes",
                        )
                if answer.status != _OK:
                    code, message = _refusal(bytes(data))
                    raise HostRefused(code or f"HTTP {answer.status}", message or path)
                return bytes(data)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise HostUnreachable(
                f"{self._api_url}{path} does not answer", got=str(error) or type(error).__name__
            ) from error


def read_challenge(data: bytes, agreed: Agreed, now: float) -> WalletChallenge:
    """A host's challenge, if it asks for nothing but to take up this session.

    Args:
        now: Unix time in seconds.

    Raises:
        ChallengeForeign
    """
    try:
        fields = decode_json(data, _ChallengeFields)
        challenge = WalletChallenge(
            chain_id=int(fields.chain_id),
            marketplace=Address.from_hex(fields.marketplace),
            host=Address.from_hex(fields.host),
            session_id=int(fields.session_id),
            nonce=ChallengeNonce.from_hex(fields.nonce),
            expires=fields.expires,
        )
    except (msgspec.MsgspecError, ProtocolError, ValueError) as error:
        raise ChallengeForeign("not a wallet challenge", got=str(error)) from error
    for what, expected, got in (
        ("chain", agreed.chain_id, challenge.chain_id),
        ("marketplace", agreed.marketplace, challenge.marketplace),
        ("host", agreed.host, challenge.host),
        ("session", agreed.session_id, challenge.session_id),
    ):
        if expected != got:
            raise ChallengeForeign(f"a challenge for another {what}", expected=expected, got=got)
    if not now <= challenge.expires <= now + _LONGEST_CHALLENGE_SECONDS:
        raise ChallengeForeign(
            "a challenge that has expired, or lasts too long",
            expected=f"until {now:.0f} to {now + _LONGEST_CHALLENGE_SECONDS:.0f}",
            got=challenge.expires,
        )
    return challenge


class _KeyShown(Struct, frozen=True):
    signature: str
    recid: int


class _ChallengeFields(Struct, frozen=True):
    chain_id: int | str
    marketplace: str
    host: str
    session_id: int | str
    nonce: str
    expires: int


class _Refusal(Struct, frozen=True):
    code: str | None = None
    message: str | None = None


def _refusal(data: bytes) -> tuple[str | None, str | None]:
    try:
        fields = decode_json(data, _Refusal)
    except (msgspec.MsgspecError, RecursionError):
        return None, None
    return fields.code, fields.message[:_TOLD_CHARACTERS] if fields.message else None
