"""EIP-712 of this project's fixed structures: one domain, hashed here.

The general libraries take longer to import than a proof takes to verify. Tests compare with
eth-account.
"""

from __future__ import annotations

from .digests import Address, keccak256
from .words import address_word, number_word

DOMAIN_NAME = "Platformless AI"
DOMAIN_VERSION = "1"
_DOMAIN_TYPE = keccak256(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)


def type_hash(declaration: str) -> bytes:
    """Hash of a structure's declaration, such as `Name(uint256 field)`."""
    return keccak256(declaration.encode())


def typed_digest(chain_id: int, marketplace: Address, message_type: bytes, words: bytes) -> bytes:
    """The 32 bytes that a wallet signs (`eth_signTypedData_v4`).

    Args:
        message_type: The structure's `type_hash`.
        words: Its fields, 32 bytes each.
    """
    domain = keccak256(
        _DOMAIN_TYPE
        + keccak256(DOMAIN_NAME.encode())
        + keccak256(DOMAIN_VERSION.encode())
        + number_word(chain_id)
        + address_word(marketplace)
    )
    return keccak256(b"\x19\x01" + domain + keccak256(message_type + words))
