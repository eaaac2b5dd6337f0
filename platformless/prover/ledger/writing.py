"""The changes of a ledger, each within the transaction that it is given.

Numbers are checked here for a message that says what is wrong; between two processes, the
primary keys decide.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from . import tables
from .contents import CheckpointContent, EntryContent, StartContent, StreamedContent
from .errors import LedgerConflict, NotInLedger
from .job_reading import JobReader
from .job_states import JobKind, JobQueue
from .job_values import checkpoint_job, settlement_job
from .job_writing import JobWriter
from .sealed import Sealer
from .values import (
    Binding,
    Changes,
    KeptAcknowledgement,
    KeptCheckpoint,
    KeptEntry,
    SessionStart,
    StreamedTokens,
)


class SessionWriter:
    """Writes to one session."""

    def __init__(
        self, connection: sa.Connection, sealer: Sealer, session_id: int, now_ms: int
    ) -> None:
        self._connection = connection
        self._sealer = sealer
        self._session_id = session_id
        self._now_ms = now_ms
        self._this = tables.this_session(sealer.chain, session_id)

    def bind(self, binding: Binding) -> None:
        key = binding.recovery_key.value if binding.recovery_key else None
        values = {"holder": binding.holder, "recovery_key": key}
        changed = self._connection.execute(tables.REBIND.values(**values), self._this)
        if changed.rowcount == 0:
            self._insert(tables.bindings, **values)

    def take_init(self, mark: bytes) -> bool:
        """False when it was taken before."""
        if self._ask(tables.INIT, this_mark=mark) is not None:
            return False
        self._insert(tables.seen_inits, mark=mark)
        return True

    def erase(self) -> None:
        """Everything that was said and sealed; jobs and transactions stay."""
        for table in tables.PRIVATE:
            self._connection.execute(table.delete().where(tables.of_session(table)), self._this)

    def append(self, changes: Changes) -> None:
        """Old streamed tokens are dropped before new ones are written.

        Raises:
            LedgerConflict: when a row is there already or is not the next one.
            NotInLedger: when the session was not started.
        """
        if changes.start is not None:
            self._start(changes.start)
        elif self._ask(tables.SESSION) is None:
            raise NotInLedger(f"session {self._session_id} was not started")
        self._add_entries(changes.entries)
        if changes.drop_streamed:
            self._connection.execute(tables.DROP_STREAMED, self._this)
        if changes.streamed is not None:
            self._add_streamed(changes.streamed)
        if changes.checkpoint is not None:
            self._add_checkpoint(changes.checkpoint, changes.due_at)
        if changes.acknowledgement is not None:
            self._acknowledge(changes.acknowledgement)
        if changes.ended:
            self._connection.execute(tables.END_SESSION, self._this)
            self._add_settlement(changes.due_at)

    def _start(self, start: SessionStart) -> None:
        if self._ask(tables.SESSION) is not None:
            raise LedgerConflict(f"session {self._session_id} was started before")
        self._insert(tables.sessions, ended=False, sealed=StartContent.of(start))

    def _add_entries(self, kept: tuple[KeptEntry, ...]) -> None:
        if not kept:
            return
        following = self._following(tables.HIGHEST_ENTRY)
        for number, entry in enumerate(kept, following):
            self._require("entry", number, entry.number)
        rows = [
            self._row(tables.entries, number=entry.number, sealed=EntryContent.of(entry))
            for entry in kept
        ]
        self._connection.execute(tables.entries.insert(), rows)

    def _add_streamed(self, tokens: StreamedTokens) -> None:
        place = {"number": tokens.number, "first": tokens.first}
        known = self._ask(tables.STREAMED_AT, this_number=tokens.number, this_first=tokens.first)
        if known is not None:
            raise LedgerConflict(
                f"tokens of session {self._session_id} are there already",
                got=f"entry {tokens.number} from token {tokens.first}",
            )
        self._insert(tables.streamed, **place, sealed=StreamedContent.of(tokens))

    def _add_checkpoint(self, checkpoint: KeptCheckpoint, due_at: int) -> None:
        """With the job that proves it."""
        following = self._following(tables.HIGHEST_CHECKPOINT)
        self._require("checkpoint", following, checkpoint.number)
        sealed = CheckpointContent.of(checkpoint)
        self._insert(tables.checkpoints, number=checkpoint.number, sealed=sealed)
        self._jobs().add(
            checkpoint_job(self._session_id, checkpoint.number),
            JobKind.CHECKPOINT,
            self._session_id,
            number=checkpoint.number,
            queue=JobQueue.LIVE,
            tokens=checkpoint.tokens_after - checkpoint.tokens_before,
            due_at=due_at,
        )

    def _add_settlement(self, due_at: int) -> None:
        job_id = settlement_job(self._session_id)
        if JobReader(self._connection, self._sealer.chain).find(job_id) is None:
            self._jobs().add(
                job_id,
                JobKind.SETTLEMENT,
                self._session_id,
                queue=JobQueue.SETTLEMENT,
                due_at=due_at,
            )

    def _jobs(self) -> JobWriter:
        return JobWriter(self._connection, self._sealer.chain, self._now_ms)

    def _acknowledge(self, acknowledgement: KeptAcknowledgement) -> None:
        """The first signature over a state is kept."""
        state = acknowledgement.state.value
        if self._ask(tables.ACKNOWLEDGEMENT, this_state=state) is not None:
            return
        self._insert(
            tables.acknowledgements,
            number=self._following(tables.HIGHEST_ACKNOWLEDGEMENT),
            tokens=acknowledgement.tokens,
            state=state,
            signature=acknowledgement.signature.value,
        )

    def _following(self, highest: sa.Select[Any]) -> int:
        number = self._connection.execute(highest, self._this).scalar()
        return 0 if number is None else number + 1

    def _require(self, what: str, expected: int, got: int) -> None:
        if expected != got:
            raise LedgerConflict(
                f"not the next {what} of session {self._session_id}",
                expected=f"number {expected}",
                got=f"number {got}",
            )

    def _ask(self, query: sa.Select[Any], **values: Any) -> Any:
        return self._connection.execute(query, {**self._this, **values}).first()

    def _insert(self, table: sa.Table, **values: Any) -> None:
        self._connection.execute(table.insert(), self._row(table, **values))

    def _row(self, table: sa.Table, **values: Any) -> dict[str, Any]:
        """A row as it is inserted; its content, if it has one, is sealed for its place."""
        row = {"chain": self._sealer.chain, "session_id": str(self._session_id), **values}
        if "sealed" in values:
            place = tuple(values[name] for name in ("number", "first") if name in values)
            content = values["sealed"]
            row["sealed"] = self._sealer.seal(table.name, self._session_id, place, content)
        return row
