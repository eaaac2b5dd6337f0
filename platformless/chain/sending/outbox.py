"""The outbox: every transaction of an account, from before it is first sent.

One SQLite file on one machine, shared by all its processes. A row is written together with its
nonce and its first signed version, in one database transaction; whatever dies afterwards, the bytes
that may have been sent are known.

    pending ──mined──▶ mined ──deep enough──▶ confirmed, or reverted
       ▲ │               │
       │ └─foreign nonce─│──▶ pending with another nonce, or refused
       └─────reorg───────┘
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ... import sqlite
from ...protocol.digests import Address
from ..connection import ContractCall, Receipt
from ..errors import InsufficientFunds, OutboxKeyReused, OutboxOfAnotherChain, OutboxUnavailable
from ..money import NATIVE, Amount
from .entry import Entry, Offer, State
from .fees import Fees
from .tables import (
    INSERT,
    INSERT_OFFER,
    OFFERS_OF,
    UNMINED,
    Queries,
    chains,
    entry_of,
    metadata,
    transactions,
)

Sign = Callable[[int], Offer]
"""Signs the transaction for a nonce."""


class Outbox:
    """The outbox of one account on one chain. Methods block; every one is a transaction."""

    def __init__(self, path: Path, chain_id: int, account: Address) -> None:
        self.path = path
        self.chain_id = chain_id
        self.account = account
        path.parent.mkdir(parents=True, exist_ok=True)
        self._engine = sqlite.open_engine(sa.URL.create("sqlite", database=str(path)))
        self._readers = sqlite.readers(self._engine)
        self._queries = Queries(chain_id, account)
        with self._write() as connection:
            metadata.create_all(connection)

    def close(self) -> None:
        self._engine.dispose()

    def claim_chain(self, genesis_hash: str) -> None:
        """Raises:
        OutboxOfAnotherChain: when the file was used with a chain of the same id and another
            block 0, such as an earlier dev chain.
        """
        with self._write() as connection:
            query = sa.select(chains.c.genesis_hash).where(chains.c.chain_id == self.chain_id)
            known = connection.execute(query).scalar()
            if known is None:
                connection.execute(
                    chains.insert().values(chain_id=self.chain_id, genesis_hash=genesis_hash)
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
            found = self._entries(connection, self._queries.by_key, key=key)
        if not found:
            return None
        if call is not None:
            _require_same(found[0], call)
        return found[0]

    def over(self, keys: list[str]) -> list[Entry]:
        """Those of the keys' entries that are no longer open."""
        with self._read() as connection:
            return self._entries(connection, self._queries.over, keys=keys)

    def open_entries(self) -> list[Entry]:
        """All that is pending or mined, by nonce."""
        with self._read() as connection:
            return self._entries(connection, self._queries.open)

    def entries(self) -> list[Entry]:
        """Everything, by nonce."""
        with self._read() as connection:
            return self._entries(connection, self._queries.all)

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
        with self._write() as connection:
            known = self._entries(connection, self._queries.by_key, key=key)
            if known:
                _require_same(known[0], call)
                if known[0].state is not State.REFUSED:
                    return known[0]
            nonce = self._next_nonce(connection, next_nonce)
            offer = sign(nonce)
            self._require_funds(connection, balance, call.value + gas_limit * offer.fees.max_fee)
            if not known:
                return self._insert(connection, key, call, gas_limit, offer)
            identity = known[0].id
            values = {"state": State.PENDING.value, "gas_limit": gas_limit, "nonce": nonce}
            self._set(connection, identity, refusal=None, **values)
            _insert_offer(connection, identity, offer)
        return Entry(identity, key, call, gas_limit, nonce, State.PENDING, offers=(offer,))

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
            self._set(connection, entry.id, state=State.PENDING.value, **UNMINED)

    def set_final(self, entry: Entry, *, reason: str = "") -> None:
        """Ends a mined entry: confirmed or, for a reason, reverted, as its receipt said."""
        state = State.CONFIRMED if entry.succeeded else State.REVERTED
        with self._write() as connection:
            self._set(connection, entry.id, state=state.value, refusal=reason or None)

    def newest_final(self, count: int) -> list[Entry]:
        """The final entries that were mined last, the newest first."""
        with self._read() as connection:
            return self._entries(connection, self._queries.newest_final.limit(count))

    def fill_gap(self, nonce: int, call: ContractCall, gas_limit: int, sign: Sign) -> Entry | None:
        """Keeps a transaction for a nonce that no entry has; None when one has it."""
        key = f"gap/{nonce}"
        with self._write() as connection:
            taken = connection.execute(self._queries.by_nonce, {"nonce": nonce}).first()
            if taken is not None or self._entries(connection, self._queries.by_key, key=key):
                return None
            return self._insert(connection, key, call, gas_limit, sign(nonce))

    def _insert(
        self, connection: sa.Connection, key: str, call: ContractCall, gas_limit: int, offer: Offer
    ) -> Entry:
        now = time.time()
        inserted = connection.execute(
            INSERT,
            {
                "chain_id": self.chain_id,
                "account": self.account.value,
                "key": key,
                "description": call.description,
                "call_to": call.to.value,
                "call_data": call.data,
                "call_value": str(call.value),
                "gas_limit": gas_limit,
                "nonce": offer.nonce,
                "state": State.PENDING.value,
                "created_at": now,
                "changed_at": now,
            },
        )
        _insert_offer(connection, inserted.lastrowid, offer)
        return Entry(
            inserted.lastrowid, key, call, gas_limit, offer.nonce, State.PENDING, offers=(offer,)
        )

    def _next_nonce(self, connection: sa.Connection, on_chain: int) -> int:
        highest = connection.execute(self._queries.highest_nonce).scalar()
        return on_chain if highest is None else max(on_chain, highest + 1)

    def _require_funds(self, connection: sa.Connection, balance: int, cost: int) -> None:
        """Nodes drop transactions that the balance cannot pay together with those before them."""
        pending = connection.execute(self._queries.promised).all()
        promised = sum(int(row.call_value) + row.gas_limit * row.max_fee for row in pending)
        if balance < promised + cost:
            raise InsufficientFunds(
                f"account {self.account} cannot pay",
                expected=f"{Amount(promised + cost, NATIVE)} for this and {len(pending)} pending",
                got=Amount(balance, NATIVE),
            )

    def _is_still(self, connection: sa.Connection, entry: Entry) -> bool:
        query = sa.select(transactions.c.state, transactions.c.nonce)
        row = connection.execute(query.where(transactions.c.id == entry.id)).one()
        return (row.state, row.nonce) == (State.PENDING.value, entry.nonce)

    def _set(self, connection: sa.Connection, identity: int, **values: Any) -> None:
        connection.execute(
            transactions.update()
            .where(transactions.c.id == identity)
            .values(**{"changed_at": time.time(), **values})
        )

    def _entries(
        self, connection: sa.Connection, query: sa.Select[Any], **values: object
    ) -> list[Entry]:
        rows = connection.execute(query, values).all()
        if not rows:
            return []
        offers: dict[tuple[int, int], list[Offer]] = {}
        wanted = {"ids": [row.id for row in rows]}
        for row in connection.execute(OFFERS_OF, wanted):
            fees = Fees(row.max_fee, row.priority_fee)
            offer = Offer(row.hash, row.nonce, fees, row.raw, row.signed_at)
            offers.setdefault((row.transaction_id, row.nonce), []).append(offer)
        return [entry_of(row, tuple(offers.get((row.id, row.nonce), ()))) for row in rows]

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        with _told(self.path), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        with _told(self.path), self._readers.connect() as connection:
            yield connection


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Errors of the database as ours."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise OutboxUnavailable(f"the outbox {path} cannot be used", got=error.orig) from error


def _insert_offer(connection: sa.Connection, identity: int, offer: Offer) -> None:
    connection.execute(
        INSERT_OFFER,
        {
            "hash": offer.hash,
            "transaction_id": identity,
            "nonce": offer.nonce,
            "max_fee": offer.fees.max_fee,
            "priority_fee": offer.fees.priority_fee,
            "raw": offer.raw,
            "signed_at": offer.signed_at,
        },
    )


def _require_same(entry: Entry, call: ContractCall) -> None:
    known = entry.call
    if (known.to, known.data, known.value) != (call.to, call.data, call.value):
        raise OutboxKeyReused(
            f"outbox key {entry.key!r} stands for another transaction",
            expected=known.description or "the same call",
            got=call.description or "another call",
        )
