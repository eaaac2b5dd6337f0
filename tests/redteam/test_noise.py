"""Noise in all that an auditor is told: a report or a coded error, and never another acceptance."""

from __future__ import annotations

import json
import random
from typing import Any

from aiohttp import ClientSession, web

from platformless.audit.session.errors import AuditorFailed
from platformless.audit.session.report import AuditReport
from platformless.errors import PlatformlessError

from .scene import Scene

ROUNDS = 60
_FACTS = ("tokens", "payment", "checkpoints", "session")


async def test_noise_from_a_node_is_a_report_or_a_coded_error(scene: Scene) -> None:
    await scene.stage.be_honest()
    await scene.stage.settle()
    honest = facts_of(await scene.audit(None))
    accepted = refused = rejected = 0
    for seed in range(ROUNDS):
        scene.node.fault = _noisy(scene, random.Random(seed))
        try:
            report = await scene.audit(None)
        except PlatformlessError as error:
            assert error.code != AuditorFailed.code, seed
            refused += 1
            continue
        if report.accepted:
            accepted += 1
            assert facts_of(report) == honest, seed
        else:
            rejected += 1
    assert refused > 0
    assert rejected > 0, (accepted, refused, rejected)


def facts_of(report: AuditReport) -> dict[str, Any]:
    """What an acceptance stands for; block hashes, times and addresses of events are not part."""
    document = report.to_json()
    found = {name: document[name] for name in _FACTS}
    found["session"] = {
        name: value
        for name, value in document["session"].items()
        if name not in ("started", "last_proof")
    }
    found["checkpoints"] = [
        {name: one[name] for name in ("tokens", "proof_hash", "proven", "state_after")}
        for one in document["checkpoints"]
    ]
    return found


def _noisy(scene: Scene, chance: random.Random) -> Any:
    """Changes one digit of one answer in five."""
    real = scene.stage.world.dev_chain.rpc_url

    async def fault(call: dict[str, Any]) -> web.Response | None:
        if chance.random() > 0.2 or call["method"] == "eth_chainId":
            return None
        async with ClientSession() as http, http.post(real, json=call) as answer:
            document = await answer.json()
        text = json.dumps(document.get("result"))
        digits = [at for at, letter in enumerate(text) if letter in "0123456789abcdef"]
        if "result" not in document or not digits:
            return None
        at = chance.choice(digits)
        changed = text[:at] + chance.choice("0123456789abcdef") + text[at + 1 :]
        try:
            document["result"] = json.loads(changed)
        except ValueError:
            return None
        return web.json_response(document)

    return fault
