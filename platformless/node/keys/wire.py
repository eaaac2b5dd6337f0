"""What a signer and those who ask it send each other: JSON over HTTP, bytes as hex digits.

| | asked | answered |
|---|---|---|
| `GET /v1/key` | | `public_key`, `chain_id` |
| `POST /v1/agree` | `public_key` | `secret` |
| `POST /v1/sign-text` | `text` | `signature` |
| `POST /v1/sign-challenge` | `challenge` | `signature` |
| `POST /v1/sign-transaction` | the fields | `signature` |

A refusal is `{"error": {"code", "message", …}}` with status 400, 401 or 403.
"""

from __future__ import annotations

from msgspec import Struct

from ...protocol.digests import Address
from ...protocol.transaction import Transaction

MAX_BODY_BYTES = 16 << 20
"""A delta's messages are signed as one text."""


class KeyReply(Struct, frozen=True):
    public_key: str
    chain_id: int


class AgreeBody(Struct, frozen=True, forbid_unknown_fields=True):
    public_key: str


class SecretReply(Struct, frozen=True):
    secret: str


class TextBody(Struct, frozen=True, forbid_unknown_fields=True):
    text: str


class ChallengeBody(Struct, frozen=True, forbid_unknown_fields=True):
    challenge: str


class TransactionBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Whole numbers as decimal digits: JSON's own may be rounded on the way."""

    chain_id: str
    nonce: str
    to: str
    value: str
    data: str
    gas_limit: str
    max_fee: str
    priority_fee: str

    @classmethod
    def of(cls, transaction: Transaction) -> TransactionBody:
        return cls(
            chain_id=str(transaction.chain_id),
            nonce=str(transaction.nonce),
            to=str(transaction.to),
            value=str(transaction.value),
            data=transaction.data.hex(),
            gas_limit=str(transaction.gas_limit),
            max_fee=str(transaction.max_fee),
            priority_fee=str(transaction.priority_fee),
        )

    def transaction(self) -> Transaction:
        """Raises:
        ValueError, ProtocolError: when a field cannot be read.
        """
        return Transaction(
            chain_id=_whole(self.chain_id),
            nonce=_whole(self.nonce),
            to=Address.from_hex(self.to),
            value=_whole(self.value),
            data=bytes.fromhex(self.data),
            gas_limit=_whole(self.gas_limit),
            max_fee=_whole(self.max_fee),
            priority_fee=_whole(self.priority_fee),
        )


class SignatureReply(Struct, frozen=True):
    signature: str


class Refusal(Struct, frozen=True):
    code: str = ""
    message: str = ""
    expected: str = ""
    got: str = ""


class RefusalReply(Struct, frozen=True):
    error: Refusal


_MOST_DIGITS = 78  # of a number of 256 bits


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > _MOST_DIGITS:
        raise ValueError("no whole number")
    return int(text)
