"""When a connection has no life."""

from __future__ import annotations

import asyncio

import pytest

from platformless.node.server.life import Life

from .clock import Clock


class Work:
    """Whether an answer is under way."""

    is_under_way = False

    def __call__(self) -> bool:
        return self.is_under_way


async def ends(life: Life) -> tuple[int, str]:
    end = await asyncio.wait_for(life.end(), 20)
    return end.code, end.reason


async def test_a_connection_that_begins_no_session_is_over() -> None:
    life = Life(600, Work(), begin_seconds=0.05)
    assert await ends(life) == (1008, "no session was begun within 0.05 s")


async def test_a_connection_on_which_nothing_is_said_is_over() -> None:
    life = Life(0.05, Work())
    life.began()
    assert await ends(life) == (1001, "nothing was said for 0.05 s")


async def test_talk_before_a_session_does_not_replace_it() -> None:
    life = Life(20, Work(), begin_seconds=0.3)
    ending = asyncio.create_task(life.end())
    while not ending.done():
        life.goes_on()
        await asyncio.sleep(0.01)
    assert ending.result().code == 1008


@pytest.mark.parametrize("how", ["talk", "work"])
async def test_talk_and_answers_are_life(how: str) -> None:
    work = Work()
    life = Life(0.1, work)
    life._clock = clock = Clock()
    life._said_at = clock()
    life.began()
    ending = asyncio.create_task(life.end())
    work.is_under_way = how == "work"
    for _ in range(40):  # meanwhile `life` looks at the clock every 0.1 s
        clock.go(0.09)
        if how == "talk":
            life.goes_on()
        await asyncio.sleep(0.01)
    assert not ending.done()
    work.is_under_way = False
    clock.go(0.1)
    assert (await asyncio.wait_for(ending, 20)).code == 1001
