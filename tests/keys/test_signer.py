"""The signer as a process: who may ask it, what it gives, and that the key stays with it."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from platformless.chain.devchain.accounts import dev_account
from platformless.chain.sending.sender import TransactionSender
from platformless.node.keys.errors import (
    SignerNotPrivate,
    SignerRefused,
    SignerUnreachable,
    SignerUntrue,
)
from platformless.node.keys.remote import RemoteKey
from platformless.node.keys.signer import SignerRequest, listener
from platformless.node.keys.sources import open_key
from platformless.node.reading_settings import load_settings
from platformless.protocol.errors import ValueOutOfRange
from platformless.protocol.host_key import LocalKey
from platformless.protocol.secrecy import PublicKeyBytes
from platformless.protocol.signatures import text_signer
from platformless.protocol.transaction import Transaction
from tests.chain.world import AT_ONCE, World

from .signing_process import RunningSigner, running_signer

TOKEN = "signer-token"  # noqa: S105
HOST_SECRET = bytes(dev_account("host").key)
HOST = LocalKey(HOST_SECRET)
STRANGER = PublicKeyBytes.of(b"\x09" * 32)


@pytest.fixture
async def signer(world: World, tmp_path: Path) -> AsyncIterator[RunningSigner]:
    """On a socket file."""
    path = tmp_path / "signer.sock"
    environment = world.dev_chain.environment()
    async with running_signer(tmp_path, environment, "--socket", str(path)) as running:
        yield running


async def connected(signer: RunningSigner, token: str | None = None) -> RemoteKey:
    return await asyncio.to_thread(RemoteKey.connect, signer.url, token)


async def test_a_signer_gives_what_the_key_would(signer: RunningSigner) -> None:
    key = await connected(signer)
    assert (key.address, key.public_key) == (HOST.address, HOST.public_key)

    def asked() -> None:
        assert key.agree(STRANGER) == HOST.agree(STRANGER)
        assert key.sign_text(b'[{"a": 1}]') == HOST.sign_text(b'[{"a": 1}]')
        assert key.sign_challenge(b"\x05" * 32) == HOST.sign_challenge(b"\x05" * 32)

    await asyncio.to_thread(asked)


async def test_its_socket_and_its_log_are_for_the_operator(signer: RunningSigner) -> None:
    path = Path(signer.url.removeprefix("unix://"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = await connected(signer)
    await asyncio.to_thread(key.sign_challenge, b"\x05" * 32)
    log = signer.log.read_text()
    assert "signed the challenge " + "05" * 32 in log
    assert HOST_SECRET.hex() not in log


async def test_a_transaction_of_the_host_is_mined_with_a_key_elsewhere(
    world: World, signer: RunningSigner, tmp_path: Path
) -> None:
    session_id = await world.open_session()
    await world.pass_time(10)
    key = await connected(signer)
    async with TransactionSender(world.chain, key, tmp_path / "remote.db", AT_ONCE) as sender:
        call = world.marketplace.submit_proof(world.submission(session_id, 100))
        await sender.send("proof", call)
    assert (await world.marketplace.session(session_id)).tokens_proven == 100
    assert "signed transaction" in signer.log.read_text()


async def test_what_its_policy_forbids_is_refused_and_nothing_is_kept(
    world: World, signer: RunningSigner, tmp_path: Path
) -> None:
    key = await connected(signer)
    async with TransactionSender(world.chain, key, tmp_path / "remote.db", AT_ONCE) as sender:
        theft = world.usdc.approve(world.address("client"), world.network.usdc.amount("1"))
        with pytest.raises(SignerRefused, match="KEY-007"):
            await sender.send("theft", theft)
        assert sender.outbox.entries() == []
    with pytest.raises(SignerRefused, match="KEY-007"):
        await asyncio.to_thread(key.sign_text, b"a login")
    assert "refused" in signer.log.read_text()


async def test_what_is_no_point_is_refused_before_it_is_asked_for(signer: RunningSigner) -> None:
    key = await connected(signer)
    with pytest.raises(ValueOutOfRange):
        await asyncio.to_thread(key.agree, PublicKeyBytes(bytes(33)))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/agree", b'{"public_key": "00"}'),
        ("/v1/sign-challenge", b'{"challenge": "0505"}'),
        ("/v1/sign-text", b'{"text": "zz"}'),
        ("/v1/sign-text", b'{"digest": "' + b"05" * 32 + b'"}'),
        ("/v1/sign-transaction", b"{}"),
        ("/v1/sign-transaction", b"not json"),
    ],
)
async def test_what_cannot_be_read_is_refused(
    signer: RunningSigner, path: str, body: bytes
) -> None:
    transport = httpx.AsyncHTTPTransport(uds=signer.url.removeprefix("unix://"))
    async with httpx.AsyncClient(transport=transport, base_url="http://signer") as client:
        reply = await client.post(path, content=body)
        assert reply.status_code == 400
        assert "signature" not in reply.text
        for secret in ("/v1/private-key", "/v1/sign", "/v1/sign-digest"):
            assert (await client.post(secret)).status_code == 404


async def test_a_port_wants_its_token(world: World, tmp_path: Path) -> None:
    environment = {**world.dev_chain.environment(), "HOST_SIGNER_TOKEN": TOKEN}
    async with running_signer(tmp_path, environment, "--port", "0") as signer:
        for wrong in (None, "another", TOKEN + "x"):
            with pytest.raises(SignerRefused, match="KEY-008"):
                await connected(signer, wrong)
        variables = {"HOST_SIGNER_URL": signer.url, "HOST_SIGNER_TOKEN": TOKEN}
        settings, _ = load_settings(variables, None)
        key = await asyncio.to_thread(open_key, settings)
        assert key.address == HOST.address
        signature = await asyncio.to_thread(key.sign_text, b"[]")
        assert text_signer(b"[]", signature) == HOST.address


async def test_a_port_without_a_token_is_not_opened(world: World, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="HOST_SIGNER_TOKEN is not set"):
        async with running_signer(tmp_path, world.dev_chain.environment(), "--port", "0"):
            pass


async def test_a_signer_that_is_gone_is_unreachable(world: World, tmp_path: Path) -> None:
    words = ("--socket", str(tmp_path / "signer.sock"))
    async with running_signer(tmp_path, world.dev_chain.environment(), *words) as signer:
        key = await connected(signer)
    with pytest.raises(SignerUnreachable):
        await asyncio.to_thread(key.sign_text, b"[]")
    assert not (tmp_path / "signer.sock").exists()


async def test_a_signer_that_was_started_again_goes_on(world: World, tmp_path: Path) -> None:
    environment = world.dev_chain.environment()
    words = ("--socket", str(tmp_path / "signer.sock"))
    async with running_signer(tmp_path, environment, *words) as signer:
        key = await connected(signer)
    async with running_signer(tmp_path, environment, *words):
        signature = await asyncio.to_thread(key.sign_text, b"[]")
    assert text_signer(b"[]", signature) == HOST.address


async def test_a_signature_of_another_key_goes_nowhere(signer: RunningSigner) -> None:
    key = await connected(signer)
    other = RemoteKey(key._client, STRANGER)
    transaction = Transaction(1, 0, HOST.address, 0, b"", 21_000, 1, 1)
    with pytest.raises(SignerUntrue, match="another key"):
        await asyncio.to_thread(other.sign_challenge, b"\x05" * 32)
    with pytest.raises(SignerRefused):
        await asyncio.to_thread(other.sign_transaction, replace(transaction, value=1))


@pytest.mark.parametrize(
    "url",
    ["http://signer.example:7000", "http://10.0.0.7", "signer.sock", "unix://host/path", "ftp://x"],
)
def test_a_key_is_not_used_in_the_clear_over_a_network(url: str) -> None:
    with pytest.raises(SignerNotPrivate):
        RemoteKey.connect(url, TOKEN)


def test_a_signer_listens_on_its_machine_alone(tmp_path: Path) -> None:
    with pytest.raises(SignerNotPrivate):
        listener(SignerRequest(host="0.0.0.0", port=0))  # noqa: S104
    path = tmp_path / "left.sock"
    listener(SignerRequest(path)).close()
    assert path.exists()
    with listener(SignerRequest(path)) as again:
        assert again.getsockname() == os.fspath(path)
