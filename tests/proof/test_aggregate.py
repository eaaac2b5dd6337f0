"""One proof of a whole session: the committed one is accepted, and nothing that it must not be."""

from __future__ import annotations

import dataclasses
import random
import struct
from typing import Any

import msgspec
import pytest

from platformless.audit.errors import (
    AcknowledgementInvalid,
    AcknowledgementMissing,
    ImageMismatch,
    InvalidSeal,
    JournalMismatch,
    MalformedBundle,
    MalformedReceipt,
    OverstatedAssurance,
    ReceiptKindMismatch,
    Rejection,
    Step,
    UnexpectedClaim,
    UnknownClaimKind,
    UntrustedImage,
)
from platformless.audit.policy import (
    Acknowledgement,
    ClaimPolicy,
    ExpectedChain,
    ExpectedCheckpoint,
    ExpectedClient,
    ExpectedHost,
    ExpectedMarketplace,
    ExpectedModel,
    ExpectedPrice,
    ExpectedSession,
    ExpectedTokens,
    Follows,
)
from platformless.audit.release import trusted_images
from platformless.audit.sandbox import FUEL_FIXED, FUEL_PER_RECEIPT_BYTE, Verifier
from platformless.audit.verify import Policy, verify_bundle
from platformless.audit.whole_session import verify_aggregate, verify_any
from platformless.protocol.aggregate import HEAD_WORDS, MAX_PARTS, ROW_WORDS, AggregateClaim
from platformless.protocol.bundle import Bundle
from platformless.protocol.claim import SessionClaim
from platformless.protocol.digests import Address, ImageId, ModelId
from platformless.protocol.errors import ClaimFormatError, ValueOutOfRange, WindowError
from platformless.protocol.transcript import Tokens
from platformless.protocol.words import number_word

from ..samples import FIRST, SECOND
from .conftest import BUNDLE, WEAK_BUNDLE
from .receipts import FAKE, fake_receipt, seal_range, split_assumptions

IMAGE = trusted_images()["session"]
SAMPLE = AggregateClaim.of(IMAGE, [FIRST.claim(), SECOND.claim()])
WORDS = HEAD_WORDS + 2 * ROW_WORDS
OTHER = Address(b"\xee" * 20)


def changed(data: bytes, **fields: Any) -> bytes:
    """The bundle with some fields replaced."""
    return msgspec.structs.replace(Bundle.decode(data), **fields).encode()


def claim_of(part: bytes) -> SessionClaim:
    return SessionClaim.decode(Bundle.decode(part).journal)


def with_word(journal: bytes, word: int, value: bytes) -> bytes:
    return journal[: 32 * word] + value + journal[32 * word + 32 :]


# --- the claim


def test_a_claim_is_read_as_it_was_written() -> None:
    claims = (FIRST.claim(), SECOND.claim())
    read = AggregateClaim.decode(SAMPLE.encode())
    assert read == SAMPLE
    assert read.claims() == claims
    assert len(SAMPLE.encode()) == 32 * WORDS
    assert (read.tokens, read.last_checkpoint) == (claims[1].tokens_after, 1)


def test_the_longest_claim_fits_a_bundle() -> None:
    part = dataclasses.replace(SAMPLE.parts[0], tokens_after=SAMPLE.tokens_after)
    longest = dataclasses.replace(SAMPLE, parts=(part,) * MAX_PARTS)
    assert len(longest.encode()) == 64_544 < 1 << 16
    assert AggregateClaim.decode(longest.encode()) == longest
    with pytest.raises(ValueOutOfRange):
        dataclasses.replace(SAMPLE, parts=(part,) * (MAX_PARTS + 1))
    with pytest.raises(ValueOutOfRange):
        dataclasses.replace(SAMPLE, parts=())


