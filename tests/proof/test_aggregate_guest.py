"""The guest `aggregate`, run by the executor, and what may not be joined at all."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from platformless.audit.errors import (
    AcknowledgementForeign,
    InvalidSeal,
    MalformedBundle,
    Rejection,
    UntrustedImage,
)
from platformless.audit.policy import Acknowledgement
from platformless.audit.release import trusted_images
from platformless.audit.sandbox import Verifier
from platformless.audit.verify import Policy
from platformless.audit.whole_session import verify_aggregate
from platformless.protocol.acknowledgement import sign
from platformless.protocol.aggregate import MAX_PARTS, AggregateClaim, aggregate_witness
from platformless.protocol.bundle import MAX_BUNDLE_BYTES, Bundle
from platformless.protocol.claim import CLAIM_BYTES, SessionClaim
from platformless.protocol.digests import ImageId, StateDigest
from platformless.protocol.errors import ProtocolError, ValueOutOfRange, WindowError
from platformless.protocol.transcript import Tokens
from platformless.prover import aggregate as aggregating
from platformless.prover.aggregate import AggregateProof, aggregate_bundles, require_fitting
from platformless.prover.errors import ProverRefused
from platformless.prover.messages import Execution
from platformless.prover.process import StarkProver

from ..samples import FIRST
from ..vectors.make import FILE, PART_IMAGE
from .conftest import BUNDLE, WEAK_BUNDLE
from .receipts import fake_receipt, ok_claim_digest, seal_range
from .test_aggregate import changed, claim_of

Execute = Callable[..., Execution]
IMAGE = trusted_images()["session"]
VECTORS = json.loads(FILE.read_text())


@pytest.fixture(scope="module")
def execute(prover_binary: Path) -> Any:
    """Executes the guest in one prover process."""
    with asyncio.Runner() as runner:
        prover = StarkProver(prover_binary)

        async def run(witness: bytes, options: dict[str, Any]) -> Execution:
            return await prover.execute(witness, image="aggregate", **options)

        yield lambda witness, **options: runner.run(run(witness, options))
        runner.run(prover.close())


@pytest.fixture
def receipt_files(parts: list[bytes], tmp_path: Path) -> list[Path]:
    paths = [tmp_path / str(number) for number in range(len(parts))]
    for path, part in zip(paths, parts, strict=True):
        path.write_bytes(Bundle.decode(part).receipt)
    return paths


def of_two(parts: list[bytes]) -> bytes:
    return aggregate_witness(IMAGE, [claim_of(part) for part in parts])


def chain_of(count: int) -> list[SessionClaim]:
    """Claims of consecutive checkpoints of a hundred tokens each."""
    state = [StateDigest(number.to_bytes(32, "big")) for number in range(count + 1)]
    return [
        dataclasses.replace(
            FIRST.claim(),
            checkpoint=number,
            tokens_before=Tokens(100 * number),
            tokens_after=Tokens(100 * number + 100),
            state_before=state[number],
            state_after=state[number + 1],
        )
        for number in range(count)
    ]


def assumed(image: ImageId, claims: list[SessionClaim]) -> list[bytes]:
    return [ok_claim_digest(image.value, claim.encode()) for claim in claims]


# --- the guest says what Python says, and refuses what it must


def test_the_guest_agrees_with_every_vector(execute: Execute) -> None:
    for case in VECTORS["aggregates"]:
        digests = [bytes.fromhex(digest) for digest in case["assumed"]]
        execution = execute(bytes.fromhex(case["witness"]), assumed=digests)
        assert execution.journal == case["claim"], case["name"]
        assert execution.image_id == trusted_images()["aggregate"].value.hex()


def test_the_guest_refuses_every_broken_witness_for_its_own_reason(execute: Execute) -> None:
    for case in VECTORS["broken_aggregates"]:
        witness = bytes.fromhex(case["witness"])
        # Every part counts as proven: none of these is refused for want of a proof.
        digests = [
            ok_claim_digest(PART_IMAGE.value, witness[at : at + CLAIM_BYTES])
            for at in range(64, len(witness) - CLAIM_BYTES + 1, CLAIM_BYTES)
        ]
        with pytest.raises(ProverRefused) as caught:
            execute(witness, assumed=digests)
        assert caught.value.prover_code == "STP-011", case["name"]
        assert case["fault"] in caught.value.message, case["name"]


@pytest.mark.parametrize(("count", "po2"), [(2, [15]), (10, [16]), (100, [19])])
def test_cycles_stay_within_their_power_of_two(
    execute: Execute, count: int, po2: list[int]
) -> None:
    """Deterministic: the figure that decides the cost of a proof on any machine."""
    claims = chain_of(count)
    execution = execute(aggregate_witness(IMAGE, claims), assumed=assumed(IMAGE, claims))
    assert execution.segment_po2 == po2


def test_the_longest_session_fits_and_the_next_is_refused(execute: Execute) -> None:
    claims = chain_of(MAX_PARTS + 1)
    longest = claims[:-1]
    execution = execute(aggregate_witness(IMAGE, longest), assumed=assumed(IMAGE, longest))
    assert execution.journal == AggregateClaim.of(IMAGE, longest).encode().hex()
    with pytest.raises(ValueOutOfRange):
        AggregateClaim.of(IMAGE, claims)
    with pytest.raises(ProverRefused, match="GST-103"):
        execute(aggregate_witness(IMAGE, claims))


# --- every part needs its own receipt


def test_the_receipts_of_the_parts_are_enough(
    execute: Execute, parts: list[bytes], receipt_files: list[Path]
) -> None:
    claims = [claim_of(part) for part in parts]
    expected = AggregateClaim.of(IMAGE, claims).encode().hex()
    assert execute(of_two(parts), assumptions=receipt_files).journal == expected
    # Neither their order nor one too many matters: each is found by what it proves.
    assert execute(of_two(parts), assumptions=receipt_files[::-1] * 2).journal == expected


def test_a_part_without_a_receipt_ends_the_run(
    execute: Execute, parts: list[bytes], receipt_files: list[Path], tmp_path: Path
) -> None:
    foreign = tmp_path / "foreign"
    foreign.write_bytes(Bundle.decode(BUNDLE.read_bytes()).receipt)
    other_image = aggregate_witness(ImageId(b"\x42" * 32), [claim_of(part) for part in parts])
    for witness, files in (
        (of_two(parts), []),
        (of_two(parts), receipt_files[:1]),
        (of_two(parts), receipt_files[1:]),
        (of_two(parts), [receipt_files[0], foreign]),
        (other_image, receipt_files),
    ):
        with pytest.raises(ProverRefused) as caught:
            execute(witness, assumptions=files)
        assert caught.value.prover_code == "STP-021"


def test_an_assumption_that_is_none_is_refused(
    execute: Execute, parts: list[bytes], receipt_files: list[Path], tmp_path: Path
) -> None:
    first = Bundle.decode(parts[0])
    at = seal_range(first.receipt)[1000]
    damaged = first.receipt[:at] + bytes([first.receipt[at] ^ 1]) + first.receipt[at + 1 :]
    with (tmp_path / "large").open("wb") as large:
        large.truncate((64 << 20) + 1)
    for content, code in (
        (b"", "STP-019"),
        (b"hello", "STP-019"),
        (first.receipt[:-1], "STP-019"),
        (first.receipt + b"\0", "STP-019"),
        (fake_receipt(first.image_id, first.journal), "STP-019"),
        (damaged, "STP-020"),
    ):
        file = tmp_path / "bad"
        file.write_bytes(content)
        with pytest.raises(ProverRefused) as caught:
            execute(of_two(parts), assumptions=[receipt_files[1], file])
        assert caught.value.prover_code == code, content[:40]
    for files in ([tmp_path / "none"], [tmp_path / "large"], [tmp_path], receipt_files[:1] * 501):
        with pytest.raises(ProverRefused) as caught:
            execute(of_two(parts), assumptions=files)
        assert caught.value.prover_code == "STP-019"
    assert execute(of_two(parts), assumptions=receipt_files).segments == 1


# --- joining bundles


async def refuse(bundles: list[bytes], error: type[Exception], reason: str | None = None) -> None:
    """Refused before any prover starts: the path of this one does not exist."""
    async with StarkProver(Path("/no/such/prover")) as prover:
        with pytest.raises(error, match=reason):
            await aggregate_bundles(prover, bundles)


async def test_bundles_that_do_not_join_are_refused(parts: list[bytes]) -> None:
    first, second = parts
    other_session = BUNDLE.read_bytes()
    await refuse([], ValueOutOfRange, "no checkpoints")
    await refuse([second, first], WindowError, "checkpoint number")
    await refuse([first, first], WindowError, "checkpoint number")
    await refuse([first, second, second], WindowError, "checkpoint number")
    await refuse([first, other_session], WindowError, "session header")
    await refuse([other_session, second], WindowError, "session header")


async def test_bundles_that_are_not_accepted_are_refused(parts: list[bytes]) -> None:
    first, second = parts
    receipt = Bundle.decode(first).receipt
    damaged = receipt[:5000] + bytes([receipt[5000] ^ 1]) + receipt[5001:]
    await refuse([first, second[:-1]], MalformedBundle)
    await refuse([WEAK_BUNDLE.read_bytes(), second], UntrustedImage)
    await refuse([changed(first, receipt=damaged), second], InvalidSeal)
    fake = fake_receipt(IMAGE.value, Bundle.decode(second).journal)
    await refuse([first, changed(second, receipt=fake)], Rejection)


async def test_parts_that_do_not_fit_one_bundle_are_refused_before_work(
    parts: list[bytes], prover_binary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aggregating, "MAX_BUNDLE_BYTES", 1 << 20)
    async with StarkProver(prover_binary) as prover:
        with pytest.raises(ProtocolError, match="do not fit one bundle"):
            await aggregate_bundles(prover, parts)
    receipt_bytes = len(Bundle.decode(parts[0]).receipt)
    assert MAX_BUNDLE_BYTES // receipt_bytes > 300


@pytest.mark.parametrize(
    ("whole_kind", "part_kind", "fits"),
    [
        ("composite", "composite", True),
        ("composite", "succinct", False),
        ("composite", "groth16", False),
        ("succinct", "composite", True),
        ("succinct", "succinct", True),
        ("succinct", "groth16", False),
    ],
)
def test_the_kinds_of_receipt_that_go_into_another(
    parts: list[bytes], whole_kind: str, part_kind: str, fits: bool
) -> None:
    bundles = [Bundle.decode(parts[0]), Bundle.decode(changed(parts[1], receipt_kind=part_kind))]
    if fits:
        require_fitting(bundles, whole_kind)
        return
    with pytest.raises(ValueOutOfRange, match="receipt of part 1") as caught:
        require_fitting(bundles, whole_kind)
    assert caught.value.got == part_kind


async def test_a_session_is_joined_proven_and_verified_from_end_to_end(
    parts: list[bytes], prover_binary: Path, verifier: Verifier
) -> None:
    """The one new proof of a whole session, acknowledged by another than its client."""
    key = b"\x07" * 32
    async with StarkProver(prover_binary) as prover:
        report: AggregateProof = await aggregate_bundles(prover, parts, receipt_kind="succinct")
    assert report.proof.receipt_kind in ("composite", "succinct")
    assert report.requested_receipt_kind == "succinct"
    claims = [claim_of(part) for part in parts]
    assert verify_aggregate(report.data, verifier=verifier).claim == AggregateClaim.of(
        IMAGE, claims
    )
    assert report.to_json()["verification"]["claim"]["tokens"] == 1000
    acknowledged = changed(report.data, acknowledgement=sign(claims[-1], key).value)
    with pytest.raises(AcknowledgementForeign):
        verify_aggregate(
            acknowledged, Policy(acknowledgement=Acknowledgement(required=True)), verifier
        )
