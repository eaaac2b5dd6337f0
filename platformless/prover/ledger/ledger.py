"""The ledger: what happened in sessions, kept before the client sees it.

Changes are group commits of one thread (writer.py); questions run in threads of their own and
never wait for changes. Several processes may share a database; one of them writes a session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Self, TypeVar

from ...closing import AsyncClosing
from ...protocol.acknowledgement import AcknowledgementSignature
from ...protocol.digests import StateDigest
from ...protocol.errors import ProtocolError
from ...protocol.sample.context import Context
from ...protocol.window import Window
from . import reading
from .database import Database
from .jobs import Jobs, clock_ms
from .reading import SessionReader
from .sealed import Sealer
from .settings import LedgerSettings
from .values import Binding, Changes, KeptCheckpoint, KeptSession
from .writer import GroupWriter
from .writing import SessionWriter

_Answer = TypeVar("_Answer")


class Ledger(AsyncClosing):
    """The sessions of one chain. Every method raises `LedgerUnavailable` when the database cannot
    be used; those that read a session, `LedgerSealBroken` and `LedgerDamaged`."""

    def __init__(
        self, database: Database, sealer: Sealer, clock_ms: Callable[[], int] = clock_ms
    ) -> None:
        """For `open`."""
        self._database = database
        self._sealer = sealer
        self._clock_ms = clock_ms
        self._writer = GroupWriter(database)
        self.jobs = Jobs(database, self._writer, sealer.chain, clock_ms)
        """What is to be done about the sessions, and how far it is."""

    @classmethod
    async def open(cls, settings: LedgerSettings, clock_ms: Callable[[], int] = clock_ms) -> Self:
        """Opens a ledger; makes its folder and tables when there are none.

        Args:
            clock_ms: Unix time in milliseconds, for tests.

        Raises:
            LedgerUnavailable: when the database cannot be opened.
            LedgerSealBroken: when its sessions were sealed with another key.
        """
        sealer = Sealer(settings.key, settings.chain)
        return cls(await asyncio.to_thread(_opened, settings.url, sealer), sealer, clock_ms)

    async def close(self) -> None:
        """Makes the changes that were asked for, then closes the database."""
        await asyncio.to_thread(self._writer.close)
        await asyncio.to_thread(self._database.close)

    async def binding(self, session_id: int) -> Binding | None:
        return await self._read(session_id, SessionReader.binding)

    async def bind(self, session_id: int, binding: Binding) -> None:
        """Says who may use a session, in place of what was said before."""
        await self._write(session_id, lambda session: session.bind(binding))

    async def take_init(self, session_id: int, mark: bytes) -> bool:
        """Whether this is the first time that the session's init with this mark is used. When it
        is, the mark is on the disk."""
        return await self._write(session_id, lambda session: session.take_init(mark))

    async def append(self, session_id: int, changes: Changes) -> None:
        """Adds to a session, in one transaction, which is on the disk when this returns. It is
        made also when the caller is cancelled meanwhile.

        Raises:
            LedgerConflict: when something is there already or is not the next one: another
                process writes the session. Nothing was changed.
            NotInLedger: when the session was not started. Nothing was changed.
        """
        await self._write(session_id, lambda session: session.append(changes))

    async def session(self, session_id: int) -> KeptSession | None:
        """Everything about a session that was started."""
        return await self._read(session_id, SessionReader.session)

    async def open_sessions(self) -> list[int]:
        """Sessions that started and did not end, by number."""

        def ask() -> list[int]:
            with self._database.read() as connection:
                return reading.open_sessions(connection, self._sealer.chain)

        return await asyncio.to_thread(ask)

    async def checkpoint(self, session_id: int, number: int) -> KeptCheckpoint:
        """Raises:
        NotInLedger: when there is no such checkpoint.
        """
        return await self._read(session_id, lambda session: session.checkpoint(number))

    async def erase_settled(self, before_ms: int) -> int:
        """Deletes what was said in sessions that were settled before a time, all of whose tokens
        are confirmed; returns how many sessions. What was paid, and for which proofs, stays."""

        def find() -> list[int]:
            with self._database.read() as connection:
                return reading.settled_sessions(connection, self._sealer.chain, before_ms)

        found = await asyncio.to_thread(find)
        for session_id in found:
            await self._write(session_id, SessionWriter.erase)
        return len(found)

    async def window(self, session_id: int, number: int) -> Window:
        """The window of a checkpoint: what its proof is made from.

        Raises:
            NotInLedger: when there is no such session or checkpoint.
            LedgerDamaged: when the entries do not give the states and tokens of the checkpoint.
        """
        return await self._read(session_id, lambda session: session.window(number))

    async def context(self, session_id: int, number: int) -> Context:
        """The context in which the checkpoint ends: what its trace is of.

        Raises:
            NotInLedger: when there is no such session or checkpoint.
        """
        return await self._read(session_id, lambda session: session.context(number))

    async def acknowledgement(
        self, session_id: int, state: StateDigest
    ) -> AcknowledgementSignature | None:
        """The client's signature over a state."""
        return await self._read(session_id, lambda session: session.acknowledgement(state))

    async def _write(self, session_id: int, change: Callable[[SessionWriter], _Answer]) -> _Answer:
        return await self._writer.write(
            lambda connection: change(
                SessionWriter(connection, self._sealer, session_id, self._clock_ms())
            )
        )

    async def _read(self, session_id: int, ask: Callable[[SessionReader], _Answer]) -> _Answer:
        def read() -> _Answer:
            try:
                with self._database.read() as connection:
                    return ask(SessionReader(connection, self._sealer, session_id))
            except ProtocolError as error:
                raise reading.as_damage(error, session_id) from error

        return await asyncio.to_thread(read)


def _opened(url: str, sealer: Sealer) -> Database:
    database = Database.open(url)
    try:
        with database.read() as connection:
            reading.require_key(connection, sealer)
    except BaseException:
        database.close()
        raise
    return database