@pytest.mark.parametrize(
    ("word", "value", "reason"),
    [
        (0, number_word(1 << 32 | 1), "not an aggregate claim"),
        (0, number_word(2 << 32 | 2), "not an aggregate claim"),
        (2, b"\xff" * 32, "chain id out of range"),
        (3, b"\xff" * 32, "address word"),
        (11, b"\xff" * 32, "first checkpoint number out of range"),
        (11, number_word(2**64 - 1), "last checkpoint number out of range"),
        (12, number_word(3), "another number of checkpoints"),
        (13, number_word(51), "fewer tokens after a checkpoint than before"),
        (14, number_word(51), "another number of tokens after"),
        (16, bytes(32), "another state after"),
        (17, number_word(101), "fewer tokens after a checkpoint than before"),
        (21, b"\xff" * 32, "tokens after out of range"),
    ],
)
def test_a_claim_that_says_two_things_is_none(word: int, value: bytes, reason: str) -> None:
    with pytest.raises(ClaimFormatError, match=reason):
        AggregateClaim.decode(with_word(SAMPLE.encode(), word, value))


@pytest.mark.parametrize("length", [0, 543, 544, 576, 671, 673, 799])
def test_a_claim_of_another_length_is_none(length: int) -> None:
    with pytest.raises(ClaimFormatError, match="wrong length"):
        AggregateClaim.decode(SAMPLE.encode()[:length])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"header_digest": type(SAMPLE.header_digest)(b"\x01" * 32)}, "session header"),
        ({"terms": dataclasses.replace(SAMPLE.terms, price=1)}, "terms"),
        ({"checkpoint": 2}, "checkpoint number"),
        ({"state_before": FIRST.claim().state_before}, "state before"),
        ({"tokens_before": Tokens(0)}, "tokens before"),
    ],
)
def test_claims_that_do_not_join_make_no_claim(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(WindowError, match=reason):
        AggregateClaim.of(IMAGE, [FIRST.claim(), dataclasses.replace(SECOND.claim(), **changes)])


# --- the committed proof


def test_a_real_proof_of_two_checkpoints_is_accepted_and_reported(
    whole: bytes, parts: list[bytes], verifier: Verifier
) -> None:
    claims = [claim_of(part) for part in parts]
    policy = Policy(
        expectations=(
            ExpectedChain(claims[0].terms.chain_id),
            ExpectedMarketplace(claims[0].terms.marketplace),
            ExpectedSession(1),
            ExpectedHost(claims[0].terms.host),
            ExpectedClient(claims[0].terms.client),
            ExpectedModel(claims[0].terms.model_id),
            ExpectedPrice(5_000),
            ExpectedTokens(Tokens(0), claims[1].tokens_after),
        )
    )
    report = verify_aggregate(whole, policy, verifier)
    assert report.claim == AggregateClaim.of(IMAGE, claims)
    assert report.claim.claims() == tuple(claims)
    assert report.claim.tokens == 1000
    assert [passed.step for passed in report.steps] == list(Step)
    assert str(IMAGE) in report.steps[2].shown
    assert {row.name: row.coverage.value for row in report.coverage} == {
        "checkpoints": "proven",
        "token count": "proven",
        "transcript": "proven",
        "session terms": "proven",
        "text": "not covered",
        "model arithmetic": "not covered",
        "delivery": "not covered",
        "delta and trace": "not covered",
        "privacy of the witness": "not covered",
    }
    assert report.to_json()["claim"]["checkpoints"] == 2


def test_it_is_checked_within_the_limits_of_the_sandbox(whole: bytes, verifier: Verifier) -> None:
    report = verify_aggregate(whole, verifier=verifier)
    assert report.verifier_memory_bytes < 50 << 20
    assert report.fuel < (FUEL_FIXED + FUEL_PER_RECEIPT_BYTE * len(whole)) / 2


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        (ExpectedChain(1), "another chain"),
        (ExpectedMarketplace(OTHER), "another marketplace"),
        (ExpectedSession(2), "another session"),
        (ExpectedHost(OTHER), "another host"),
        (ExpectedClient(OTHER), "another client"),
        (ExpectedModel(ModelId(bytes(32))), "another model id"),
        (ExpectedPrice(4_999), "another price"),
        (ExpectedTokens(Tokens(0), Tokens(999)), "another token range"),
        (ExpectedCheckpoint(1), "another checkpoint number"),
        (ExpectedCheckpoint(0), "another last checkpoint number"),
        (Follows(FIRST.claim()), "another session header"),
    ],
)
def test_a_claim_that_is_not_expected_is_rejected(
    whole: bytes, verifier: Verifier, rule: ClaimPolicy, what: str
) -> None:
    with pytest.raises(UnexpectedClaim, match=what):
        verify_aggregate(whole, Policy(expectations=(rule,)), verifier)


