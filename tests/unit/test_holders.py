"""Holders: the first client binds a session, its depositor takes it over."""

from __future__ import annotations

import pytest

from platformless.node.errors import ForeignClient
from platformless.node.sessions.holders import bound, key_holder, new_token, token_holder
from platformless.protocol.digests import Address
from platformless.protocol.secrecy import PublicKeyBytes
from platformless.prover.ledger.values import Binding

CLIENT = key_holder(Address(b"\x11" * 20))
STRANGER = key_holder(Address(b"\x22" * 20))
KEY, OTHER_KEY = PublicKeyBytes.of(b"\x01" * 32), PublicKeyBytes.of(b"\x02" * 32)


def test_the_first_client_binds() -> None:
    assert bound(None, CLIENT, KEY, proven_depositor=False) == Binding(CLIENT, KEY)


def test_the_same_client_may_come_again_and_change_its_recovery_key() -> None:
    known = Binding(CLIENT, KEY)
    assert bound(known, CLIENT, OTHER_KEY, proven_depositor=False) == Binding(CLIENT, OTHER_KEY)
    assert bound(known, CLIENT, None, proven_depositor=False) == known


def test_another_client_is_refused() -> None:
    with pytest.raises(ForeignClient):
        bound(Binding(CLIENT, KEY), STRANGER, OTHER_KEY, proven_depositor=False)


def test_the_depositor_takes_over_with_nothing_of_the_strangers() -> None:
    known = Binding(STRANGER, OTHER_KEY)
    assert bound(known, CLIENT, None, proven_depositor=True) == Binding(CLIENT, None)


def test_a_token_cannot_be_had_from_its_holder() -> None:
    token = new_token()
    assert token not in token_holder(token)
    assert token_holder(token) == token_holder(token)
    assert token_holder(token) != token_holder(new_token())
