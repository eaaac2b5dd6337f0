"""What the client believes of a session: only what it has computed again itself.

Pure. A `VerifiedTranscript` is a value; every step gives the next one or raises a `HostLied` that
says what was wrong. The steps of `take`, in their order:

    1. the header names the terms that the chain names, and is the header of before
    2. its seed is made of both sides' parts, the host's being the one it had committed to
    3. the entries follow the known state and lead to the state that the host states
    4. the last of them are this answer: prompt, what the model was told before it, sampler, text
       and number of tokens, which are no more than the text can have
    5. those before, if any, are answers that broke off: the client asked for each of them, and
       has seen no other text

Answers break off when a connection is lost. The host may then bill more of an answer than came
through, less of it or nothing, but no other text, not more tokens than were asked for, and not
with another context or sampler.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ..protocol.acknowledgement import Acknowledged
from ..protocol.digests import Address, ModelId, StateDigest, WeightsRoot
from ..protocol.engine_record import EngineRecord
from ..protocol.errors import UpdateRefused
from ..protocol.header import SessionHeader
from ..protocol.seed import SeedCommitment, SeedPart
from ..protocol.terms import SessionTerms
from ..protocol.transcript import Entry, Kind, State, Tokens
from ..protocol.update import TranscriptUpdate
from .errors import (
    CommitmentChanged,
    EntriesBroken,
    HeaderChanged,
    HostForgot,
    SeedForeign,
    StateChanged,
    TermsChanged,
)
from .turns import Exchange, Turn, check_turns, turns_of


@dataclass(frozen=True, slots=True)
class Agreed:
    """What chain and client say a session is about; the header must say the same."""

    chain_id: int
    marketplace: Address
    session_id: int
    host: Address
    client: Address
    model_id: ModelId
    price: int
    """Base units of the payment token for 1000 tokens, as on chain."""
    weights_root: WeightsRoot | None = None
    """None: whatever the host's first header names."""

    def check(self, terms: SessionTerms) -> None:
        """Raises:
        TermsChanged: when a term is another.
        """
        for what, expected, got in (
            ("chain", self.chain_id, terms.chain_id),
            ("marketplace", self.marketplace, terms.marketplace),
            ("session", self.session_id, terms.session_id),
            ("host", self.host, terms.host),
            ("client", self.client, terms.client),
            ("model", self.model_id, terms.model_id),
            ("price", self.price, terms.price),
            ("weights root", self.weights_root or terms.weights_root, terms.weights_root),
        ):
            if expected != got:
                raise TermsChanged(f"the header names another {what}", expected=expected, got=got)


