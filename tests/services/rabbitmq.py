"""A RabbitMQ of the tests' own: a node with its own name, ports, cookie and data.

Erlang nodes find each other through epmd, which outlives them when they start it; so it is
started here.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pika  # type: ignore[import-untyped]
from pika.exceptions import AMQPError  # type: ignore[import-untyped]

from platformless.children import Child

from .own import (
    LOOPBACK,
    ServerFailed,
    as_user,
    find_program,
    free_port,
    own_folder,
    wait_until,
)

USER = "rabbitmq"
"""Debian's user, who runs the node when we are root."""
_START_SECONDS = 60
_CONTROL_SECONDS = 60
_LOGIN = "guest"
_PROGRAMS = "usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin"
_ADD_HOST = (
    'rabbit_vhost:add(<<"{name}">>, <<"tests">>),'
    ' rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"{name}">>,'
    ' <<".*">>, <<".*">>, <<".*">>, <<"tests">>).'
)


class RabbitMQ:
    """A running node; see `running_rabbitmq`."""

    def __init__(self, folder: Path) -> None:
        """Raises:
        ServerMissing, ServerFailed.
        """
        self._folder = folder
        self._programs = find_program("RabbitMQ", f"{_PROGRAMS}/rabbitmq-server").parent
        self._port, self._epmd_port = free_port(), free_port()
        self._environment = _environment(folder, self._port, self._epmd_port)
        epmd = [str(find_program("Erlang", "usr/bin/epmd")), "-port", str(self._epmd_port)]
        self._epmd = Child([*as_user(USER, "KILL"), *epmd, "-address", LOOPBACK])
        try:
            wait_until(self._epmd_answers, self._epmd, "epmd", _START_SECONDS)
            self.start()
        except BaseException:
            self._epmd.kill()
            raise

    @property
    def process_id(self) -> int:
        return self._child.process_id

    @property
    def version(self) -> str:
        return self._programs.parent.name.removeprefix("rabbitmq_server-")

    def url(self, host: str = "%2F") -> str:
        """Of a virtual host."""
        return f"amqp://{_LOGIN}:{_LOGIN}@{LOOPBACK}:{self._port}/{host}"

    def start(self) -> None:
        """Starts it again, after `crash`; durable queues are there."""
        command = [*as_user(USER, "KILL"), str(self._programs / "rabbitmq-server")]
        self._child = Child(command, environment=self._environment)
        wait_until(self._answers, self._child, "RabbitMQ", _START_SECONDS)

    def crash(self) -> None:
        """Ends the node at once."""
        self._child.kill()

    def stop(self) -> None:
        self._child.kill()
        self._epmd.kill()

    @contextmanager
    def virtual_host(self) -> Iterator[str]:
        """The URL of a new virtual host, which has no queues."""
        name = f"test-{secrets.token_hex(6)}"
        self._control("eval", _ADD_HOST.format(name=name))
        yield self.url(name)

    def _control(self, *arguments: str) -> None:
        command = [*as_user(USER, "KILL"), str(self._programs / "rabbitmqctl"), *arguments]
        done = subprocess.run(
            command,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            timeout=_CONTROL_SECONDS,
        )
        if done.returncode != 0:
            raise ServerFailed(f"rabbitmqctl {arguments[0]} failed: {done.stderr or done.stdout}")

    def _answers(self) -> bool:
        """pika logs what it cannot reach, so whether anybody listens is asked first."""
        if not _listens(self._port):
            return False
        try:
            pika.BlockingConnection(pika.URLParameters(self.url())).close()
        except (AMQPError, OSError):
            return False
        return True

    def _epmd_answers(self) -> bool:
        return _listens(self._epmd_port)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def _environment(folder: Path, port: int, epmd_port: int) -> dict[str, str]:
    (folder / "enabled_plugins").write_text("[].\n")
    (folder / "rabbitmq.conf").write_text("")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("RABBITMQ_")},
        "HOME": str(folder),  # the cookie's place
        "ERL_EPMD_ADDRESS": LOOPBACK,
        "ERL_EPMD_PORT": str(epmd_port),
        "RABBITMQ_NODENAME": f"test-{secrets.token_hex(4)}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        # One process, not a shell that waits for one: so it ends when we do.
        "RUNNING_UNDER_SYSTEMD": "true",
    }


@contextmanager
def running_rabbitmq() -> Iterator[RabbitMQ]:
    """A new node, gone with the block.

    Raises:
        ServerMissing, ServerFailed.
    """
    find_program("RabbitMQ", f"{_PROGRAMS}/rabbitmq-server")
    with own_folder("rabbitmq", USER) as folder:
        server = RabbitMQ(folder)
        try:
            yield server
        finally:
            server.stop()
