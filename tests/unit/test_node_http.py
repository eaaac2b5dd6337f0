"""The node over HTTP: what anyone may ask, challenges, checkpoints, and errors as clients read
them."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import uvicorn
from coincurve import PublicKey
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from platformless.chain.errors import EndpointsUnavailable
from platformless.engine.errors import EngineClosed, QueueFull, TokenLimitExceeded
from platformless.errors import PlatformlessError
from platformless.node.errors import (
    ChallengeExpired,
    ChallengeUnknown,
    DepositUsedUp,
    ForeignClient,
    JobNotFound,
    ModelNotServed,
    SessionError,
    TooManySessions,
    WalletProofNeeded,
    WrongWallet,
)
from platformless.node.monitoring.chain import ChainReading, HeadReading
from platformless.node.monitoring.gpu import Gpus
from platformless.node.monitoring.load import Load
from platformless.node.server import bodies
from platformless.node.server.app import node_app
from platformless.node.server.challenges import ChallengeEndpoints, RateLimit
from platformless.node.server.checkpoints import CheckpointEndpoints
from platformless.node.server.errors import TooManyRequests
from platformless.node.server.health import Health, HealthCheck
from platformless.node.server.replies import name_request
from platformless.node.server.status import NodeFacts, ServedModel, StatusEndpoints
from platformless.node.sessions.challenges import WalletChallenges
from platformless.protocol import index as indexes
from platformless.protocol.digests import Address, ModelId, ProofHash, WeightsRoot
from platformless.protocol.envelope import WalletProof
from platformless.protocol.errors import IndexFormatError, ProtocolError
from platformless.protocol.host_key import LocalKey
from platformless.protocol.index import CheckpointIndex, IndexEntry, SignedIndex
from platformless.protocol.signatures import Signature, address_of_key, sign
from platformless.protocol.transcript import Tokens
from platformless.protocol.wallet_challenge import ChallengeNonce, WalletChallenge
from platformless.storage.cids import BlobId
from platformless.storage.publication import CheckpointPublisher

HOST_KEY, WALLET_KEY = b"\x07" * 32, b"\x08" * 32
CHAIN_ID, MARKETPLACE = 84532, Address(b"\x11" * 20)
PRIVATE_URL = "https://rpc.example/a-providers-key"
MODEL = ServedModel(
    ModelId(b"\x21" * 32), "owner/Tiny-GGUF", "tiny.q8_0.gguf", 4096, WeightsRoot(b"\x22" * 32)
)
FACTS = NodeFacts("1.2.3", "abcdef0", CHAIN_ID, "base-sepolia", (MODEL,))


def address_of(key: bytes) -> Address:
    return address_of_key(PublicKey.from_valid_secret(key))


HOST, WALLET = address_of(HOST_KEY), address_of(WALLET_KEY)


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class Failing:
    """A route that ends with the error it is given."""

    error: Exception = RuntimeError(PRIVATE_URL)

    async def endpoint(self, request: Request) -> Response:
        name_request(request, request.query_params.get("name"))
        raise self.error


class Indexes:
    """Indexes in memory, as `CheckpointPublisher` has them on disk."""

    known: SignedIndex | None = None
    error: Exception | None = None
    asked: int | None = None

    def index(self, session_id: int) -> SignedIndex | None:
        self.asked = session_id
        if self.error is not None:
            raise self.error
        return self.known


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wallets(clock: Clock) -> WalletChallenges:
    return WalletChallenges(CHAIN_ID, MARKETPLACE, HOST, clock)


class Idle:
    """A node without a GPU and without sessions, as its monitor knows it."""

    gpus: Gpus = ()
    load = Load(
        connections=0,
        active_sessions=0,
        queued=0,
        generating=0,
        sequences=8,
        is_model_loaded=True,
        is_draining=False,
    )
    chain = ChainReading(0.0, HeadReading(1, 0.0, 0.0))


WITHOUT_GPU = {
    "gpu": {
        "available": False,
        "model": None,
        "vram_total": None,
        "vram_used": None,
        "temperature": None,
    },
    "gpu_available": False,
    "model_loaded": True,
    "active_sessions": 0,
}


class Node:
    """The parts of an application, and the application."""

    def __init__(self, wallets: WalletChallenges, clock: Clock) -> None:
        self.failing, self.indexes = Failing(), Indexes()
        self.issues: list[str | Exception | None] = [None, None]
        self.asked = 0
        self.health = Health(
            [
                HealthCheck("chain", lambda: self.probe(0)),
                HealthCheck("engine", lambda: self.probe(1), is_vital=True),
            ],
            clock,
            check_seconds=0.05,
        )
        self.app = node_app(
            StatusEndpoints(FACTS, self.health, Idle()),
            ChallengeEndpoints(LocalKey(HOST_KEY), wallets, RateLimit(5, clock)),
            CheckpointEndpoints(self.indexes),
            chain_id=CHAIN_ID,
            more_routes=[Route("/fail", self.failing.endpoint)],
        )

    async def probe(self, number: int) -> str | None:
        self.asked += 1
        issue = self.issues[number]
        if isinstance(issue, TimeoutError):
            await asyncio.Event().wait()
        if isinstance(issue, Exception):
            raise issue
        return issue


@pytest.fixture
def node(wallets: WalletChallenges, clock: Clock) -> Node:
    return Node(wallets, clock)


@pytest.fixture
async def http(node: Node) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(node.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
        yield client


@pytest.fixture
async def real(node: Node) -> AsyncIterator[httpx.AsyncClient]:
    """The same behind a real server."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(node.app, log_config=None, lifespan="off"))
        running = asyncio.create_task(server.serve([listening]))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with httpx.AsyncClient(base_url=url, timeout=10) as client:
            yield client
        server.should_exit = True
        await running


