"""The client's acknowledgement: an EIP-712 signature over what it received so far.

It signs chain, marketplace, session, tokens after and state after. All of that is public in the
claim, so the bundle carries the 65 signature bytes alone and anyone checks them natively; inside
the guest the same check would cost five million cycles.
"""

from __future__ import annotations

from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

from .claim import SessionClaim
from .digests import Address, FixedBytes
from .errors import SignatureFormatError


class AcknowledgementSignature(FixedBytes):
    """r, s and v (27 or 28), as `eth_signTypedData_v4` returns them."""

    LENGTH = 65


def typed_data(claim: SessionClaim) -> dict[str, Any]:
    """The EIP-712 document that the client signs for `claim`."""
    return {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "Acknowledgement": [
                {"name": "sessionId", "type": "uint256"},
                {"name": "tokens", "type": "uint256"},
                {"name": "state", "type": "bytes32"},
            ],
        },
        "primaryType": "Acknowledgement",
        "domain": {
            "name": "Platformless AI",
            "version": "1",
            "chainId": claim.chain_id,
            "verifyingContract": str(claim.marketplace),
        },
        "message": {
            "sessionId": claim.session_id,
            "tokens": claim.tokens_after,
            "state": claim.state_after.value,
        },
    }


def sign(claim: SessionClaim, private_key: bytes) -> AcknowledgementSignature:
    """The signature of the client that holds `private_key` (32 bytes)."""
    signed = Account.sign_typed_data(private_key, full_message=typed_data(claim))
    return AcknowledgementSignature(bytes(signed.signature))


def signer(claim: SessionClaim, signature: AcknowledgementSignature) -> Address:
    """Who signed this claim's acknowledgement.

    Raises:
        SignatureFormatError: when no key could have made the signature.
    """
    if signature.value[64] not in (27, 28):
        raise SignatureFormatError(
            "signature with an unknown recovery id", expected="27 or 28", got=signature.value[64]
        )
    try:
        message = encode_typed_data(full_message=typed_data(claim))
        recovered = Account.recover_message(message, signature=signature.value)
    except (BadSignature, ValidationError, ValueError) as error:
        raise SignatureFormatError("no key made this signature", got=str(error)) from error
    return Address.from_hex(recovered)
