"""The node's settings, from the environment and from `.env`, under the deployment guide's names.

A name that is no longer used is refused with the one to use. Secrets are never shown: not in
`repr`, not in errors.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from ..chain.networks import BASE_SEPOLIA, Network, network_from
from ..protocol.errors import ValueOutOfRange
from ..protocol.host_key import LocalKey
from .errors import DeprecatedSetting, LooseSecretFile, MissingSetting, WrongSetting
from .log_levels import parse_levels, parse_rust_log

_OTHERS = stat.S_IRWXG | stat.S_IRWXO

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
_SECRETS = frozenset({"HOST_PRIVATE_KEY", "HOST_KEYSTORE_PASSWORD", "HOST_SIGNER_TOKEN"})
_CREDENTIALS = "CREDENTIALS_DIRECTORY"
_MOUNTED = ("/run/secrets",)
_MOUNTED_KEY = "host_private_key"
"""Its name among systemd's credentials, and among a container's secrets."""

RENAMED = {
    "NODE_PRIVATE_KEY": "HOST_PRIVATE_KEY",
    "AUTH_SERVICE_URL": "nothing: clients prove themselves to the node",
    "ENABLE_PROOFS": "nothing: proofs are always made",
    "S5_SEED_PHRASE": "S5_PORTAL_URL and S5_PORTAL_TOKEN",
    "BASE_SEPOLIA_RPC_URL": "RPC_URL",
    "CONTRACT_JOB_MARKETPLACE_FAB_WITH_S5": "JOB_MARKETPLACE_FAB_WITH_S5_ADDRESS",
}
"""Names that other versions of a node read, and what stands in their place."""

_ALIASES = {
    "NODE_REGISTRY_FAB_ADDRESS": "CONTRACT_NODE_REGISTRY",
    "JOB_MARKETPLACE_FAB_WITH_S5_ADDRESS": "CONTRACT_JOB_MARKETPLACE",
}
"""The guide's names of contracts, and the names that clients and `dev-chain` use for them."""


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
    model_path: Path | None = None
    """A GGUF file; the packaged test model when unset."""
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
    confirmations: int = Field(default=3, ge=1)
    """Blocks, the transaction's own counted, after which it is final."""
    chain_poll_seconds: float = Field(default=1, gt=0)
    """How often a transaction under way is looked for."""
    watch_seconds: float = Field(default=60, gt=0)
    """How often the chain is asked about sessions that are not settled."""
    witness_hours: float = Field(default=168, ge=0)
    """What was said in a session is deleted so long after it was settled."""


def load_settings(
    environment: Mapping[str, str] | None = None, env_file: Path | None = Path(".env")
) -> tuple[NodeSettings, Network]:
    """Settings and the network that they describe. The environment wins over the file.

    Raises:
        DeprecatedSetting, MissingSetting, WrongSetting: for what is set, or not.
        LooseSecretFile: when others may read a file that holds the key.
    """
    found = _found(environment, env_file)
    _require_one_key(found, os.environ if environment is None else environment)
    settings = _made(NodeSettings, found)
    _require_key(settings)
    return settings, network_from(found)


def load_worker_settings(
    environment: Mapping[str, str] | None = None, env_file: Path | None = Path(".env")
) -> tuple[WorkerSettings, Network]:
    """As `load_settings`, for a worker without the host's key."""
    found = _found(environment, env_file)
    return _made(WorkerSettings, found), network_from(found)


def load_p2p_settings(
    environment: Mapping[str, str] | None = None, env_file: Path | None = Path(".env")
) -> tuple[P2PSettings, Network]:
    """As `load_settings`, for the part in the DHT, without the host's key."""
    found = _found(environment, env_file)
    return _made(P2PSettings, found), network_from(found)


_Settings = TypeVar("_Settings", bound=WorkerSettings)


def _made(kind: type[_Settings], found: Mapping[str, str]) -> _Settings:
    try:
        return kind(**_known(kind, found))
    except ValidationError as error:
        raise _named(kind, error) from None


