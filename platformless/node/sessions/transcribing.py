"""What the ledger keeps, made from what is said, and the meter again from what was kept. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from ...protocol.delta import Message, Role
from ...protocol.prompt import Prompt
from ...protocol.transcript import Entry, Kind, Tokens
from ...prover.ledger.values import KeptCheckpoint, KeptEntry, KeptSession, StreamedTokens
from .metering import ClaimRules, Cut, Meter

_ROLES = ("user", "assistant", "system")


def messages_of(kept: KeptEntry) -> tuple[Message, ...]:
    """What an entry adds to the conversation that is published. A prompt that opens a new context
    in the middle of a session repeats what was said: only its last message is new."""
    entry = kept.entry
    if entry.kind is Kind.COMPLETION:
        return (Message("assistant", entry.text, kept.at_ms, kept.partial),)
    if entry.kind is Kind.END:
        return ()
    prompt = Prompt.read(entry.text)
    said = prompt.messages if prompt.continues or kept.number == 0 else prompt.messages[-1:]
    return tuple(
        Message(cast(Role, one.role if one.role in _ROLES else "user"), one.content, kept.at_ms)
        for one in said
    )


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
