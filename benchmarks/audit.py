"""Benchmark of the audit: `python -m benchmarks.audit` (or `make bench-audit`).

One session of a hundred checkpoints on a dev chain, with real proofs (`audit_proofs`), published to
the embedded portal; audited when it has 1, 10 and 100 checkpoints, and at the end with one proof
for all. Every audit is a process of its own, which tells its time and peak memory. Writes a table
(Markdown) and the raw figures (JSON) to `benchmarks/results/`.
"""

from __future__ import annotations

import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from platformless.audit.session.audit import audit_session
from platformless.audit.session.inputs import AuditInputs
from platformless.chain.connection import Chain
from platformless.chain.devchain import DevChain, start_dev_chain
from platformless.chain.money import Price
from platformless.chain.networks import network_from
from platformless.chain.session import ProofSubmission
from platformless.files import write_atomically
from platformless.protocol import delta as deltas
from platformless.protocol.digests import ProofHash
from platformless.protocol.transcript import Tokens
from platformless.prover.aggregate import aggregate_bundles
from platformless.prover.binary import find_prover
from platformless.prover.process import StarkProver
from platformless.storage.client import ClientSettings, PortalClient
from platformless.storage.portal.running import EmbeddedPortal
from platformless.storage.portal.settings import PortalSettings
from platformless.storage.portals import Portals
from tests.chain.world import World

from .audit_proofs import PRICE, SESSION_ID, LongCheckpoint, long_session, proofs_of
from .machine import machine

RESULTS = Path(__file__).parent / "results"
SIZES = (1, 10, 100)
RUNS = 5


@dataclass(frozen=True)
class Run:
    """One audit in a process of its own. CPU seconds are of all its threads."""

    seconds: float
    cpu_seconds: float
    process_seconds: float
    peak_mib: float
    accepted: bool
    tokens: int


@dataclass(frozen=True)
class Row:
    """Medians of `RUNS` runs."""

    what: str
    checkpoints: int
    seconds: float
    cpu_seconds: float
    process_seconds: float
    peak_mib: float
    bundle_bytes: int


def audit_in_this_process(job: dict[str, Any]) -> dict[str, Any]:
    """What a child does."""
    network = network_from(job["environment"])
    whole = Path(job["whole_session"]).read_bytes() if job["whole_session"] else None

    async def run() -> tuple[float, bool, int]:
        async with (
            Chain(network) as chain,
            Portals([PortalClient(ClientSettings(job["portal"]))]) as portals,
        ):
            started = time.monotonic()
            report = await audit_session(
                chain, portals, SESSION_ID, AuditInputs(whole_session=whole)
            )
            return time.monotonic() - started, report.accepted, report.tokens.proven

    seconds, accepted, tokens = asyncio.run(run())
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": seconds,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_mib": _peak_mib(),
        "accepted": accepted,
        "tokens": tokens,
    }


