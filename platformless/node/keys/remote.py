"""A key in another process, or on another machine, that is asked over HTTP (wire.py)."""

from __future__ import annotations

import time
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import httpx
import msgspec
from coincurve import PublicKey
from msgspec import Struct

from ...decoding import decode_json
from ...protocol.digests import Address
from ...protocol.errors import ProtocolError
from ...protocol.host_key import challenge_digest
from ...protocol.secrecy import KEY_BYTES, PublicKeyBytes
from ...protocol.signatures import Signature, address_of_key, personal_digest, signer
from ...protocol.transaction import Transaction
from .errors import SignerNotPrivate, SignerRefused, SignerUnreachable, SignerUntrue
from .wire import (
    AgreeBody,
    ChallengeBody,
    KeyReply,
    RefusalReply,
    SecretReply,
    SignatureReply,
    TextBody,
    TransactionBody,
)

_ANSWER_SECONDS = 10.0
_BETWEEN_TRIES_SECONDS = 0.2
_Reply = TypeVar("_Reply", bound=Struct)


class RemoteKey:
    """The host's key in a signer. Methods block; threads may share it.

    Every signature is checked against the key that was told at first, so that a wrong one is never
    sent on.
    """

    def __init__(self, client: httpx.Client, public_key: PublicKeyBytes) -> None:
        """For `connect`."""
        self._client = client
        self.public_key = public_key
        self.address: Address = address_of_key(PublicKey(public_key.value))

    def __repr__(self) -> str:
        return f"RemoteKey({self.address})"

    @classmethod
    def connect(cls, url: str, token: str | None, *, patience_seconds: float = 10.0) -> RemoteKey:
        """Asks the signer for its public key; one that is just starting is waited for.

        Args:
            url: `unix:///path`, `https://…`, or `http://` to this machine.

        Raises:
            SignerNotPrivate: for another URL.
            SignerUnreachable, SignerRefused, SignerUntrue
        """
        client = _client(url, token)
        deadline = time.monotonic() + patience_seconds
        try:
            while True:
                try:
                    told = _asked(client, "GET", "/v1/key", None, KeyReply)
                    break
                except SignerUnreachable:
                    if time.monotonic() >= deadline:
                        raise
                    time.sleep(_BETWEEN_TRIES_SECONDS)
            try:
                return cls(client, PublicKeyBytes.from_hex(told.public_key).require_point())
            except ProtocolError as error:
                raise SignerUntrue("the signer names no public key", got=error.got) from error
        except BaseException:
            client.close()
            raise

    def close(self) -> None:
        self._client.close()

    def agree(self, public_key: PublicKeyBytes) -> bytes:
        public_key.require_point()
        reply = self._ask("/v1/agree", AgreeBody(public_key.value.hex()), SecretReply)
        try:
            secret = bytes.fromhex(reply.secret)
        except ValueError:
            secret = b""
        if len(secret) != KEY_BYTES:
            raise SignerUntrue("the signer gave no secret", expected=f"{KEY_BYTES} bytes in hex")
        return secret

    def sign_text(self, text: bytes) -> Signature:
        return self._signature("/v1/sign-text", TextBody(text.hex()), personal_digest(text))

    def sign_challenge(self, challenge: bytes) -> Signature:
        digest = challenge_digest(challenge)
        return self._signature("/v1/sign-challenge", ChallengeBody(challenge.hex()), digest)

    def sign_transaction(self, transaction: Transaction) -> Signature:
        body = TransactionBody.of(transaction)
        return self._signature("/v1/sign-transaction", body, transaction.digest)

    def _signature(self, path: str, body: Struct, digest: bytes) -> Signature:
        """What the signer gives for this, made by its key over what was asked for.

        Raises:
            SignerUntrue
        """
        reply = self._ask(path, body, SignatureReply)
        try:
            signature = Signature.from_hex(reply.signature)
            made_by = signer(digest, signature)
        except ProtocolError as error:
            raise SignerUntrue("the signer gave no signature", got=error.got) from error
        if made_by != self.address:
            raise SignerUntrue(
                "the signer signed with another key, or something else",
                expected=self.address,
                got=made_by,
            )
        return signature

    def _ask(self, path: str, body: Struct, kind: type[_Reply]) -> _Reply:
        return _asked(self._client, "POST", path, body, kind)


def _client(url: str, token: str | None) -> httpx.Client:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    parts = urlsplit(url)
    base, transport = url, httpx.HTTPTransport()
    if parts.scheme == "unix" and not parts.netloc and parts.path:
        base, transport = "http://signer", httpx.HTTPTransport(uds=unquote(parts.path))
    elif not (parts.scheme == "https" or (parts.scheme == "http" and _is_here(parts.hostname))):
        raise SignerNotPrivate(
            "HOST_SIGNER_URL cannot be used",
            expected="unix:///path, https://…, or http:// to this machine",
            got=f"{parts.scheme}://{parts.hostname or ''}",
        )
    return httpx.Client(
        base_url=base.rstrip("/"),
        transport=transport,
        headers=headers,
        timeout=_ANSWER_SECONDS,
        trust_env=False,
    )


def _is_here(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False


def _asked(
    client: httpx.Client, method: str, path: str, body: Struct | None, kind: type[_Reply]
) -> _Reply:
    content = None if body is None else msgspec.json.encode(body)
    try:
        try:
            reply = client.request(method, path, content=content)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            # A connection that was kept is gone when the signer was started again.
            reply = client.request(method, path, content=content)
    except httpx.HTTPError as error:
        raise SignerUnreachable(
            "the signer does not answer", got=str(error) or type(error).__name__
        ) from None
    if reply.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise SignerUnreachable("the signer failed", got=f"status {reply.status_code}")
    if reply.status_code != httpx.codes.OK:
        raise _refused(reply)
    try:
        return decode_json(reply.content, kind)
    except msgspec.MsgspecError:
        raise SignerUntrue(f"the answer to {path} is no signer's", expected="its JSON") from None


def _refused(reply: httpx.Response) -> SignerRefused:
    try:
        told = decode_json(reply.content, RefusalReply).error
    except msgspec.MsgspecError:
        return SignerRefused("the signer refuses", got=f"status {reply.status_code}")
    said = f"the signer refuses: {told.code} {told.message}"
    return SignerRefused(said, expected=told.expected or None, got=told.got or None)
