"""The tables of a ledger, and the questions asked of them (SQLite or PostgreSQL).

Every row carries its chain and its session: the session's number in decimal, since it may exceed
any integer of a database.

bindings           one row a session: who may use it
seen_inits         one row an encrypted init that was used, so that it is not used again
sessions           one row a session that started: header, seed parts; whether it ended
entries            one row an entry of the transcript, numbered from 0 without holes
streamed           tokens of an answer that is no entry yet, by entry number and place in it
checkpoints        one row a checkpoint that was cut, with its delta, numbered from 0 without holes
acknowledgements   one row a state that the client signed, numbered in the order they came

`sealed` is what sealed.py makes of contents.py. Entries and checkpoints are never changed.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData()


def _table(name: str, *columns: sa.Column[Any] | sa.UniqueConstraint) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        sa.Column("chain", sa.Text, primary_key=True),
        sa.Column("session_id", sa.Text, primary_key=True),
        *columns,
    )


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, primary_key=True, autoincrement=False)


def _sealed() -> sa.Column[bytes]:
    return sa.Column("sealed", sa.LargeBinary, nullable=False)


bindings = _table(
    "bindings",
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("recovery_key", sa.LargeBinary),
)
seen_inits = _table("seen_inits", sa.Column("mark", sa.LargeBinary, primary_key=True))
sessions = _table("sessions", sa.Column("ended", sa.Boolean, nullable=False), _sealed())
entries = _table("entries", _number("number"), _sealed())
streamed = _table("streamed", _number("number"), _number("first"), _sealed())
checkpoints = _table("checkpoints", _number("number"), _sealed())
acknowledgements = _table(
    "acknowledgements",
    _number("number"),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    sa.Column("state", sa.LargeBinary, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("chain", "session_id", "state"),
)


PRIVATE = (
    bindings,
    seen_inits,
    sessions,
    entries,
    streamed,
    checkpoints,
    acknowledgements,
)
"""What a session leaves behind that is nobody else's business."""


def of_session(table: sa.Table) -> sa.ColumnElement[bool]:
    """The rows of the session that `this_session` names."""
    return sa.and_(
        table.c.chain == sa.bindparam("this_chain"),
        table.c.session_id == sa.bindparam("this_session"),
    )


def this_session(chain: str, session_id: int) -> dict[str, Any]:
    """The parameters of `of_session`."""
    return {"this_chain": chain, "this_session": str(session_id)}


def _highest(table: sa.Table) -> sa.Select[Any]:
    return sa.select(sa.func.max(table.c.number)).where(of_session(table))


BINDING = sa.select(bindings).where(of_session(bindings))
REBIND = bindings.update().where(of_session(bindings))
INIT = sa.select(seen_inits.c.mark).where(
    of_session(seen_inits), seen_inits.c.mark == sa.bindparam("this_mark")
)
SESSION = sa.select(sessions).where(of_session(sessions))
END_SESSION = sessions.update().where(of_session(sessions)).values(ended=True)
OF_CHAIN = sa.select(sessions.c.session_id, sessions.c.sealed).where(
    sessions.c.chain == sa.bindparam("this_chain")
)
OPEN_SESSIONS = sa.select(sessions.c.session_id).where(
    sessions.c.chain == sa.bindparam("this_chain"), sa.not_(sessions.c.ended)
)
ENTRIES = sa.select(entries).where(of_session(entries)).order_by(entries.c.number)
ENTRIES_BELOW = ENTRIES.where(entries.c.number < sa.bindparam("this_end"))
HIGHEST_ENTRY = _highest(entries)
STREAMED = (
    sa.select(streamed).where(of_session(streamed)).order_by(streamed.c.number, streamed.c.first)
)
DROP_STREAMED = streamed.delete().where(of_session(streamed))
STREAMED_AT = STREAMED.where(
    streamed.c.number == sa.bindparam("this_number"), streamed.c.first == sa.bindparam("this_first")
)
CHECKPOINTS = sa.select(checkpoints).where(of_session(checkpoints)).order_by(checkpoints.c.number)
CHECKPOINT = CHECKPOINTS.where(checkpoints.c.number == sa.bindparam("this_number"))
HIGHEST_CHECKPOINT = _highest(checkpoints)
ACKNOWLEDGEMENTS = (
    sa.select(acknowledgements)
    .where(of_session(acknowledgements))
    .order_by(acknowledgements.c.number)
)
ACKNOWLEDGEMENT = ACKNOWLEDGEMENTS.where(acknowledgements.c.state == sa.bindparam("this_state"))
HIGHEST_ACKNOWLEDGEMENT = _highest(acknowledgements)
