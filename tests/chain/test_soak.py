"""Processes that die while they send: every submission ends mined exactly once."""

from __future__ import annotations

from pathlib import Path

from platformless.chain.money import NATIVE

from .soak import run_soak
from .world import NATIVE_PRICE, World

SESSIONS = 8


async def open_sessions(world: World, count: int) -> list[int]:
    deposit = NATIVE.amount("0.01")
    return [await world.open_session(deposit=deposit, price=NATIVE_PRICE) for _ in range(count)]


async def test_killed_processes_lose_and_repeat_nothing(world: World, tmp_path: Path) -> None:
    sessions = await open_sessions(world, SESSIONS)
    report = await run_soak(
        world.network, tmp_path, sessions, 4, kills=4, kill_after_seconds=(1.2, 2.5)
    )
    assert report.kills > 0
    assert report.exactly_once, report


async def test_two_processes_with_one_key_share_an_outbox(world: World, tmp_path: Path) -> None:
    """Both are asked to submit the same proofs, and one is killed."""
    sessions = await open_sessions(world, SESSIONS)
    report = await run_soak(
        world.network,
        tmp_path,
        sessions,
        3,
        processes=2,
        kills=2,
        kill_after_seconds=(1.5, 2.5),
    )
    assert report.exactly_once, report
