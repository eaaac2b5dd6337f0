"""RPC endpoints, contracts and the clock, on a real chain."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from platformless.chain.devchain import DevChain
from platformless.node.doctor.chain_checks import clock_skew
from platformless.node.doctor.endpoints import Answered, ask_endpoint
from platformless.node.doctor.finding import Level
from platformless.node.doctor.machine import Machine

from .conftest import Patient, levels

NOBODY = "http://127.0.0.1:1"


@pytest.fixture(params=["UTC", "Asia/Kathmandu", "America/St_Johns"])
def time_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The process's time zone for the length of a test."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


async def test_an_endpoint_that_serves_the_chain_is_well(patient: Patient) -> None:
    found = await patient.finding("rpc")
    assert found.level is Level.OK
    assert "chain 84532" in found.says


async def test_an_endpoint_that_nobody_listens_at_is_told(patient: Patient) -> None:
    report = await patient.examined("rpc", "contracts", "gas", "clock", RPC_URL=NOBODY)
    by_name = {finding.name: finding for finding in report.findings}
    assert by_name["rpc"].level is Level.ERROR
    assert NOBODY in by_name["rpc"].says
    assert by_name["contracts"].level is Level.SKIPPED
    assert by_name["gas"].level is Level.SKIPPED
    assert by_name["clock"].level is Level.WARNING
    assert report.exit_status == 1


async def test_one_endpoint_that_answers_is_enough(patient: Patient) -> None:
    both = f"{NOBODY},{patient.world.dev_chain.rpc_url}"
    report = await patient.examined("rpc", "contracts", RPC_URL=both)
    assert levels(list(report.findings)) == [Level.OK, Level.WARNING, Level.OK, Level.OK]


async def test_an_endpoint_of_another_chain_is_told(patient: Patient) -> None:
    report = await patient.examined("rpc", "registration", CHAIN_ID=1)
    by_name = {finding.name: finding for finding in report.findings}
    assert by_name["rpc"].level is Level.ERROR
    assert "serves chain 84532, expected 1" in by_name["rpc"].says
    assert by_name["registration"].level is Level.SKIPPED


async def test_what_is_secret_in_an_endpoints_address_is_not_shown(patient: Patient) -> None:
    url = "http://user:password@127.0.0.1:1/v2/provider-key?token=also-secret"
    for found in await patient.findings("rpc", RPC_URL=url):
        shown = f"{found}"
        assert "http://127.0.0.1:1" in shown
        for secret in ("password", "provider-key", "also-secret"):
            assert secret not in shown


async def test_endpoints_that_agree_are_told(patient: Patient) -> None:
    url = patient.world.dev_chain.rpc_url
    found = await patient.findings("rpc", RPC_URL=f"{url},{url.replace('127.0.0.1', 'localhost')}")
    assert Level.ERROR not in levels(found)
    assert len(found) >= 2


async def test_contracts_that_are_not_there_are_named(patient: Patient) -> None:
    nowhere = "0x" + "12" * 20
    found = await patient.finding("contracts", CONTRACT_PROOF_SYSTEM=nowhere)
    assert found.level is Level.ERROR
    assert "ProofSystem" in found.says


async def test_a_paused_marketplace_is_told(patient: Patient) -> None:
    assert (await patient.finding("contracts")).level is Level.OK
    await patient.world.send("owner", patient.world.marketplace.pause())
    try:
        found = await patient.finding("contracts")
    finally:
        await patient.world.send("owner", patient.world.marketplace.unpause())
    assert found.level is Level.WARNING


async def test_the_clock_is_right_in_every_time_zone(patient: Patient, time_zone: str) -> None:
    found = await patient.finding("clock")
    assert found.level is Level.OK, (time_zone, os.environ["TZ"], found)


@pytest.mark.parametrize(
    ("ahead_seconds", "level"),
    [
        (0, Level.OK),
        (20, Level.WARNING),
        (-20, Level.WARNING),
        (120, Level.ERROR),
        (-120, Level.ERROR),
    ],
)
async def test_a_clock_that_is_wrong_is_told(
    patient: Patient, ahead_seconds: int, level: Level
) -> None:
    """The clock is injected: this machine's own stays as it is."""
    machine = Machine(clock=lambda: time.time() + ahead_seconds)
    found = await patient.finding("clock", machine=machine)
    assert found.level is level
    if ahead_seconds:
        assert ("ahead of" if ahead_seconds > 0 else "behind") in found.says


def answer(head_age: float, date_age: float | None) -> Answered:
    """What an endpoint told at second 1,000 of this machine's clock."""
    date = None if date_age is None else 1000 - date_age
    return Answered(1, 5, "0xaa", int(1000 - head_age), 0.01, 1000.0, date)


@pytest.mark.parametrize(
    ("answers", "ahead"),
    [
        ([answer(2, 0)], 0),
        ([answer(2, 30)], 30),
        ([answer(500, 0)], 0),  # it lags: its Date is what counts
        ([answer(-90, 0)], -90),  # blocks are not from the future
        ([answer(2, 0), answer(2, 0), answer(2, 700)], 0),  # one of three is wrong
        ([answer(-8, None)], -8),
        ([answer(40, None)], 40),
    ],
)
def test_what_the_clock_is_compared_with(answers: list[Answered], ahead: float) -> None:
    assert clock_skew(answers)[0] == ahead


async def test_an_answer_that_is_no_json_rpc_is_a_problem_of_the_endpoint(
    dev_chain: DevChain,
) -> None:
    asked = await ask_endpoint("no address at all", time.time)
    assert asked.answered is None
    assert asked.problem
    asked = await ask_endpoint(dev_chain.rpc_url, time.time)
    assert asked.answered is not None
    assert asked.answered.date is not None
