"""What an honest node counts always fits its text: tokens cut anywhere, held back, stopped."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from platformless.engine.text import TextStream
from platformless.protocol.spelling import SILENT_TOKENS, most_tokens

STOPS = ["ab", "aab", "\n\n\n", "---\n", "é漢"]
text = st.text("ab-\né漢", max_size=60).map(str.encode)
pieces = st.one_of(
    st.lists(st.binary(min_size=1, max_size=4), max_size=60),
    text.map(lambda whole: [bytes([one]) for one in whole]),
    st.lists(st.sampled_from([b"a", b"aa", b"ab", b"-", b"---", b"\n", b"\n\n", "é".encode()])),
)


def counted(said: Sequence[bytes], stops: Sequence[str]) -> tuple[int, str]:
    """Tokens and text as a node counts them: those that lead to no text any more are not."""
    stream, held, tokens, out = TextStream(stops), 0, 0, ""
    for piece in said:
        held += 1
        if new := stream.push(piece):
            out, tokens, held = out + new, tokens + held, 0
        if stream.stopped is not None:
            return tokens, out
    if new := stream.finish():
        out, tokens = out + new, tokens + held
    return tokens, out


@given(pieces, st.lists(st.sampled_from(STOPS), max_size=2), st.integers(0, SILENT_TOKENS - 8))
def test_what_a_node_counts_fits_its_text(
    said: list[bytes], stops: list[str], markers: int
) -> None:
    """Markers of the chat template spell nothing."""
    tokens, out = counted([b""] * markers + said, stops)
    assert tokens <= most_tokens(out)


def test_no_text_has_no_tokens() -> None:
    assert most_tokens("") == 0
    assert most_tokens("é") == 2 + SILENT_TOKENS
