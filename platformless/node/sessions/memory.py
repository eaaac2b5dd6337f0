"""What a session takes in memory while it is in use, as it is counted against its limit. Pure.

A session's transcript grows without end: every entry stays, so that its client can be told any
part of it again. Text is counted once more than it is held in the transcript, for the
conversation that waits to be published. What else a session holds is bounded by itself: nonces of
one key (`keys`), short replies of a connection (`server.socket`).
"""

from __future__ import annotations

from ...protocol.transcript import Entry

TOKEN_BYTES = 40
"""A Python integer, and its place in a tuple."""
ENTRY_BYTES = 1500
"""The entry itself; its state and the one of an end there, for acknowledgements."""
_COPIES = 2
_TOLD_ENTRY_BYTES = 300
_TOLD_TOKEN_BYTES = 6


def entry_bytes(entry: Entry) -> int:
    """What an entry takes."""
    return ENTRY_BYTES + TOKEN_BYTES * len(entry.tokens) + _COPIES * text_bytes(entry.text)


def told_bytes(entry: Entry) -> int:
    """What an entry takes in an update, about."""
    return _TOLD_ENTRY_BYTES + _TOLD_TOKEN_BYTES * len(entry.tokens) + len(entry.text.encode())


def text_bytes(text: str) -> int:
    """What Python takes for a text: a text with one rare character takes as much for each."""
    if text.isascii():
        return len(text)
    return len(text) * (1 if max(text) < "\u0100" else 2 if max(text) < "\U00010000" else 4)
