"""Benchmark of the S5 client: `python -m benchmarks.storage`.

Uploads and verified downloads of 256 kB, 10 MB and 1 GB against the embedded portal on loopback,
beside plain httpx streaming without hashing and BLAKE3 of the same file. Portal and client are
processes of their own; every figure is the median of several runs, each in a fresh client. Writes
a table (Markdown) and the raw figures (JSON) to `benchmarks/results/`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
from blake3 import blake3

from platformless.storage.cids import BlobId
from platformless.storage.client import ClientSettings, PortalClient
from platformless.storage.portal.running import EmbeddedPortal
from platformless.storage.portal.settings import PortalSettings
from platformless.storage.source import Source

from .machine import machine

RESULTS = Path(__file__).parent / "results"
SIZES = {"256 kB": 256_000, "10 MB": 10_000_000, "1 GB": 1_000_000_000}
AT_A_TIME = {"256 kB": 100, "10 MB": 20, "1 GB": 1}
"""How often a client process repeats a job, so that small ones can be timed."""
RUNS = 4
ALLOWED_RATIO = 1.3
JOBS = {
    "upload": "upload of a file (hashed; a tus upload is asked for afterwards)",
    "check": "verified download, kept nowhere",
    "plain": "plain httpx, kept nowhere",
    "fetch": "verified download to a durable file (`fetch`)",
    "plain_file": "plain httpx to a durable file",
    "hash": "BLAKE3 of the file, one thread",
}


@dataclass(frozen=True)
class Run:
    """One job in one client process. Seconds are of one repetition."""

    seconds: float
    cpu_seconds: float
    peak_mib: float


@dataclass(frozen=True)
class Figures:
    """Medians of `RUNS` runs: throughput, CPU time of the client, peak memory of the client."""

    size: str
    job: str
    mb_per_second: float
    ms_each: float
    cpu_seconds_per_gb: float
    peak_mib: float


async def serve(folder: Path) -> None:
    """A portal until standard input ends; says its address."""
    async with EmbeddedPortal(PortalSettings(folder)) as portal:
        print(portal.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def work(job: str, url: str, file: Path, repetitions: int) -> Run:
    """Does a job so often, in this process."""
    blob = (await Source.of(file)).blob
    fetched, streamed = file.with_suffix(".fetched"), file.with_suffix(".plain")
    async with (
        PortalClient(ClientSettings(url)) as store,
        httpx.AsyncClient(timeout=60) as plain,
    ):
        jobs: dict[str, Callable[[], Awaitable[object]]] = {
            "upload": lambda: store.put(file),
            "check": lambda: store.check(blob),
            "fetch": lambda: store.fetch(blob, fetched),
            "plain": lambda: stream(plain, url, blob, None),
            "plain_file": lambda: stream(plain, url, blob, streamed),
            "hash": lambda: hash_of(file),
        }
        seconds = cpu = 0.0
        for _ in range(repetitions):
            if job == "upload":
                change(file)  # a blob that the portal has is not uploaded again
            started, cpu_started = time.perf_counter(), time.process_time()
            await jobs[job]()
            seconds += time.perf_counter() - started
            cpu += time.process_time() - cpu_started
            # Every run begins without the file: one kept beside it would cost memory for its cache.
            fetched.unlink(missing_ok=True)
            streamed.unlink(missing_ok=True)
    return Run(seconds / repetitions, cpu / repetitions, peak_mib())


async def stream(plain: httpx.AsyncClient, url: str, blob: BlobId, path: Path | None) -> None:
    """What one writes without a second thought."""
    async with plain.stream("GET", f"{url}/s5/blob/{blob}", follow_redirects=True) as response:
        response.raise_for_status()
        if path is None:
            async for _ in response.aiter_raw():
                pass
            return
        with path.open("wb") as file:
            async for chunk in response.aiter_raw():
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())


async def hash_of(file: Path) -> bytes:
    hasher = blake3()
    with file.open("rb", buffering=0) as opened:
        while piece := opened.read(1 << 20):
            hasher.update(piece)
    return hasher.digest()


def change(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.write(os.urandom(16))


def peak_mib() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise OSError("the kernel tells no peak of memory")


def write_random(file: Path, size: int) -> None:
    with file.open("wb") as opened:
        while size:
            opened.write(os.urandom(min(size, 1 << 20)))
            size -= min(size, 1 << 20)


@contextmanager
def portal(folder: Path) -> Iterator[str]:
    """A portal in a process of its own; its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.storage", "--serve", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.communicate("", timeout=30)


