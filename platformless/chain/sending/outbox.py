"""The outbox: every transaction of an account, from before it is first sent.

One SQLite file on one machine, shared by all its processes. Tables:

    chains         chain_id → hash of block 0, so that an outbox is not used for another chain
    transactions   one row an outbox key: the call, its nonce, its state
    offers         one row a signed version of a transaction: all of one nonce, with rising fees

A row is written together with its nonce and its first signed version, in one database
transaction; whatever dies afterwards, the bytes that may have been sent are known.

    pending ──mined──▶ mined ──deep enough──▶ confirmed, or reverted
       ▲ │               │
       │ └─foreign nonce─│──▶ pending with another nonce, or refused
       └─────reorg───────┘
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ...protocol.digests import Address
from ..connection import ContractCall, Receipt
from ..errors import InsufficientFunds, OutboxKeyReused, OutboxOfAnotherChain
from ..money import NATIVE, Amount
from .fees import Fees

_BUSY_SECONDS = 30

_metadata = sa.MetaData()

_chains = sa.Table(
    "chains",
    _metadata,
    sa.Column("chain_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("genesis_hash", sa.Text, nullable=False),
)

_transactions = sa.Table(
    "transactions",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("chain_id", sa.Integer, nullable=False),
    sa.Column("account", sa.LargeBinary, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("call_to", sa.LargeBinary, nullable=False),
    sa.Column("call_data", sa.LargeBinary, nullable=False),
    sa.Column("call_value", sa.Text, nullable=False),  # wei may exceed SQLite's integers
    sa.Column("gas_limit", sa.Integer, nullable=False),
    sa.Column("nonce", sa.Integer),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("mined_hash", sa.Text),
    sa.Column("mined_block", sa.Integer),
    sa.Column("mined_block_hash", sa.Text),
    sa.Column("succeeded", sa.Boolean),
    sa.Column("gas_used", sa.Integer),
    sa.Column("gas_price", sa.Integer),
    sa.Column("refusal", sa.Text),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("changed_at", sa.Float, nullable=False),
    sa.UniqueConstraint("chain_id", "account", "key"),
    sa.UniqueConstraint("chain_id", "account", "nonce"),
    sa.Index("transactions_by_state", "chain_id", "account", "state"),
)

_offers = sa.Table(
    "offers",
    _metadata,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("transaction_id", sa.ForeignKey("transactions.id"), nullable=False, index=True),
    sa.Column("nonce", sa.Integer, nullable=False),
    sa.Column("max_fee", sa.Integer, nullable=False),
    sa.Column("priority_fee", sa.Integer, nullable=False),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    sa.Column("signed_at", sa.Float, nullable=False),
)


class State(enum.Enum):
    """Where a transaction of the outbox stands."""

    PENDING = "pending"  # signed; sent, or about to be sent
    MINED = "mined"  # in a block that may still be reorganised away
    CONFIRMED = "confirmed"  # final: mined deep enough, and succeeded
    REVERTED = "reverted"  # final: mined deep enough, and failed
    REFUSED = "refused"  # lost its nonce to a foreign transaction, then refused by the contract


OPEN_STATES = (State.PENDING, State.MINED)
FINAL_STATES = (State.CONFIRMED, State.REVERTED)
_FINAL = _transactions.c.state.in_([state.value for state in FINAL_STATES])
_UNMINED = dict.fromkeys(
    (
        "mined_hash",
        "mined_block",
        "mined_block_hash",
        "succeeded",
        "gas_used",
        "gas_price",
        "refusal",
    )
)


@dataclass(frozen=True, slots=True)
class Offer:
    """One signed version of a transaction."""

    hash: str
    nonce: int
    fees: Fees
    raw: bytes
    signed_at: float


@dataclass(frozen=True, slots=True)
class Entry:
    """A transaction of the outbox, as last read."""

    id: int
    key: str
    call: ContractCall
    gas_limit: int
    nonce: int | None
    state: State
    mined_hash: str | None
    mined_block: int | None
    mined_block_hash: str | None
    succeeded: bool | None
    gas_used: int | None
    gas_price: int | None
    refusal: str
    """The contract's reason, when it refused or reverted."""
    created_at: float
    offers: tuple[Offer, ...]
    """The signed versions for the nonce it has now, the newest last."""


