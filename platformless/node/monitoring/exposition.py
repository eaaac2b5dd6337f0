"""Metrics in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from .counted import Counted

_CREATED = "_created"


def exposed(metrics: Iterable[Metric]) -> bytes:
    """The text of these metrics; one without samples is left out."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Told([metric for metric in metrics if metric.samples]))
    return generate_latest(registry)


def counted_families(counted: Counted) -> Iterator[Metric]:
    """What the node counted, without the times at which the counters began: the process has one
    for all."""
    for metric in counted.registry.collect():
        metric.samples = [one for one in metric.samples if not one.name.endswith(_CREATED)]
        yield metric


def process_families() -> Iterator[Metric]:
    """This process, under the names that all clients of Prometheus use."""
    yield from ProcessCollector(registry=None).collect()


def build_families(version: str, commit: str, zkvm: str) -> Iterator[Metric]:
    """What runs, as labels of a metric that is 1."""
    family = GaugeMetricFamily(
        "platformless_build_info",
        "Version, commit and proof system.",
        labels=("version", "commit", "zkvm"),
    )
    family.add_metric((version, commit, zkvm), 1)
    yield family


def flag(name: str, help_text: str, value: bool) -> Metric:
    """1 or 0."""
    return GaugeMetricFamily(f"platformless_{name}", help_text, value=value)


class _Told(Collector):
    """Hands metrics that were read already to a registry."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return iter(self._metrics)
