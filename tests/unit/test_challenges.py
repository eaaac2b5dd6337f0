"""Wallet challenges: good once, for a while, for their session and its depositor."""

from __future__ import annotations

import pytest
from coincurve import PublicKey

from platformless.node.errors import ChallengeExpired, ChallengeUnknown, WrongWallet
from platformless.node.sessions.challenges import WalletChallenges
from platformless.protocol.digests import Address
from platformless.protocol.envelope import WalletProof
from platformless.protocol.errors import ValueOutOfRange
from platformless.protocol.signatures import address_of_key, sign
from platformless.protocol.wallet_challenge import WalletChallenge

HOST_KEY, WALLET_KEY = b"\x07" * 32, b"\x08" * 32
CHAIN_ID, MARKETPLACE = 84532, Address(b"\x11" * 20)


def address_of(key: bytes) -> Address:
    return address_of_key(PublicKey.from_valid_secret(key))


HOST, WALLET = address_of(HOST_KEY), address_of(WALLET_KEY)


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wallets(clock: Clock) -> WalletChallenges:
    return WalletChallenges(CHAIN_ID, MARKETPLACE, HOST, clock, seconds=120)


def answered(challenge: WalletChallenge, key: bytes = WALLET_KEY) -> WalletProof:
    return WalletProof(str(challenge.nonce), str(sign(challenge.signing_digest(), key)))


def test_a_challenge_is_good_once(wallets: WalletChallenges) -> None:
    proof = answered(wallets.issue(7))
    wallets.take(7, proof, WALLET)
    with pytest.raises(ChallengeUnknown):
        wallets.take(7, proof, WALLET)


def test_a_challenge_is_for_its_session_only_and_survives_another(
    wallets: WalletChallenges,
) -> None:
    proof = answered(wallets.issue(7))
    with pytest.raises(ChallengeUnknown):
        wallets.take(8, proof, WALLET)
    wallets.take(7, proof, WALLET)


def test_a_challenge_ends_with_its_time(wallets: WalletChallenges, clock: Clock) -> None:
    early, late = (answered(wallets.issue(7)) for _ in range(2))
    clock.now += 119.9
    wallets.take(7, early, WALLET)
    clock.now += 0.1
    with pytest.raises(ChallengeExpired):
        wallets.take(7, late, WALLET)


def test_its_time_cannot_be_changed(wallets: WalletChallenges, clock: Clock) -> None:
    nonce = wallets.issue(7).nonce.value
    later = (int.from_bytes(nonce[:8]) + 1000).to_bytes(8) + nonce[8:]
    clock.now += 121
    with pytest.raises(ChallengeUnknown):
        wallets.take(7, WalletProof(later.hex(), "11" * 65), WALLET)


@pytest.mark.parametrize("signature", ["", "0x", "zz", "11" * 64, "00" * 65, "11" * 64 + "05"])
def test_what_no_wallet_signed_is_refused(wallets: WalletChallenges, signature: str) -> None:
    challenge = wallets.issue(7)
    with pytest.raises(WrongWallet):
        wallets.take(7, WalletProof(str(challenge.nonce), signature), WALLET)


@pytest.mark.parametrize("nonce", ["", "0x", "zz", "11" * 32, "11" * 31])
def test_a_nonce_that_was_not_given_out_is_unknown(wallets: WalletChallenges, nonce: str) -> None:
    wallets.issue(7)
    with pytest.raises(ChallengeUnknown):
        wallets.take(7, WalletProof(nonce, "11" * 65), WALLET)


def test_a_challenge_of_another_process_is_unknown(clock: Clock) -> None:
    before, after = (WalletChallenges(CHAIN_ID, MARKETPLACE, HOST, clock) for _ in range(2))
    with pytest.raises(ChallengeUnknown):
        after.take(7, answered(before.issue(7)), WALLET)


def test_a_recovery_id_of_zero_or_one_is_taken(wallets: WalletChallenges) -> None:
    challenge = wallets.issue(7)
    signature = sign(challenge.signing_digest(), WALLET_KEY).value
    text = signature[:64].hex() + f"{signature[64] - 27:02x}"
    wallets.take(7, WalletProof(challenge.nonce.value.hex(), text), WALLET)


def test_another_wallet_is_refused_and_uses_nothing_up(wallets: WalletChallenges) -> None:
    challenge = wallets.issue(7)
    with pytest.raises(WrongWallet):
        wallets.take(7, answered(challenge, HOST_KEY), WALLET)
    assert len(wallets) == 0
    wallets.take(7, answered(challenge), WALLET)


def test_asking_costs_no_memory_and_pushes_nothing_out(wallets: WalletChallenges) -> None:
    first = wallets.issue(7)
    for _ in range(1000):
        wallets.issue(7)
    assert len(wallets) == 0
    wallets.take(7, answered(first), WALLET)


def test_what_was_used_is_remembered_until_its_time_is_over(
    wallets: WalletChallenges, clock: Clock
) -> None:
    wallets.take(7, answered(wallets.issue(7)), WALLET)
    clock.now += 121
    wallets.take(7, answered(wallets.issue(7)), WALLET)
    assert len(wallets) == 1


def test_a_challenge_needs_an_id_that_a_session_can_have(wallets: WalletChallenges) -> None:
    with pytest.raises(ValueOutOfRange):
        wallets.issue(2**256)
