"""A soak of the sender: processes that submit proofs and are killed at any moment.

`python -m tests.chain.soak PLAN.json` is the process that is killed. It submits `rounds` proofs for
each of its sessions, a session's proofs one after another, all sessions at once. What it did not
finish, its successor finishes: both use the same outbox keys.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from platformless.chain.connection import Chain
from platformless.chain.devchain.accounts import dev_account
from platformless.chain.errors import ChainError
from platformless.chain.marketplace import Marketplace
from platformless.chain.networks import BASE_SEPOLIA, Network
from platformless.chain.refusals import ClaimsTooFast
from platformless.chain.sending.entry import State
from platformless.chain.sending.outbox import Outbox
from platformless.chain.sending.sender import TransactionSender
from platformless.chain.sending.settings import SenderSettings
from platformless.chain.session import ProofSubmission
from platformless.protocol.digests import Address, ProofHash
from platformless.protocol.transcript import Tokens

TOKENS = Tokens(100)
SETTINGS = SenderSettings(confirmations=2, poll_seconds=0.05, rebroadcast_seconds=2, bump_seconds=5)


class Plan(msgspec.Struct, frozen=True):
    """What one process shall submit."""

    rpc_url: str
    marketplace: str
    proof_system: str
    model_registry: str
    outbox: str
    sessions: list[int]
    rounds: int


@dataclass(frozen=True, slots=True)
class SoakReport:
    """What became of all submissions."""

    submissions: int
    kills: int
    seconds: float
    states: dict[str, int]
    times_mined: dict[int, int]
    """How often a submission was mined → how many submissions."""

    @property
    def exactly_once(self) -> bool:
        return self.times_mined == {1: self.submissions} and self.states == {
            State.CONFIRMED.value: self.submissions
        }


def submission_of(session_id: int, number: int) -> ProofSubmission:
    proof_hash = ProofHash.of(f"soak {session_id} {number}".encode())
    return ProofSubmission(session_id, TOKENS, proof_hash, f"uProof{number}", "")


def plan_for(network: Network, outbox: Path, sessions: list[int], rounds: int) -> Plan:
    return Plan(
        rpc_url=network.rpc_urls[0],
        marketplace=str(network.marketplace),
        proof_system=str(network.proof_system),
        model_registry=str(network.model_registry),
        outbox=str(outbox),
        sessions=sessions,
        rounds=rounds,
    )


async def run_soak(
    network: Network,
    folder: Path,
    sessions: list[int],
    rounds: int,
    *,
    processes: int = 1,
    kill_after_seconds: tuple[float, float] = (0.3, 2.0),
    kills: int,
    seed: int = 1,
) -> SoakReport:
    """Runs the processes, kills one of them at random moments `kills` times, lets them finish,
    and counts on the chain."""
    outbox = folder / "soak.db"
    path = folder / "plan.json"
    path.write_bytes(msgspec.json.encode(plan_for(network, outbox, sessions, rounds)))
    chance = random.Random(seed)
    started = time.monotonic()
    running = [await _start(path) for _ in range(processes)]
    killed = 0
    while killed < kills:
        victim = chance.randrange(processes)
        try:
            async with asyncio.timeout(chance.uniform(*kill_after_seconds)):
                await running[victim].wait()
        except TimeoutError:
            running[victim].kill()
            await running[victim].wait()
            killed += 1
            running[victim] = await _start(path)
        else:
            break
    for process in running:
        _, errors = await process.communicate()
        if process.returncode != 0:
            raise RuntimeError(errors.decode()[-2000:])
    seconds = time.monotonic() - started
    host = Address.from_hex(dev_account("host").address)
    entries = Outbox(outbox, network.chain_id, host).entries()
    times = await _times_mined(network, sessions, rounds)
    return SoakReport(
        submissions=len(sessions) * rounds,
        kills=killed,
        seconds=seconds,
        states=dict(Counter(entry.state.value for entry in entries)),
        times_mined=dict(Counter(times.values())),
    )


async def _start(plan: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.chain.soak",
        str(plan),
        stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )


async def _times_mined(network: Network, sessions: list[int], rounds: int) -> dict[bytes, int]:
    """Looks at every transaction of the host in every block of the chain, failed ones too."""
    host = Address.from_hex(dev_account("host").address)
    async with Chain(network) as chain:
        marketplace = Marketplace(chain)
        times = {
            marketplace.submit_proof(submission_of(session, number)).data: 0
            for session in sessions
            for number in range(rounds)
        }
        for number in range((await chain.head()).number + 1):
            for transaction in await chain.transactions_from(host, number):
                data = bytes.fromhex(str(transaction["input"])[2:])
                if data in times:
                    times[data] += 1
    return times


async def submit_all(plan: Plan, network: Network) -> None:
    """What a process does."""
    host = dev_account("host")
    async with (
        Chain(network) as chain,
        TransactionSender(chain, host, Path(plan.outbox), SETTINGS) as sender,
    ):
        marketplace = Marketplace(chain)

        async def submit(session_id: int, number: int) -> None:
            call = marketplace.submit_proof(submission_of(session_id, number))
            while True:
                try:
                    await sender.send(f"proof/{session_id}/{number}", call)
                except ClaimsTooFast:
                    await asyncio.sleep(0.3)
                else:
                    return

        async def serve(session_id: int) -> None:
            for number in range(plan.rounds):
                await submit(session_id, number)

        await asyncio.gather(*map(serve, plan.sessions))


def main() -> None:
    plan = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan)
    network = replace(
        BASE_SEPOLIA,
        name="dev",
        rpc_urls=(plan.rpc_url,),
        marketplace=Address.from_hex(plan.marketplace),
        proof_system=Address.from_hex(plan.proof_system),
        model_registry=Address.from_hex(plan.model_registry),
    )
    try:
        asyncio.run(submit_all(plan, network))
    except ChainError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