# What the node is


@pytest.mark.parametrize("path", ["/health", "/v1/health", "/status"])
async def test_a_node_that_is_well_says_so(http: httpx.AsyncClient, path: str) -> None:
    reply = await http.get(path)
    assert reply.status_code == 200
    assert reply.json() == {"status": "healthy", "issues": [], **WITHOUT_GPU}


async def test_an_issue_degrades_and_a_vital_one_is_worse(
    http: httpx.AsyncClient, node: Node, clock: Clock
) -> None:
    node.issues[0] = "behind by 40 blocks"
    reply = await http.get("/v1/health")
    assert reply.json() == {
        "status": "degraded",
        "issues": ["chain: behind by 40 blocks"],
        **WITHOUT_GPU,
    }
    node.issues = [TimeoutError(), RuntimeError(PRIVATE_URL)]
    clock.now += 2
    reply = await http.get("/v1/health")
    assert reply.status_code == 200
    assert reply.json() == {
        "status": "unhealthy",
        "issues": ["chain: no answer within 0.05 s", "engine: failed"],
        **WITHOUT_GPU,
    }


async def test_many_who_ask_at_once_are_one_question(
    http: httpx.AsyncClient, node: Node, clock: Clock
) -> None:
    await asyncio.gather(*(http.get("/health") for _ in range(20)))
    assert node.asked == 2
    clock.now += 1.9
    await http.get("/status")
    assert node.asked == 2
    clock.now += 0.1
    await http.get("/status")
    assert node.asked == 4


@pytest.mark.parametrize(("trace", "named"), [("sampled", "sampled-traces"), ("always", "traces")])
def test_a_host_that_traces_says_so(trace: str, named: str) -> None:
    assert replace(FACTS, trace=trace).features == (*FACTS.features, named)


async def test_version_names_what_is_served(http: httpx.AsyncClient) -> None:
    body = (await http.get("/v1/version")).json()
    features = body.pop("features")
    assert "wallet-challenge" in features
    assert not [name for name in features if "search" in name]
    assert not [name for name in features if "traces" in name]
    assert body == {
        "version": "1.2.3",
        "build": "abcdef0",
        "chains": [CHAIN_ID],
        "breaking_changes": [],
    }


@pytest.mark.parametrize("query", ["", f"?chain_id={CHAIN_ID}"])
async def test_models_are_listed(http: httpx.AsyncClient, query: str) -> None:
    body = (await http.get(f"/v1/models{query}")).json()
    assert (body["chain_id"], body["chain_name"]) == (CHAIN_ID, "base-sepolia")
    assert body["models"] == [
        {
            "id": "0x" + "21" * 32,
            "name": "owner/Tiny-GGUF:tiny.q8_0.gguf",
            "description": "tiny.q8_0.gguf, context of 4096 tokens",
            "context_window_size": 4096,
            "weights_root": "0x" + "22" * 32,
        }
    ]


async def test_another_chain_has_no_models(http: httpx.AsyncClient) -> None:
    reply = await http.get("/v1/models?chain_id=5611")
    assert reply.status_code == 200
    assert reply.json() == {"models": [], "chain_id": 5611}
    reply = await http.get("/v1/models?chain_id=base")
    assert (reply.status_code, reply.json()["code"]) == (400, "NOD-804")


