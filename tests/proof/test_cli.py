"""`prove-session`: exit statuses, one JSON object, and a real proof from end to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from platformless.audit.verify import verify_bundle
from platformless.protocol.record import SessionRecord

from .conftest import BUNDLE, RECORD, WEAK_BUNDLE, WHOLE_BUNDLE

COMMAND = Path(sys.executable).with_name("prove-session")


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def run_json(*arguments: str | Path, **environment: str) -> tuple[int, dict[str, Any]]:
    result = run(*arguments, "--json", **environment)
    document: dict[str, Any] = json.loads(result.stdout)
    assert document["format"] == "prove-session/1"
    assert document["command"] == arguments[0]
    return result.returncode, document


EXPECTED = (
    "--expect-chain", "84532",
    "--expect-session", "1000",
    "--expect-marketplace", "0xD067719Ee4c514B5735d1aC0FfB46FECf2A9adA4",
    "--expect-host", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    "--expect-client", "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
    "--expect-tokens", "0:1000",
    "--require-acknowledgement",
)  # fmt: skip


def test_a_good_bundle_is_accepted() -> None:
    status, document = run_json("verify", BUNDLE, *EXPECTED)
    assert (status, document["outcome"]) == (0, "accepted")
    assert document["verification"]["claim"]["tokens"] == 1000
    assert [step["step"] for step in document["verification"]["steps"]] == [1, 2, 3, 4, 5, 6, 7]


def test_a_person_reads_what_is_proven_and_what_is_not() -> None:
    result = run("verify", BUNDLE, COLUMNS="120")
    assert result.returncode == 0
    for text in (
        "step 4  ok  proof",
        "nothing was expected",
        "token count",
        "proven",
        "model arithmetic",
        "not covered",
        "accepted",
    ):
        assert text in result.stdout
    assert result.stderr == ""


def test_a_whole_session_is_accepted_and_shown_like_a_checkpoint() -> None:
    status, document = run_json(
        "verify", WHOLE_BUNDLE, "--expect-session", "1", "--expect-tokens", "0:1000"
    )
    assert (status, document["outcome"]) == (0, "accepted")
    assert document["verification"]["claim"]["checkpoints"] == 2
    assert [step["step"] for step in document["verification"]["steps"]] == [1, 2, 3, 4, 5, 6, 7]
    status, document = run_json("verify", WHOLE_BUNDLE, "--expect-tokens", "0:999")
    assert (status, document["error"]["code"]) == (1, "VER-601")
    result = run("verify", WHOLE_BUNDLE, COLUMNS="120")
    assert "0 to 1 (2)" in result.stdout
    assert "guest of the parts" in result.stdout
    result = run("inspect", WHOLE_BUNDLE)
    assert (result.returncode, "not verified" in result.stdout) == (0, True)
    status, document = run_json("inspect", WHOLE_BUNDLE)
    assert len(document["claim"]["parts"]) == 2


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--expect-chain", "1", "1"),
        ("--expect-session", "7", "7"),
        ("--expect-tokens", "0:999", "0:999"),
        ("--expect-host", "0x" + "11" * 20, "0x" + "11" * 20),
    ],
)
def test_a_claim_that_is_not_expected_is_rejected(option: str, value: str, expected: str) -> None:
    status, document = run_json("verify", BUNDLE, option, value)
    assert (status, document["outcome"]) == (1, "rejected")
    error = document["error"]
    assert (error["step"], error["code"], error["expected"]) == ("6", "VER-601", expected)
    assert error["got"]


def test_a_rejection_names_the_step_what_was_expected_and_what_was_got() -> None:
    result = run("verify", WEAK_BUNDLE)
    assert result.returncode == 1
    for text in ("rejected", "step 3", "VER-301", "expected 0x", "got 0x"):
        assert text in result.stderr
    assert result.stdout == ""


def test_a_damaged_bundle_is_rejected(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.bundle"
    damaged.write_bytes(BUNDLE.read_bytes()[:-1])
    status, document = run_json("verify", damaged)
    assert (status, document["error"]["code"]) == (1, "VER-101")


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "no-such-file"],
        ["verify", str(BUNDLE), "--expect-tokens", "many"],
        ["verify", str(BUNDLE), "--expect-host", "0x12"],
        ["prove", str(RECORD), "--kind", "groth16"],
        ["prove", str(RECORD), "--out", "/no/such/folder/x.bundle"],
        ["prove", str(RECORD), "--checkpoint", "5"],
        ["prove", str(BUNDLE)],
        ["estimate", str(BUNDLE)],
        ["inspect", str(RECORD)],
    ],
)
def test_bad_input_ends_with_two_and_a_code(arguments: list[str]) -> None:
    status, document = run_json(*arguments)
    assert (status, document["outcome"]) == (2, "invalid")
    assert document["error"]["code"]


@pytest.mark.parametrize("arguments", [["verify"], ["explode"], ["verify", "a", "--wrong"], []])
def test_bad_usage_ends_with_two(arguments: list[str]) -> None:
    assert run(*arguments).returncode == 2


def test_what_cannot_run_ends_with_three() -> None:
    status, document = run_json("estimate", RECORD, STARK_PROVER="/no/such/prover")
    assert (status, document["outcome"]) == (3, "failed")
    assert document["error"]["code"] == "PRV-001"
    assert "make prover" in document["error"]["advice"]


def test_inspect_shows_without_vouching() -> None:
    result = run("inspect", BUNDLE)
    assert result.returncode == 0
    assert "not verified" in result.stdout
    status, document = run_json("inspect", WEAK_BUNDLE)
    assert (status, document["bundle"]["receipt_kind"]) == (0, "composite")


def test_an_estimate_counts_cycles_time_and_memory() -> None:
    status, document = run_json("estimate", RECORD)
    estimate = document["estimate"]
    assert status == 0
    assert estimate["tokens"] == 1000
    assert estimate["segment_po2"] == [15]
    assert estimate["seconds"] > 0
    assert estimate["memory_bytes"] > 100 << 20


def test_a_session_is_proven_and_verified_from_end_to_end(tmp_path: Path) -> None:
    """The one new proof of the suite."""
    out = tmp_path / "new.bundle"
    result = run("prove", RECORD, "--out", out, "--kind", "succinct", "--json")
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["outcome"] == "accepted"
    proof = document["proof"]
    assert proof["requested_receipt_kind"] == "succinct"
    assert proof["verification"]["receipt_kind"] in ("composite", "succinct")
    assert "executed:" in result.stderr
    assert "segment 1 of 1" in result.stderr

    report = verify_bundle(out.read_bytes())
    assert report.claim == SessionRecord.decode(RECORD.read_bytes()).window(0).claim()
    assert report.proof_hash != verify_bundle(BUNDLE.read_bytes()).proof_hash
    assert [path.name for path in tmp_path.iterdir()] == ["new.bundle"]
