"""`prove-session audit` and `aggregate` as an auditor runs them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from platformless.protocol.record import EntryRecord, HeaderRecord
from tests.data.make_aggregate import BUNDLE as AGGREGATE
from tests.data.make_recovery import SESSION_ID

from .sampling import sample_honestly, trusted_model
from .stage import Stage


async def command(stage: Stage, name: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Runs it with the stage's chain and portal."""
    environment = stage.folder / ".env"
    pairs = stage.world.dev_chain.environment().items()
    environment.write_text("".join(f"{key}={value}\n" for key, value in pairs))
    full = [sys.executable, "-m", "platformless.prover", name, str(SESSION_ID)]
    full += ["--portal", stage.portal.url, "--env-file", str(environment)]
    full += ["--portal-patience", "1", *more]
    return await asyncio.to_thread(
        subprocess.run, full, capture_output=True, text=True, timeout=120, check=False
    )


def saved(stage: Stage, path: Path) -> str:
    """The client's session as the client saves it, as far as an auditor reads it."""
    transcript = stage.transcript
    document = {
        "format": "client-session/1",
        "header": HeaderRecord.of(transcript.header),
        "entries": [EntryRecord.of(entry) for entry in transcript.entries],
    }
    path.write_bytes(msgspec.json.encode(document))
    return str(path)


async def test_an_honest_session(stage: Stage, tmp_path: Path) -> None:
    await stage.be_honest()
    await stage.settle()
    page, index = tmp_path / "report.html", tmp_path / "index.json"
    index.write_bytes(stage.index())
    done = await command(
        stage,
        "audit",
        *("--transcript", saved(stage, tmp_path / "session.json"), "--index", str(index)),
        *("--html", str(page), "--require-settled", "--deltas", "read", "--require-index"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "accepted, level accounting" in done.stdout
    assert "1,000 billed, 1,000 proven" in done.stdout
    assert "not covered" in done.stdout
    assert "<html" in page.read_text()


async def test_a_dishonest_session(stage: Stage) -> None:
    await stage.open()
    await stage.submit(0, tokens=1_000)
    done = await command(stage, "audit")
    assert done.returncode == 1, done.stderr
    assert "VER-601" in done.stdout
    assert "The proof is of something else than the chain bills for." in done.stdout
    told = await command(stage, "audit", "--json")
    assert told.returncode == 1
    document = json.loads(told.stdout)
    assert (document["format"], document["outcome"]) == ("prove-session/1", "rejected")
    assert document["audit"]["format"] == "session-audit/1"
    assert "VER-601" in {one["code"] for one in document["audit"]["findings"]}


async def test_a_policy_file_and_flags(stage: Stage, tmp_path: Path) -> None:
    await stage.open()
    await stage.submit(0)
    await stage.submit(1, proof_cid="")
    policy = tmp_path / "policy.toml"
    policy.write_text("most_unproven_tokens = 100000\n")
    assert (await command(stage, "audit", "--policy", str(policy))).returncode == 0
    strict = await command(stage, "audit", "--policy", str(policy), "--most-unproven-tokens", "0")
    assert strict.returncode == 1
    assert "AUD-602" in strict.stdout
    policy.write_text("most_unproven_token = 1\n")
    broken = await command(stage, "audit", "--policy", str(policy))
    assert broken.returncode == 2
    assert "AUD-610" in broken.stderr


async def test_samples_are_asked_for_by_flags(stage: Stage, tmp_path: Path) -> None:
    """The released verifier is asked here, so a stand-in for a receipt is no proof."""
    await sample_honestly(stage, 0)
    index = tmp_path / "index.json"
    index.write_bytes(stage.index())
    root, facts = trusted_model()
    trusting = ("--index", str(index), "--trust-model", f"{root}={facts}")
    done = await command(stage, "audit", "--json", *trusting)
    assert done.returncode == 1
    document = json.loads(done.stdout)["audit"]
    assert [one["sample"]["state"] for one in document["checkpoints"]] == ["rejected", "missing"]
    assert document["policy"]["models"] == {str(root): str(facts)}
    stage.samples.clear()
    index.write_bytes(stage.index())
    done = await command(stage, "audit", *trusting)
    assert done.returncode == 0, done.stdout
    assert "AUD-341" in done.stdout
    for more in (("--minimum-assurance", "sampled"), ("--require-samples",)):
        done = await command(stage, "audit", *trusting, *more)
        assert done.returncode == 1, done.stdout
    rare = ("--sample-one-in", str(2**20), "--require-samples", "--minimum-assurance", "sampled")
    done = await command(stage, "audit", *trusting, *rare)
    assert done.returncode == 0, done.stdout
    assert "level sampled" in done.stdout
    assert "not drawn" in done.stdout


@pytest.mark.parametrize(
    ("more", "status"),
    [
        (("--replay", "guess"), 2),
        (("--model", "/no/such/file.gguf"), 2),
        (("--transcript", "/no/such/file.json"), 2),
        (("--minimum-assurance", "proven"), 2),
        (("--sample", "/no/such/file.bundle"), 2),
        (("--sample-draws", "1", "--trust-model", "0x12"), 2),
        (("--trust-model", "0x12=0x34"), 2),
        (("--trust-image", "trace=00"), 2),
        (("--receipt-kind", "fake"), 2),
        (("--trust-image", "session"), 2),
        (("--marketplace", "0x12"), 2),
        (("--whole-session", "neither"), 2),
    ],
)
async def test_bad_input(stage: Stage, more: tuple[str, ...], status: int) -> None:
    done = await command(stage, "audit", "--json", *more)
    assert done.returncode == status, done.stdout
    assert json.loads(done.stdout)["error"]["code"]


async def test_an_unknown_session(stage: Stage) -> None:
    done = await command(stage, "audit", "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["error"]["code"] == "CHN-401"


async def test_one_proof_for_all_checkpoints(stage: Stage, tmp_path: Path) -> None:
    """The proof that is committed is taken; that one can be made, `tests/proof` shows."""
    await stage.be_honest()
    done = await command(stage, "audit", "--whole-session", str(AGGREGATE), "--json")
    assert done.returncode == 0, done.stdout
    document = json.loads(done.stdout)["audit"]
    assert document["whole_session"]["bytes"] == AGGREGATE.stat().st_size
    cid = await stage.put(AGGREGATE.read_bytes())
    assert (await command(stage, "audit", "--whole-session", cid)).returncode == 0
    target = tmp_path / "no" / "folder.bundle"
    refused = await command(stage, "aggregate", "--out", str(target))
    assert refused.returncode == 2


async def test_nothing_to_aggregate(stage: Stage) -> None:
    await stage.open()
    done = await command(stage, "aggregate", "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["error"]["code"] == "AUD-505"
