"""compose.yml: what reaches what, what is published, where secrets are. It is read, not run."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from platformless.node.settings import WorkerSettings

from .files import COMPOSE, COMPOSE_CUDA, DEPLOY, ROOT, compose, instructions
from .programs import lint

OURS = ("node", "prover", "sampler", "portal")
SECRETS = re.compile(r"(KEY|TOKEN|PASSWORD)(_FILE|__FILE)?$|_URL_FILE$")


def services() -> dict[str, dict[str, Any]]:
    return dict(compose()["services"])


@pytest.mark.parametrize("file", [COMPOSE, COMPOSE_CUDA])
def test_the_file_keeps_to_the_compose_specification(file: Path) -> None:
    schema = ("--builtin-schema", "vendor.compose-spec")
    assert not lint("check-jsonschema", "make setup", *schema, file)


def test_compose_lint_finds_nothing_grave() -> None:
    assert not lint("compose-lint", "make setup", "--fail-on", "high", COMPOSE)


def test_database_and_broker_are_reached_from_inside_alone() -> None:
    assert compose()["networks"]["inside"] == {"internal": True}
    for name in ("postgres", "redis", "portal"):
        assert services()[name]["networks"] == ["inside"]
        assert "ports" not in services()[name]


def test_what_operators_look_at_is_published_on_this_machine_alone() -> None:
    for name in ("prometheus", "grafana"):
        assert all(port.startswith("127.0.0.1:") for port in services()[name]["ports"])


def test_the_nodes_ports_are_the_images() -> None:
    exposed = instructions("cpu", "EXPOSE")[-1].split()
    node = services()["node"]
    assert node["ports"] == [f"{port}:{port}" for port in exposed]
    assert [node["environment"]["API_PORT"], node["environment"]["P2P_PORT"]] == exposed


@pytest.mark.parametrize("name", list(yaml.safe_load(COMPOSE.read_text())["services"]))
def test_every_service_is_kept_running_within_limits_and_watched(name: str) -> None:
    service = services()[name]
    assert service["restart"] == "unless-stopped"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    has_own = "healthcheck" in service
    assert has_own or name == "node"  # the image's


def test_secrets_are_files_and_never_variables() -> None:
    for name, service in services().items():
        for variable, value in service.get("environment", {}).items():
            if not SECRETS.search(variable) or value is None:
                continue
            assert variable.endswith("_FILE"), f"{name}: {variable}"
            secret = Path(value)
            assert secret.parent == Path("/run/secrets")
            assert secret.name in service["secrets"]
    for secret, where in compose()["secrets"].items():
        assert where == {"file": f"${{SECRETS_FOLDER:-./deploy/docker/secrets}}/{secret}"}


def test_each_service_is_given_only_secrets_that_it_uses() -> None:
    for name, service in services().items():
        told = str(service)
        for secret in service.get("secrets", ()):
            is_used = f"/run/secrets/{secret}" in told
            # Found by its name (node), or by the configuration that is mounted (prometheus).
            assert is_used or (name, secret) in {
                ("node", "host_private_key"),
                ("prometheus", "metrics_token"),
            }


def test_the_hosts_key_is_the_nodes_alone() -> None:
    having = [
        name
        for name, service in services().items()
        if "host_private_key" in service.get("secrets", ())
    ]
    assert having == ["node"]
    for service in ("prover", "sampler", "portal"):
        assert not any(name.startswith("HOST_") for name in services()[service]["environment"])


@pytest.mark.parametrize("name", ["prover", "sampler"])
def test_a_provers_settings_are_those_that_a_worker_reads(name: str) -> None:
    known = {name.upper() for name in WorkerSettings.model_fields}
    for variable in services()[name]["environment"]:
        name = variable.removesuffix("_FILE")
        assert (
            name in known or name == "RUST_LOG" or re.match("CONTRACT_|.*_TOKEN$|.*_ADDRESS$", name)
        )


def test_what_takes_minutes_is_a_service_of_its_own_that_is_asked_for() -> None:
    prover, sampler = services()["prover"], services()["sampler"]
    start = ["worker", "--queues"]
    assert prover["command"] == [*start, "live,aggregate", "--env-file", "/dev/null"]
    assert sampler["command"] == [*start, "audit", "--env-file", "/dev/null"]
    assert ("profiles" in prover, sampler["profiles"]) == (False, ["trace"])
    assert sampler["environment"] == prover["environment"]
    assert sampler["secrets"] == prover["secrets"]


def test_who_may_trace_has_the_models_of_the_node() -> None:
    models = "./models:/app/models:ro"
    for name in ("node", "prover", "sampler"):
        assert models in services()[name]["volumes"]
        for setting in ("MODEL_PATH", "TRACE", "CONFIRMATIONS"):
            assert setting in services()[name]["environment"]


def test_the_broker_never_throws_jobs_away() -> None:
    assert "maxmemory-policy noeviction" in services()["redis"]["command"][-1]
    assert "appendonly yes" in services()["redis"]["command"][-1]


def test_what_is_mounted_from_here_exists() -> None:
    for service in services().values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            if source.startswith("./") and source != "./models":
                assert (ROOT / source).exists(), source


def test_named_volumes_are_declared_and_used() -> None:
    used = {
        volume.split(":")[0]
        for service in services().values()
        for volume in service["volumes"]
        if not volume.startswith((".", "/"))
    }
    assert used == set(compose()["volumes"])


def test_prometheus_asks_the_node_under_the_job_that_the_alerts_name() -> None:
    here = yaml.safe_load((DEPLOY / "docker" / "prometheus.yml").read_text())
    there = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    assert here["rule_files"] == there["rule_files"]
    assert here["global"] == there["global"]
    ours, theirs = here["scrape_configs"][0], there["scrape_configs"][0]
    for same in ("job_name", "metrics_path", "scrape_timeout"):
        assert ours[same] == theirs[same]
    assert ours["static_configs"] == [{"targets": ["node:8080"]}]
    assert ours["authorization"]["credentials_file"] == "/run/secrets/metrics_token"


def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    token = tmp_path / "metrics_token"
    token.write_text("secret")
    text = (DEPLOY / "docker" / "prometheus.yml").read_text()
    (tmp_path / "prometheus.yml").write_text(text.replace("/run/secrets/metrics_token", str(token)))
    for rules in ("rules.yml", "alerts.yml"):
        (tmp_path / rules).write_text((DEPLOY / "prometheus" / rules).read_text())
    assert not lint("promtool", "make services", "check", "config", tmp_path / "prometheus.yml")


def test_redis_takes_its_configuration_and_wants_the_password(tmp_path: Path) -> None:
    """The command of the container, with a port and folders of this machine."""
    (tmp_path / "redis_password").write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = [word.replace("$$", "$") for word in services()["redis"]["command"]]
    command[-1] = command[-1].replace("/run/secrets", str(tmp_path))
    here = f"dir {tmp_path}\nport {port}\nbind 127.0.0.1"
    assert "dir /data" in command[-1]
    command[-1] = command[-1].replace("dir /data", here)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            assert answers(redis.Redis(port=port, password="secret"))  # noqa: S106
            with pytest.raises(redis.AuthenticationError):
                redis.Redis(port=port).ping()
            assert "secret" not in Path(f"/proc/{server.pid}/cmdline").read_text()
            policy = redis.Redis(port=port, password="secret").config_get("maxmemory-policy")  # noqa: S106
            assert policy == {"maxmemory-policy": "noeviction"}
        finally:
            server.terminate()


def answers(client: redis.Redis) -> bool:
    """Whether a server that was just started answers within a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(redis.ConnectionError):
            return bool(client.ping())
        time.sleep(0.02)
    return False


def test_grafana_asks_prometheus_by_the_datasource_of_the_dashboards() -> None:
    here = yaml.safe_load((DEPLOY / "docker" / "grafana-datasource.yml").read_text())
    there = yaml.safe_load(
        (DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yml").read_text()
    )
    assert here["datasources"][0].pop("url") == "http://prometheus:9090"
    there["datasources"][0].pop("url")
    assert here == there


def test_gpus_are_reserved_for_who_uses_them_by_the_second_file() -> None:
    over = yaml.safe_load(COMPOSE_CUDA.read_text())["services"]
    assert set(over) == set(OURS)
    for name in ("node", "prover", "sampler"):
        devices = over[name]["deploy"]["resources"]["reservations"]["devices"]
        assert devices == [{"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}]
    assert all(over[name]["build"]["target"] == "cuda" for name in OURS)
