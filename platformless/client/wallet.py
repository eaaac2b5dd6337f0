"""The client's wallet: one private key that pays, answers challenges and acknowledges.

A second key is derived from it, with which the client signs session inits and reads the deltas
that hosts publish: who has the wallet can always recover its conversations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from coincurve import PrivateKey

from ..protocol import signatures
from ..protocol.acknowledgement import Acknowledged, AcknowledgementSignature
from ..protocol.digests import Address
from ..protocol.errors import ValueOutOfRange
from ..protocol.secrecy import KEY_BYTES, PublicKeyBytes, derive
from ..protocol.signatures import Signature
from ..protocol.wallet_challenge import WalletChallenge

if TYPE_CHECKING:
    from ..chain.accounts import LocalAccount

_ENCRYPTION_KEY_INFO = b"platformless-ai/v1/client-encryption-key"


class Wallet:
    """The holder of a private key (32 bytes).

    Raises:
        ValueOutOfRange: when the bytes are no secp256k1 key.
    """

    def __init__(self, private_key: bytes) -> None:
        if len(private_key) != KEY_BYTES:
            raise ValueOutOfRange(
                "private key of a wrong length",
                expected=f"{KEY_BYTES} bytes",
                got=len(private_key),
            )
        try:
            public = PrivateKey(private_key).public_key
        except ValueError:
            raise ValueOutOfRange("no secp256k1 private key") from None
        self.address: Address = signatures.address_of_key(public)
        self._key = private_key

    def __repr__(self) -> str:
        return f"Wallet({self.address})"

    @property
    def account(self) -> LocalAccount:
        """As the transaction sender takes it."""
        from ..chain.accounts import Account

        account: LocalAccount = Account.from_key(self._key)
        return account

    @property
    def encryption_key(self) -> bytes:
        """The private key that signs inits and opens what hosts seal for this client, 32 bytes.
        HKDF-SHA256 of the wallet's key."""
        return derive(self._key, _ENCRYPTION_KEY_INFO)

    @property
    def recovery_key(self) -> PublicKeyBytes:
        """The public half of `encryption_key`, which hosts seal deltas for."""
        return PublicKeyBytes.of(self.encryption_key)

    def answer(self, challenge: WalletChallenge) -> Signature:
        """Shows a host that this wallet is there. The caller has checked what the challenge says.

        r, s and v.
        """
        return signatures.sign(challenge.signing_digest(), self._key)

    def acknowledge(self, what: Acknowledged) -> AcknowledgementSignature:
        """Signs that the client received these tokens."""
        return what.sign(self._key)
