"""Where the model's contexts begin in the client's transcript: what a proof of sampled cells says
of it is compared with this."""

from __future__ import annotations

from itertools import accumulate

from ...protocol.digests import StateDigest
from ...protocol.exported import ExportedTranscript
from ...protocol.prompt import begins_context
from ..sample_expected import ContextPlace
from .transcript_check import states_of


class TranscriptContexts:
    """The contexts of one transcript; what `Context.last_of` says at each of its states, without
    hashing every entry again for each.

    Raises:
        ProtocolError: when the entries cannot follow one another.
    """

    def __init__(self, transcript: ExportedTranscript) -> None:
        entries = transcript.entries
        self._states = states_of(transcript)
        self._ends = {state.digest: state.entries for state in self._states}
        self._tokens = list(accumulate((len(one.tokens) for one in entries), initial=0))
        begins = accumulate(
            (number if begins_context(one) else 0 for number, one in enumerate(entries)), max
        )
        self._begins = [0, *begins]

    def ending_in(self, state_after: StateDigest) -> ContextPlace | None:
        """The context of the entries up to a state; None when the transcript has no such state."""
        end = self._ends.get(state_after)
        if end is None:
            return None
        end = min(end, len(self._tokens) - 1)  # the last entry may be one that no client is told of
        first = self._begins[end]
        positions = self._tokens[end] - self._tokens[first]
        return ContextPlace(first, self._states[first].tokens, positions)