@dataclass(frozen=True, slots=True)
class VerifiedTranscript:
    """A session as far as it is verified, and what was asked since."""

    agreed: Agreed
    client_part: SeedPart
    """The client's part of the seed, named with its prompts until an answer is verified."""
    commitment: SeedCommitment | None = None
    """To the host's part; fixed from the host's first entry on."""
    header: SessionHeader | None = None
    """None until the first answer ended."""
    state: State | None = None
    entries: tuple[Entry, ...] = ()
    engine: EngineRecord | None = None
    """How the host says that its engine was set for all of them; None once it said two things,
    or nothing."""
    unsettled: tuple[Exchange, ...] = ()
    """What was asked and is not in the entries yet; the last one may be under way."""
    parts: tuple[State, ...] = field(default=(), compare=False)
    """States within what was verified last, where the host may have cut a checkpoint: after each
    completion but the last. Not saved."""

    @property
    def tokens(self) -> Tokens:
        """Completion tokens that are verified."""
        return self.state.tokens if self.state else Tokens(0)

    @property
    def turns(self) -> list[Turn]:
        return turns_of(self.entries)

    def acknowledged(self) -> tuple[Acknowledged, ...]:
        """What the client may sign: the states within what was verified last, and all that is
        verified. Nothing unless an answer is the last of it: hosts take no signature
        over what ends with a question."""
        if self.state is None or self.state.last_kind is not Kind.COMPLETION:
            return ()
        return tuple(self._acknowledged(state) for state in (*self.parts, self.state))

    def acknowledged_end(self) -> Acknowledged | None:
        """What the client may sign when it ends the session: what is verified, and its end, with
        which the host closes the transcript. None where `acknowledged` is nothing."""
        if self.state is None or self.header is None or self.state.last_kind is not Kind.COMPLETION:
            return None
        return self._acknowledged(self.state.append(self.header, Entry(Kind.END)))

    def _acknowledged(self, state: State) -> Acknowledged:
        agreed = self.agreed
        return Acknowledged(
            agreed.chain_id, agreed.marketplace, agreed.session_id, state.tokens, state.digest
        )

    def greeted(
        self,
        commitment: SeedCommitment,
        entries: int,
        state: StateDigest | None,
        fresh_part: SeedPart,
    ) -> VerifiedTranscript:
        """After the host said where it stands. It may know more than the client has verified: an
        answer that broke off. While it has no entries it may have begun anew; then so does the
        client, as the host knows the part that went with its refused prompts.

        Args:
            fresh_part: 32 random bytes, for that case.

        Raises:
            CommitmentChanged, HostForgot, StateChanged
        """
        client_part = self.client_part
        begins = self.header is None and entries == 0
        if commitment != self.commitment and self.unsettled and begins:
            client_part = fresh_part
        elif commitment != self.commitment and self.commitment is not None and not begins:
            raise CommitmentChanged(
                "another commitment to the seed than before",
                expected=self.commitment,
                got=commitment,
            )
        if entries < len(self.entries):
            raise HostForgot(
                "the host has fewer entries than are verified",
                expected=f"at least {len(self.entries)}",
                got=entries,
            )
        if self.state is not None and entries == len(self.entries) and state != self.state.digest:
            raise StateChanged(
                f"another state after the same {entries} entries",
                expected=self.state.digest,
                got=state,
            )
        return replace(self, commitment=commitment, client_part=client_part)

    def asking(self, exchange: Exchange) -> VerifiedTranscript:
        """Before a prompt is sent."""
        return replace(self, unsettled=(*self.unsettled, exchange))

    def hearing(self, received: str) -> VerifiedTranscript:
        """The answer under way says `received` in all so far."""
        return replace(
            self,
            unsettled=(*self.unsettled[:-1], replace(self.unsettled[-1], received=received)),
        )

    def take(self, update: TranscriptUpdate, tokens_used: int) -> VerifiedTranscript:
        """After the answer under way has ended, with all its text heard.

        Raises:
            HostLied: the first step that fails, see above.
        """
        self.agreed.check(update.header.terms)
        if self.header is not None and update.header != self.header:
            raise HeaderChanged(
                "another header than before",
                expected=self.header.digest(),
                got=update.header.digest(),
            )
        if self.commitment is None:
            raise SeedForeign("the host never committed to its part of the seed")
        try:
            update.check_seed(self.commitment, self.client_part)
        except UpdateRefused as error:
            raise SeedForeign(error.message, expected=error.expected, got=error.got) from error
        try:
            before = self.state or State.initial(update.header)
            state = update.follow(before)
        except UpdateRefused as error:
            raise EntriesBroken(error.message, expected=error.expected, got=error.got) from error
        check_turns(self.entries, update.entries, self.unsettled, tokens_used)
        return replace(
            self,
            header=update.header,
            state=state,
            entries=self.entries + update.entries,
            engine=update.engine if not self.entries or update.engine == self.engine else None,
            unsettled=(),
            parts=_parts(before, update),
        )


def _parts(state: State, update: TranscriptUpdate) -> tuple[State, ...]:
    """The states after each completion of an update but the last entry."""
    parts = []
    for entry in update.entries[:-1]:
        state = state.append(update.header, entry)
        if entry.kind is Kind.COMPLETION:
            parts.append(state)
    return tuple(parts)
