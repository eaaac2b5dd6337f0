"""Runs the demo: every part is the real one, and each in the process that it has in earnest.

this process          the dev chain (anvil), the client, the narrator
fabstir-llm-node      broker, portal, node, prover and settlement, as an operator starts them
prove-session         the check, as anyone does it, from chain and portal alone
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...chain.connection import Chain
from ...chain.devchain import DevChain, start_dev_chain
from ...chain.marketplace import Marketplace
from ...chain.session import SessionStatus
from ...client import Client, ClientSession, ClientSettings
from ...client.saved import saved_path
from ...client.wallet import Wallet
from ...engine.model import packaged_model
from ...files import write_atomically
from ...prover.ledger.job_values import settlement_job
from ...prover.ledger.ledger import Ledger
from ..backing import chain_tag, ledger_settings
from ..dev_chain import env_text
from ..reading_settings import load_settings
from ..supervisor.run import free_port
from .display import DemoDisplay
from .errors import DemoFailed
from .following import (
    proven_checkpoints,
    sampled_checkpoints,
    until_confirmed,
    until_sampled,
    until_settled,
)
from .machine import running_node
from .marketplace import QUICKLY, register_host
from .report import DemoReport, SampledCheckpoint

QUESTIONS = (
    "Explain in a few sentences why the sky is blue.",
    "Now tell me a short story about a lighthouse keeper who counts ships.",
    "What did the keeper learn in the end?",
)
_TOKENS_AN_ANSWER = 120
_DEPOSIT_USDC = "0.5"
_SETTINGS = {
    **dict.fromkeys(("BROKER_URL", "S5_PORTAL_URL", "LEDGER_URL", "LEDGER_KEY", "MODEL_PATH"), ""),
    "API_HOST": "127.0.0.1",
    "DISCONNECT_GRACE_SECONDS": "1",
    "SETTLE_IDLE_SECONDS": "5",
    "CONFIRMATIONS": "2",
    "CHAIN_POLL_SECONDS": "0.2",
}


async def run_demo(folder: Path, display: DemoDisplay, *, sampled: bool = False) -> DemoReport:
    """The whole. `folder` keeps the node's data and log.

    Args:
        sampled: Whether the host traces what the model computes, and cells of it are proven.

    Raises:
        DemoFailed: when a step did not do what it should.
        PlatformlessError: what a part said.
    """
    began = time.monotonic()
    display.step("A marketplace: a local chain with the contracts, and money for the accounts")
    with await start_dev_chain() as dev_chain:
        display.say(f"chain at {dev_chain.rpc_url}, JobMarketplace {dev_chain.network.marketplace}")
        display.step("A host: broker, S5 portal, node with SmolLM2, prover, settlement")
        environment = {
            **dev_chain.environment(),
            **_SETTINGS,
            "API_PORT": str(free_port("127.0.0.1")),
            "DATA_FOLDER": str(folder / "node"),
            "TRACE": "always" if sampled else "off",
        }
        async with running_node(environment, folder) as facts:
            display.say(f"node at {facts['url']}, portal at {facts['portals']}")
            await register_host(dev_chain, facts["url"], folder)
            display.say(f"host {facts['host']} is registered with its stake")
            display.step("A client opens a paid session and holds an encrypted conversation")
            session, seconds = await _converse(dev_chain, folder, display)
            return await _prove(
                dev_chain, environment, facts, folder, display, session, seconds, began
            )


async def _converse(
    dev_chain: DevChain, folder: Path, display: DemoDisplay
) -> tuple[ClientSession, float]:
    """The ended session, and how long its answers took."""
    seconds = 0.0
    settings = ClientSettings(
        network=dev_chain.network,
        private_key=bytes(dev_chain.accounts["client"].key),
        folder=folder / "client",
        sending=QUICKLY,
    )
    async with Client(settings) as client:
        session = await client.open(
            dev_chain.model.id,
            dev_chain.network.usdc.amount(_DEPOSIT_USDC),
            proof_interval=100,  # type: ignore[arg-type]
            key="demo",
        )
        display.say(f"session {session.id}: {_DEPOSIT_USDC} USDC in escrow")
        async with session:
            for question in QUESTIONS:
                display.question(question)
                began = time.monotonic()
                answer = await session.ask(question, max_tokens=_TOKENS_AN_ANSWER)
                async for piece in answer:
                    display.piece(piece)
                seconds += time.monotonic() - began
                display.answered()
            await session.end()
        display.say(
            f"{session.tokens} tokens, each in a transcript that the client recomputed and signed"
        )
        return session, seconds


async def _prove(
    dev_chain: DevChain,
    environment: Mapping[str, str],
    facts: Mapping[str, str],
    folder: Path,
    display: DemoDisplay,
    session: ClientSession,
    stream_seconds: float,
    began: float,
) -> DemoReport:
    settings, _ = load_settings(environment, env_file=None)
    async with Chain(dev_chain.network) as chain:
        tag = await chain_tag(chain)
        async with await Ledger.open(ledger_settings(settings, tag)) as ledger:
            display.step("The host proves the tokens with a STARK, publishes and submits the proof")
            await until_confirmed(ledger.jobs, session.id, display)
            display.step("The host settles the session after the dispute window")
            await until_settled(ledger.jobs, session.id, display)
            samples: tuple[SampledCheckpoint, ...] = ()
            if settings.trace != "off":
                display.step("The host proves cells of the model's arithmetic that a block drew")
                await until_sampled(ledger.jobs, session.id, display)
                samples = await sampled_checkpoints(ledger.jobs, session.id)
            checkpoints = await proven_checkpoints(ledger.jobs, session.id)
            settled = await ledger.jobs.submission(settlement_job(session.id))
        on_chain = await Marketplace(chain).session(session.id)
    if on_chain.status is not SessionStatus.COMPLETED or on_chain.tokens_proven != session.tokens:
        raise DemoFailed(
            "the chain does not have what was streamed",
            expected=f"a completed session of {session.tokens} tokens",
            got=f"{on_chain.status.name.lower()}, {on_chain.tokens_proven} tokens",
        )
    display.step(
        "An audit: prove-session, from chain, portal, the client's transcript and the model"
    )
    asked = ("--require-samples",) if samples else ()
    audit = await _audited(dev_chain, facts["portals"], folder, session.id, asked)
    for row in audit["coverage"]:
        display.say(f"{row['component']}: {row['coverage']}")
    replay = audit["replay"]
    display.say(
        f"replayed {replay['completion_tokens']} tokens ({replay['mode']}): "
        f"{replay['verdict']['mismatches']} are not the model's"
    )
    return DemoReport(
        session_id=session.id,
        tokens=session.tokens,
        stream_seconds=stream_seconds,
        checkpoints=checkpoints,
        samples=samples,
        settlement_transaction=settled.transaction_hash or "",
        deposit=str(on_chain.deposit),
        host_earned=str(on_chain.paid_to_host),
        client_refunded=str(on_chain.refunded),
        verified=all(one["proven"] for one in audit["checkpoints"]),
        assurance=audit["assurance"],
        total_seconds=time.monotonic() - began,
    )


async def _audited(
    dev_chain: DevChain, portal_url: str, folder: Path, session_id: int, asked: tuple[str, ...]
) -> dict[str, Any]:
    """What `prove-session audit` says, with all that the client has and the model.

    Args:
        asked: What is insisted on besides.

    Raises:
        DemoFailed: when it rejects anything.
    """
    env_file, key_file = folder / "chain.env", folder / "client.key"
    addresses = "".join(
        f"{line}\n" for line in env_text(dev_chain).splitlines() if "PRIVATE_KEY" not in line
    )
    write_atomically(env_file, addresses.encode())
    key = Wallet(bytes(dev_chain.accounts["client"].key)).encryption_key
    write_atomically(key_file, key.hex().encode(), mode=0o600)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "platformless.prover", "audit", str(session_id)),
        *("--portal", portal_url, "--env-file", str(env_file), "--key-file", str(key_file)),
        *("--transcript", str(saved_path(folder / "client", session_id))),
        *("--model", str(packaged_model()), "--minimum-assurance", "replayed"),
        *("--require-acknowledgement", "--require-settled", "--deltas", "read"),
        *("--require-exact-replay", "--require-index", "--ask-private-hosts", *asked, "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    if process.returncode != 0:
        raise DemoFailed(
            "prove-session does not accept the session",
            expected="exit status 0",
            got=f"{process.returncode}: {(out or errors).decode()[-2000:]}",
        )
    document: dict[str, Any] = json.loads(out)["audit"]
    return document
