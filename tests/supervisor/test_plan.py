"""What runs on one machine, and who may know the host's key."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from platformless.node.errors import PortInUse
from platformless.node.reading_settings import load_settings
from platformless.node.supervisor.plan import Plan, Surroundings, plan, prover_environment
from platformless.node.supervisor.run import free_port, require_free, without_credentials
from platformless.node.supervisor.service import Service
from platformless.prover.broker import valkey

KEY = "0x" + "07" * 32


def planned(folder: Path, in_file: Mapping[str, str] | None = None, provers: int = 1) -> Plan:
    """The plan of a settings file, with the key in the environment as well."""
    file = folder / ".env"
    known = {"DATA_FOLDER": str(folder / "data"), **(in_file or {})}
    file.touch(mode=0o600)
    file.write_text("".join(f"{name}={value}\n" for name, value in known.items()))
    environment = {"PATH": os.environ["PATH"], "HOST_PRIVATE_KEY": KEY}
    settings, _ = load_settings(environment, file)
    around = Surroundings(environment, file, known, settings.api_port, 5599)
    return plan(settings, around, provers)


def service(plan: Plan, name: str) -> Service:
    return next(service for service in plan.services if service.name == name)


def test_a_machine_alone_runs_everything(tmp_path: Path) -> None:
    found = planned(tmp_path)
    names = [service.name for service in found.services]
    assert names == ["broker", "portal", "node", "settlement", "prover"]
    assert found.broker_url == valkey.broker_url(tmp_path / "data" / "broker")
    assert found.portal_url == "http://127.0.0.1:5599"
    for name in ("node", "settlement", "prover"):
        environment = service(found, name).environment
        assert environment["BROKER_URL"] == found.broker_url
        assert environment["S5_PORTAL_URL"] == found.portal_url


def test_the_dht_is_off_unless_wanted_and_its_process_has_no_secrets(tmp_path: Path) -> None:
    wanted = {"P2P_ENABLED": "true", "P2P_PORT": "9123", "LEDGER_KEY": "11" * 32}
    found = planned(tmp_path, wanted | {"S5_PORTAL_TOKEN": "secret"})
    last = found.services[-1]
    assert last.name == "p2p"
    assert not last.is_vital
    assert all(service.is_vital for service in found.services[:-1])
    assert last.command[-2:] == ("--env-file", "/dev/null")
    assert last.environment["P2P_PORT"] == "9123"
    for name in ("HOST_PRIVATE_KEY", "LEDGER_KEY", "S5_PORTAL_TOKEN"):
        assert name not in last.environment


def test_commands_are_this_pythons(tmp_path: Path) -> None:
    found, file = planned(tmp_path), str(tmp_path / ".env")
    start = (sys.executable, "-m", "platformless.node")
    assert service(found, "node").command == (*start, "serve", "--env-file", file)
    worker = (*start, "worker", "--queues")
    assert service(found, "settlement").command == (*worker, "settlement", "--env-file", file)
    proving = (*worker, "live,aggregate", "--env-file", "/dev/null")
    assert service(found, "prover").command == proving


def test_a_named_portal_is_used_and_none_started(tmp_path: Path) -> None:
    found = planned(tmp_path, {"S5_PORTAL_URL": "https://s5.example"})
    assert "portal" not in [service.name for service in found.services]
    assert service(found, "node").environment["S5_PORTAL_URL"] == "https://s5.example"


def test_a_named_broker_is_used_and_none_started(tmp_path: Path) -> None:
    found = planned(tmp_path, {"BROKER_URL": "redis://redis.example/0"})
    assert "broker" not in [service.name for service in found.services]
    assert found.broker_folder is None
    assert service(found, "prover").environment["BROKER_URL"] == "redis://redis.example/0"


def test_the_key_is_with_those_who_sign_alone(tmp_path: Path) -> None:
    found = planned(tmp_path, {"HOST_PRIVATE_KEY": KEY, "LEDGER_KEY": "11" * 32})
    holders = [one.name for one in found.services if "HOST_PRIVATE_KEY" in one.environment]
    assert holders == ["node", "settlement"]
    prover = service(found, "prover")
    assert KEY not in prover.environment.values()
    assert str(tmp_path / ".env") not in prover.command
    assert prover.environment["LEDGER_KEY"] == "11" * 32  # it reads witnesses
    assert "LEDGER_KEY" not in service(found, "broker").environment
    assert KEY not in repr(found)


def test_there_are_as_many_provers_as_wanted(tmp_path: Path) -> None:
    names = [service.name for service in planned(tmp_path, provers=3).services]
    assert names[-3:] == ["prover-1", "prover-2", "prover-3"]
    assert planned(tmp_path, provers=0).services[-1].name == "settlement"


@pytest.mark.parametrize("trace", ["sampled", "always"])
def test_where_traces_are_made_sampled_cells_have_a_worker_of_their_own(
    tmp_path: Path, trace: str
) -> None:
    known = {"TRACE": trace, "MODEL_PATH": "/models/m.gguf", "HOST_PRIVATE_KEY": KEY}
    found = planned(tmp_path, known, provers=2)
    assert [one.name for one in found.services[-3:]] == ["prover-1", "prover-2", "sampler"]
    sampler, prover = found.services[-1], found.services[-2]
    assert sampler.command[-4:] == ("--queues", "audit", "--env-file", "/dev/null")
    assert prover.command[-4:] == ("--queues", "live,aggregate", "--env-file", "/dev/null")
    for one in (sampler, prover):  # both need the model, and are told where it is
        assert KEY not in one.environment.values()
        assert (one.environment["TRACE"], one.environment["MODEL_PATH"]) == (
            trace,
            "/models/m.gguf",
        )
        assert one.start_seconds == service(found, "node").start_seconds
    assert sampler.is_vital


def test_who_proves_elsewhere_samples_elsewhere(tmp_path: Path) -> None:
    found = planned(tmp_path, {"TRACE": "always"}, provers=0)
    assert found.services[-1].name == "settlement"


def test_without_traces_there_is_no_sampler(tmp_path: Path) -> None:
    found = planned(tmp_path, {"TRACE": "off"}, provers=2)
    assert "sampler" not in [one.name for one in found.services]
    prover = service(found, "prover-1")
    assert prover.start_seconds < service(found, "node").start_seconds


def test_a_prover_knows_the_file_and_the_environment_wins() -> None:
    in_file = {"RPC_URL": "file", "CHAIN_ID": "1", "LOG_LEVEL": "info", "HOST_PRIVATE_KEY": KEY}
    told = {"RPC_URL": "environment", "LOG_LEVEL": " ", "HOST_PRIVATE_KEY": KEY}
    found = prover_environment(in_file, told)
    assert found == {"RPC_URL": "environment", "CHAIN_ID": "1", "LOG_LEVEL": "info"}


@pytest.mark.parametrize(
    ("host", "reached"),
    [
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104
        ("127.0.0.1", "127.0.0.1"),
        ("192.0.2.7", "192.0.2.7"),
        ("::", "[::1]"),
        ("2001:db8::7", "[2001:db8::7]"),
        ("node.example", "node.example"),
    ],
)
def test_the_node_is_asked_where_it_listens(tmp_path: Path, host: str, reached: str) -> None:
    found = planned(tmp_path, {"API_HOST": host, "API_PORT": "8181"})
    assert found.node_url == f"http://{reached}:8181"
    assert service(found, "node").environment["API_PORT"] == "8181"


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])  # noqa: S104
def test_a_port_that_is_taken_is_told_from_a_free_one(host: str) -> None:
    port = free_port(host)
    require_free(host, port)
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(PortInUse, match="NOD-106"):
            require_free(host, port)
    require_free(host, port)


@pytest.mark.parametrize(
    ("urls", "shown"),
    [
        ("redis://:secret@redis.example:6379/0", "redis://redis.example:6379/0"),
        ("amqp://user:secret@a.example,amqp://b.example", "amqp://a.example,amqp://b.example"),
        ("unix:///folder/broker.sock", "unix:///folder/broker.sock"),
    ],
)
def test_passwords_are_not_shown(urls: str, shown: str) -> None:
    assert without_credentials(urls) == shown
