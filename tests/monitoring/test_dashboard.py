"""The dashboard and the samples for Kubernetes: well formed, and understood by Prometheus."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest_asyncio

from platformless.children import Child
from platformless.node.monitoring.autoscaling import (
    LATENCY_HIGH_SECONDS,
    QUEUE_HIGH,
    UTILISATION_HIGH,
    AutoscalingBody,
)
from platformless.node.supervisor.run import free_port

from .deployed import DASHBOARD, GRAFANA, KUBERNETES, PROMETHEUS, documents, expressions, panels

SERVER = Path("/usr/bin/prometheus")
ROWS = [
    *("Overview", "GPU and system", "Sessions and tokens", "Proofs"),
    *("Chain and earnings", "Limits"),
]
_PATIENT_SECONDS = 60


@pytest_asyncio.fixture
async def prometheus(tmp_path: Path) -> AsyncIterator[str]:
    """The address of a Prometheus with the rules, that finds no node."""
    if not SERVER.exists():
        raise FileNotFoundError(f"no {SERVER}: `make services` installs it")
    url = f"http://127.0.0.1:{(port := free_port('127.0.0.1'))}"
    server = Child(
        (
            *(str(SERVER), f"--config.file={PROMETHEUS / 'prometheus.yml'}"),
            *(f"--storage.tsdb.path={tmp_path}", f"--web.listen-address=127.0.0.1:{port}"),
        )
    )
    try:
        async with httpx.AsyncClient(trust_env=False) as http:
            async with asyncio.timeout(_PATIENT_SECONDS):
                while not await _is_ready(http, url):
                    assert server.exit_status is None, server.last_lines()
                    await asyncio.sleep(0.05)
        yield url
    finally:
        await asyncio.to_thread(server.kill)


async def _is_ready(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(f"{url}/-/ready")).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


async def test_prometheus_understands_every_expression(prometheus: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        for expression in expressions():
            reply = await http.post(f"{prometheus}/api/v1/query", data={"query": expression})
            assert reply.json()["status"] == "success", f"{expression}: {reply.text}"
        loaded = (await http.get(f"{prometheus}/api/v1/rules")).json()["data"]["groups"]
    assert sum(len(group["rules"]) for group in loaded) > 30


def test_the_dashboard_has_its_rows_and_every_panel_explains_itself() -> None:
    board = json.loads(DASHBOARD.read_text())
    assert [one["title"] for one in board["panels"] if one["type"] == "row"] == ROWS
    ids = Counter(panel["id"] for panel in board["panels"])
    assert max(ids.values()) == 1
    for panel in panels():
        name = panel["title"]
        assert panel["description"].endswith("."), name
        assert panel["fieldConfig"]["defaults"]["unit"], name
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, name
        assert panel["targets"], name
        for target in panel["targets"]:
            assert target["legendFormat"], name
            assert "$instance" in target["expr"], name
    titles = Counter((panel["title"], panel["type"]) for panel in panels())
    assert max(titles.values()) == 1


def test_panels_lie_side_by_side() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + right, place["y"] + down)
            for right in range(place["w"])
            for down in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_grafana_is_told_where_both_are() -> None:
    (sources,) = documents(GRAFANA / "provisioning" / "datasources" / "prometheus.yml")
    (source,) = sources["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "$PROMETHEUS_URL")
    (providers,) = documents(GRAFANA / "provisioning" / "dashboards" / "fabstir-llm-node.yml")
    (provider,) = providers["providers"]
    assert (provider["type"], provider["options"]["path"]) == (
        "file",
        "/var/lib/grafana/dashboards",
    )


def test_scalers_read_fields_that_there_are_and_the_nodes_own_thresholds() -> None:
    _authentication, scaled = documents(KUBERNETES / "keda.yml")
    triggers = {one["metadata"]["valueLocation"]: one for one in scaled["spec"]["triggers"]}
    assert triggers.keys() <= set(AutoscalingBody.__struct_fields__)
    wanted = {
        "utilisation": UTILISATION_HIGH,
        "queue_depth": QUEUE_HIGH,
        "latency_seconds": LATENCY_HIGH_SECONDS,
    }
    assert {name: float(one["metadata"]["targetValue"]) for name, one in triggers.items()} == wanted
    (hpa,) = documents(KUBERNETES / "hpa.yml")
    (adapter,) = documents(KUBERNETES / "adapter-rules.yml")
    names = [one["external"]["metric"]["name"] for one in hpa["spec"]["metrics"]]
    assert names == [f"platformless_{name}" for name in wanted]
    assert names == [rule["name"]["as"] for rule in adapter["rules"]["external"]]
    values = [one["external"]["target"]["value"] for one in hpa["spec"]["metrics"]]
    assert values == ["800m", "10", "5"]
