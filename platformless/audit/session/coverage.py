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
    shown: Shown,
    transcript: TranscriptCheck | None,
    replay: ReplayReport | None,
    *,
    one_in: int = 1,
) -> tuple[Component, ...]:
    """The table of a report.

    Args:
        one_in: The policy's rate of checkpoints that must have a proof of sampled cells.
    """
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
        _arithmetic(shown, consistent, one_in),
        Component(
            "delivery",
            _CHECKED if acknowledged else _NOT,
            "the client has signed for every token"
            if acknowledged
            else f"the client has signed for {shown.acknowledged:,} of {shown.claimed:,} tokens",
        ),
    )


def _arithmetic(shown: Shown, replayed: bool, one_in: int) -> Component:
    sampled = _sampled(shown, one_in)
    if replayed:
        told = ["the transcript was replayed with the model file", *sampled]
        return Component("model arithmetic", _CHECKED, "; besides, ".join(told))
    if not sampled:
        return Component(
            "model arithmetic",
            _NOT,
            "that this model, prompt and sampler produce these tokens was not shown",
        )
    return Component(
        "model arithmetic",
        Coverage.SAMPLED if shown.sampled and shown.proven == shown.claimed else _NOT,
        f"{sampled[0]}; that the tokens were chosen from these logits is not shown",
    )


def _sampled(shown: Shown, one_in: int) -> list[str]:
    """What sampled cells show, if there are any, or would be if a checkpoint had been drawn."""
    if not shown.sampled_tokens and not shown.spared_tokens:
        return []
    told = f"{shown.sampled_tokens:,} of {shown.claimed:,} billed tokens are in sampled contexts"
    if shown.sampled_tokens:
        k = shown.sample_draws
        told += (
            f", at least {k} draws of each kind: a kind of which a fraction f deviates is found "
            f"with 1-(1-f)^{k}"
        )
    if shown.spared_tokens:
        told += (
            f"; {shown.spared_tokens:,} are in checkpoints that were not drawn, at one in {one_in}"
        )
    return [told]
