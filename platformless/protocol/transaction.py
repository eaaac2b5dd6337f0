"""Transactions of EIP-1559 as they are signed: RLP after the type's byte 2, hashed with keccak-256.

    unsigned   2 ‖ rlp([chain, nonce, tip, fee, gas, to, value, data, []])
    signed     2 ‖ rlp([chain, nonce, tip, fee, gas, to, value, data, [], y parity, r, s])

The parts are EIP-155's and EIP-1559's; whole numbers are big-endian without leading zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .digests import Address, keccak256
from .errors import ValueOutOfRange
from .signatures import Signature

_TYPE = b"\x02"
_SHORT = 55  # bytes of a payload whose length fits into RLP's first byte
_WORD_BITS = 256
_V_OFFSET = 27


@dataclass(frozen=True, slots=True)
class Transaction:
    """What is signed. Fees are wei per gas, `value` is wei.

    Raises:
        ValueOutOfRange: for a number that does not fit into 256 bits.
    """

    chain_id: int
    nonce: int
    to: Address
    value: int
    data: bytes
    gas_limit: int
    max_fee: int
    priority_fee: int

    def __post_init__(self) -> None:
        for name in ("chain_id", "nonce", "value", "gas_limit", "max_fee", "priority_fee"):
            number = getattr(self, name)
            if number < 0 or number.bit_length() > _WORD_BITS:
                raise ValueOutOfRange(
                    f"{name} of a transaction", expected="a number of 256 bits", got=number
                )

    @property
    def digest(self) -> bytes:
        """The 32 bytes that its sender signs."""
        return keccak256(_TYPE + rlp(self._fields()))

    @property
    def most_cost(self) -> int:
        """Wei that it can take from its sender."""
        return self.value + self.gas_limit * self.max_fee

    def signed(self, signature: Signature) -> bytes:
        """The bytes that a node of the chain takes."""
        r, s = (int.from_bytes(signature.value[at : at + 32], "big") for at in (0, 32))
        return _TYPE + rlp([*self._fields(), signature.value[64] - _V_OFFSET, r, s])

    def _fields(self) -> list[Any]:
        return [
            self.chain_id,
            self.nonce,
            self.priority_fee,
            self.max_fee,
            self.gas_limit,
            self.to.value,
            self.value,
            self.data,
            [],
        ]


def rlp(item: int | bytes | Sequence[Any]) -> bytes:
    """Ethereum's encoding of bytes, whole numbers and lists of such."""
    if isinstance(item, int):
        return rlp(item.to_bytes((item.bit_length() + 7) // 8, "big"))
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < 0x80:
            return item
        return _headed(0x80, item)
    return _headed(0xC0, b"".join(map(rlp, item)))


def _headed(offset: int, payload: bytes) -> bytes:
    if len(payload) <= _SHORT:
        return bytes([offset + len(payload)]) + payload
    length = len(payload).to_bytes((len(payload).bit_length() + 7) // 8, "big")
    return bytes([offset + _SHORT + len(length)]) + length + payload
