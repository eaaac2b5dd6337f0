"""The tables of an outbox, and the questions asked of them (SQLite, WAL).

chains         chain_id → hash of block 0, so that an outbox is not used for another chain
transactions   one row an outbox key: the call, its nonce, its state
offers         one row a signed version of a transaction: all of one nonce, with rising fees
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from ...protocol.digests import Address
from ..connection import ContractCall
from .entry import FINAL_STATES, OPEN_STATES, Entry, Offer, State

metadata = sa.MetaData()

chains = sa.Table(
    "chains",
    metadata,
    sa.Column("chain_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("genesis_hash", sa.Text, nullable=False),
)

transactions = sa.Table(
    "transactions",
    metadata,
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

offers = sa.Table(
    "offers",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("transaction_id", sa.ForeignKey("transactions.id"), nullable=False, index=True),
    sa.Column("nonce", sa.Integer, nullable=False),
    sa.Column("max_fee", sa.Integer, nullable=False),
    sa.Column("priority_fee", sa.Integer, nullable=False),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    sa.Column("signed_at", sa.Float, nullable=False),
)


IS_FINAL = transactions.c.state.in_([state.value for state in FINAL_STATES])
UNMINED = dict.fromkeys(
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


INSERT = transactions.insert()
INSERT_OFFER = offers.insert()
OFFERS_OF = (
    sa.select(offers)
    .where(offers.c.transaction_id.in_(sa.bindparam("ids", expanding=True)))
    .order_by(offers.c.max_fee)
)


class Queries:
    """The questions an outbox asks of its tables, built once."""

    def __init__(self, chain_id: int, account: Address) -> None:
        self.mine = sa.and_(
            transactions.c.chain_id == chain_id, transactions.c.account == account.value
        )
        is_open = transactions.c.state.in_([state.value for state in OPEN_STATES])
        asked = transactions.c.key.in_(sa.bindparam("keys", expanding=True))
        self.all = sa.select(transactions).where(self.mine).order_by(transactions.c.nonce)
        self.by_key = self.all.where(transactions.c.key == sa.bindparam("key"))
        self.open = self.all.where(is_open)
        self.over = self.all.where(asked, sa.not_(is_open))
        highest = sa.select(sa.func.max(transactions.c.nonce)).where(self.mine)
        self.highest_nonce = highest
        self.newest_final = (
            sa.select(transactions)
            .where(self.mine, IS_FINAL)
            .order_by(transactions.c.mined_block.desc())
        )
        self.by_nonce = sa.select(transactions.c.id).where(
            self.mine, transactions.c.nonce == sa.bindparam("nonce")
        )
        self.promised = (
            sa.select(
                transactions.c.call_value,
                transactions.c.gas_limit,
                sa.func.max(offers.c.max_fee).label("max_fee"),
            )
            .join(offers, offers.c.transaction_id == transactions.c.id)
            .where(self.mine, transactions.c.state == State.PENDING.value)
            .group_by(transactions.c.id)
        )


def entry_of(row: Any, offers: tuple[Offer, ...]) -> Entry:
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
        offers=offers,
    )
