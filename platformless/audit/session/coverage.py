"""What an audit covers of a session: one row a component, no more than was shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...protocol.assurance import Component, Coverage
from .session_policy import Shown
from .transcript_check import TranscriptCheck

if TYPE_CHECKING:
    from ..replay.report import ReplayReport

_NOT, _PROVEN, _CHECKED = Coverage.NOT_COVERED, Coverage.PROVEN, Coverage.CHECKED


def coverage_of(
    shown: Shown, transcript: TranscriptCheck | None, replay: ReplayReport | None
) -> tuple[Component, ...]:
    """The table of a report."""
    everything = shown.claimed > 0 and shown.proven == shown.claimed
    part = f"{shown.proven:,} of {shown.claimed:,} billed tokens"
    received = transcript is not None and everything and transcript.matched >= shown.claimed
    read = bool(shown.deltas) and set(shown.deltas) == {"read"}
    consistent = replay is not None and replay.replayed and received
    acknowledged = shown.claimed > 0 and shown.acknowledged >= shown.claimed
    return (
        Component(
            "token count",
            _PROVEN if everything else _NOT,
            "the billed tokens are completion tokens of one transcript, each billed once"
            if everything
            else f"{part} are proven",
        ),
        Component(
            "transcript",
            _PROVEN if everything else _NOT,
            "checkpoints join from the first state to the last"
            if everything
            else f"checkpoints join as far as {part} go",
        ),
        Component(
            "session terms",
            _PROVEN if everything else _NOT,
            "chain, marketplace, session, host, client, model id and price are the chain's"
            if everything
            else f"shown for {part} alone",
        ),
        Component(
            "payment",
            _CHECKED,
            "what the contract paid, computed again from the tokens"
            if shown.settled
            else "the session goes on: only what is proven so far was priced",
        ),
        Component(
            "received text",
            _CHECKED if received else _NOT,
            "the client's entries lead to the proven states"
            if received
            else "that the proven transcript is what the client received needs its transcript",
        ),
        Component(
            "published text",
            _CHECKED if read else _NOT,
            "every delta was read and is the one in its claim"
            if read
            else "deltas that nobody opened here may say anything",
        ),
        Component(
            "model arithmetic",
            _CHECKED if consistent else _NOT,
            "the transcript was replayed with the model file"
            if consistent
            else "that this model, prompt and sampler produce these tokens was not shown",
        ),
        Component(
            "delivery",
            _CHECKED if acknowledged else _NOT,
            "the client has signed for every token"
            if acknowledged
            else f"the client has signed for {shown.acknowledged:,} of {shown.claimed:,} tokens",
        ),
    )
