"""A watch of a host: every session once, through crashes and outages."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from platformless.audit.evidence import Downloads
from platformless.audit.session import watching
from platformless.audit.session.audit import audit_session
from platformless.audit.session.errors import WatchStateBroken
from platformless.audit.session.inputs import AuditInputs
from platformless.audit.session.report import AuditReport
from platformless.audit.session.watching import HostWatch, Watched, WatchResult, WatchSettings
from platformless.chain.connection import Chain
from platformless.protocol.assurance import Assurance
from platformless.retrying import Backoff
from platformless.storage.client import ClientSettings, PortalClient
from platformless.storage.portals import Portals
from tests.chain.faulty import FaultyNode, text
from tests.data.make_recovery import SESSION_ID
from tests.sampled_cells import bundle_of

from .sampling import honest_claim, sample_honestly, trusting
from .stage import BRIEF_PORTALS, BRIEF_RPC, Stage

BRISK = WatchSettings(confirmations=0, poll_seconds=0.1, tries=2, backoff=Backoff(0.05, 0.1))


class Notebook:
    """Keeps what a watch says."""

    def __init__(self) -> None:
        self.told: list[WatchResult] = []
        self.kept: list[Watched] = []

    async def tell(self, result: WatchResult) -> None:
        self.told.append(result)

    async def keep(self, watched: Watched) -> None:
        self.kept.append(watched)


async def watched(
    stage: Stage,
    notebook: Notebook,
    begin: Watched,
    url: str = "",
    inputs: AuditInputs | None = None,
    settings: WatchSettings = BRISK,
) -> None:
    """One watch, until nothing is left to audit."""
    url = url or stage.world.dev_chain.rpc_url
    async with (
        Chain(
            stage.world.network,
            rpc_urls=(url or stage.world.dev_chain.rpc_url,),
            settings=BRIEF_RPC,
        ) as chain,
        Portals([PortalClient(ClientSettings(stage.portal.url))], BRIEF_PORTALS) as portals,
    ):
        watch = HostWatch(
            chain,
            portals,
            stage.world.address("host"),
            begin,
            tell=notebook.tell,
            keep=notebook.keep,
            inputs=inputs,
            settings=settings,
        )
        await watch.run(asyncio.Event(), once=True)


async def test_a_session_is_audited_when_it_is_over_and_once(stage: Stage) -> None:
    await stage.be_honest()
    notebook = Notebook()
    await watched(stage, notebook, Watched(0))
    assert notebook.told == []
    assert notebook.kept[-1].waiting == (SESSION_ID,)
    await stage.settle()
    await watched(stage, notebook, notebook.kept[-1])
    (result,) = notebook.told
    assert result.report is not None
    assert result.report.accepted, result.report.findings
    assert not notebook.kept[-1].waiting
    await watched(stage, notebook, notebook.kept[-1])
    assert len(notebook.told) == 1
    line = result.to_json()
    assert (line["outcome"], line["session"]) == ("accepted", str(SESSION_ID))
    assert "report" in result.to_json(full=True)
    json.dumps(result.to_json(full=True), allow_nan=False)


async def test_an_audit_that_cannot_run_is_tried_again_and_then_told(stage: Stage) -> None:
    await stage.be_honest()
    await stage.settle()
    notebook = Notebook()
    async with FaultyNode(stage.world.dev_chain.rpc_url) as node:

        async def fault(call: dict[str, Any]) -> web.Response | None:
            # The events of one session are asked for by a list of kinds.
            if call["method"] == "eth_getLogs" and isinstance(call["params"][0]["topics"][0], list):
                return await text("nonsense")(call)
            return None

        node.fault = fault
        await watched(stage, notebook, Watched(0), node.url)
    (result,) = notebook.told
    assert result.problem is not None
    assert result.to_json()["outcome"] == "failed"


async def test_sample_proofs_that_a_policy_asks_for_are_waited_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first audit finds one of two; meanwhile the host publishes the other."""
    await sample_honestly(stage, 0)
    await stage.settle()
    lacking = trusting(stage, minimum_assurance=Assurance.SAMPLED)
    claim = await honest_claim(stage, 1)
    complete = replace(lacking, samples=(bundle_of(claim).encode(),))
    audited: list[AuditReport] = []

    async def audit(
        chain: Chain, downloads: Downloads, session_id: int, _inputs: AuditInputs
    ) -> AuditReport:
        inputs = complete if audited else lacking
        audited.append(await audit_session(chain, downloads, session_id, inputs))
        return audited[-1]

    monkeypatch.setattr(watching, "audit_session", audit)
    notebook, patient = Notebook(), replace(BRISK, sample_poll_seconds=0.1)
    await watched(stage, notebook, Watched(0), inputs=lacking, settings=patient)
    (result,) = notebook.told
    assert [one.accepted for one in audited] == [False, True]
    assert result.to_json()["outcome"] == "accepted"


async def test_patience_with_sample_proofs_ends(stage: Stage) -> None:
    await sample_honestly(stage, 0)
    await stage.settle()
    notebook = Notebook()
    patient = replace(BRISK, sample_poll_seconds=0.05, sample_patience_seconds=0.1)
    lacking = trusting(stage, minimum_assurance=Assurance.SAMPLED)
    await watched(stage, notebook, Watched(0), inputs=lacking, settings=patient)
    (result,) = notebook.told
    assert result.to_json()["outcome"] == "rejected"


async def test_a_dishonest_session_is_told(stage: Stage) -> None:
    await stage.open()
    await stage.submit(0, tokens=1_000)
    await stage.settle()
    notebook = Notebook()
    await watched(stage, notebook, Watched(0))
    (result,) = notebook.told
    assert result.to_json()["outcome"] == "rejected"


def test_a_damaged_state_is_refused() -> None:
    assert Watched.decode(Watched(7, (1, 2**70)).encode()) == Watched(7, (1, 2**70))
    for data in (b"", b"{}", b'{"format":"watch/1","next_block":1,"waiting":["x"]}', b"[" * 10**6):
        with pytest.raises(WatchStateBroken):
            Watched.decode(data)


def command(stage: Stage, out: Path, *more: str) -> list[str]:
    return [
        *(sys.executable, "-m", "platformless.prover", "watch"),
        *("--host", str(stage.world.address("host")), "--portal", stage.portal.url),
        *("--env-file", str(stage.folder / ".env"), "--out", str(out), "--from-block", "0"),
        *("--confirmations", "0", "--poll-seconds", "0.1", "--portal-patience", "1", *more),
    ]


async def test_the_command_appends_a_line_and_survives_kill_9(stage: Stage) -> None:
    environment = stage.world.dev_chain.environment()
    (stage.folder / ".env").write_text("".join(f"{k}={v}\n" for k, v in environment.items()))
    out = stage.folder / "audits.jsonl"
    await stage.be_honest()
    process = subprocess.Popen(command(stage, out))
    try:
        state = out.with_name(out.name + ".state")
        while not (state.exists() and Watched.decode(state.read_bytes()).waiting):
            await asyncio.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(process.wait, 10)
    finally:
        process.kill()
    await stage.settle()
    out.write_text('{"format": "watch-res')  # a line that a crash cut short
    for _ in range(2):
        again = await asyncio.to_thread(
            subprocess.run, command(stage, out, "--once"), timeout=60, check=True
        )
        assert again.returncode == 0
        (line,) = out.read_text().splitlines()
        assert json.loads(line)["outcome"] == "accepted"