def test_what_follows_a_whole_session_begins_where_it_ended() -> None:
    rule = Follows(AggregateClaim.of(IMAGE, [FIRST.claim()]))
    rule.verify(SECOND.claim())
    rule.verify(AggregateClaim.of(IMAGE, [SECOND.claim()]))
    with pytest.raises(UnexpectedClaim, match="checkpoint number"):
        rule.verify(FIRST.claim())


def test_the_kind_of_claim_decides_how_a_bundle_is_verified(
    whole: bytes, golden: bytes, verifier: Verifier
) -> None:
    assert isinstance(verify_any(whole, verifier=verifier).claim, AggregateClaim)
    assert isinstance(verify_any(golden, verifier=verifier).claim, SessionClaim)
    with pytest.raises(UnknownClaimKind):
        verify_bundle(whole, verifier=verifier)
    with pytest.raises(UnknownClaimKind):
        verify_aggregate(golden, verifier=verifier)
    with pytest.raises(UnknownClaimKind):
        verify_any(changed(whole, claim_kind="sample"), verifier=verifier)
    with pytest.raises(MalformedBundle):
        verify_any(whole[:-1], verifier=verifier)
    with pytest.raises(OverstatedAssurance, match="an aggregate claim"):
        verify_any(changed(whole, assurance="replayed"), verifier=verifier)


# --- every word of head and rows


@pytest.mark.parametrize("word", range(WORDS))
def test_every_word_of_head_and_rows_is_bound(whole: bytes, verifier: Verifier, word: int) -> None:
    journal = Bundle.decode(whole).journal
    for at in (32 * word, 32 * word + 31):
        other = journal[:at] + bytes([journal[at] ^ 1]) + journal[at + 1 :]
        with pytest.raises(JournalMismatch):
            verify_aggregate(changed(whole, journal=other), verifier=verifier)


def test_rows_cannot_be_swapped_repeated_or_dropped(whole: bytes, verifier: Verifier) -> None:
    journal = Bundle.decode(whole).journal
    head, rows = journal[: 32 * HEAD_WORDS], journal[32 * HEAD_WORDS :]
    first, second = rows[:128], rows[128:]
    for arranged in (second + first, first + first, first, second, rows + second, b""):
        with pytest.raises(JournalMismatch):
            verify_aggregate(changed(whole, journal=head + arranged), verifier=verifier)


# --- image ids


def test_both_guests_have_to_be_trusted(whole: bytes, verifier: Verifier) -> None:
    images = trusted_images()
    other = ImageId(b"\x42" * 32)
    for trusted, expected, got in (
        ({"aggregate": images["aggregate"]}, "none", IMAGE),
        ({"aggregate": images["aggregate"], "session": other}, other, IMAGE),
        ({"session": IMAGE}, "none", images["aggregate"]),
        ({"session": IMAGE, "aggregate": other}, other, images["aggregate"]),
        ({}, "none", images["aggregate"]),
    ):
        with pytest.raises(UntrustedImage) as caught:
            verify_aggregate(whole, Policy(images=trusted), verifier)
        assert (caught.value.expected, caught.value.got) == (expected, got)
        assert caught.value.step is Step.IMAGE


def test_a_proof_of_one_guest_does_not_pass_as_the_others(
    whole: bytes, golden: bytes, verifier: Verifier
) -> None:
    with pytest.raises(UntrustedImage):
        verify_aggregate(changed(golden, claim_kind="aggregate"), verifier=verifier)
    with pytest.raises(UntrustedImage):
        verify_bundle(changed(whole, claim_kind="session"), verifier=verifier)
    image = trusted_images()["aggregate"].value
    relabelled = changed(golden, claim_kind="aggregate", image_id=image)
    with pytest.raises(ImageMismatch):
        verify_aggregate(relabelled, verifier=verifier)


# --- the receipts inside the receipt


@pytest.fixture(scope="module")
def receipts(parts: list[bytes]) -> list[bytes]:
    return [Bundle.decode(part).receipt for part in parts]


