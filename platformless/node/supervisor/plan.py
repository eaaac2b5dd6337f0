"""What runs on one machine: the node, its workers, and a broker and a portal where none is named.

| service | is there | has the host's key |
|---|---|---|
| broker | when BROKER_URL is unset | no |
| portal | when S5_PORTAL_URL is unset | no |
| node | always | yes: it signs deltas |
| settlement | always | yes: it sends transactions |
| prover, or prover-1, prover-2, … | as many as wanted | no |
| sampler | with TRACE, where there are provers: what takes minutes must not delay payment | no |
| p2p | with P2P_ENABLED; the others go on without it | no |
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from ...prover.broker import valkey
from ..backing import broker_folder, broker_url
from ..p2p.ready import READY as P2P_READY
from ..settings import KEY_VARIABLES, NodeSettings
from ..workers.command import READY
from .service import LineBeginning, Probe, Service

_NOT_PROVERS = KEY_VARIABLES | {"BACKUP_PASSPHRASE"}
_SECRETS = _NOT_PROVERS | {"LEDGER_KEY", "S5_PORTAL_TOKEN"}
_PROVING_QUEUES = "live,aggregate"
_SAMPLING_QUEUE = "audit"
_SETTLEMENT_QUEUE = "settlement"
_WORKER_READY = LineBeginning(READY)
_P2P_READY = LineBeginning(P2P_READY)
_NO_FILE = Path("/dev/null")
_PROBE_SECONDS = 2.0
_NODE_START_SECONDS = 600.0  # a large model is read, and hashed the first time
_WORKER_START_SECONDS = 120.0
_STOP_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a plan depends on besides the settings.

    `environment` is the supervisor's own, `in_file` the variables of `env_file`. The ports are
    taken once, so that a service has the same address when it is started again.
    """

    environment: Mapping[str, str]
    env_file: Path
    in_file: Mapping[str, str]
    api_port: int
    portal_port: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The services in the order of their start, and where they are."""

    services: tuple[Service, ...]
    node_url: str
    portal_url: str
    broker_url: str
    broker_folder: Path | None
    """None when the broker is not embedded."""


def plan(settings: NodeSettings, around: Surroundings, provers: int = 1) -> Plan:
    """Raises:
    EmbeddedBrokerUnusable: when a broker is needed and there is none for this machine.
    """
    folder = settings.data_folder.absolute()
    own_broker = None if settings.broker_url else broker_folder(settings)
    own_portal = f"http://127.0.0.1:{around.portal_port}"
    portal_url = settings.s5_portal_url or own_portal
    node_url = f"http://{_reachable(settings.api_host)}:{around.api_port}"
    shared = {
        **around.environment,
        "PYTHONUNBUFFERED": "1",  # else a service's lines come when its buffer is full
        "BROKER_URL": broker_url(settings),
        "S5_PORTAL_URL": portal_url,
        "API_PORT": str(around.api_port),
        "LOG_LEVEL": settings.log_level,
        "LOG_FORMAT": settings.log_format,
    }
    services = []
    if own_broker:
        services.append(_broker(own_broker, _without(shared, _SECRETS)))
    if not settings.s5_portal_url:
        token = settings.s5_portal_token.get_secret_value()
        environment = _without(shared, _SECRETS) | ({"S5_PORTAL_TOKEN": token} if token else {})
        services.append(_portal(folder / "portal", around.portal_port, environment))
    services.append(_node(settings, around.env_file, node_url, shared))
    services.append(_worker("settlement", _SETTLEMENT_QUEUE, around.env_file, shared))
    proving = prover_environment(around.in_file, shared)
    names = ["prover"] if provers == 1 else [f"prover-{number + 1}" for number in range(provers)]
    queues = dict.fromkeys(names, _PROVING_QUEUES)
    patience = _WORKER_START_SECONDS
    if settings.trace != "off" and provers:
        queues["sampler"], patience = _SAMPLING_QUEUE, _NODE_START_SECONDS
    services += [
        _worker(name, queue, _NO_FILE, proving, patience) for name, queue in queues.items()
    ]
    if settings.p2p_enabled:
        services.append(_p2p(_without(prover_environment(around.in_file, shared), _SECRETS)))
    return Plan(tuple(services), node_url, portal_url, broker_url(settings), own_broker)


def prover_environment(
    in_file: Mapping[str, str], environment: Mapping[str, str]
) -> dict[str, str]:
    """All that a settings file and the environment say, except what leads to the host's key.

    A prover gets no file: the key may be in it. As everywhere, the environment wins, and an empty
    variable counts as unset.
    """
    told = {name: value for name, value in environment.items() if value.strip()}
    return _without({**in_file, **told}, _NOT_PROVERS)


def _broker(folder: Path, environment: Mapping[str, str]) -> Service:
    url = valkey.broker_url(folder)

    async def is_up() -> bool:
        return await valkey.is_up(url)

    return Service("broker", valkey.server_command(folder), environment, is_up)


def _portal(folder: Path, port: int, environment: Mapping[str, str]) -> Service:
    command = _command("s5-portal", "--folder", str(folder), "--port", str(port), "--json")
    return Service("portal", command, environment, _answers(f"http://127.0.0.1:{port}/"))


def _node(
    settings: NodeSettings, env_file: Path, url: str, environment: Mapping[str, str]
) -> Service:
    return Service(
        "node",
        _command("serve", "--env-file", str(env_file)),
        environment,
        _answers(f"{url}/health", httpx.codes.OK),
        start_seconds=_NODE_START_SECONDS,
        stop_seconds=settings.drain_seconds + _STOP_SECONDS,
    )


def _worker(
    name: str,
    queues: str,
    env_file: Path,
    environment: Mapping[str, str],
    start_seconds: float = _WORKER_START_SECONDS,
) -> Service:
    return Service(
        name,
        _command("worker", "--queues", queues, "--env-file", str(env_file)),
        environment,
        _WORKER_READY,
        start_seconds=start_seconds,
        stop_seconds=_STOP_SECONDS,
    )


def _p2p(environment: Mapping[str, str]) -> Service:
    return Service(
        "p2p",
        _command("p2p", "--env-file", str(_NO_FILE)),
        environment,
        _P2P_READY,
        stop_seconds=_STOP_SECONDS,
        is_vital=False,
    )


def _command(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "platformless.node", *words)


def _answers(url: str, status: int | None = None) -> Probe:
    """Whether `url` answers, with this status when one is given."""

    async def probe() -> bool:
        try:
            async with httpx.AsyncClient(timeout=_PROBE_SECONDS, trust_env=False) as client:
                reply = await client.get(url)
        except httpx.HTTPError:
            return False
        return status is None or reply.status_code == status

    return probe


def _reachable(host: str) -> str:
    """How a server that listens on `host` is reached from this machine, as URLs have it."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 4:
        return "127.0.0.1" if address.is_unspecified else host
    return "[::1]" if address.is_unspecified else f"[{host}]"


def _without(environment: Mapping[str, str], names: frozenset[str] | set[str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in names}
