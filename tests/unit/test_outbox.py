"""The outbox by itself: nothing half-written, nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from platformless.chain.connection import ContractCall, Receipt
from platformless.chain.errors import (
    InsufficientFunds,
    OutboxKeyReused,
    OutboxOfAnotherChain,
    OutboxUnavailable,
)
from platformless.chain.sending.entry import Entry, Offer, State
from platformless.chain.sending.fees import Fees
from platformless.chain.sending.outbox import Outbox
from platformless.locks import FileLock
from platformless.protocol.digests import Address

ACCOUNT = Address(b"\x01" * 20)
CALL = ContractCall(Address(b"\x02" * 20), b"\x03" * 10, value=2**200, description="a call")
RICH = 2**255


def sign(nonce: int, max_fee: int = 10) -> Offer:
    return Offer(f"0x{nonce:032x}{max_fee:032x}", nonce, Fees(max_fee, 1), b"raw", 0.0)


def mined(entry: Entry, *, succeeded: bool = True) -> Receipt:
    return Receipt(entry.offers[-1].hash, 7, "0xb", succeeded, 21_000, 5)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    outbox = Outbox(tmp_path / "outbox.db", 84532, ACCOUNT)
    yield outbox
    outbox.close()


def add(outbox: Outbox, key: str, call: ContractCall = CALL, *, next_nonce: int = 0) -> Entry:
    return outbox.add(key, call, 21_000, next_nonce=next_nonce, balance=RICH, sign=sign)


def found(outbox: Outbox, key: str) -> Entry:
    entry = outbox.find(key)
    assert entry is not None
    return entry


def test_an_entry_is_read_back_as_it_was_added(outbox: Outbox) -> None:
    added = add(outbox, "a", next_nonce=41)
    assert added.nonce == 41
    assert found(outbox, "a") == added
    assert outbox.open_entries() == [added]


def test_nonces_follow_one_another_and_never_fall_behind_the_chain(outbox: Outbox) -> None:
    nonces = [
        add(outbox, key, next_nonce=at).nonce for key, at in zip("abcd", (5, 5, 0, 9), strict=True)
    ]
    assert nonces == [5, 6, 7, 9]


def test_two_outboxes_on_one_file_share_their_nonces(tmp_path: Path, outbox: Outbox) -> None:
    other = Outbox(tmp_path / "outbox.db", 84532, ACCOUNT)
    assert [add(outbox, "a").nonce, add(other, "b").nonce, add(outbox, "c").nonce] == [0, 1, 2]
    other.close()


def test_accounts_and_chains_in_one_file_do_not_meet(tmp_path: Path, outbox: Outbox) -> None:
    others = [
        Outbox(tmp_path / "outbox.db", 84532, Address(b"\x09" * 20)),
        Outbox(tmp_path / "outbox.db", 8453, ACCOUNT),
    ]
    add(outbox, "a")
    for max_fee, other in zip((100, 101), others, strict=True):
        assert other.find("a") is None
        signing = partial(sign, max_fee=max_fee)
        other.add("a", CALL, 1, next_nonce=0, balance=RICH, sign=signing)
        other.close()


@pytest.mark.parametrize("changes", [{"value": 1}, {"data": b"x"}, {"to": Address(b"\x05" * 20)}])
def test_a_key_stands_for_one_call(outbox: Outbox, changes: dict[str, object]) -> None:
    add(outbox, "a")
    with pytest.raises(OutboxKeyReused):
        add(outbox, "a", replace(CALL, **changes))  # type: ignore[arg-type]
    with pytest.raises(OutboxKeyReused):
        outbox.find("a", replace(CALL, **changes))  # type: ignore[arg-type]


def test_a_failed_signature_leaves_no_row(outbox: Outbox) -> None:
    def fail(_nonce: int) -> Offer:
        raise RuntimeError("no key")

    with pytest.raises(RuntimeError):
        outbox.add("a", CALL, 1, next_nonce=0, balance=RICH, sign=fail)
    assert outbox.entries() == []
    assert add(outbox, "b").nonce == 0


def test_what_is_pending_counts_against_the_balance(outbox: Outbox) -> None:
    call = replace(CALL, value=1000)
    cost = 1000 + 21_000 * 10
    outbox.add("a", call, 21_000, next_nonce=0, balance=2 * cost, sign=sign)
    outbox.add("b", call, 21_000, next_nonce=0, balance=2 * cost, sign=sign)
    with pytest.raises(InsufficientFunds):
        outbox.add("c", call, 21_000, next_nonce=0, balance=2 * cost, sign=sign)
    outbox.set_mined(found(outbox, "a"), mined(found(outbox, "a")))
    outbox.add("c", call, 21_000, next_nonce=0, balance=2 * cost, sign=sign)


def test_a_replacement_is_kept_only_while_the_entry_is_pending(outbox: Outbox) -> None:
    entry = add(outbox, "a")
    assert outbox.add_offer(entry, sign(0, 20))
    assert [offer.fees.max_fee for offer in found(outbox, "a").offers] == [10, 20]
    outbox.set_mined(entry, mined(entry))
    assert not outbox.add_offer(entry, sign(0, 30))
    assert not outbox.renumber(entry, next_nonce=1, sign=sign)
    assert not outbox.refuse(entry, "Not host")


def test_a_renumbered_entry_forgets_the_versions_of_its_old_nonce(outbox: Outbox) -> None:
    entry = add(outbox, "a")
    add(outbox, "b")
    assert outbox.renumber(entry, next_nonce=1, sign=sign)
    again = found(outbox, "a")
    assert again.nonce == 2
    assert [offer.nonce for offer in again.offers] == [2]


def test_a_refused_entry_may_be_tried_again(outbox: Outbox) -> None:
    entry = add(outbox, "a")
    assert outbox.refuse(entry, "Too many")
    refused = found(outbox, "a")
    assert (refused.state, refused.nonce, refused.refusal) == (State.REFUSED, None, "Too many")
    again = outbox.add("a", CALL, 1, next_nonce=3, balance=RICH, sign=lambda nonce: sign(nonce, 11))
    assert (again.state, again.nonce) == (State.PENDING, 3)
    assert found(outbox, "a").refusal == ""


@pytest.mark.parametrize(("succeeded", "state"), [(True, State.CONFIRMED), (False, State.REVERTED)])
def test_a_final_entry_is_as_its_receipt_said(
    outbox: Outbox, succeeded: bool, state: State
) -> None:
    entry = add(outbox, "a")
    outbox.set_mined(entry, mined(entry, succeeded=succeeded))
    outbox.set_final(found(outbox, "a"), reason="" if succeeded else "Not host")
    final = found(outbox, "a")
    assert final.state is state
    assert (final.mined_block, final.gas_used, final.gas_price) == (7, 21_000, 5)
    assert outbox.open_entries() == []
    assert outbox.over(["a", "b"]) == [final]
    assert outbox.newest_final(5) == [final]


def test_a_reorg_takes_everything_back(outbox: Outbox) -> None:
    for key in "ab":
        entry = add(outbox, key)
        outbox.set_mined(entry, mined(entry))
    outbox.set_pending(found(outbox, "a"))
    outbox.set_final(found(outbox, "b"))
    assert found(outbox, "a").mined_hash is None
    outbox.set_pending(found(outbox, "b"))
    assert [entry.state for entry in outbox.entries()] == [State.PENDING, State.PENDING]
    assert outbox.newest_final(5) == []


def test_a_gap_is_filled_only_where_no_entry_is(outbox: Outbox) -> None:
    add(outbox, "a", next_nonce=1)
    filled = outbox.fill_gap(0, CALL, 21_000, sign)
    assert filled is not None
    assert filled.nonce == 0
    assert outbox.fill_gap(0, CALL, 21_000, sign) is None
    assert outbox.fill_gap(1, CALL, 21_000, sign) is None
    assert [entry.nonce for entry in outbox.entries()] == [0, 1]


def test_a_chain_is_known_by_its_first_block(outbox: Outbox) -> None:
    outbox.claim_chain("0xaa")
    outbox.claim_chain("0xaa")
    with pytest.raises(OutboxOfAnotherChain) as error:
        outbox.claim_chain("0xbb")
    assert error.value.expected == "block 0 with hash 0xaa"


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    path.write_bytes(b"not a database, but long enough to be read as one" * 100)
    with pytest.raises(OutboxUnavailable):
        Outbox(path, 84532, ACCOUNT)


def test_one_leads_until_it_lets_go(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.take()
    assert first.take()
    assert not second.take()
    first.release()
    assert second.take()
    second.release()