def resting_on(whole: bytes, receipts: list[bytes], nested: list[bytes]) -> bytes:
    """The bundle with other receipts of its assumptions, in the order in which they are stored."""
    before, after = split_assumptions(Bundle.decode(whole).receipt, receipts)
    count = struct.pack("<Q", len(nested))
    return changed(whole, receipt=before + count + b"".join(nested) + after)


def test_parts_cannot_be_missing_swapped_repeated_or_foreign(
    whole: bytes, receipts: list[bytes], verifier: Verifier
) -> None:
    first, second = receipts
    foreign = Bundle.decode(BUNDLE.read_bytes()).receipt
    weak = Bundle.decode(WEAK_BUNDLE.read_bytes()).receipt
    assert resting_on(whole, receipts, [second, first]) == whole
    for nested in (
        [],
        [second],
        [first],
        [first, second],
        [second, second],
        [first, first],
        [second, first, first],
        [second, foreign],
        [foreign, first],
        [second, weak],
        [weak, weak],
    ):
        with pytest.raises(InvalidSeal):
            verify_aggregate(resting_on(whole, receipts, nested), verifier=verifier)


def test_a_part_without_a_proof_is_rejected_by_its_type(
    whole: bytes, parts: list[bytes], receipts: list[bytes], verifier: Verifier
) -> None:
    """What RISC Zero's dev mode puts in place of a receipt, of exactly the right claim."""
    fake = fake_receipt(IMAGE.value, Bundle.decode(parts[0]).journal)
    with pytest.raises(ReceiptKindMismatch) as caught:
        verify_aggregate(resting_on(whole, receipts, [receipts[1], fake]), verifier=verifier)
    assert caught.value.got == "fake assumption"
    with pytest.raises(MalformedReceipt):
        relabelled = struct.pack("<I", FAKE) + receipts[0][4:]
        verify_aggregate(resting_on(whole, receipts, [receipts[1], relabelled]), verifier=verifier)


def test_a_damaged_part_is_rejected(
    whole: bytes, receipts: list[bytes], verifier: Verifier
) -> None:
    draw = random.Random(4)
    for number, receipt in enumerate(receipts):
        for at in draw.sample(seal_range(receipt), 10):
            damaged = list(receipts)
            damaged[number] = receipt[:at] + bytes([receipt[at] ^ 1]) + receipt[at + 1 :]
            with pytest.raises(InvalidSeal):
                verify_aggregate(resting_on(whole, receipts, damaged[::-1]), verifier=verifier)


def test_a_damaged_proof_of_the_whole_is_rejected(whole: bytes, verifier: Verifier) -> None:
    receipt = Bundle.decode(whole).receipt
    [words] = struct.unpack_from("<Q", receipt, 12)
    for at in random.Random(5).sample(range(20, 20 + 4 * words), 20):
        damaged = receipt[:at] + bytes([receipt[at] ^ 1]) + receipt[at + 1 :]
        with pytest.raises(InvalidSeal):
            verify_aggregate(changed(whole, receipt=damaged), verifier=verifier)


def test_every_byte_around_the_seals_is_bound(
    whole: bytes, receipts: list[bytes], verifier: Verifier
) -> None:
    receipt = Bundle.decode(whole).receipt
    [words] = struct.unpack_from("<Q", receipt, 12)
    free = set(range(20, 20 + 4 * words))
    for part in receipts:
        start = receipt.index(part)
        free |= {start + at for at in seal_range(part)}
    around = sorted(set(range(len(receipt))) - free)
    assert len(around) > 1_000
    labels = [receipt.index(part) + len(part) - 1 for part in receipts]
    for at in (*labels, *random.Random(6).sample(around, 150)):
        other = receipt[:at] + bytes([receipt[at] ^ 0x10]) + receipt[at + 1 :]
        with pytest.raises(Rejection):
            verify_aggregate(changed(whole, receipt=other), verifier=verifier)


# --- the client's acknowledgement


def test_an_acknowledgement_is_of_where_the_session_ends(whole: bytes, verifier: Verifier) -> None:
    with pytest.raises(AcknowledgementMissing):
        verify_aggregate(whole, Policy(acknowledgement=Acknowledgement(required=True)), verifier)
    with pytest.raises(AcknowledgementInvalid):
        verify_aggregate(changed(whole, acknowledgement=bytes(65)), verifier=verifier)
