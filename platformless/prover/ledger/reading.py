"""The questions of a ledger, each within the transaction that it is given."""

from __future__ import annotations

from typing import Any, TypeVar

import sqlalchemy as sa
from msgspec import Struct

from ...protocol.acknowledgement import AcknowledgementSignature
from ...protocol.digests import StateDigest
from ...protocol.errors import ProtocolError
from ...protocol.header import SessionHeader
from ...protocol.sample.context import Context
from ...protocol.secrecy import PublicKeyBytes
from ...protocol.transcript import Entry, State, Tokens
from ...protocol.window import Window
from . import tables
from .contents import CheckpointContent, EntryContent, StartContent, StreamedContent
from .errors import LedgerDamaged, LedgerSealBroken, NotInLedger
from .job_states import JobKind, JobState
from .job_tables import jobs
from .sealed import Sealer
from .values import (
    Binding,
    KeptAcknowledgement,
    KeptCheckpoint,
    KeptEntry,
    KeptSession,
    SessionStart,
)

_TRIED_ROWS = 8
_Content = TypeVar("_Content", bound=Struct)


class SessionReader:
    """Reads one session. A row that cannot be opened or read raises `LedgerSealBroken` or
    `LedgerDamaged`; a value in it that breaks its rules raises `ProtocolError`."""

    def __init__(self, connection: sa.Connection, sealer: Sealer, session_id: int) -> None:
        self._connection = connection
        self._sealer = sealer
        self._session_id = session_id
        self._this = tables.this_session(sealer.chain, session_id)

    def binding(self) -> Binding | None:
        row = self._ask(tables.BINDING).first()
        if row is None:
            return None
        key = row.recovery_key
        return Binding(row.holder, None if key is None else PublicKeyBytes(key))

    def session(self) -> KeptSession | None:
        """Everything, with one query a table."""
        row = self._ask(tables.SESSION).first()
        if row is None:
            return None
        streamed = tables.streamed
        return KeptSession(
            start=self._start(row),
            entries=self._entries(tables.ENTRIES),
            streamed=tuple(
                self._open(streamed, row, StreamedContent).streamed(row.number, row.first)
                for row in self._ask(tables.STREAMED)
            ),
            checkpoints=tuple(self._checkpoint(row) for row in self._ask(tables.CHECKPOINTS)),
            acknowledgements=tuple(
                KeptAcknowledgement(
                    Tokens(row.tokens),
                    StateDigest(row.state),
                    AcknowledgementSignature(row.signature),
                )
                for row in self._ask(tables.ACKNOWLEDGEMENTS)
            ),
            ended=row.ended,
        )

    def checkpoint(self, number: int) -> KeptCheckpoint:
        """Raises:
        NotInLedger: when there is no such checkpoint.
        """
        row = self._ask(tables.CHECKPOINT, this_number=number).first()
        if row is None:
            raise NotInLedger(f"session {self._session_id} has no checkpoint {number}")
        return self._checkpoint(row)

    def window(self, number: int) -> Window:
        """The window of a checkpoint, rebuilt from the entries.

        Raises:
            NotInLedger: when there is no such session or checkpoint.
            LedgerDamaged: when the entries do not give what the checkpoint says.
        """
        checkpoint = self.checkpoint(number)
        header, written = self._written(checkpoint)
        before = State.initial(header).extend(header, written[: checkpoint.first_entry])
        window = Window(
            header=header,
            checkpoint=number,
            before=before,
            entries=tuple(written[checkpoint.first_entry :]),
            delta_digest=checkpoint.delta.digest(),
        )
        _require_as_cut(window, checkpoint)
        return window

    def context(self, number: int) -> Context:
        """The context in which a checkpoint ends.

        Raises:
            NotInLedger: when there is no such session or checkpoint.
        """
        return Context.last_of(*self._written(self.checkpoint(number)))

    def acknowledgement(self, state: StateDigest) -> AcknowledgementSignature | None:
        row = self._ask(tables.ACKNOWLEDGEMENT, this_state=state.value).first()
        return None if row is None else AcknowledgementSignature(row.signature)

    def _written(self, checkpoint: KeptCheckpoint) -> tuple[SessionHeader, list[Entry]]:
        """The header, and all entries up to the checkpoint's end."""
        row = self._ask(tables.SESSION).first()
        if row is None:
            raise NotInLedger(f"session {self._session_id} is not in the ledger")
        entries = self._entries(tables.ENTRIES_BELOW, this_end=checkpoint.end_entry)
        return self._start(row).header, [kept.entry for kept in entries]

    def _start(self, row: Any) -> SessionStart:
        return self._open(tables.sessions, row, StartContent).start()

    def _entries(self, query: sa.Select[Any], **values: Any) -> tuple[KeptEntry, ...]:
        kept = tuple(
            self._open(tables.entries, row, EntryContent).kept(row.number)
            for row in self._ask(query, **values)
        )
        for number, entry in enumerate(kept):
            if entry.number != number:
                raise LedgerDamaged(
                    f"session {self._session_id} lacks an entry",
                    expected=f"number {number}",
                    got=f"number {entry.number}",
                )
        return kept

    def _checkpoint(self, row: Any) -> KeptCheckpoint:
        return self._open(tables.checkpoints, row, CheckpointContent).checkpoint(row.number)

    def _open(self, table: sa.Table, row: Any, kind: type[_Content]) -> _Content:
        columns = row._mapping
        place = tuple(columns[name] for name in ("number", "first") if name in columns)
        return self._sealer.open(table.name, self._session_id, place, row.sealed, kind)

    def _ask(self, query: sa.Select[Any], **values: Any) -> sa.CursorResult[Any]:
        return self._connection.execute(query, {**self._this, **values})


