"""What the ledger keeps, made from what is said, and the meter again from what was kept. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ...protocol import published
from ...protocol.delta import Message
from ...protocol.transcript import Entry, Kind, Tokens
from ...prover.ledger.values import KeptCheckpoint, KeptEntry, KeptSession, StreamedTokens
from .metering import ClaimRules, Cut, Meter


def messages_of(kept: KeptEntry) -> tuple[Message, ...]:
    """What an entry adds to the conversation that is published."""
    return published.messages_of(kept.entry, kept.number, kept.at_ms, partial=kept.partial)


def meter_of(kept: KeptSession, rules: ClaimRules) -> Meter:
    """The meter as it was when the last entry was kept.

    Raises:
        ProtocolError: when what was kept does not add up.
    """
    meter = Meter.start(kept.start.header, rules)
    ends = {checkpoint.end_entry for checkpoint in kept.checkpoints}
    for entry in kept.entries:
        meter = meter.resume(entry.entry, *messages_of(entry))
        if entry.number + 1 in ends:
            _, meter = meter.cut()
    return meter


def answer_of(streamed: Sequence[StreamedTokens]) -> Entry | None:
    """The entry of tokens that were streamed in an answer that never ended; None without any."""
    if not streamed:
        return None
    return Entry(
        Kind.COMPLETION,
        tuple(token for part in streamed for token in part.tokens),
        "".join(part.text for part in streamed),
        streamed[0].sampler,
    )


def kept_checkpoint(cut: Cut, at_ms: int) -> KeptCheckpoint:
    """A cut, as the ledger keeps it."""
    window = cut.window
    return KeptCheckpoint(
        number=window.checkpoint,
        first_entry=window.before.entries,
        end_entry=window.after.entries,
        tokens_before=Tokens(window.before.tokens),
        tokens_after=Tokens(window.after.tokens),
        state_before=window.before.digest,
        state_after=window.after.digest,
        delta=cut.delta,
        at_ms=at_ms,
    )
