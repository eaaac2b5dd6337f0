"""Text comes out in whole characters, and ends before a stop string."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from platformless.engine.text import TextStream


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(edges)]


def streamed(pieces: list[bytes], *stops: str) -> tuple[str, str | None]:
    stream = TextStream(stops)
    text = "".join(stream.push(piece) for piece in pieces)
    return text + stream.finish(), stream.stopped


@given(st.text(), st.lists(st.integers(0)))
def test_text_survives_any_cutting(text: str, cuts: list[int]) -> None:
    assert streamed(pieces_of(text.encode(), cuts)) == (text, None)


@given(st.binary(), st.lists(st.integers(0)))
def test_bytes_that_are_no_text_are_replaced_and_never_lost(data: bytes, cuts: list[int]) -> None:
    assert streamed(pieces_of(data, cuts)) == (data.decode("utf-8", "replace"), None)


@given(
    st.text("ab🙂", max_size=30),
    st.lists(st.text("ab🙂", min_size=1, max_size=4), max_size=3),
    st.lists(st.integers(0)),
)
def test_a_stop_string_ends_the_text(text: str, stops: list[str], cuts: list[int]) -> None:
    out, stopped = streamed(pieces_of(text.encode(), cuts), *stops)
    if stopped is None:
        assert out == text
        assert not any(stop in text for stop in stops)
    else:
        assert stopped in stops
        assert text.startswith(out + stopped)
        assert not any(stop in out for stop in stops)


def test_half_a_character_waits_for_the_rest() -> None:
    stream = TextStream()
    first, second = "🙂".encode()[:3], "🙂".encode()[3:]
    assert stream.push(b"a" + first) == "a"
    assert stream.push(second + b"b") == "🙂b"


def test_half_a_character_at_the_end_comes_out_as_a_replacement() -> None:
    stream = TextStream()
    assert stream.push("🙂".encode()[:3]) == ""
    assert stream.finish() == "\ufffd"


def test_the_beginning_of_a_stop_string_is_held_back() -> None:
    stream = TextStream(["END"])
    assert stream.push(b"the EN") == "the "
    assert stream.push(b"EN") == "EN"
    assert stream.push(b"D and more") == ""
    assert stream.stopped == "END"
    assert stream.push(b"ignored") == stream.finish() == ""
