"""Signing a call as an EIP-1559 transaction."""

from __future__ import annotations

import time
from collections.abc import Callable

from ...protocol.digests import Address
from ..accounts import LocalAccount
from ..connection import ContractCall
from .entry import Offer
from .fees import Fees

_DYNAMIC_FEE = 2  # transaction type of EIP-1559


def address_of(account: LocalAccount) -> Address:
    return Address.from_hex(account.address)


def signer(
    account: LocalAccount, chain_id: int, call: ContractCall, gas_limit: int, fees: Fees
) -> Callable[[int], Offer]:
    """A function that signs the call for a nonce."""

    def sign(nonce: int) -> Offer:
        signed = account.sign_transaction(
            {
                "type": _DYNAMIC_FEE,
                "chainId": chain_id,
                "nonce": nonce,
                "to": call.to.value,
                "value": call.value,
                "data": call.data,
                "gas": gas_limit,
                "maxFeePerGas": fees.max_fee,
                "maxPriorityFeePerGas": fees.priority_fee,
            }
        )
        return Offer(
            "0x" + signed.hash.hex(), nonce, fees, bytes(signed.raw_transaction), time.time()
        )

    return sign