async def test_chains_are_listed(http: httpx.AsyncClient) -> None:
    assert (await http.get("/v1/chains")).json() == {
        "chains": [{"chain_id": CHAIN_ID, "name": "base-sepolia"}],
        "default_chain": CHAIN_ID,
    }


# The host proves its key


@pytest.mark.parametrize("prefix", ["", "0x"])
async def test_the_hosts_key_can_be_recovered_from_its_signature(
    http: httpx.AsyncClient, prefix: str
) -> None:
    for challenge in (b"\x00" * 32, b"\xff" * 32, bytes(range(32))):
        reply = await http.post("/v1/auth/challenge", json={"challenge": prefix + challenge.hex()})
        body = reply.json()
        assert reply.status_code == 200
        assert len(body["signature"]) == 128
        assert body["recid"] in (0, 1)
        key = PublicKey.from_signature_and_message(
            bytes.fromhex(body["signature"]) + bytes([body["recid"]]),
            hashlib.sha256(challenge).digest(),
            hasher=None,
        )
        assert address_of_key(key) == HOST
        assert key.format().hex() == body["publicKey"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"\xff\xfe",
        b"[" * 10_000,
        b"[]",
        b"{}",
        b'{"challenge": 7}',
        b'{"challenge": null}',
        b'{"challenge": "%s"}' % (b"0" * 63),
        b'{"challenge": "%s"}' % (b"0" * 65),
        b'{"challenge": "%s\\n"}' % (b"0" * 64),
        b'{"challenge": "%s"}' % (b"0 " * 32),
        b'{"challenge": "%s"}' % (b"g" * 64),
        b'{"other": %s, "challenge": "00"}' % (b"[" * 8000 + b"]" * 8000),
    ],
)
async def test_a_body_that_is_no_challenge_is_refused(http: httpx.AsyncClient, body: bytes) -> None:
    reply = await http.post("/v1/auth/challenge", content=body)
    assert reply.status_code == 400
    assert reply.json()["error_type"] == "validation_error"
    assert reply.json()["code"] == "NOD-801"


