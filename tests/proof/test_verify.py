"""Verification of the committed bundle, and of everything that it must not be."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from platformless.audit.errors import (
    AcknowledgementForeign,
    AcknowledgementInvalid,
    AcknowledgementMissing,
    ForeignProofSystem,
    ImageMismatch,
    InvalidSeal,
    JournalMismatch,
    MalformedBundle,
    MalformedReceipt,
    OverstatedAssurance,
    ReceiptKindMismatch,
    ReceiptKindNotAllowed,
    Rejection,
    Step,
    UnknownClaimKind,
    UntrustedImage,
    VerifierDamaged,
    VerifierTrapped,
)
from platformless.audit.policy import Acknowledgement
from platformless.audit.release import trusted_images
from platformless.audit.sandbox import ReceiptKinds, Verifier
from platformless.audit.verify import Policy, verify_bundle
from platformless.protocol.bundle import MAGIC, Bundle
from platformless.protocol.claim import CLAIM_WORDS, SessionClaim
from platformless.protocol.digests import ImageId
from platformless.protocol.record import SessionRecord

from .conftest import BUNDLE, RECORD, WEAK_BUNDLE
from .receipts import FAKE, GROTH16, SUCCINCT, fake_receipt, seal_range


def changed(data: bytes, **fields: Any) -> bytes:
    """The bundle with some fields replaced."""
    return msgspec.structs.replace(Bundle.decode(data), **fields).encode()


def flipped(data: bytes, at: int, mask: int = 1) -> bytes:
    return data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]


def test_a_real_proof_is_accepted_and_reported(golden: bytes) -> None:
    report = verify_bundle(golden, Policy(acknowledgement=Acknowledgement(required=True)))
    record = SessionRecord.decode(RECORD.read_bytes())
    assert report.claim == record.window(0).claim()
    assert report.claim.tokens == 1000
    assert [passed.step for passed in report.steps] == list(Step)
    assert report.acknowledged_by == report.claim.terms.client
    assert report.assurance.value == "accounting"
    assert {row.name: row.coverage.value for row in report.coverage} == {
        "token count": "proven",
        "transcript": "proven",
        "session terms": "proven",
        "text": "not covered",
        "model arithmetic": "not covered",
        "delivery": "not covered",
        "delta and trace": "not covered",
        "privacy of the witness": "not covered",
    }


def test_a_bundle_of_one_segment_is_small(golden: bytes) -> None:
    assert len(golden) < 240_000


# --- the transcript: a changed header or entry is another claim, which the receipt does not prove


def tampered_records() -> Iterator[tuple[str, dict[str, Any]]]:
    document = msgspec.json.decode(RECORD.read_bytes())
    for name, value in document["header"].items():
        bump = (
            value + 1 if isinstance(value, int) else value[:-1] + ("1" if value[-1] != "1" else "2")
        )
        yield f"header.{name}", {**document, "header": {**document["header"], name: bump}}
    for number, entry in enumerate(document["entries"]):
        changes: list[dict[str, Any]] = []
        if entry["kind"] != "end":
            tokens = entry["tokens"]
            changes = [
                {"tokens": [tokens[0] ^ 1, *tokens[1:]]},
                {"tokens": tokens[:-1]},
                {"tokens": [*tokens, 1]},
                {"text": entry["text"] + "."},
            ]
        if entry["kind"] == "completion":
            sampler = entry["sampler"]
            changes += [{"sampler": {**sampler, name: sampler[name] + 1}} for name in sampler]
            changes.append({"kind": "prompt", "sampler": None})
        for change in changes:
            entries = list(document["entries"])
            entries[number] = {**entry, **change}
            yield f"entry {number} {sorted(change)}", {**document, "entries": entries}


def test_every_field_of_header_and_entries_is_bound(golden: bytes, verifier: Verifier) -> None:
    claim = SessionClaim.decode(Bundle.decode(golden).journal)
    seen = {claim.encode()}
    names = []
    for name, document in tampered_records():
        other = SessionRecord.decode(msgspec.json.encode(document)).window(0).claim()
        assert other.encode() not in seen, name
        seen.add(other.encode())
        names.append(name)
    assert len(names) > 100
    for journal in random.Random(1).sample(sorted(seen - {claim.encode()}), 5):
        with pytest.raises(JournalMismatch):
            verify_bundle(changed(golden, journal=journal), verifier=verifier)


# --- the claim: every word


@pytest.mark.parametrize("word", range(CLAIM_WORDS))
def test_every_word_of_the_claim_is_bound(golden: bytes, verifier: Verifier, word: int) -> None:
    journal = Bundle.decode(golden).journal
    for at in (32 * word, 32 * word + 31):
        with pytest.raises(JournalMismatch) as caught:
            verify_bundle(changed(golden, journal=flipped(journal, at)), verifier=verifier)
        assert caught.value.step is Step.STARK


@pytest.mark.parametrize("length", [0, 512, 543, 545])
def test_a_journal_of_another_length_is_rejected(golden: bytes, length: int) -> None:
    journal = Bundle.decode(golden).journal
    other = (journal + b"\0")[:length]
    with pytest.raises(JournalMismatch):
        verify_bundle(changed(golden, journal=other))


# --- the receipt: seal, kind, encoding


def test_any_changed_byte_of_the_seal_is_rejected(golden: bytes, verifier: Verifier) -> None:
    receipt = Bundle.decode(golden).receipt
    seal = seal_range(receipt)
    draw = random.Random(2)
    for at in [seal[0], seal[-1], *draw.sample(seal, 38)]:
        damaged = flipped(receipt, at, draw.randrange(1, 256))
        with pytest.raises(InvalidSeal):
            verify_bundle(changed(golden, receipt=damaged), verifier=verifier)


def test_random_bytes_for_a_seal_are_rejected(golden: bytes) -> None:
    receipt = Bundle.decode(golden).receipt
    seal = seal_range(receipt)
    noise = random.Random(3).randbytes(len(seal))
    with pytest.raises(InvalidSeal):
        verify_bundle(changed(golden, receipt=receipt[: seal[0]] + noise + receipt[seal[-1] + 1 :]))


def test_every_byte_of_the_receipt_outside_the_seal_is_bound(
    golden: bytes, verifier: Verifier
) -> None:
    receipt = Bundle.decode(golden).receipt
    seal = seal_range(receipt)
    outside = [*range(seal[0]), *range(seal[-1] + 1, len(receipt))]
    assert len(outside) > 300
    for at in outside:
        with pytest.raises(Rejection) as caught:
            verify_bundle(changed(golden, receipt=flipped(receipt, at, 0x10)), verifier=verifier)
        assert caught.value.step in (Step.RECEIPT_KIND, Step.STARK)


def test_a_cut_or_longer_receipt_is_malformed(golden: bytes, verifier: Verifier) -> None:
    receipt = Bundle.decode(golden).receipt
    cuts = [0, 1, 4, 11, 20, 1000, len(receipt) // 2, len(receipt) - 1]
    for damaged in [*(receipt[:cut] for cut in cuts), receipt + b"\0", receipt + receipt]:
        with pytest.raises(MalformedReceipt):
            verify_bundle(changed(golden, receipt=damaged), verifier=verifier)


def test_a_seal_of_another_length_is_rejected(golden: bytes, verifier: Verifier) -> None:
    receipt = Bundle.decode(golden).receipt
    seal = seal_range(receipt)
    words = len(seal) // 4
    for count, body in [
        (words - 1, receipt[seal[0] : seal[-1] - 3]),
        (words + 1, receipt[seal[0] : seal[-1] + 1] + bytes(4)),
        (0, b""),
    ]:
        head = receipt[: seal[0] - 8] + struct.pack("<Q", count)
        with pytest.raises((InvalidSeal, VerifierTrapped)):
            verify_bundle(
                changed(golden, receipt=head + body + receipt[seal[-1] + 1 :]), verifier=verifier
            )


def test_a_receipt_that_announces_terabytes_is_malformed(golden: bytes) -> None:
    receipt = Bundle.decode(golden).receipt
    for at, size in [(4, 2**60), (12, 2**60), (12, 2**33)]:
        bomb = receipt[:at] + struct.pack("<Q", size) + receipt[at + 8 :]
        with pytest.raises((MalformedReceipt, VerifierTrapped)):
            verify_bundle(changed(golden, receipt=bomb))


@pytest.mark.parametrize("label", ["succinct", "groth16"])
def test_a_receipt_of_another_kind_than_named_is_rejected(
    golden: bytes, verifier: Verifier, label: str
) -> None:
    kind = {"succinct": ReceiptKinds.SUCCINCT, "groth16": ReceiptKinds.GROTH16}[label]
    relabelled = changed(golden, receipt_kind=label, verifier_parameters=verifier.parameters(kind))
    with pytest.raises(ReceiptKindMismatch) as caught:
        verify_bundle(relabelled, verifier=verifier)
    assert caught.value.step is Step.RECEIPT_KIND


@pytest.mark.parametrize("label", ["fake", "", "Composite", "unknown"])
def test_a_kind_of_receipt_that_is_not_allowed_is_rejected(golden: bytes, label: str) -> None:
    with pytest.raises(ReceiptKindNotAllowed):
        verify_bundle(changed(golden, receipt_kind=label))


def test_a_policy_may_allow_fewer_kinds(golden: bytes) -> None:
    with pytest.raises(ReceiptKindNotAllowed):
        verify_bundle(golden, Policy(receipt_kinds=("succinct",)))


@pytest.mark.parametrize("variant", [SUCCINCT, GROTH16, FAKE, 4, 2**32 - 1])
def test_another_variant_over_the_same_bytes_is_malformed(golden: bytes, variant: int) -> None:
    receipt = struct.pack("<I", variant) + Bundle.decode(golden).receipt[4:]
    with pytest.raises((MalformedReceipt, ReceiptKindMismatch)):
        verify_bundle(changed(golden, receipt=receipt))


def test_a_fake_receipt_is_rejected_by_its_type(golden: bytes) -> None:
    bundle = Bundle.decode(golden)
    fake = fake_receipt(bundle.image_id, bundle.journal)
    with pytest.raises(ReceiptKindMismatch) as caught:
        verify_bundle(changed(golden, receipt=fake))
    assert caught.value.got == "fake"


def test_a_fake_receipt_is_rejected_in_dev_mode_too(golden: bytes, tmp_path: Any) -> None:
    bundle = Bundle.decode(golden)
    file = tmp_path / "fake.bundle"
    file.write_bytes(changed(golden, receipt=fake_receipt(bundle.image_id, bundle.journal)))
    result = subprocess.run(
        [sys.executable, "-m", "platformless.prover", "verify", "--json", str(file)],
        env={"RISC0_DEV_MODE": "1", "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert msgspec.json.decode(result.stdout)["error"]["code"] == "VER-202"


def test_a_receipt_inside_a_receipt_is_not_a_way_in(golden: bytes) -> None:
    """Ten thousand nested assumptions end in a rejection, not in a crash of ours."""
    nested = struct.pack("<IQQI", 0, 0, 1, 0) * 10_000
    with pytest.raises((MalformedReceipt, VerifierTrapped)):
        verify_bundle(changed(golden, receipt=nested))


# --- image id


def test_an_untrusted_image_is_rejected(golden: bytes) -> None:
    for at in (0, 31):
        other = flipped(Bundle.decode(golden).image_id, at)
        with pytest.raises(UntrustedImage) as caught:
            verify_bundle(changed(golden, image_id=other))
        assert caught.value.expected == trusted_images()["session"]


def test_trusting_another_image_does_not_make_this_a_proof_of_it(golden: bytes) -> None:
    other = ImageId(b"\x42" * 32)
    with pytest.raises(ImageMismatch):
        verify_bundle(changed(golden, image_id=other.value), Policy(images={"session": other}))


def test_a_policy_without_the_claim_kind_trusts_nothing(golden: bytes) -> None:
    with pytest.raises(UntrustedImage):
        verify_bundle(golden, Policy(images={}))


def test_a_real_proof_of_a_weaker_guest_is_rejected_by_its_image_id(verifier: Verifier) -> None:
    data = WEAK_BUNDLE.read_bytes()
    weak = Bundle.decode(data)
    with pytest.raises(UntrustedImage) as caught:
        verify_bundle(data, verifier=verifier)
    assert caught.value.got == weak.image
    # It is a real proof: whoever trusted that guest would be told more tokens than were completed.
    fooled = verify_bundle(data, Policy(images={"session": weak.image}), verifier)
    honest = SessionRecord.decode(RECORD.read_bytes()).window(0).claim()
    assert fooled.claim.tokens > honest.tokens
    # Nor does it pass under the trusted name.
    with pytest.raises(ImageMismatch):
        verify_bundle(
            msgspec.structs.replace(weak, image_id=trusted_images()["session"].value).encode(),
            verifier=verifier,
        )


# --- the other fields of the bundle


@pytest.mark.parametrize(
    ("fields", "error", "step"),
    [
        ({"claim_kind": "sample"}, UnknownClaimKind, Step.PARSE),
        ({"assurance": "sampled"}, OverstatedAssurance, Step.PARSE),
        ({"assurance": "replayed"}, OverstatedAssurance, Step.PARSE),
        ({"format": 2}, MalformedBundle, Step.PARSE),
        ({"format": 0}, MalformedBundle, Step.PARSE),
        ({"zkvm": "risc0-zkvm 5.0.0-rc.1"}, ForeignProofSystem, Step.RECEIPT_KIND),
        ({"verifier_parameters": bytes(32)}, ForeignProofSystem, Step.RECEIPT_KIND),
        ({"acknowledgement": None}, AcknowledgementMissing, Step.ACKNOWLEDGEMENT),
        ({"acknowledgement": bytes(65)}, AcknowledgementInvalid, Step.ACKNOWLEDGEMENT),
    ],
)
def test_each_field_is_rejected_for_its_own_reason(
    golden: bytes, fields: dict[str, Any], error: type[Rejection], step: Step
) -> None:
    policy = Policy(acknowledgement=Acknowledgement(required=True))
    with pytest.raises(error) as caught:
        verify_bundle(changed(golden, **fields), policy)
    assert caught.value.step is step


def test_a_changed_acknowledgement_is_another_signer(golden: bytes) -> None:
    signature = Bundle.decode(golden).acknowledgement or b""
    with pytest.raises((AcknowledgementForeign, AcknowledgementInvalid)):
        verify_bundle(changed(golden, acknowledgement=flipped(signature, 40)))


def test_unknown_fields_and_damaged_bytes_are_malformed(golden: bytes) -> None:
    fields = msgspec.structs.asdict(Bundle.decode(golden))
    extended = MAGIC + msgspec.msgpack.encode({**fields, "note": "x"})
    for data in (extended, golden[:-1], golden + b"\0", b"", golden[1:], flipped(golden, 0)):
        with pytest.raises(MalformedBundle):
            verify_bundle(data)


# --- the sandbox


def test_threads_verify_in_parallel(golden: bytes, verifier: Verifier) -> None:
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda _: verify_bundle(golden, verifier=verifier), range(8)))
    assert len({report.fuel for report in reports}) == 1


def test_a_verification_stays_small(golden: bytes, verifier: Verifier) -> None:
    report = verify_bundle(golden, verifier=verifier)
    assert report.verifier_memory_bytes < 50 << 20


def test_verification_works_without_a_home_folder() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "platformless.prover", "verify", str(BUNDLE)],
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_running_out_of_fuel_is_a_rejection(
    golden: bytes, verifier: Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platformless.audit.sandbox.FUEL_PER_RECEIPT_BYTE", 0)
    monkeypatch.setattr("platformless.audit.sandbox.FUEL_FIXED", 100_000_000)
    with pytest.raises(VerifierTrapped, match="fuel"):
        verify_bundle(golden, verifier=verifier)


def test_running_out_of_memory_is_a_rejection(
    golden: bytes, verifier: Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platformless.audit.sandbox.MEMORY_PER_RECEIPT_BYTE", 0)
    monkeypatch.setattr("platformless.audit.sandbox.MEMORY_FIXED_BYTES", 28 * 65536)
    with pytest.raises(VerifierTrapped):
        verify_bundle(golden, verifier=verifier)


def test_a_module_that_is_not_the_released_one_is_not_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from platformless.audit import release

    read = release._read
    monkeypatch.setattr(
        release, "_read", lambda name: read(name) + (b"\0" if name.endswith(".wasm") else b"")
    )
    with pytest.raises(VerifierDamaged):
        release.verifier_module()
    with pytest.raises(VerifierDamaged):
        Verifier(b"\0asm")
