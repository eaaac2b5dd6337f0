"""What the ledger keeps, as values."""

from __future__ import annotations

from dataclasses import dataclass

from ...protocol.acknowledgement import AcknowledgementSignature
from ...protocol.delta import Delta
from ...protocol.digests import StateDigest
from ...protocol.engine_record import EngineRecord
from ...protocol.header import SessionHeader
from ...protocol.secrecy import PublicKeyBytes
from ...protocol.seed import SeedPart
from ...protocol.transcript import Entry, Sampler, Tokens


@dataclass(frozen=True, slots=True)
class Binding:
    """Who may use a session. `holder` is the account of the client's encryption key, or another
    word for a client without one."""

    holder: str
    recovery_key: PublicKeyBytes | None
    """For whom the session's deltas are sealed."""


@dataclass(frozen=True, slots=True)
class SessionStart:
    """What is fixed before the first token."""

    header: SessionHeader
    host_part: SeedPart
    client_part: SeedPart


@dataclass(frozen=True, slots=True)
class KeptEntry:
    """An entry of the transcript. Its number is its place in the session, from 0."""

    number: int
    entry: Entry
    at_ms: int
    """Unix time in milliseconds."""
    partial: bool = False
    """Whether the next entry goes on with the same answer."""
    engine: EngineRecord | None = None
    """How the engine was set that gave it; None where that is not known."""


@dataclass(frozen=True, slots=True)
class StreamedTokens:
    """Tokens of an answer that is not an entry yet."""

    number: int
    """Number that the entry will have."""
    first: int
    """How many tokens of it came before."""
    tokens: tuple[int, ...]
    text: str
    sampler: Sampler
    at_ms: int


@dataclass(frozen=True, slots=True)
class KeptCheckpoint:
    """A checkpoint that was cut: entries from `first_entry` up to, not including, `end_entry`."""

    number: int
    first_entry: int
    end_entry: int
    tokens_before: Tokens
    tokens_after: Tokens
    state_before: StateDigest
    state_after: StateDigest
    delta: Delta
    """Names no proof yet."""
    at_ms: int


@dataclass(frozen=True, slots=True)
class KeptAcknowledgement:
    """The client's signature over what it had received."""

    tokens: Tokens
    state: StateDigest
    signature: AcknowledgementSignature


@dataclass(frozen=True, slots=True)
class KeptSession:
    """Everything about a session."""

    start: SessionStart
    entries: tuple[KeptEntry, ...] = ()
    streamed: tuple[StreamedTokens, ...] = ()
    """Of the answer that is under way, or was when the process ended."""
    checkpoints: tuple[KeptCheckpoint, ...] = ()
    acknowledgements: tuple[KeptAcknowledgement, ...] = ()
    ended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What one transaction adds to a session."""

    start: SessionStart | None = None
    """With the first changes of a session."""
    entries: tuple[KeptEntry, ...] = ()
    streamed: StreamedTokens | None = None
    drop_streamed: bool = False
    """Removes all streamed tokens of the session: they are in `entries`, or are not billed."""
    checkpoint: KeptCheckpoint | None = None
    acknowledgement: KeptAcknowledgement | None = None
    ended: bool = False
    """Nothing follows: the session is to be settled."""
    due_at: int = 0
    """Unix seconds: from then on the session may be ended on chain. Goes with the jobs that a
    checkpoint and an end make."""
