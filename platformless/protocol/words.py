"""32-byte words, big-endian, as a contract decodes them."""

from __future__ import annotations

from .digests import Address
from .errors import ValueOutOfRange

WORD_BYTES = 32
U32_MAX = 2**32 - 1
U64_MAX = 2**64 - 1
U256_MAX = 2**256 - 1


def in_range(name: str, value: int, largest: int) -> int:
    """`value`, if it is a whole number from 0 to `largest`.

    Raises:
        ValueOutOfRange: otherwise.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= largest:
        raise ValueOutOfRange(f"{name} out of range", expected=f"0 to {largest}", got=value)
    return value


def number_word(value: int) -> bytes:
    return value.to_bytes(WORD_BYTES, "big")


def word_number(word: bytes) -> int:
    return int.from_bytes(word, "big")


def address_word(address: Address) -> bytes:
    return bytes(WORD_BYTES - Address.LENGTH) + address.value


def split_words(data: bytes) -> list[bytes]:
    return [data[at : at + WORD_BYTES] for at in range(0, len(data), WORD_BYTES)]
