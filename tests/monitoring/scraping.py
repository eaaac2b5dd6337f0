"""Metrics as Prometheus reads them, and as its linter does."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
PROMTOOL = Path("/usr/bin/promtool")


def samples_of(text: str) -> Samples:
    """Values by name and labels; a pair that is told twice is an error."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, key
            found[key] = sample.value
    return found


def value(samples: Samples, name: str, labels: Mapping[str, str] | None = None) -> float:
    return samples[f"platformless_{name}", frozenset((labels or {}).items())]


def names(samples: Samples) -> set[str]:
    return {name.removeprefix("platformless_") for name, _ in samples}


async def scraped(url: str, token: str = "") -> Samples:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(trust_env=False) as http:
        reply = await http.get(f"{url}/metrics", headers=headers)
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"].startswith("text/plain; version=")
    return samples_of(reply.text)


def lint(text: str) -> str:
    """What `promtool check metrics` has against a text; empty when nothing.

    Raises:
        FileNotFoundError: with advice, when Prometheus is not installed.
    """
    if not PROMTOOL.exists():
        raise FileNotFoundError(f"no {PROMTOOL}: `make services` installs it")
    checked = subprocess.run(
        [PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    return checked.stdout + checked.stderr if checked.returncode else ""
