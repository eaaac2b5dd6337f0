"""Holders: who may use a session.

The first client that is accepted binds the session: later ones must be the same. A client with an
encryption key is known by the account of that key, which signs every init. A client in the clear
is known by a random token that it was given when it bound the session. Whoever shows that he is
the depositor (his wallet answers a challenge, or his encryption key is his wallet's) takes over
what a stranger may have bound first.
"""

from __future__ import annotations

import hashlib
import secrets

from ...protocol.digests import Address
from ...protocol.secrecy import PublicKeyBytes
from ...prover.ledger.values import Binding
from ..errors import ForeignClient

_TOKEN_BYTES = 32
_CLEAR = "clear:"


def key_holder(client: Address) -> str:
    """The holder's word for a client with an encryption key."""
    return str(client).lower()


def new_token() -> str:
    """A token for a client in the clear, 64 hex digits."""
    return secrets.token_hex(_TOKEN_BYTES)


def token_holder(token: str) -> str:
    """The holder's word for the client with this token; the token cannot be had from it."""
    return _CLEAR + hashlib.sha256(token.encode()).hexdigest()


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
