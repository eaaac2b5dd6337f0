"""Workers: which queues one process may serve, and what it needs to be told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from platformless.node.backing import broker_url, portals_of
from platformless.node.errors import MissingSetting, QueuesRefused
from platformless.node.reading_settings import load_settings, load_worker_settings
from platformless.node.workers.command import queues_of
from platformless.node.workers.common import pipeline_rules
from platformless.node.workers.proofs import ProofWorker
from platformless.prover.ledger.job_states import JobQueue

KEY = "0x" + "11" * 32


def test_queues_are_named_with_commas() -> None:
    assert queues_of("live, audit") == {JobQueue.LIVE, JobQueue.AUDIT}
    assert queues_of("settlement") == {JobQueue.SETTLEMENT}


@pytest.mark.parametrize("text", ["", "live,urgent", "live,settlement"])
def test_other_queues_are_refused(text: str) -> None:
    with pytest.raises(QueuesRefused) as refused:
        queues_of(text)
    assert refused.value.code == "NOD-107"
    assert refused.value.exit_status == 2


def test_a_worker_for_proofs_needs_no_key() -> None:
    settings, network = load_worker_settings({"CHAIN_ID": "84532"}, env_file=None)
    assert not hasattr(settings, "host_private_key")
    assert network.chain_id == 84532
    with pytest.raises(MissingSetting):
        load_settings({"CHAIN_ID": "84532"}, env_file=None)


def test_a_key_that_is_there_is_not_read() -> None:
    settings, _ = load_worker_settings({"HOST_PRIVATE_KEY": KEY}, env_file=None)
    assert KEY not in repr(settings)
    assert KEY not in settings.model_dump_json()


def test_without_a_broker_it_is_the_embedded_one_of_the_data_folder(tmp_path: Path) -> None:
    settings, _ = load_worker_settings({"DATA_FOLDER": str(tmp_path)}, env_file=None)
    assert broker_url(settings) == f"unix://{tmp_path}/broker/broker.sock"
    other, _ = load_worker_settings({"BROKER_URL": "redis://there"}, env_file=None)
    assert broker_url(other) == "redis://there"


def test_who_settles_needs_a_portal() -> None:
    settings, _ = load_settings({"HOST_PRIVATE_KEY": KEY}, env_file=None)
    with pytest.raises(MissingSetting, match="S5_PORTAL_URL"):
        portals_of(settings)


def test_rules_are_as_the_settings_say() -> None:
    environment = {
        "HOST_PRIVATE_KEY": KEY,
        "LEASE_SECONDS": "7",
        "MOST_STARTS": "3",
        "WITNESS_HOURS": "2",
        "PROVER_MEMORY_GIB": "0.5",
    }
    rules = pipeline_rules(load_settings(environment, env_file=None)[0])
    assert (rules.lease_seconds, rules.most_starts) == (7, 3)
    assert rules.retention_seconds == 7200
    assert rules.prover_memory_bytes == 1 << 29
    assert pipeline_rules(load_worker_settings(environment, env_file=None)[0]).lease_seconds == 7


@pytest.mark.parametrize(("trace", "one_in"), [("off", 1), ("sampled", 5), ("always", 1)])
def test_how_many_checkpoints_are_drawn_is_as_the_settings_say(trace: str, one_in: int) -> None:
    environment = {
        "HOST_PRIVATE_KEY": KEY,
        "TRACE": trace,
        "TRACE_ONE_IN": "5",
        "SAMPLE_DRAWS": "7",
        "CONFIRMATIONS": "9",
    }
    for settings, _ in (
        load_settings(environment, env_file=None),
        load_worker_settings(environment, env_file=None),
    ):
        rules = pipeline_rules(settings)
        assert (rules.sample_one_in, rules.sample_draws) == (one_in, 7)
        assert rules.beacon_confirmations == 9


async def test_who_traces_nothing_proves_no_samples(tmp_path: Path) -> None:
    settings, network = load_worker_settings({"DATA_FOLDER": str(tmp_path)}, env_file=None)
    with pytest.raises(QueuesRefused, match="TRACE=sampled") as refused:
        async with ProofWorker(settings, network, {JobQueue.AUDIT}):
            pass
    assert (refused.value.code, refused.value.exit_status) == ("NOD-107", 2)
    assert list(tmp_path.iterdir()) == []


STARTED = """
import asyncio, os, sys
from pathlib import Path
from platformless.console import Output
from platformless.node.workers import command

def run(work):
    work.close()
    print(os.nice(0))

os.nice(int(sys.argv[2]))
command.asyncio.run = run
output = Output("test", "worker", True)
command.run_worker(output, command.queues_of(sys.argv[1]), Path("/dev/null"))
"""


_NICEST = 19


@pytest.mark.parametrize(
    ("queues", "started_with", "least"),
    [
        ("live,aggregate", 0, 0),
        ("live,audit", 0, 0),
        ("audit", 0, 10),
        ("audit", 10, 10),
        ("audit", 15, 10),
    ],
)
def test_who_samples_alone_lets_others_go_first(
    tmp_path: Path, queues: str, started_with: int, least: int
) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", STARTED, queues, str(started_with)],
        env={**os.environ, "DATA_FOLDER": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    begun = min(os.nice(0) + started_with, _NICEST)  # the tests may be run nicely, too
    assert int(ran.stdout) == max(begun, least)