Sign = Callable[[int], Offer]
"""Signs the transaction for a nonce."""


class Outbox:
    """The outbox of one account on one chain. Methods block; every one is a transaction."""

    def __init__(self, path: Path, chain_id: int, account: Address) -> None:
        self.path = path
        self.chain_id = chain_id
        self.account = account
        path.parent.mkdir(parents=True, exist_ok=True)
        self._engine = sa.create_engine(
            f"sqlite:///{path}", connect_args={"timeout": _BUSY_SECONDS}
        )
        sa.event.listen(self._engine, "connect", _configure)
        sa.event.listen(self._engine, "begin", _begin)
        self._readers = self._engine.execution_options(begin="BEGIN")
        with self._write() as connection:
            _metadata.create_all(connection)

    def close(self) -> None:
        self._engine.dispose()

    def claim_chain(self, genesis_hash: str) -> None:
        """Raises:
        OutboxOfAnotherChain: when the file was used with a chain of the same id and another
            block 0, such as an earlier dev chain.
        """
        with self._write() as connection:
            query = sa.select(_chains.c.genesis_hash).where(_chains.c.chain_id == self.chain_id)
            known = connection.execute(query).scalar()
            if known is None:
                connection.execute(
                    _chains.insert().values(chain_id=self.chain_id, genesis_hash=genesis_hash)
                )
            elif known != genesis_hash:
                raise OutboxOfAnotherChain(
                    f"{self.path} belongs to another chain",
                    expected=f"block 0 with hash {known}",
                    got=genesis_hash,
                )

    def find(self, key: str, call: ContractCall | None = None) -> Entry | None:
        """The transaction of a key.

        Raises:
            OutboxKeyReused: when `call` is given and the key stands for another.
        """
        with self._read() as connection:
            found = self._entries(connection, _transactions.c.key == key)
        if not found:
            return None
        if call is not None:
            _require_same(found[0], call)
        return found[0]

    def over(self, keys: list[str]) -> list[Entry]:
        """Those of the keys' entries that are no longer open."""
        states = [state.value for state in OPEN_STATES]
        with self._read() as connection:
            return self._entries(
                connection,
                sa.and_(_transactions.c.key.in_(keys), _transactions.c.state.not_in(states)),
            )

    def open_entries(self) -> list[Entry]:
        """All that is pending or mined, by nonce."""
        states = [state.value for state in OPEN_STATES]
        with self._read() as connection:
            return self._entries(connection, _transactions.c.state.in_(states))

    def entries(self) -> list[Entry]:
        """Everything, by nonce."""
        with self._read() as connection:
            return self._entries(connection, sa.true())

    def add(
        self,
        key: str,
        call: ContractCall,
        gas_limit: int,
        *,
        next_nonce: int,
        balance: int,
        sign: Sign,
    ) -> Entry:
        """Gives the call a nonce, signs it and keeps it; when the key is known, the entry that is
        there is returned as it is, unless it was refused before.

        Args:
            next_nonce: The account's next nonce as the chain sees it.
            balance: The account's wei, which must pay for all that is pending as well.

        Raises:
            OutboxKeyReused, InsufficientFunds: and nothing is changed.
        """
        now = time.time()
        with self._write() as connection:
            known = self._entries(connection, _transactions.c.key == key)
            if known:
                _require_same(known[0], call)
                if known[0].state is not State.REFUSED:
                    return known[0]
            nonce = self._next_nonce(connection, next_nonce)
            offer = sign(nonce)
            self._require_funds(connection, balance, call.value + gas_limit * offer.fees.max_fee)
            values = {
                "state": State.PENDING.value,
                "gas_limit": gas_limit,
                "nonce": nonce,
                "changed_at": now,
            }
            if known:
                identity = known[0].id
                self._set(connection, identity, **values)
            else:
                inserted = connection.execute(
                    _transactions.insert().values(
                        chain_id=self.chain_id,
                        account=self.account.value,
                        key=key,
                        description=call.description,
                        call_to=call.to.value,
                        call_data=call.data,
                        call_value=str(call.value),
                        created_at=now,
                        **values,
                    )
                )
                identity = inserted.lastrowid
            _insert_offer(connection, identity, offer)
            return self._entries(connection, _transactions.c.id == identity)[0]

    def add_offer(self, entry: Entry, offer: Offer) -> bool:
        """Keeps a replacement before it is sent; False when the entry is no longer pending with
        that nonce, and the replacement must not be sent."""
        with self._write() as connection:
            if not self._is_still(connection, entry):
                return False
            _insert_offer(connection, entry.id, offer)
            return True

    def renumber(self, entry: Entry, *, next_nonce: int, sign: Sign) -> bool:
        """Gives a pending entry another nonce, after a foreign transaction took its own."""
        with self._write() as connection:
            if not self._is_still(connection, entry):
                return False
            nonce = self._next_nonce(connection, next_nonce)
            self._set(connection, entry.id, nonce=nonce)
            _insert_offer(connection, entry.id, sign(nonce))
            return True

    def refuse(self, entry: Entry, reason: str) -> bool:
        """Ends a pending entry whose nonce is taken and which the contract now refuses."""
        with self._write() as connection:
            if not self._is_still(connection, entry):
                return False
            self._set(connection, entry.id, state=State.REFUSED.value, nonce=None, refusal=reason)
            return True

    def set_mined(self, entry: Entry, receipt: Receipt) -> None:
        """Records where the transaction was mined, before it is deep enough."""
        with self._write() as connection:
            self._set(
                connection,
                entry.id,
                state=State.MINED.value,
                mined_hash=receipt.transaction_hash,
                mined_block=receipt.block_number,
                mined_block_hash=receipt.block_hash,
                succeeded=receipt.succeeded,
                gas_used=receipt.gas_used,
                gas_price=receipt.gas_price,
            )

    def set_pending(self, entry: Entry) -> None:
        """Takes back `set_mined` after a reorg."""
        with self._write() as connection:
            self._set(connection, entry.id, state=State.PENDING.value, **_UNMINED)

    def set_final(self, entry: Entry, *, reason: str = "") -> None:
        """Ends a mined entry: confirmed or, for a reason, reverted, as its receipt said."""
        state = State.CONFIRMED if entry.succeeded else State.REVERTED
        with self._write() as connection:
            self._set(connection, entry.id, state=state.value, refusal=reason or None)

    def highest_final_nonce(self) -> int:
        """-1 when nothing is final."""
        query = sa.select(sa.func.max(_transactions.c.nonce)).where(self._mine(), _FINAL)
        with self._read() as connection:
            highest = connection.execute(query).scalar()
        return -1 if highest is None else int(highest)

    def reopen(self, first_nonce: int) -> int:
        """Makes final entries pending again, from a nonce on, after a reorg deeper than the
        confirmations that were waited for. Returns how many."""
        with self._write() as connection:
            condition = sa.and_(self._mine(), _FINAL, _transactions.c.nonce >= first_nonce)
            changed = connection.execute(
                _transactions.update()
                .where(condition)
                .values(state=State.PENDING.value, changed_at=time.time(), **_UNMINED)
            )
            return changed.rowcount

    def _next_nonce(self, connection: sa.Connection, on_chain: int) -> int:
        highest = connection.execute(
            sa.select(sa.func.max(_transactions.c.nonce)).where(self._mine())
        ).scalar()
        return on_chain if highest is None else max(on_chain, highest + 1)

    def _require_funds(self, connection: sa.Connection, balance: int, cost: int) -> None:
        """Nodes drop transactions that the balance cannot pay together with those before them."""
        query = (
            sa.select(
                _transactions.c.call_value,
                _transactions.c.gas_limit,
                sa.func.max(_offers.c.max_fee).label("max_fee"),
            )
            .join(_offers, _offers.c.transaction_id == _transactions.c.id)
            .where(self._mine(), _transactions.c.state == State.PENDING.value)
            .group_by(_transactions.c.id)
        )
        pending = connection.execute(query).all()
        promised = sum(int(row.call_value) + row.gas_limit * row.max_fee for row in pending)
        if balance < promised + cost:
            raise InsufficientFunds(
                f"account {self.account} cannot pay",
                expected=f"{Amount(promised + cost, NATIVE)} for this and {len(pending)} pending",
                got=Amount(balance, NATIVE),
            )

    def _is_still(self, connection: sa.Connection, entry: Entry) -> bool:
        query = sa.select(_transactions.c.state, _transactions.c.nonce)
        row = connection.execute(query.where(_transactions.c.id == entry.id)).one()
        return (row.state, row.nonce) == (State.PENDING.value, entry.nonce)

    def _set(self, connection: sa.Connection, identity: int, **values: Any) -> None:
        connection.execute(
            _transactions.update()
            .where(_transactions.c.id == identity)
            .values(**{"changed_at": time.time(), **values})
        )

    def _mine(self) -> sa.ColumnElement[bool]:
        return sa.and_(
            _transactions.c.chain_id == self.chain_id,
            _transactions.c.account == self.account.value,
        )

    def _entries(self, connection: sa.Connection, condition: sa.ColumnElement[bool]) -> list[Entry]:
        query = sa.select(_transactions).where(self._mine(), condition)
        rows = connection.execute(query.order_by(_transactions.c.nonce)).all()
        offers: dict[tuple[int, int], list[Offer]] = {}
        wanted = [row.id for row in rows]
        query_offers = sa.select(_offers).where(_offers.c.transaction_id.in_(wanted))
        for row in connection.execute(query_offers.order_by(_offers.c.max_fee)):
            fees = Fees(row.max_fee, row.priority_fee)
            offer = Offer(row.hash, row.nonce, fees, row.raw, row.signed_at)
            offers.setdefault((row.transaction_id, row.nonce), []).append(offer)
        return [_entry(row, tuple(offers.get((row.id, row.nonce), ()))) for row in rows]

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        with self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        with self._readers.connect() as connection:
            yield connection


