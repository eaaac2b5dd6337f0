"""`prove-session` on bundles of sampled cells, and on model files.

`verify` runs here in the process of the test, so that a stand-in can take the place of the verifier
for the receipt, whose proof takes minutes (`tests.sampled_cells`). The other commands are real.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from platformless.audit import sample
from platformless.audit.model_file import identify_model
from platformless.engine.model import packaged_model
from platformless.protocol.bundle import Bundle
from platformless.protocol.claim import SessionClaim
from platformless.protocol.sample.claim import SampleClaim
from platformless.prover.cli import app
from tests.data.make_traced import BUNDLES as TRACED

from ..sampled_cells import StandIn, bundle_of, claim_of
from .conftest import BUNDLE, SAMPLED_BUNDLE
from .test_cli import run, run_json

CHECKPOINT = TRACED[0]


@pytest.fixture
def claim() -> SampleClaim:
    """Of the checkpoint, computed with the packaged model."""
    facts = identify_model(packaged_model()).facts
    assert facts is not None
    return claim_of(
        SessionClaim.decode(Bundle.decode(CHECKPOINT.read_bytes()).journal), model=facts
    )


def verified(folder: Path, claim: SampleClaim, *options: str) -> Result:
    file = folder / "sampled.bundle"
    file.write_bytes(bundle_of(claim).encode())
    runner = CliRunner(env={"COLUMNS": "160"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample, "released_verifier", StandIn)
        return runner.invoke(app, ["verify", str(file), *options])


def everything(claim: SampleClaim) -> tuple[str, ...]:
    return (
        *("--checkpoint-bundle", str(CHECKPOINT), "--model", str(packaged_model())),
        *("--beacon", f"{claim.beacon_number}:{claim.beacon}"),
    )


def test_alone_it_says_what_was_not_checked(tmp_path: Path, claim: SampleClaim) -> None:
    result = verified(tmp_path, claim)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("not checked:") == 4
    assert "too little was compared for level sampled" in result.stdout
    assert "accepted" not in result.stdout
    for text in ("2 of each of 21 kinds", "1-(1-f)^2", "choice of tokens", "not covered"):
        assert text in result.stdout
    document = json.loads(verified(tmp_path, claim, "--json").stdout)
    assert document["verification"]["assurance"] is None
    assert len(document["verification"]["unchecked"]) == 4


def test_with_checkpoint_model_and_beacon_it_is_sampled(tmp_path: Path, claim: SampleClaim) -> None:
    result = verified(tmp_path, claim, *everything(claim))
    assert result.exit_code == 0, result.output
    assert "accepted, level sampled" in result.stdout
    assert result.stdout.count("not checked:") == 1
    document = json.loads(verified(tmp_path, claim, *everything(claim), "--json").stdout)
    assert document["verification"]["assurance"] == "sampled"
    assert document["verification"]["unchecked"] == ["earlier contexts"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"tokens_after": 701}, "VER-802"),
        ({"beacon_number": 1}, "VER-805"),
        ({"model": claim_of(SessionClaim.decode(Bundle.decode(BUNDLE.read_bytes()).journal)).model},
         "VER-809"),
    ],
)  # fmt: skip
def test_what_is_not_so_is_rejected(
    tmp_path: Path, claim: SampleClaim, change: dict[str, Any], code: str
) -> None:
    result = verified(tmp_path, replace(claim, **change), *everything(claim), "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["code"] == code


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (("--beacon", "12"), 2),
        (("--beacon", "12:0x34"), 2),
        (("--model", "/no/such/file.gguf"), 2),
        (("--checkpoint-bundle", "/no/such/file.bundle"), 2),
        (("--expect-tokens", "0:700"), 2),
        (("--expect-chain", "1"), 1),
        (("--require-acknowledgement",), 1),
    ],
)
def test_options_that_do_not_fit(
    tmp_path: Path, claim: SampleClaim, options: tuple[str, ...], status: int
) -> None:
    result = verified(tmp_path, claim, *options, "--json")
    assert result.exit_code == status, result.output
    assert json.loads(result.stdout)["error"]["code"]


def test_a_checkpoint_s_bundle_takes_no_options_of_samples() -> None:
    status, document = run_json("verify", BUNDLE, "--beacon", "1:0x" + "00" * 32)
    assert (status, document["error"]["code"]) == (2, "CLI-001")


def test_inspect_shows_the_claim(tmp_path: Path, claim: SampleClaim) -> None:
    file = tmp_path / "sampled.bundle"
    file.write_bytes(bundle_of(claim).encode())
    result = run("inspect", file, COLUMNS="160")
    assert result.returncode == 0
    for text in ("not verified", "model facts", f"block {claim.beacon_number}", "21 kinds"):
        assert text in result.stdout
    status, document = run_json("inspect", file)
    assert (status, document["bundle"]["assurance"]) == (0, "sampled")
    assert document["claim"]["beacon_block"] == claim.beacon_number


def test_a_real_proof_is_accepted_for_what_was_compared() -> None:
    status, document = run_json("verify", SAMPLED_BUNDLE, "--model", packaged_model())
    verification = document["verification"]
    assert (status, verification["assurance"]) == (0, None)
    assert verification["coverage"]["model facts"] == "checked"
    assert "beacon" in verification["unchecked"]


def test_what_a_claim_leaves_out_is_shown(tmp_path: Path, claim: SampleClaim) -> None:
    file = tmp_path / "less.bundle"
    file.write_bytes(bundle_of(replace(claim, cells=claim.cells[1:])).encode())
    assert "kinds left out" in run("inspect", file).stdout


def test_a_model_has_names() -> None:
    found = identify_model(packaged_model())
    status, document = run_json("model", packaged_model())
    assert (status, document["outcome"]) == (0, "traceable")
    assert document["model"] == found.to_json()
    assert document["model"]["problem"] is None
    result = run("model", packaged_model())
    assert f"--trust-model {found.weights_root}={found.facts}" in result.stdout


def test_a_model_that_cannot_be_traced_says_why(tmp_path: Path) -> None:
    data = packaged_model().read_bytes().replace(b"llama.rope.freq_base", b"llama.rope.freq_bose")
    file = tmp_path / "other.gguf"
    file.write_bytes(data)
    status, document = run_json("model", file)
    assert (status, document["outcome"]) == (1, "not traceable")
    model = document["model"]
    assert model["model_facts"] is None
    assert model["problem"]["code"] == "ENG-501"
    assert model["weights_root"] == str(identify_model(packaged_model()).weights_root)
    assert "cannot be traced" in run("model", file).stdout


def test_what_is_no_model_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "no.gguf"
    file.write_bytes(b"nothing")
    assert run("model", file).returncode in (2, 3)
    assert run("model", tmp_path / "none.gguf").returncode == 2
