"""The files of deploy/ about monitoring, and the metrics that they go by."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
GRAFANA = ROOT / "deploy" / "grafana"
KUBERNETES = ROOT / "deploy" / "kubernetes"
DASHBOARD = GRAFANA / "dashboards" / "fabstir-llm-node.json"
_yaml: Any = importlib.import_module("yaml")  # without stubs
_METRIC = re.compile(r"\b(?:platformless|process)_[a-z0-9_]+")
_RECORDED = re.compile(r"\bplatformless:[a-z0-9_:]+")


def documents(path: Path) -> list[Any]:
    """Of a YAML file."""
    return list(_yaml.safe_load_all(path.read_text()))


def rules(name: str) -> list[dict[str, Any]]:
    """Of a file of Prometheus' rules."""
    (document,) = documents(PROMETHEUS / name)
    return [rule for group in document["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    """Of the dashboard, without its rows."""
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def expressions() -> Iterator[str]:
    """Of rules, dashboard and adapter, with the dashboard's variables filled in."""
    for name in ("rules.yml", "alerts.yml"):
        yield from (rule["expr"] for rule in rules(name))
    board = json.loads(DASHBOARD.read_text())
    shown = [target["expr"] for panel in panels() for target in panel["targets"]]
    shown += [one["expr"] for one in board["annotations"]["list"]]
    for expression in shown:
        yield expression.replace("$instance", ".+").replace("$__rate_interval", "1m")
    (adapter,) = documents(KUBERNETES / "adapter-rules.yml")
    yield from (rule["metricsQuery"] for rule in adapter["rules"]["external"])


def metrics_of(expression: str) -> set[str]:
    """The names that a node must tell for it; without the pattern of several names."""
    return set(_METRIC.findall(expression.replace('__name__=~"platformless_(', "")))


def recorded_in(expression: str) -> set[str]:
    return set(_RECORDED.findall(expression))
