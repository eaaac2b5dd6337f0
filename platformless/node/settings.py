"""The node's settings under the deployment guide's names, as `reading_settings` makes them of the
environment and of `.env`. Secrets are not shown in `repr`."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from ..chain.networks import BASE_SEPOLIA
from ..protocol.sample.plan import MOST_DRAWS
from .log_levels import parse_levels

KEY_SOURCES = ("HOST_PRIVATE_KEY", "HOST_PRIVATE_KEY_FILE", "HOST_KEYSTORE", "HOST_SIGNER_URL")
"""Where the host's key may come from; one of them is set."""
KEY_VARIABLES = frozenset(
    {
        *KEY_SOURCES,
        "HOST_KEYSTORE_PASSWORD",
        "HOST_KEYSTORE_PASSWORD_FILE",
        "HOST_SIGNER_TOKEN",
        "CREDENTIALS_DIRECTORY",
    }
)
"""All that says what the host's key is, or where: for processes that use it alone."""


class WorkerSettings(BaseModel):
    """What an operator sets for a worker that builds proofs: no key of the host's. Field names are
    the variables' in lower case."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rpc_url: str = Field(default=BASE_SEPOLIA.rpc_urls[0], repr=False)
    """Several with commas, the preferred one first. Not shown: a provider's key may be in it."""
    chain_id: int = Field(default=BASE_SEPOLIA.chain_id, gt=0)
    ledger_url: str = Field(default="", repr=False)
    """SQLAlchemy's URL; a SQLite file in the data folder when unset."""
    ledger_key: SecretStr = SecretStr("")
    """32 bytes in hex that the ledger is sealed with; made and kept in the data folder when
    unset."""
    broker_url: str = Field(default="", repr=False)
    """Redis's or RabbitMQ's; the embedded broker of the data folder when unset."""
    lease_seconds: float = Field(default=30, ge=1)
    """A worker that is silent for so long is thought dead."""
    most_starts: int = Field(default=5, ge=1)
    """A proof that was begun so often and never finished is given up."""
    reconcile_seconds: float = Field(default=5, gt=0)
    prover_memory_gib: float = Field(default=8, gt=0)
    """Memory that proving may take."""
    receipt_kind: str = Field(default="composite", pattern="^(composite|succinct)$")
    model_path: Path | None = None
    """A GGUF file; the packaged test model when unset. A worker needs it where it traces."""
    trace: str = Field(default="off", pattern="^(off|sampled|always)$")
    """Whether claims commit to traces of what the model computes, and which of them get a proof of
    sampled cells: one of TRACE_ONE_IN, or every one (docs/sample.md)."""
    trace_one_in: int = Field(default=16, ge=1, le=2**32 - 1)
    """With TRACE=sampled: of so many traced checkpoints the beacon draws one, on average."""
    trace_threads: int = Field(default=0, ge=0)
    """Threads that a trace is made with; 0: one a core."""
    sample_draws: int = Field(default=1, ge=1, le=MOST_DRAWS)
    """Cells of each of 21 kinds that a sample proof recomputes; at most 24."""
    confirmations: int = Field(default=3, ge=1)
    """Blocks, the own one counted, after which a transaction or a beacon is final."""
    log_level: str = "info"
    """A level, or levels of modules as well: see `log_levels`."""
    log_format: str = Field(default="text", pattern="^(text|json)$")
    """A line of text, or an object of JSON, for each message."""
    data_folder: Path = Path("data")

    @field_validator("log_level")
    @classmethod
    def _in_one_spelling(cls, text: str) -> str:
        return str(parse_levels(text))


class P2PSettings(WorkerSettings):
    """What an operator sets for the part in the DHT, whose process has no key of the host's."""

    p2p_enabled: bool = False
    """Whether this node takes part in the DHT, in which nodes find one another by model."""
    p2p_host: str = "0.0.0.0"  # noqa: S104
    """An IPv4 address of this machine, or all of them."""
    p2p_port: int = Field(default=9000, ge=0, le=65535)
    """TCP; nothing listens there unless `p2p_enabled`."""
    p2p_bootstrap: str = ""
    """Multiaddresses of nodes that are asked first, with commas."""