async def test_a_body_too_large_is_refused_however_it_comes(real: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b" " * 1024

    for content in (b" " * (16 * 1024 + 1), pieces()):
        reply = await real.post("/v1/auth/challenge", content=content)
        assert (reply.status_code, reply.json()["code"]) == (400, "NOD-802")
        assert reply.json()["details"] == {"expected": "at most 16384 bytes"}
        assert reply.headers["connection"] == "close"


async def test_a_body_that_does_not_come_is_not_waited_for(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stalled() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.02)
    reply = await http.post("/v1/auth/challenge", content=stalled())
    assert (reply.status_code, reply.json()["code"]) == (400, "NOD-803")


async def test_signatures_are_limited_in_time(http: httpx.AsyncClient, clock: Clock) -> None:
    asked = {"challenge": "ab" * 32}
    replies = [await http.post("/v1/auth/challenge", json=asked) for _ in range(6)]
    assert [reply.status_code for reply in replies] == [200] * 5 + [429]
    last = replies[-1]
    assert last.json()["error_type"] == "rate_limit_exceeded"
    assert last.json()["details"]["retry_after"] == 1
    assert last.headers["retry-after"] == "1"
    clock.now += 0.2
    assert (await http.post("/v1/auth/challenge", json=asked)).status_code == 200


def test_quiet_times_save_no_more_than_a_second_of_calls(clock: Clock) -> None:
    limit = RateLimit(2, clock)
    clock.now += 1000
    limit.take()
    limit.take()
    with pytest.raises(TooManyRequests):
        limit.take()


# Clients prove their wallet


def answered(challenge: WalletChallenge, key: bytes = WALLET_KEY) -> WalletProof:
    return WalletProof(str(challenge.nonce), str(sign(challenge.signing_digest(), key)))


async def test_a_challenge_is_told_with_all_that_is_signed(
    http: httpx.AsyncClient, wallets: WalletChallenges
) -> None:
    session_id = 2**200 + 1
    reply = await http.get(f"/v1/auth/challenge?session_id={session_id}")
    assert reply.headers["cache-control"] == "no-store"
    body = reply.json()
    challenge = WalletChallenge(
        body["chain_id"],
        Address.from_hex(body["marketplace"]),
        Address.from_hex(body["host"]),
        int(body["session_id"]),
        ChallengeNonce.from_hex(body["nonce"]),
        body["expires"],
    )
    assert body["session_id"] == str(session_id)
    assert body["nonce"].startswith("0x")
    assert body["expires"] == 1_700_000_120
    wallets.take(session_id, answered(challenge), WALLET)


@pytest.mark.parametrize("text", [None, "", "-1", "0x1", "\u00b2", str(2**256), "1" * 5000])
async def test_a_challenge_is_for_a_session(http: httpx.AsyncClient, text: str | None) -> None:
    query = {} if text is None else {"session_id": text}
    reply = await http.get("/v1/auth/challenge", params=query)
    assert (reply.status_code, reply.json()["code"]) == (400, "NOD-804")


# Checkpoints


def signed_index() -> SignedIndex:
    entry = IndexEntry(
        checkpoint=0,
        proof_hash=ProofHash(b"\x31" * 32),
        delta_cid="blobbdelta",
        proof_cid="blobbproof",
        tokens_before=Tokens(0),
        tokens_after=Tokens(1000),
        timestamp_ms=1_700_000_000_000,
        sealed=True,
    )
    return indexes.sign(CheckpointIndex(7, HOST, (entry,)), Signature(b"\x01" * 65), HOST_KEY)


async def test_an_index_is_served_as_it_was_published(http: httpx.AsyncClient, node: Node) -> None:
    node.indexes.known = signed_index()
    reply = await http.get("/v1/checkpoints/7")
    assert (reply.status_code, node.indexes.asked) == (200, 7)
    assert reply.headers["content-type"] == "application/json"
    assert reply.content == signed_index().encode()
    assert indexes.decode(reply.content).signer() == HOST


async def test_a_publishers_file_is_served_byte_for_byte(
    wallets: WalletChallenges, tmp_path: Path
) -> None:
    class NoUploads:
        async def put(self, source: bytes | Path) -> BlobId:
            raise AssertionError(source)

    folder = tmp_path / str(HOST).lower() / "7"
    folder.mkdir(parents=True)
    (folder / "index.json").write_bytes(signed_index().encode())
    publisher = CheckpointPublisher(tmp_path, LocalKey(HOST_KEY), NoUploads())
    app = node_app(
        StatusEndpoints(FACTS, Health(), Idle()),
        ChallengeEndpoints(LocalKey(HOST_KEY), wallets),
        CheckpointEndpoints(publisher),
        chain_id=CHAIN_ID,
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://node"
    ) as client:
        assert (await client.get("/v1/checkpoints/7")).content == signed_index().encode()
        assert (await client.get("/v1/checkpoints/8")).status_code == 404


async def test_before_the_first_checkpoint_there_is_none(http: httpx.AsyncClient) -> None:
    reply = await http.get("/v1/checkpoints/12")
    assert reply.status_code == 404
    assert reply.json() == {"error": "No checkpoints found for session 12"}


@pytest.mark.parametrize("name", ["abc", "-1", "1.5", "..%5C..", "7n", "%D9%A3", "9" * 100])
async def test_a_session_id_must_be_a_number(
    http: httpx.AsyncClient, node: Node, name: str
) -> None:
    reply = await http.get(f"/v1/checkpoints/{name}")
    assert (reply.status_code, reply.json()["code"]) == (400, "NOD-804")
    assert node.indexes.asked is None


@pytest.mark.parametrize("error", [OSError(PRIVATE_URL), IndexFormatError(PRIVATE_URL)])
async def test_an_index_that_cannot_be_read_is_the_nodes_failure(
    http: httpx.AsyncClient, node: Node, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    node.indexes.error = error
    reply = await http.get("/v1/checkpoints/7")
    assert (reply.status_code, reply.json()["error_type"]) == (500, "internal_error")
    assert PRIVATE_URL not in reply.text
    assert PRIVATE_URL in caplog.text


# Errors


CASES: list[tuple[PlatformlessError, int, str]] = [
    (JobNotFound("x"), 404, "not_found"),
    (ModelNotServed("x"), 404, "model_not_found"),
    (ForeignClient("x"), 401, "unauthorized"),
    (WalletProofNeeded("x"), 401, "unauthorized"),
    (WrongWallet("x"), 401, "unauthorized"),
    (ChallengeUnknown("x"), 401, "unauthorized"),
    (ChallengeExpired("x"), 401, "unauthorized"),
    (TooManySessions("x"), 503, "service_unavailable"),
    (DepositUsedUp("x"), 400, "invalid_request"),
    (ProtocolError("x"), 400, "invalid_request"),
    (TokenLimitExceeded(5000, 4096), 400, "invalid_request"),
    (QueueFull("x"), 429, "rate_limit_exceeded"),
]


@pytest.mark.parametrize(("error", "status", "error_type"), CASES)
async def test_a_client_hears_what_it_did_wrong(
    http: httpx.AsyncClient, node: Node, error: PlatformlessError, status: int, error_type: str
) -> None:
    node.failing.error = error
    reply = await http.get("/fail")
    body = reply.json()
    assert reply.status_code == status
    assert body["error_type"] == error_type
    assert body["code"] == error.code
    assert body["message"] == error.message
    assert body["chain_id"] == CHAIN_ID
    assert body["request_id"] == reply.headers["x-request-id"]
    if isinstance(error, SessionError):
        assert body["details"]["wire_code"] == error.wire_code


async def test_details_hold_the_numbers_that_clients_read(
    http: httpx.AsyncClient, node: Node
) -> None:
    node.failing.error = TokenLimitExceeded(5000, 4096)
    details = (await http.get("/fail")).json()["details"]
    assert (details["prompt_tokens"], details["context_window_size"]) == (5000, 4096)
    node.failing.error = QueueFull("full")
    reply = await http.get("/fail")
    assert reply.json()["details"]["retry_after"] == int(reply.headers["retry-after"]) > 0


@pytest.mark.parametrize("error", [EngineClosed(PRIVATE_URL), EndpointsUnavailable(PRIVATE_URL)])
async def test_what_may_pass_is_told_without_its_cause(
    http: httpx.AsyncClient, node: Node, error: Exception
) -> None:
    node.failing.error = error
    reply = await http.get("/fail")
    assert (reply.status_code, reply.json()["error_type"]) == (503, "service_unavailable")
    assert PRIVATE_URL not in reply.text


@pytest.mark.parametrize("error", [RuntimeError(PRIVATE_URL), PlatformlessError(PRIVATE_URL)])
async def test_a_failure_tells_nothing_but_its_request(
    http: httpx.AsyncClient, node: Node, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    node.failing.error = error
    with caplog.at_level(logging.ERROR):
        reply = await http.get("/fail", headers={"Origin": "https://page.example"})
    body = reply.json()
    assert (reply.status_code, body["error_type"], body["details"]) == (500, "internal_error", {})
    assert PRIVATE_URL not in reply.text
    assert body["request_id"] in caplog.text
    assert PRIVATE_URL in caplog.text
    assert reply.headers.get_list("access-control-allow-origin") == ["*"]


async def test_a_real_server_answers_failures_too(real: httpx.AsyncClient) -> None:
    reply = await real.get("/fail", headers={"Origin": "https://page.example"})
    assert (reply.status_code, reply.json()["error_type"]) == (500, "internal_error")
    assert reply.headers.get_list("access-control-allow-origin") == ["*"]
    assert (await real.get("/health")).status_code == 200


async def test_what_takes_too_long_is_a_timeout(http: httpx.AsyncClient, node: Node) -> None:
    node.failing.error = TimeoutError(PRIVATE_URL)
    reply = await http.get("/fail")
    assert (reply.status_code, reply.json()["error_type"]) == (504, "timeout")
    assert PRIVATE_URL not in reply.text


async def test_a_request_keeps_the_id_that_its_client_gave(
    http: httpx.AsyncClient, node: Node
) -> None:
    node.failing.error = JobNotFound("x")
    named = {"X-Request-Id": "mine-1"}
    assert (await http.get("/fail", headers=named)).json()["request_id"] == "mine-1"
    assert (await http.get("/fail?name=body-2", headers=named)).json()["request_id"] == "body-2"
    for name in ("a b", "x" * 65, "<script>"):
        body = (await http.get("/fail", headers={"X-Request-Id": name})).json()
        assert len(body["request_id"]) == 16
        assert body["request_id"] != name


async def test_where_no_route_leads(http: httpx.AsyncClient) -> None:
    reply = await http.get("/v1/nothing")
    assert (reply.status_code, reply.json()["error_type"]) == (404, "not_found")
    assert reply.json()["code"] == "NOD-805"
    reply = await http.put("/v1/version")
    assert (reply.status_code, reply.json()["error_type"]) == (405, "method_not_allowed")
    assert reply.json()["code"] == "NOD-806"
    assert "GET" in reply.headers["allow"]


# Pages of other origins


async def test_a_page_of_any_origin_may_ask(http: httpx.AsyncClient) -> None:
    page = {"Origin": "https://page.example"}
    preflight = await http.options(
        "/v1/auth/challenge",
        headers={
            **page,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type, x-request-id",
        },
    )
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "content-type" in preflight.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in preflight.headers
    for path in ("/v1/health", "/v1/checkpoints/1", "/v1/nothing", "/v1/checkpoints/x"):
        reply = await http.get(path, headers=page)
        assert reply.headers["access-control-allow-origin"] == "*", path
