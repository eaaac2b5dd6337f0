"""An RPC node that lies, hides, or answers without end."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from aiohttp import ClientSession, web

from tests.chain.faulty import for_method, reply, text

from .attack import attack
from .scene import Scene

_SESSION_JOBS = "sessionJobs"
_WORD = 64
Change = Callable[[Any], Any]


def _rewrite(scene: Scene, method: str, change: Change, *, about: str = "") -> None:
    """Every answer to `method` whose request holds `about` is changed."""
    real = scene.stage.world.dev_chain.rpc_url

    async def fault(call: dict[str, Any]) -> web.Response | None:
        if call["method"] != method or about not in json.dumps(call["params"]):
            return None
        async with ClientSession() as http, http.post(real, json=call) as answer:
            document = await answer.json()
        if "result" in document:
            document["result"] = change(document["result"])
        return web.json_response(document)

    scene.node.fault = fault


def _session_word(scene: Scene, word: int, value: Callable[[int], int]) -> None:
    """Changes one word of what `sessionJobs` returns."""
    from platformless.chain.contract import encode_call

    selector = encode_call("JobMarketplace", _SESSION_JOBS, (1,))[:4].hex()

    def change(result: str) -> str:
        start = 2 + word * _WORD
        new = value(int(result[start : start + _WORD], 16))
        return f"{result[:start]}{new:064x}{result[start + _WORD :]}"

    _rewrite(scene, "eth_call", change, about=f"0x{selector}")


@attack("lies about the client", "AUD-103", who="node")
async def other_client(scene: Scene) -> None:
    await scene.stage.be_honest()
    _session_word(scene, 1, lambda client: client ^ 1)


@attack("lies about the deposit", "AUD-103", who="node")
async def other_deposit(scene: Scene) -> None:
    await scene.stage.be_honest()
    _session_word(scene, 4, lambda deposit: deposit + 1)


@attack("lies about the price", "VER-601", who="node")
async def other_price(scene: Scene) -> None:
    await scene.stage.be_honest()
    _session_word(scene, 5, lambda price: price * 2)


@attack("lies about the count of tokens", "AUD-201", who="node")
async def other_count(scene: Scene) -> None:
    await scene.stage.be_honest()
    _session_word(scene, 6, lambda tokens: tokens - 100)


@attack("lies about what the host was paid", "AUD-202", who="node")
async def other_pay(scene: Scene) -> None:
    await scene.stage.be_honest()
    await scene.stage.settle()
    _session_word(scene, 13, lambda paid: paid * 3)


@attack("lies about what the client got back", "AUD-202", who="node")
async def other_refund(scene: Scene) -> None:
    await scene.stage.be_honest()
    await scene.stage.settle()
    _session_word(scene, 14, lambda refund: refund - 1)


@attack("hides the events", "RCV-007", who="node")
async def hidden_events(scene: Scene) -> None:
    await scene.stage.be_honest()
    scene.node.fault = for_method("eth_getLogs", reply(result=[]))


def _change_data(log: dict[str, Any], topic_count: int, place: int) -> None:
    """Changes one hex digit of an event's data, if it has so many topics."""
    if len(log["topics"]) == topic_count:
        data = log["data"]
        digit = "0" if data[place] != "0" else "1"
        log["data"] = data[:place] + digit + data[place + 1 :]


@attack("changes the tokens of an event", "RCV-007", who="node")
async def changed_event(scene: Scene) -> None:
    await scene.stage.be_honest()

    def change(logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for log in logs:
            _change_data(log, 3, 2 + _WORD - 1)
        return logs

    _rewrite(scene, "eth_getLogs", change)


@attack("passes off another contract's event", "CHN-404", who="node", ends="refused")
async def spoofed_event(scene: Scene) -> None:
    await scene.stage.be_honest()

    def change(logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for log in logs:
            log["address"] = "0x" + "77" * 20
        return logs

    _rewrite(scene, "eth_getLogs", change)


@attack("passes off another session's events", "CHN-404", who="node", ends="refused")
async def other_sessions_event(scene: Scene) -> None:
    await scene.stage.be_honest()

    def change(logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for log in logs:
            log["topics"][1] = f"0x{2:064x}"
        return logs

    _rewrite(scene, "eth_getLogs", change)


@attack("reorganises the chain during the audit", "CHN-501", who="node", ends="refused")
async def reorganised(scene: Scene) -> None:
    await scene.stage.be_honest()
    asked = 0

    def change(block: dict[str, Any]) -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return {**block, "hash": f"0x{asked:064x}"}

    _rewrite(scene, "eth_getBlockByNumber", change)


@attack("never stops giving proofs", "CHN-404", who="node", ends="refused")
async def endless_proofs(scene: Scene) -> None:
    from platformless.chain.contract import encode_call

    stage = scene.stage
    await stage.be_honest()
    selector = encode_call("JobMarketplace", "getProofSubmission", (1, 0))[:4].hex()
    real = stage.world.dev_chain.rpc_url
    first = f"0x{encode_call('JobMarketplace', 'getProofSubmission', (1, 0)).hex()}"
    request = {"to": str(stage.world.network.marketplace), "data": first}
    call = {"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [request, "latest"]}
    async with ClientSession() as http, http.post(real, json=call) as answer:
        one = (await answer.json())["result"]

    async def fault(asked: dict[str, Any]) -> web.Response | None:
        if selector not in json.dumps(asked["params"]):
            return None
        return web.json_response({"jsonrpc": "2.0", "id": asked["id"], "result": one})

    scene.node.fault = fault


@attack("tells of a chain without end", "CHN-500", who="node", ends="refused")
async def endless_chain(scene: Scene) -> None:
    await scene.stage.be_honest()
    real = scene.stage.world.dev_chain.rpc_url

    async def fault(call: dict[str, Any]) -> web.Response | None:
        if call["method"] == "eth_getLogs":
            return web.json_response({"jsonrpc": "2.0", "id": call["id"], "result": []})
        if call["method"] != "eth_getBlockByNumber":
            return None
        number = call["params"][0]
        asked = {**call, "params": ["latest", False]}
        async with ClientSession() as http, http.post(real, json=asked) as answer:
            document = await answer.json()
        document["result"]["number"] = hex(2**60) if number == "latest" else number
        document["result"]["hash"] = f"0x{1:064x}"
        return web.json_response(document)

    scene.node.fault = fault


@attack("nests JSON in its answers", "CHN-101", who="node", ends="refused")
async def nested_answer(scene: Scene) -> None:
    await scene.stage.be_honest()
    scene.node.fault = for_method("eth_getLogs", text("[" * 1_000_000))


@attack("answers with fifty megabytes", "CHN-101", who="node", ends="refused")
async def huge_answer(scene: Scene) -> None:
    await scene.stage.be_honest()
    scene.node.fault = for_method("eth_getLogs", text('"' + "a" * (50 << 20) + '"'))


@attack("answers with values of other shapes", "CHN-101", who="node", ends="refused")
async def misshapen(scene: Scene) -> None:
    await scene.stage.be_honest()
    scene.node.fault = for_method("eth_getLogs", reply(result=[{"topics": [7], "data": "0x"}]))


@attack("serves another chain", "CHN-102", who="node", ends="refused")
async def another_chain(scene: Scene) -> None:
    await scene.stage.be_honest()
    scene.node.fault = for_method("eth_chainId", reply(result="0x1"))


@attack("tells another session than a second node", "AUD-101", who="node")
async def disagreeing(scene: Scene) -> None:
    await scene.stage.be_honest()
    _session_word(scene, 7, lambda longest: longest + 1)
    scene.second_opinion = True
