"""Holders: who may use a session.

The first client that is accepted binds the session: later ones must be the same. A client with an
encryption key is known by the account of that key, which signs every init. A client in the clear
is known by the token that it was given when it bound the session. Whoever shows that he is the
depositor (his wallet answers a challenge, or his encryption key is his wallet's) takes over what
a stranger may have bound first.
"""

from __future__ import annotations

import hashlib
import hmac

from ...protocol.digests import Address
from ...protocol.secrecy import PublicKeyBytes
from ...prover.ledger.values import Binding
from ..errors import ForeignClient

IN_THE_CLEAR = "clear"
"""The holder's word for a client without a key."""
_TOKEN_DOMAIN = b"platformless session token"


def key_holder(client: Address) -> str:
    """The holder's word for a client with an encryption key."""
    return str(client).lower()


def bound(
    known: Binding | None,
    holder: str,
    recovery_key: PublicKeyBytes | None,
    *,
    proven_depositor: bool,
) -> Binding:
    """The session's binding after `holder` was heard.

    Raises:
        ForeignClient: when another client bound the session.
    """
    if known is None or (proven_depositor and known.holder != holder):
        return Binding(holder, recovery_key)
    if known.holder != holder:
        raise ForeignClient(
            "the session belongs to another client",
            expected="the client that began it, or its depositor's wallet",
        )
    return Binding(holder, recovery_key or known.recovery_key)


class SessionTokens:
    """Tokens by which clients in the clear are known: made from the host's key and the session's
    id, so that none need be kept."""

    def __init__(self, host_key: bytes) -> None:
        self._secret = hmac.digest(host_key, _TOKEN_DOMAIN, hashlib.sha256)

    def token(self, session_id: int) -> str:
        """64 hex digits."""
        return hmac.digest(self._secret, str(session_id).encode(), hashlib.sha256).hex()

    def require(self, session_id: int, offered: str | None) -> None:
        """Raises:
        ForeignClient: when it is not the session's token.
        """
        token = self.token(session_id)
        if offered is None or not hmac.compare_digest(offered.encode(), token.encode()):
            raise ForeignClient(
                "the session belongs to another client",
                expected="its token",
                got="another, or none",
            )
