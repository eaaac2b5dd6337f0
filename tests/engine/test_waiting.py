"""Owners take turns in line; slots keep conversations; prompts are cut into chunks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from platformless.engine.slots import Slot, choose_slot, next_chunk, reusable_tokens
from platformless.engine.waiting import WaitingLine


def line_of(*items: str) -> WaitingLine[str]:
    line: WaitingLine[str] = WaitingLine()
    for item in items:
        line.join(item[0], item)
    return line


def test_one_who_asks_for_much_does_not_delay_others() -> None:
    line = line_of("a1", "a2", "a3", "b1", "c1", "c2")
    assert line.in_order() == ["a1", "b1", "c1", "a2", "c2", "a3"]


@given(st.lists(st.sampled_from("abc"), max_size=12))
def test_the_line_is_served_in_the_order_it_shows(owners: list[str]) -> None:
    line = line_of(*(f"{owner}{number}" for number, owner in enumerate(owners)))
    shown = line.in_order()
    assert [line.next() for _ in range(len(line))] == shown
    assert len(line) == 0


def test_leaving_closes_the_gap() -> None:
    line = line_of("a1", "b1", "a2")
    assert line.leave("a", "a1")
    assert not line.leave("a", "a1")
    assert not line.leave("z", "z1")
    assert line.in_order() == ["a2", "b1"]
    assert len(line) == 2


def test_a_conversation_comes_back_to_its_slot() -> None:
    slots = [Slot(0), Slot(1, [1, 2], "ours", last_used=9), Slot(2)]
    assert choose_slot(slots, "ours") is slots[1]
    assert choose_slot(slots, "another") is slots[0]
    assert choose_slot(slots, None) is slots[0]


def test_the_conversation_unused_for_longest_gives_way() -> None:
    slots = [Slot(0, [1], "a", last_used=5), Slot(1, [1], "b", last_used=3), Slot(2, busy=True)]
    assert choose_slot(slots, "c") is slots[1]
    assert choose_slot([Slot(0, busy=True)], "c") is None


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_only_equal_beginnings_are_reused(cached: list[int], prompt: list[int]) -> None:
    kept = reusable_tokens(cached, prompt)
    assert cached[:kept] == prompt[:kept]
    assert kept <= max(len(prompt) - 2, 0)
    longer = kept + 1
    assert longer > len(prompt) - 2 or cached[:longer] != prompt[:longer]


@given(st.integers(1, 500), st.integers(4, 100))
def test_no_chunk_but_a_whole_prompt_is_a_single_token(length: int, limit: int) -> None:
    sizes = []
    left = length
    while left:
        sizes.append(next_chunk(left, limit))
        left -= sizes[-1]
    assert max(sizes) <= limit
    assert min(sizes) > 1 or length == 1
