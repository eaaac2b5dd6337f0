"""The supervisor over real processes: order, restarts, giving up, stopping, and its own death."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from platformless.node.supervisor.ending import said
from platformless.node.supervisor.errors import ServiceGaveUp, ServiceNotStarted
from platformless.node.supervisor.service import Patience, Service, ServiceState
from platformless.node.supervisor.supervisor import Supervisor
from platformless.retrying import Backoff

from .standins import (
    LIMIT_SECONDS,
    QUICK,
    SAYS_READY,
    broker,
    graceful,
    is_gone,
    script,
    stubborn,
    supervised,
    until,
)

ROOT = Path(__file__).parents[2]


async def test_a_service_starts_when_the_one_before_is_ready(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    asked = 0

    async def open_at_the_third_time() -> bool:
        nonlocal asked
        asked += 1
        if asked == 3:
            gate.touch()
        return gate.exists()

    first = replace(graceful("first"), ready=open_at_the_third_time)
    looks = script(f"""
        import pathlib, signal
        print("gate", pathlib.Path({str(gate)!r}).exists(), flush=True)
        print("ready", flush=True)
        signal.pause()
    """)
    async with supervised([first, Service("second", looks, os.environ, SAYS_READY)]) as running:
        assert ("second", "gate True") in running.lines
        assert [status.state for status in running.supervisor.status()] == [ServiceState.READY] * 2
        names = [status.name for status in running.supervisor.status()]
        assert names == ["first", "second"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
async def test_a_service_that_dies_is_started_again(number: int) -> None:
    async with supervised([graceful("one"), graceful("two", 0)]) as running:
        for name in ("one", "two"):
            before, other = running.process_id(name), {"one": "two", "two": "one"}[name]
            untouched = running.process_id(other)
            os.kill(before, number)
            await running.is_back(name, 1)
            assert running.process_id(name) != before
            assert is_gone(before)
            assert running.process_id(other) == untouched


def test_the_first_restart_comes_quickly() -> None:
    assert Patience().backoff.rest_seconds(1) <= 0.2
    assert Patience().backoff.rest_seconds(4) > 0.5


async def test_what_a_dead_service_started_dies_with_it() -> None:
    async with supervised([stubborn("one")]) as running:
        child = int(dict(line.split() for _, line in running.lines if " " in line)["child"])
        os.kill(running.process_id("one"), signal.SIGKILL)
        await running.is_back("one", 1)
        await until(lambda: is_gone(child))


async def test_deaths_far_apart_are_forgiven() -> None:
    patience = Patience(deaths=2, settled_seconds=0.0, backoff=QUICK.backoff)
    async with supervised([graceful("one")], patience) as running:
        for restarts in range(1, 5):
            os.kill(running.process_id("one"), signal.SIGKILL)
            await running.is_back("one", restarts)


async def test_it_gives_up_and_says_why() -> None:
    broken = Service("broken", script("raise SystemExit('no such model')"), os.environ, SAYS_READY)
    with pytest.raises(ServiceGaveUp) as caught:
        async with supervised([graceful("one"), broken, graceful("never")]) as running:
            pytest.fail(f"ready: {running}")
    text = str(caught.value)
    assert text.startswith("SUP-002 broken ended 5 times in a row")
    assert "exit status 1" in text
    assert "broken | no such model" in text


async def test_giving_up_stops_the_others() -> None:
    patience = Patience(deaths=1, settled_seconds=60, backoff=Backoff(0.05, 0.1))
    with pytest.raises(ServiceGaveUp, match="signal SIGKILL"):
        async with supervised([graceful("one"), graceful("two")], patience) as running:
            left = running.process_id("one")
            os.kill(running.process_id("two"), signal.SIGKILL)
            await until(lambda: running.status("one").state is ServiceState.STOPPED)
    assert is_gone(left)
    assert ("one", "ended") in running.lines


async def test_others_go_on_without_a_service_that_is_not_vital(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    broken = script(f"""
        import pathlib, signal
        if not pathlib.Path({str(gate)!r}).exists():
            raise SystemExit("no port")
        print("ready", flush=True)
        signal.pause()
    """)
    patience = replace(QUICK, deaths=3, long_rest_seconds=0.5)
    extra = Service("extra", broken, os.environ, SAYS_READY, is_vital=False)
    async with supervised([extra, graceful("one")], patience) as running:
        before = running.process_id("one")
        await until(lambda: running.status("extra").restarts > patience.deaths)
        assert running.status("one").state is ServiceState.READY
        assert running.process_id("one") == before
        gate.touch()
        await running.is_back("extra", 1)
        assert ("extra", "no port") in running.lines
    assert ("one", "ended") in running.lines


async def test_a_service_that_is_never_ready_is_given_up() -> None:
    silent = Service("silent", script("import signal; signal.pause()"), os.environ, SAYS_READY, 0.1)
    patience = Patience(deaths=2, backoff=QUICK.backoff)
    with pytest.raises(ServiceGaveUp, match=r"not ready within 0\.1 s"):
        await Supervisor([silent], lambda _name, _line: None, patience).run(asyncio.Event())


async def test_a_program_that_does_not_exist_is_named() -> None:
    absent = Service("absent", ("/nowhere/program",), {})
    with pytest.raises(ServiceNotStarted, match=r"SUP-001 absent .*/nowhere/program"):
        await Supervisor([absent], lambda _name, _line: None).run(asyncio.Event())


async def test_services_stop_in_reverse_each_when_the_one_after_has_ended() -> None:
    async with supervised([graceful("one"), graceful("two"), graceful("three")]) as running:
        processes = [status.process_id for status in running.supervisor.status()]
    told = [(name, line) for name, line in running.lines if line in ("ending", "ended")]
    assert told == [
        (name, line) for name in ("three", "two", "one") for line in ("ending", "ended")
    ]
    assert all(process is not None and is_gone(process) for process in processes)


async def test_a_service_that_does_not_end_is_killed_with_its_group() -> None:
    async with supervised([graceful("one"), stubborn("two")]) as running:
        process = running.process_id("two")
        child = int(dict(line.split() for _, line in running.lines if " " in line)["child"])
    assert is_gone(process)
    await until(lambda: is_gone(child))
    assert ("one", "ended") in running.lines


async def test_it_can_be_stopped_while_it_starts() -> None:
    async def never() -> bool:
        return False

    services = [graceful("one"), replace(graceful("two"), ready=never), graceful("three")]
    stopping = asyncio.Event()
    lines: list[tuple[str, str]] = []
    supervisor = Supervisor(services, lambda name, line: lines.append((name, line)))
    running = asyncio.create_task(supervisor.run(stopping))
    await until(lambda: ("two", "ready") in lines)
    stopping.set()
    await asyncio.wait_for(running, LIMIT_SECONDS)
    assert {name for name, line in lines if line == "ended"} == {"one", "two"}
    assert {name for name, _ in lines} == {"one", "two"}


async def test_cancelling_it_leaves_nobody() -> None:
    ready = asyncio.Event()
    supervisor = Supervisor([graceful("one"), stubborn("two")], lambda _name, _line: None)
    running = asyncio.create_task(supervisor.run(asyncio.Event(), ready.set))
    await asyncio.wait_for(ready.wait(), LIMIT_SECONDS)
    processes = [status.process_id for status in supervisor.status()]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert all(process is not None and is_gone(process) for process in processes)


def test_the_end_of_a_process_is_said_in_words() -> None:
    assert [said(status) for status in (0, 3, -9, -99, None)] == [
        "exit status 0",
        "exit status 3",
        "signal SIGKILL",
        "signal 99",
        "still running",
    ]


def test_killing_the_supervisor_leaves_nobody(tmp_path: Path) -> None:
    for _ in range(2):  # the second time over what the first one left
        with subprocess.Popen(
            [sys.executable, "-m", "tests.supervisor.standins", str(tmp_path / "broker")],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        ) as supervisor:
            assert supervisor.stdout is not None
            processes = json.loads(supervisor.stdout.readline())
            assert len(processes) == 3
            assert not any(is_gone(process) for process in processes)
            supervisor.kill()
        deadline = time.monotonic() + LIMIT_SECONDS
        while not all(is_gone(process) for process in processes):
            assert time.monotonic() < deadline
            time.sleep(0.01)


async def test_a_broker_among_others_is_started_again(tmp_path: Path) -> None:
    async with supervised([broker(tmp_path / "broker"), graceful("one")]) as running:
        os.kill(running.process_id("broker"), signal.SIGKILL)
        await running.is_back("broker", 1)
        assert running.status("one").restarts == 0
