"""Signing a call as an EIP-1559 transaction."""

from __future__ import annotations

import time
from collections.abc import Callable

from ...protocol.digests import keccak256
from ...protocol.host_key import LocalKey, TransactionKey
from ...protocol.transaction import Transaction
from ..accounts import LocalAccount
from ..connection import ContractCall
from .entry import Offer
from .fees import Fees

Account = LocalAccount | TransactionKey
"""Who sends: an account in memory, or a key that may be elsewhere."""


def key_of(account: Account) -> TransactionKey:
    """The account as what signs its transactions."""
    return LocalKey(bytes(account.key)) if isinstance(account, LocalAccount) else account


def signer(
    key: TransactionKey, chain_id: int, call: ContractCall, gas_limit: int, fees: Fees
) -> Callable[[int], Offer]:
    """A function that signs the call for a nonce. It may block, and raises what the key raises."""

    def sign(nonce: int) -> Offer:
        transaction = Transaction(
            chain_id=chain_id,
            nonce=nonce,
            to=call.to,
            value=call.value,
            data=call.data,
            gas_limit=gas_limit,
            max_fee=fees.max_fee,
            priority_fee=fees.priority_fee,
        )
        raw = transaction.signed(key.sign_transaction(transaction))
        return Offer("0x" + keccak256(raw).hex(), nonce, fees, raw, time.time())

    return sign
