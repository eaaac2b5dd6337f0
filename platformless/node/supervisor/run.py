"""`fabstir-llm-node`: a whole node on this machine, until SIGINT or SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from dotenv import dotenv_values

from ...chain.networks import Network
from ...console import RUNNING, Output, facts, stop_requested
from ...locks import FileLock
from ...protocol.digests import Address
from ...prover.broker import valkey
from ..errors import PortInUse
from ..keys.sources import open_key
from ..logs import end_logged, set_up_logging
from ..reading_settings import load_settings
from ..settings import NodeSettings
from .errors import AlreadySupervised
from .lines import as_json, as_text
from .plan import Plan, Surroundings, plan
from .supervisor import Supervisor

_LOCK = "supervisor.lock"
_CREDENTIALS = re.compile("//[^/,]*@")


def run_node(output: Output, env_file: Path, provers: int = 1) -> None:
    """Loads the settings, runs every service, shows where they are, and stays.

    The services' lines go to standard error as `name | line`, or as JSON with the field `service`.

    Raises:
        SettingsError, HostKeyError: when the node cannot be started like this.
        PortInUse: when something else listens where the node should.
        SupervisorError: when a service cannot be kept running.
        EmbeddedBrokerUnusable: when a broker is needed and cannot run here.
    """
    settings, network = load_settings(env_file=env_file)
    set_up_logging(settings, "supervisor")
    host = open_key(settings).address
    if settings.api_port:
        require_free(settings.api_host, settings.api_port)
    in_file = dotenv_values(env_file, interpolate=False) if env_file.is_file() else {}
    around = Surroundings(
        environment=dict(os.environ),
        env_file=env_file,
        in_file={name: value for name, value in in_file.items() if value},
        api_port=settings.api_port or free_port(settings.api_host),
        portal_port=free_port("127.0.0.1"),
    )
    planned = plan(settings, around, provers)
    with (
        end_logged(settings),
        _alone(settings.data_folder),
        _broker_folder(planned.broker_folder),
    ):
        asyncio.run(_run(output, settings, network, planned, host))


def free_port(host: str) -> int:
    """A TCP port of `host` that nobody listens on now."""
    with _listener(host, 0) as listener:
        return int(listener.getsockname()[1])


def require_free(host: str, port: int) -> None:
    """Else what answers there would be taken for the node.

    Raises:
        PortInUse: when this host's port cannot be listened on.
    """
    try:
        with _listener(host, port):
            pass
    except OSError as error:
        raise PortInUse(
            f"cannot listen on {host}, port {port}", got=error.strerror or error
        ) from error


def _listener(host: str, port: int) -> socket.socket:
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    # As a server binds: a port of which only ended connections are left is free.
    return socket.create_server(address[:2], family=family)


async def _run(
    output: Output, settings: NodeSettings, network: Network, planned: Plan, host: Address
) -> None:
    rows = {
        "url": planned.node_url,
        "host": str(host),
        "chain": f"{network.name} ({network.chain_id})",
        "broker": without_credentials(planned.broker_url),
        "portals": without_credentials(planned.portal_url),
        "data": str(settings.data_folder.absolute()),
    }

    def show() -> None:
        ids = {status.name: status.process_id for status in supervisor.status()}
        if output.as_json:
            output.json("running", node=rows, process_ids=ids)
            return
        table = facts()
        running = ", ".join(f"{name} ({process_id})" for name, process_id in ids.items())
        for name, value in (rows | {"services": running}).items():
            table.add_row(name, value)
        output.console.print(table)
        output.line(RUNNING)

    passed_on = as_json if settings.log_format == "json" else as_text

    def pass_on(name: str, line: str) -> None:
        with contextlib.suppress(OSError):  # nobody reads standard error any more
            sys.stderr.write(passed_on(name, line) + "\n")
            sys.stderr.flush()

    supervisor = Supervisor(planned.services, pass_on)
    await supervisor.run(stop_requested(), show)


def without_credentials(urls: str) -> str:
    """A URL, or several with commas, without user and password."""
    return _CREDENTIALS.sub("//", urls)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Holds the data folder: two brokers that write into one would destroy it.

    Raises:
        AlreadySupervised: when another supervisor holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / _LOCK)
    if not lock.take():
        raise AlreadySupervised(
            f"another node runs on {folder.absolute()}", expected="one", got="a second one"
        )
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _broker_folder(folder: Path | None) -> Iterator[None]:
    if folder is None:
        yield
        return
    valkey.prepare(folder)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            valkey.tidy(folder)