def _configure(connection: Any, _record: Any) -> None:
    """WAL, and a commit that is on the disk when it returns."""
    connection.isolation_level = None  # _begin starts the transactions
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin(connection: sa.Connection) -> None:
    """Writers take the lock at once: two that first read could not both go on."""
    options = connection.get_execution_options()
    connection.exec_driver_sql(options.get("begin", "BEGIN IMMEDIATE"))


def _insert_offer(connection: sa.Connection, identity: int, offer: Offer) -> None:
    connection.execute(
        _offers.insert().values(
            hash=offer.hash,
            transaction_id=identity,
            nonce=offer.nonce,
            max_fee=offer.fees.max_fee,
            priority_fee=offer.fees.priority_fee,
            raw=offer.raw,
            signed_at=offer.signed_at,
        )
    )


def _require_same(entry: Entry, call: ContractCall) -> None:
    known = entry.call
    if (known.to, known.data, known.value) != (call.to, call.data, call.value):
        raise OutboxKeyReused(
            f"outbox key {entry.key!r} stands for another transaction",
            expected=known.description or "the same call",
            got=call.description or "another call",
        )


def _entry(row: Any, offers: tuple[Offer, ...]) -> Entry:
    return Entry(
        id=row.id,
        key=row.key,
        call=ContractCall(
            to=Address(row.call_to),
            data=row.call_data,
            value=int(row.call_value),
            description=row.description,
        ),
        gas_limit=row.gas_limit,
        nonce=row.nonce,
        state=State(row.state),
        mined_hash=row.mined_hash,
        mined_block=row.mined_block,
        mined_block_hash=row.mined_block_hash,
        succeeded=row.succeeded,
        gas_used=row.gas_used,
        gas_price=row.gas_price,
        refusal=row.refusal or "",
        created_at=row.created_at,
        offers=offers,
    )
