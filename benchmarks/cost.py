"""What a million proven tokens cost: `python -m benchmarks.cost` (or `make bench-cost`).

Prover time and bytes come from the figures of the proof core (`results/proof_core.json`, as
measured on the machine named there), gas from transactions on a dev chain, measured here. Prices
are arguments: they are anyone's, and change. Writes a table and the figures to
`benchmarks/results/`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from platformless.chain.devchain import DevChainSettings, start_dev_chain
from tests.chain.world import World

RESULTS = Path(__file__).parent / "results"
MILLION = 1_000_000
_WEI = 10**18


@dataclass(frozen=True)
class Prices:
    """What an operator pays."""

    usd_per_hour: float
    """For the machine that proves."""
    gwei_per_gas: float


@dataclass(frozen=True)
class Gas:
    """Gas used, the median of the transactions that were measured."""

    submission: int
    settlement: int


@dataclass(frozen=True)
class Cost:
    """A million tokens in checkpoints of one size."""

    checkpoint_tokens: int
    checkpoints: float
    prover_hours: float
    prover_usd: float
    gas: float
    """Of the submissions; a session's settlement comes on top, once."""
    gas_eth: float
    bundle_megabytes: float


def cost(proof: dict[str, float], gas: Gas, prices: Prices) -> Cost:
    """Args:
    proof: One row of the proof core's figures: tokens, prove_seconds, bundle_bytes.
    """
    checkpoints = MILLION / proof["tokens"]
    hours = checkpoints * proof["prove_seconds"] / 3600
    submissions = checkpoints * gas.submission
    return Cost(
        checkpoint_tokens=int(proof["tokens"]),
        checkpoints=checkpoints,
        prover_hours=hours,
        prover_usd=hours * prices.usd_per_hour,
        gas=submissions,
        gas_eth=submissions * prices.gwei_per_gas * 1e9 / _WEI,
        bundle_megabytes=checkpoints * proof["bundle_bytes"] / 1e6,
    )


async def measure_gas() -> Gas:
    """Three submissions of one session, of which the later ones are the usual case, and its end."""
    with (
        await start_dev_chain(DevChainSettings(port=0)) as dev_chain,
        tempfile.TemporaryDirectory() as folder,
    ):
        async with World(dev_chain, Path(folder)) as world:
            session_id = await world.open_session()
            used = []
            for number in range(3):
                await world.pass_time(60)
                submission = world.submission(session_id, 1000, str(number))
                used.append(await _gas(world, "host", world.marketplace.submit_proof(submission)))
            await world.pass_time(3600)
            settled = await _gas(world, "client", world.marketplace.complete(session_id))
            return Gas(sorted(used)[1], settled)


async def _gas(world: World, name: str, call: object) -> int:
    confirmed = await world.send(name, call)  # type: ignore[arg-type]
    receipt = await world.chain.receipt(confirmed.transaction_hash)
    assert receipt is not None
    return receipt.gas_used


def table(costs: list[Cost], gas: Gas, prices: Prices) -> str:
    """The costs as Markdown."""
    rows = [
        f"| {one.checkpoint_tokens:,} | {one.checkpoints:,.0f} | {one.prover_hours:.2f} "
        f"| {one.prover_usd:.3f} | {one.gas / 1e6:.1f} | {one.gas_eth:.5f} "
        f"| {one.bundle_megabytes:,.0f} |"
        for one in costs
    ]
    return "\n".join(
        [
            "| tokens a checkpoint | checkpoints | prover, hours | prover, USD | gas, million "
            "| gas, ETH | bundles, MB |",
            "|---:|---:|---:|---:|---:|---:|---:|",
            *rows,
            "",
            f"For a million tokens, at {prices.usd_per_hour:g} USD an hour for the machine that "
            f"proves and {prices.gwei_per_gas:g} gwei a gas. A submission takes {gas.submission:,} "
            f"gas, a session's settlement {gas.settlement:,} on top, measured on a dev chain; a "
            "rollup's fee for data is not in it. Prover time: two cores of a CPU, the figures of "
            "the proof core.",
            "",
        ]
    )


def main() -> None:
    """Measures, computes, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--usd-per-hour", type=float, default=0.059)
    parser.add_argument("--gwei-per-gas", type=float, default=0.01)
    arguments = parser.parse_args()
    prices = Prices(arguments.usd_per_hour, arguments.gwei_per_gas)
    proofs = json.loads((RESULTS / "proof_core.json").read_text())
    gas = asyncio.run(measure_gas())
    costs = [cost(proof, gas, prices) for proof in proofs]
    text = table(costs, gas, prices)
    sys.stdout.write(text)
    (RESULTS / "cost.md").write_text(text)
    figures = {
        "prices": asdict(prices),
        "gas": asdict(gas),
        "costs": [asdict(one) for one in costs],
    }
    (RESULTS / "cost.json").write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