def run_job(job: str, url: str, file: Path, repetitions: int) -> Run:
    """Does a job in a fresh client process."""
    command = [sys.executable, "-m", "benchmarks.storage", "--work", job]
    command += [url, str(file), str(repetitions)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    return Run(**json.loads(done.stdout))


def measure(folder: Path) -> list[Figures]:
    figures = []
    with portal(folder / "portal") as url:
        for name, size in SIZES.items():
            file = folder / "blob"
            write_random(file, size)
            uploads, others = [], {job: list[Run]() for job in JOBS if job != "upload"}
            for number in range(RUNS):
                print(f"{name}, run {number + 1} of {RUNS}", file=sys.stderr)
                uploads.append(run_job("upload", url, file, AT_A_TIME[name]))
                # In turn from both ends: a job finds memory that the one before has just freed.
                for job in list(others)[:: -1 if number % 2 else 1]:
                    others[job].append(run_job(job, url, file, AT_A_TIME[name]))
            for job, runs in {"upload": uploads, **others}.items():
                figures.append(summary(name, size, job, runs))
    return figures


def summary(name: str, size: int, job: str, runs: list[Run]) -> Figures:
    seconds = statistics.median(run.seconds for run in runs)
    return Figures(
        size=name,
        job=job,
        mb_per_second=size / seconds / 1e6,
        ms_each=1000 * seconds,
        cpu_seconds_per_gb=statistics.median(run.cpu_seconds for run in runs) * 1e9 / size,
        peak_mib=max(run.peak_mib for run in runs),
    )


def ratios(figures: list[Figures]) -> dict[str, float]:
    """Time of a verified 1 GB download over that of the slower of its two parts."""
    ms = {one.job: one.ms_each for one in figures if one.size == "1 GB"}
    return {
        "kept nowhere": ms["check"] / max(ms["plain"], ms["hash"]),
        "to a durable file": ms["fetch"] / max(ms["plain_file"], ms["hash"]),
    }


def table(figures: list[Figures]) -> str:
    lines = [
        "| blob | what | MB/s | ms each | client's CPU s/GB | client's peak MiB |",
        "|---|---|---|---|---|---|",
    ]
    for one in figures:
        lines.append(
            f"| {one.size} | {JOBS[one.job]} | {one.mb_per_second:,.0f} | {one.ms_each:,.1f} "
            f"| {one.cpu_seconds_per_gb:.2f} | {one.peak_mib:.0f} |"
        )
    return "\n".join(lines)


def report(out: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder))
    ratio = ratios(figures)
    text = "\n".join(
        (
            table(figures),
            "",
            "Time of a verified download of 1 GB over the slower of plain httpx and BLAKE3: "
            + "; ".join(f"{name} {value:.2f}" for name, value in ratio.items())
            + f" (aim: {ALLOWED_RATIO}).",
            f"Median of {RUNS} runs; peak: the largest. Loopback; portal and client share the "
            "machine. Durable: after fsync, to a path where nothing was.",
            "",
            machine(),
        )
    )
    (out / "storage.md").write_text(text + "\n")
    raw = {"ratios": ratio, "figures": [asdict(one) for one in figures]}
    (out / "storage.json").write_text(json.dumps(raw, indent=1) + "\n")
    print(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve(arguments.serve))
    elif arguments.work:
        job, url, file, repetitions = arguments.work
        done = asyncio.run(work(job, url, Path(file), int(repetitions)))
        print(json.dumps(asdict(done)))
    else:
        report(arguments.out)


if __name__ == "__main__":
    main()
