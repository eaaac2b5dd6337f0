"""The alert rules of deploy/prometheus: when each fires, and that it can."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import pytest_asyncio

from platformless.chain.devchain import DevChain
from platformless.node.monitoring.certificate import Expiry, certificate_families
from tests.chain.world import World
from tests.node.served import until

from .deployed import PROMETHEUS, documents, expressions, metrics_of, recorded_in, rules
from .observed import A16, observed
from .scraping import PROMTOOL, names, scraped

OPERATIONS = PROMETHEUS.parents[1] / "docs" / "operations.md"
CASES = Path(__file__).with_name("alerts.test.yml")
SINGULAR = {
    # While proofs are built, and when some were confirmed: test_pipeline.py.
    "proof_progress_ratio",
    "recent_prove_seconds",
    # Where a machine has no disk of its own: test_machine.py.
    "disk_read_bytes_total",
    "disk_written_bytes_total",
    # Where PUBLIC_URL has https: test_certificate.py.
    "certificate_expiry_timestamp_seconds",
}
"""Metrics that a new node without all this does not tell."""


def promtool(*words: str) -> str:
    if not PROMTOOL.exists():
        raise FileNotFoundError(f"no {PROMTOOL}: `make services` installs it")
    ran = subprocess.run([PROMTOOL, *words], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def alerts() -> dict[str, dict[str, object]]:
    return {rule["alert"]: rule for rule in rules("alerts.yml")}


def test_rules_and_settings_are_what_prometheus_reads(tmp_path: Path) -> None:
    promtool("check", "rules", *(str(PROMETHEUS / name) for name in ("rules.yml", "alerts.yml")))
    promtool("check", "config", str(PROMETHEUS / "prometheus.yml"))
    # The lines that a node with a token needs.
    text = (PROMETHEUS / "prometheus.yml").read_text()
    token = tmp_path / "token"
    token.write_text("token")
    text = re.sub(r"# (authorization:|  type: Bearer|  credentials_file:)", r"\1", text)
    text = text.replace("/etc/prometheus/fabstir-metrics-token", str(token))
    for name in ("rules.yml", "alerts.yml"):
        (tmp_path / name).write_text((PROMETHEUS / name).read_text())
    (tmp_path / "prometheus.yml").write_text(text)
    assert "credentials_file: /" in text
    promtool("check", "config", str(tmp_path / "prometheus.yml"))


def test_alerts_fire_when_they_should_and_not_before() -> None:
    assert "SUCCESS" in promtool("test", "rules", str(CASES))


def test_every_alert_is_tested_before_while_and_after_it_fires() -> None:
    (cases,) = documents(CASES)
    seen: dict[str, list[bool]] = {}
    for case in cases["tests"]:
        for test in case["alert_rule_test"]:
            seen.setdefault(test["alertname"], []).append(bool(test["exp_alerts"]))
    assert seen.keys() == alerts().keys()
    for name, fires in seen.items():
        assert (fires[0], True in fires, fires[-1]) == (False, True, False), name


@pytest.mark.parametrize("name", alerts())
def test_an_alert_says_how_grave_it_is_and_what_to_read(name: str) -> None:
    alert = alerts()[name]
    assert alert["labels"] in ({"severity": "critical"}, {"severity": "warning"})
    annotations = alert["annotations"]
    assert isinstance(annotations, dict)
    assert annotations.keys() == {"summary", "description", "runbook"}
    assert annotations["runbook"] == f"docs/operations.md#{name.lower()}"
    assert "$labels.instance" in annotations["summary"]


def test_the_documentation_says_what_to_do_about_every_alert() -> None:
    headings = re.findall("^#### (.+)$", OPERATIONS.read_text(), re.MULTILINE)
    assert set(headings) == alerts().keys()


def test_alerts_for_one_job_are_of_the_job_that_is_scraped() -> None:
    (settings,) = documents(PROMETHEUS / "prometheus.yml")
    (job,) = settings["scrape_configs"]
    jobs = {found for text in expressions() for found in re.findall('job="([^"]+)"', text)}
    assert jobs == {job["job_name"]}


def test_what_is_recorded_is_what_is_used() -> None:
    recorded = {rule["record"] for rule in rules("rules.yml")}
    assert {name for text in expressions() for name in recorded_in(text)} == recorded


@pytest_asyncio.fixture
async def told(dev_chain: DevChain, tmp_path: Path) -> set[str]:
    """The metrics of a real node with a GPU's reading."""
    async with World(dev_chain, tmp_path) as world, observed(world, tmp_path, (A16,)) as node:

        async def is_complete() -> bool:
            known = names(await scraped(node.url))
            return known >= {"earnings_total", "cpu_utilisation_ratio", "gpu_utilisation_ratio"}

        await until(is_complete)
        return names(await scraped(node.url))


async def test_every_metric_that_is_used_is_one_that_a_node_tells(told: set[str]) -> None:
    used = {name.removeprefix("platformless_") for e in expressions() for name in metrics_of(e)}
    assert used - told - SINGULAR == set()
    certificate = certificate_families(Expiry(expires_at=1.0, asked_at=1.0))
    assert {metric.name for metric in certificate} >= {
        "platformless_certificate_expiry_timestamp_seconds"
    }