def _peak_mib() -> float:
    """Highest resident memory of this process; `ru_maxrss` would count its parent's before exec."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def audit_in_a_process(job: dict[str, Any]) -> Run:
    started = time.monotonic()
    child = subprocess.run(
        [sys.executable, "-m", "benchmarks.audit", "child"],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=True,
    )
    process_seconds = time.monotonic() - started
    return Run(process_seconds=process_seconds, **json.loads(child.stdout))


def measure(what: str, checkpoints: int, job: dict[str, Any], bundle_bytes: int) -> Row:
    runs = [audit_in_a_process(job) for _ in range(RUNS)]
    assert all(run.accepted for run in runs)
    medians = {
        name: statistics.median(getattr(run, name) for run in runs)
        for name in ("seconds", "cpu_seconds", "process_seconds", "peak_mib")
    }
    row = Row(what, checkpoints, bundle_bytes=bundle_bytes, **medians)
    print(row, flush=True)
    return row


async def whole_session_of(paths: list[Path]) -> tuple[Path, dict[str, Any]]:
    """One proof of all checkpoints; made once, kept beside them with what it took."""
    bundle, took = paths[0].parent / "whole.bundle", paths[0].parent / "whole.json"
    if not (bundle.exists() and took.exists()):
        async with StarkProver(find_prover()) as prover:
            made = await aggregate_bundles(prover, [path.read_bytes() for path in paths])
        write_atomically(bundle, made.data)
        facts = made.to_json()
        facts.pop("verification")
        write_atomically(took, json.dumps(facts).encode())
    return bundle, json.loads(took.read_bytes())


async def measured(dev_chain: DevChain, folder: Path) -> dict[str, Any]:
    checkpoints = long_session(dev_chain)
    paths = await proofs_of(checkpoints)
    whole, took = await whole_session_of(paths)
    rows: list[Row] = []
    async with (
        EmbeddedPortal(PortalSettings(folder / "portal")) as portal,
        World(dev_chain, folder) as world,
        Portals([PortalClient(ClientSettings(portal.url))]) as portals,
    ):
        job: dict[str, Any] = {
            "environment": dev_chain.environment(),
            "portal": portal.url,
            "whole_session": None,
        }
        opened = await world.open_session(
            deposit=world.network.usdc.amount("5"), price=Price(PRICE, world.network.usdc)
        )
        assert opened == SESSION_ID
        for number, (checkpoint, path) in enumerate(zip(checkpoints, paths, strict=True), 1):
            await _submit(world, portals, checkpoint, path.read_bytes())
            if number in SIZES:
                size = sum(one.stat().st_size for one in paths[:number])
                rows.append(await asyncio.to_thread(measure, "own proofs", number, job, size))
        job["whole_session"] = str(whole)
        size = whole.stat().st_size
        rows.append(await asyncio.to_thread(measure, "one proof for all", len(paths), job, size))
    return {"rows": [asdict(row) for row in rows], "whole_session": took}


async def _submit(
    world: World, portals: Portals, checkpoint: LongCheckpoint, bundle: bytes
) -> None:
    proof_hash = ProofHash.of(bundle)
    host_key = bytes(world.dev_chain.accounts["host"].key)
    delta = deltas.encode(deltas.sign(checkpoint.delta.with_proof(proof_hash), host_key))
    submission = ProofSubmission(
        SESSION_ID,
        Tokens(checkpoint.delta.tokens_after - checkpoint.delta.tokens_before),
        proof_hash,
        str(await portals.put(bundle)),
        str(await portals.put(delta)),
    )
    await world.pass_time(60)
    await world.send("host", world.marketplace.submit_proof(submission))


def table(found: dict[str, Any]) -> str:
    lines = [
        "| checkpoints | proofs | audit, s | CPU, s | with Python's start, s | peak memory, MiB | "
        "fetched, bytes |",
        "|---:|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row['checkpoints']} | {row['what']} | {row['seconds']:.2f} | {row['cpu_seconds']:.2f} "
        f"| {row['process_seconds']:.2f} | {row['peak_mib']:.0f} | {row['bundle_bytes']:,} |"
        for row in found["rows"]
    ]
    took = found["whole_session"]
    lines += [
        "",
        f"The proof for all took {took['prove_seconds']:.0f} s and "
        f"{took['peak_memory_bytes'] / 2**20:,.0f} MiB to make, in segments of po2 "
        f"{took['segment_po2']}.",
        "",
        machine(),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    if sys.argv[1:] == ["child"]:
        print(json.dumps(audit_in_this_process(json.load(sys.stdin))))
        return

    async def run() -> dict[str, Any]:
        with await start_dev_chain() as dev_chain, tempfile.TemporaryDirectory() as folder:
            return await measured(dev_chain, Path(folder))

    found = asyncio.run(run())
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "audit.json").write_text(json.dumps(found, indent=2) + "\n")
    (RESULTS / "audit.md").write_text(table(found))
    print(table(found))


if __name__ == "__main__":
    main()