class NodeSettings(P2PSettings):
    """What an operator sets for a node, and for the worker that submits and settles."""

    host_private_key: SecretStr = SecretStr("")
    """The host's account: receives sessions, signs deltas, pays gas. 32 bytes in hex. Or one of
    the next three says where it is."""
    host_private_key_file: Path | None = None
    """A file of mode 600 or 400 with the key in hex."""
    host_keystore: Path | None = None
    """An encrypted keystore (Web3 JSON, version 3), with its password in one of the next two."""
    host_keystore_password: SecretStr = SecretStr("")
    host_keystore_password_file: Path | None = None
    host_signer_url: str = Field(default="", repr=False)
    """A signer that has the key: `unix:///path`, `https://…`, or `http://` to this machine."""
    host_signer_token: SecretStr = SecretStr("")
    """That the signer wants to see."""
    gpu_layers: int = Field(default=35, ge=0)
    api_host: str = "0.0.0.0"  # noqa: S104
    api_port: int = Field(default=8080, ge=0, le=65535)
    public_url: str = ""
    session_key_ttl_seconds: float = Field(default=3600, gt=0)
    checkpoint_tokens: int = Field(default=1000, ge=100)
    engine_sequences: int = Field(default=8, ge=1)
    """Answers generated at once; further ones wait in line."""
    engine_threads: int = Field(default=0, ge=0)
    """Threads that the model is run with; 0: one a core."""
    engine_exact_replay: bool | None = None
    """Whether the model is run so that an auditor can repeat it bit for bit (docs/replay.md):
    flash attention, one thread for a token alone, no GPU. None: wherever no GPU is used."""
    context_tokens: int = Field(default=4096, ge=256)
    """What one conversation may have; at most what the model was trained for."""
    max_connections: int = Field(default=1000, ge=1)
    """WebSockets in all."""
    max_connections_per_address: int = Field(default=100, ge=1)
    """WebSockets of one client address; an IPv6 client counts as its /64."""
    trusted_proxies: str = ""
    """Addresses and networks with commas, whose `X-Forwarded-For` is believed."""
    blocklist_file: Path | None = None
    """Addresses, networks and wallets that are not served, one a line; read again when it
    changes."""
    requests_per_second_per_address: float = Field(default=20, gt=0)
    """HTTP requests and new WebSockets that one address may make in the long run."""
    requests_burst_per_address: int = Field(default=200, ge=1)
    """And at once."""
    frames_per_second_per_address: float = Field(default=50, gt=0)
    """WebSocket messages of all of an address's connections together, in the long run."""
    frames_burst_per_address: int = Field(default=500, ge=1)
    prompts_per_minute_per_wallet: float = Field(default=60, gt=0)
    """Prompts of all sessions that one wallet pays for, in the long run."""
    prompts_burst_per_wallet: int = Field(default=20, ge=1)
    max_prompt_bytes: int = Field(default=1 << 20, ge=1024)
    """Of one prompt's text, in UTF-8."""
    idle_connection_seconds: float = Field(default=600, gt=0)
    """A WebSocket that sends no message and is sent none for so long is closed."""
    max_session_mib: float = Field(default=64, gt=0)
    """What is kept in memory of one session's conversation; a longer one is refused."""
    metrics_token: SecretStr = SecretStr("")
    """When set, `/metrics` and `/v1/autoscaling` want it as a bearer token."""
    allow_plaintext: bool = True
    """Whether sessions in the clear are served."""
    disconnect_grace_seconds: float = Field(default=15, ge=0)
    """A client that is gone may come back for so long before a checkpoint is cut."""
    settle_idle_seconds: float = Field(default=120, ge=0)
    """A client that is gone for so long has left: the session is ended and settled."""
    drain_seconds: float = Field(default=20, ge=0)
    """How long answers may go on once the node is told to stop."""
    require_wallet_challenge: bool = False
    """Whether a client must prove that it is the session's depositor before it is served."""
    s5_portal_url: str = ""
    """Several with commas; the embedded portal when unset."""
    s5_portal_token: SecretStr = SecretStr("")
    chain_poll_seconds: float = Field(default=1, gt=0)
    """How often a transaction under way is looked for."""
    watch_seconds: float = Field(default=60, gt=0)
    """How often the chain is asked about sessions that are not settled."""
    witness_hours: float = Field(default=168, ge=0)
    """What was said in a session is deleted so long after it was settled."""