def _found(environment: Mapping[str, str] | None, env_file: Path | None) -> dict[str, str]:
    """All variables that are set."""
    found: dict[str, str] = {}
    if env_file is not None and env_file.is_file():
        in_file = dotenv_values(env_file, interpolate=False)
        if not _SECRETS.isdisjoint(in_file):
            _require_private(env_file)
        found |= _named_alike({name: value or "" for name, value in in_file.items()})
    found |= _named_alike(os.environ if environment is None else environment)
    for name, instead in RENAMED.items():
        if name in found:
            raise DeprecatedSetting(f"{name} is no longer used", expected=instead, got=name)
    if "LOG_LEVEL" not in found and "RUST_LOG" in found:
        found["LOG_LEVEL"] = str(parse_rust_log(found["RUST_LOG"]))
    return found


def _named_alike(source: Mapping[str, str]) -> dict[str, str]:
    """A source's variables without empty ones, contracts under one name.

    Raises:
        WrongSetting: when two names of one contract say different things.
    """
    found = {name: value for name, value in source.items() if value.strip()}
    for name, common in _ALIASES.items():
        if name in found and found.setdefault(common, found[name]) != found[name]:
            raise WrongSetting(
                f"{name} and {common} differ", expected=found[common], got=found[name]
            )
    return found


def _known(kind: type[WorkerSettings], found: Mapping[str, str]) -> dict[str, Any]:
    """The variables that are fields. An empty one counts as unset."""
    names = {name.upper(): name for name in kind.model_fields}
    return {names[name]: value.strip() for name, value in found.items() if name in names}


def _require_private(path: Path) -> None:
    mode = path.stat().st_mode
    if mode & _OTHERS:
        raise LooseSecretFile(
            f"{path} holds a private key and others may read it",
            expected="mode 600",
            got=f"mode {stat.S_IMODE(mode):03o}",
        )


def _require_one_key(found: dict[str, str], environment: Mapping[str, str]) -> None:
    """Sees to it that one source of the host's key is set; one that the system has mounted for
    this service counts when none is.

    Raises:
        MissingSetting: when there is none.
        WrongSetting: when there are two.
    """
    sources = [name for name in KEY_SOURCES if name in found]
    if not sources:
        folders = [environment.get(_CREDENTIALS, ""), *_MOUNTED]
        mounted = (Path(folder) / _MOUNTED_KEY for folder in folders if folder)
        file = next((path for path in mounted if path.is_file()), None)
        if file is None:
            raise MissingSetting("no host key is set", expected=" or ".join(KEY_SOURCES))
        found["HOST_PRIVATE_KEY_FILE"] = str(file)
    elif len(sources) > 1:
        raise WrongSetting(
            "the host's key is set twice", expected="one source", got=" and ".join(sources)
        )


def _require_key(settings: NodeSettings) -> None:
    """Checks what is set of the key without showing it; files are read when the key is opened.

    Raises:
        WrongSetting, MissingSetting
    """
    text = settings.host_private_key.get_secret_value()
    if text:
        try:
            LocalKey(bytes.fromhex(text.removeprefix("0x")))
        except (ValueError, ValueOutOfRange):
            raise WrongSetting(
                "HOST_PRIVATE_KEY is no private key",
                expected="0x and 64 hex digits",
                got="not shown",
            ) from None
    if settings.host_keystore is None:
        return
    given = bool(settings.host_keystore_password.get_secret_value())
    if given == (settings.host_keystore_password_file is not None):
        kind = WrongSetting if given else MissingSetting
        raise kind(
            "HOST_KEYSTORE needs one password",
            expected="HOST_KEYSTORE_PASSWORD or HOST_KEYSTORE_PASSWORD_FILE",
            got="both" if given else "neither",
        )


def _named(kind: type[WorkerSettings], error: ValidationError) -> MissingSetting | WrongSetting:
    """The first thing that is wrong, by its variable; never its value when it is a secret."""
    first = error.errors(include_url=False)[0]
    field = str(first["loc"][0])
    variable = field.upper()
    if first["type"] == "missing":
        return MissingSetting(f"{variable} is not set", expected="a value", got="nothing")
    is_secret = kind.model_fields[field].annotation is SecretStr
    got = "not shown" if is_secret else str(first.get("input"))
    return WrongSetting(f"{variable} cannot be used", expected=str(first["msg"]), got=got)
