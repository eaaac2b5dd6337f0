"""The model file and the prover: real files, a real llama.cpp, a real stark-prover."""

from __future__ import annotations

import stat
from pathlib import Path

import gguf
import numpy as np
import pytest

from platformless.chain.devchain import DevChain
from platformless.chain.model_registry import FileHash, ModelFile
from platformless.node.doctor.finding import Level

from .conftest import MODEL, Patient, levels


@pytest.fixture
def foreign_model(tmp_path: Path) -> Path:
    """A GGUF file of an architecture that no llama.cpp has."""
    path = tmp_path / "foreign.gguf"
    writer = gguf.GGUFWriter(path, "nonesuch")
    writer.add_tensor("weights", np.ones((4, 32), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


async def test_the_registered_model_is_well(patient: Patient) -> None:
    report = await patient.examined("model")
    found = [finding for finding in report.findings if finding.name.startswith("model")]
    assert levels(found) == [Level.OK, Level.OK]
    assert "llama" in found[0].says
    assert "approved" in found[1].says


async def test_the_packaged_model_is_not_meant_for_a_host(patient: Patient) -> None:
    assert (await patient.findings("model", MODEL_PATH=""))[0].level is Level.WARNING


@pytest.mark.parametrize("name", ["absent.gguf", "text.gguf"])
async def test_no_model_is_told(patient: Patient, tmp_path: Path, name: str) -> None:
    (tmp_path / "text.gguf").write_text("a letter")
    [found] = await patient.findings("model", MODEL_PATH=tmp_path / name)
    assert found.level is Level.ERROR
    assert found.advice


async def test_a_damaged_model_is_told(patient: Patient, tmp_path: Path) -> None:
    path = tmp_path / "short.gguf"
    path.write_bytes(MODEL.read_bytes()[: 10 << 20])
    [found] = await patient.findings("model", MODEL_PATH=path)
    assert (found.level, "outside of the file" in found.says) == (Level.ERROR, True)


async def test_an_architecture_that_llama_cpp_lacks_is_told(
    patient: Patient, foreign_model: Path
) -> None:
    found = await patient.findings("model", MODEL_PATH=foreign_model)
    assert levels(found) == [Level.ERROR, Level.ERROR]
    assert "nonesuch" in found[0].says
    assert "NOD-105" in found[1].advice


async def test_a_model_no_longer_approved_is_told(patient: Patient) -> None:
    world = patient.world
    await world.send("owner", world.models.withdraw_approval(world.model_id))
    try:
        found = await patient.findings("model")
    finally:
        await world.send("owner", world.models.renew_approval(world.model_id))
    assert levels(found) == [Level.OK, Level.WARNING]


async def test_a_model_that_the_host_does_not_list_is_told(patient: Patient) -> None:
    world = patient.world
    await world.register("host-2")
    key = "0x" + world.account("host-2").key.hex()
    other = ModelFile("owner/repository", "another.gguf", FileHash(b"\x07" * 32))
    await world.send("owner", world.models.approve(other))
    await world.send("host-2", world.nodes.set_models((other.id,)))
    try:
        found = await patient.findings("model", HOST_PRIVATE_KEY=key)
    finally:
        await world.send("host-2", world.nodes.set_models((world.model_id,)))
    assert levels(found) == [Level.OK, Level.ERROR]
    assert "update-registration" in found[1].advice


async def test_without_the_chain_the_file_is_looked_at_all_the_same(
    patient: Patient, dev_chain: DevChain
) -> None:
    assert dev_chain.is_running
    found = await patient.findings("model", RPC_URL="http://127.0.0.1:1")
    assert levels(found) == [Level.OK, Level.SKIPPED]


async def test_without_traces_nothing_is_said_of_them(patient: Patient, tmp_path: Path) -> None:
    found = await patient.finding("trace", MODEL_PATH=tmp_path / "absent.gguf")
    assert (found.level, found.says) == (Level.SKIPPED, "TRACE is off")


async def test_a_model_that_can_be_traced_is_well(patient: Patient) -> None:
    found = await patient.finding("trace", TRACE="sampled", TRACE_ONE_IN=9, SAMPLE_DRAWS=2)
    assert found.level is Level.OK
    assert (MODEL.name in found.says, "1 of 9" in found.says) == (True, True)
    assert "42 cells" in found.says  # 2 of each of 21 kinds
    always = await patient.finding("trace", TRACE="always", MODEL_PATH="")
    assert "all checkpoints" in always.says


async def test_a_model_that_cannot_be_traced_is_told_with_its_code(
    patient: Patient, foreign_model: Path
) -> None:
    found = await patient.finding("trace", TRACE="always", MODEL_PATH=foreign_model)
    assert (found.level, "ENG-501" in found.says) == (Level.ERROR, True)
    assert "switch tracing off" in found.advice


async def test_a_llama_cpp_that_computes_otherwise_is_told(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llama_cpp.llama_print_system_info", lambda: b"CPU : SSE3 = 1 | ")
    found = await patient.finding("trace", TRACE="always")
    assert (found.level, "ENG-503" in found.says) == (Level.ERROR, True)
    assert found.advice


async def test_without_a_model_file_its_own_finding_says_so(
    patient: Patient, tmp_path: Path
) -> None:
    found = await patient.finding("trace", TRACE="always", MODEL_PATH=tmp_path / "absent.gguf")
    assert (found.level, "model file" in found.says) == (Level.SKIPPED, True)


async def test_a_trace_setting_that_is_wrong_is_not_guessed(patient: Patient) -> None:
    report = await patient.examined("trace", TRACE="perhaps")
    levels_of = {finding.name: finding.level for finding in report.findings}
    assert levels_of["trace"] is Level.SKIPPED
    assert Level.ERROR in levels_of.values()


async def test_the_prover_of_this_release_is_well(patient: Patient) -> None:
    found = await patient.findings("prover")
    assert Level.OK in levels(found)
    assert Level.ERROR not in levels(found)


async def test_a_missing_prover_is_told(
    patient: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STARK_PROVER", str(tmp_path / "absent"))
    monkeypatch.setenv("STARK_PROVER_CUDA", str(tmp_path / "absent"))
    found = await patient.finding("prover")
    assert (found.level, "PRV-001" in found.says) == (Level.ERROR, True)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("exit 7", "does not start"),
        (
            """read line; echo '{"id":"info-1","result":{"version":"9","zkvm":"risc0-zkvm 3.0.6",\
"images":{"session":"00"},"device":"cpu","succinct":false,"max_request_bytes":1}}'; cat""",
            "another release",
        ),
    ],
)
async def test_a_prover_that_is_another_is_told(
    patient: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, says: str
) -> None:
    binary = tmp_path / "stark-prover"
    binary.write_text(f"#!/bin/sh\n{script}\n")
    binary.chmod(stat.S_IRWXU)
    monkeypatch.setenv("STARK_PROVER", str(binary))
    monkeypatch.setenv("STARK_PROVER_CUDA", str(tmp_path / "absent"))
    found = await patient.finding("prover")
    assert (found.level, says in found.says) == (Level.ERROR, True), found
