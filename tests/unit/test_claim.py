"""The claim's words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.protocol.claim import CLAIM_BYTES, SessionClaim
from platformless.protocol.errors import ClaimFormatError, WindowError
from platformless.protocol.transcript import Kind, State
from platformless.protocol.window import BLOCK_BYTES, PROLOGUE_BYTES, Window

from .. import strategies as our
from ..samples import END, FIRST, HEADER


@given(our.windows())
def test_a_claim_decodes_to_itself(window: Window) -> None:
    claim = window.claim()
    journal = claim.encode()
    assert len(journal) == CLAIM_BYTES
    assert SessionClaim.decode(journal) == claim


@given(our.windows(), st.integers(0, CLAIM_BYTES - 1), st.integers(1, 255))
def test_every_byte_of_a_claim_means_something(window: Window, at: int, flip: int) -> None:
    journal = bytearray(window.claim().encode())
    journal[at] ^= flip
    try:
        changed = SessionClaim.decode(bytes(journal))
    except ClaimFormatError:
        return
    assert changed != window.claim()
    assert changed.encode() == bytes(journal)


@given(our.windows(), our.windows())
def test_no_two_windows_share_a_witness(one: Window, other: Window) -> None:
    assert (one.witness() == other.witness()) == (one == other)


@given(our.windows())
def test_a_window_bills_the_completion_tokens_of_its_entries(window: Window) -> None:
    claim = window.claim()
    assert claim.tokens == sum(
        len(entry.tokens) for entry in window.entries if entry.kind is Kind.COMPLETION
    )
    assert claim.state_before == window.before.digest
    assert claim.state_after == window.after.digest


@given(our.windows())
def test_a_witness_is_whole_blocks(window: Window) -> None:
    witness = window.witness()
    assert len(witness) % BLOCK_BYTES == 0
    assert len(witness) >= PROLOGUE_BYTES + 2 * BLOCK_BYTES


@pytest.mark.parametrize("length", [0, 32, CLAIM_BYTES - 1, CLAIM_BYTES + 1])
def test_a_claim_has_one_length(length: int) -> None:
    with pytest.raises(ClaimFormatError, match="wrong length"):
        SessionClaim.decode(bytes(length))


@pytest.mark.parametrize(
    ("word", "at", "reason"),
    [
        (0, 31, "not a session claim"),
        (0, 27, "not a session claim"),
        (2, 0, "chain id out of range"),
        (3, 11, "more than 20 bytes"),
        (5, 11, "more than 20 bytes"),
        (6, 11, "more than 20 bytes"),
        (10, 0, "checkpoint number out of range"),
        (11, 24, "tokens before out of range"),
        (12, 0, "tokens after out of range"),
    ],
)
def test_a_word_out_of_range_is_named(word: int, at: int, reason: str) -> None:
    journal = bytearray(FIRST.claim().encode())
    journal[32 * word + at] ^= 0x80
    with pytest.raises(ClaimFormatError, match=reason):
        SessionClaim.decode(bytes(journal))


def test_a_window_has_entries() -> None:
    with pytest.raises(WindowError, match="without entries"):
        Window(HEADER, 0, State.initial(HEADER), ())


def test_only_the_first_checkpoint_is_number_zero() -> None:
    for number, before in [(1, FIRST.before), (0, FIRST.after)]:
        with pytest.raises(WindowError, match="does not fit"):
            Window(HEADER, number, before, (END,))