def open_sessions(connection: sa.Connection, chain: str) -> list[int]:
    """Sessions that started and did not end."""
    rows = connection.execute(tables.OPEN_SESSIONS, {"this_chain": chain})
    return sorted(int(row.session_id) for row in rows)


def settled_sessions(connection: sa.Connection, chain: str, before_ms: int) -> list[int]:
    """Sessions that are still here, were settled before a time, and have no job that is not
    confirmed."""
    of_session = sa.and_(
        jobs.c.chain == tables.sessions.c.chain, jobs.c.session_id == tables.sessions.c.session_id
    )
    is_confirmed = jobs.c.state == JobState.CONFIRMED.value
    settled = sa.exists().where(
        of_session,
        jobs.c.kind == JobKind.SETTLEMENT.value,
        is_confirmed,
        jobs.c.changed_ms < before_ms,
    )
    unconfirmed = sa.exists().where(of_session, sa.not_(is_confirmed))
    query = sa.select(tables.sessions.c.session_id).where(
        tables.sessions.c.chain == chain, settled, sa.not_(unconfirmed)
    )
    return sorted(int(row.session_id) for row in connection.execute(query))


def require_key(connection: sa.Connection, sealer: Sealer) -> None:
    """Raises:
    LedgerSealBroken: when the key opens none of a few sessions: it is another ledger's.
    """
    broken: LedgerSealBroken | None = None
    for row in connection.execute(
        tables.OF_CHAIN.limit(_TRIED_ROWS), {"this_chain": sealer.chain}
    ).all():
        try:
            sealer.open("sessions", int(row.session_id), (), row.sealed, StartContent)
        except LedgerSealBroken as error:
            broken = error
        else:
            return
    if broken is not None:
        raise broken


def _require_as_cut(window: Window, checkpoint: KeptCheckpoint) -> None:
    got = (window.before.entries, window.before.tokens, window.before.digest)
    expected = (checkpoint.first_entry, checkpoint.tokens_before, checkpoint.state_before)
    got_after = (window.after.entries, window.after.tokens, window.after.digest)
    expected_after = (checkpoint.end_entry, checkpoint.tokens_after, checkpoint.state_after)
    for when, cut, rebuilt in (("before", expected, got), ("after", expected_after, got_after)):
        if cut != rebuilt:
            raise LedgerDamaged(
                f"checkpoint {checkpoint.number}: the entries {when} it are not as it was cut",
                expected="{} entries, {} tokens, state {}".format(*cut),
                got="{} entries, {} tokens, state {}".format(*rebuilt),
            )


def as_damage(error: ProtocolError, session_id: int) -> LedgerDamaged:
    """A broken rule in what was read."""
    return LedgerDamaged(
        f"session {session_id}: {error.message}", expected=error.expected, got=error.got
    )
