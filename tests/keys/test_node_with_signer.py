"""A node whose key is elsewhere serves as any other: its clients notice nothing."""

from __future__ import annotations

from pathlib import Path

import aiohttp

from platformless.client.web import HostWeb
from tests.chain.world import World
from tests.node.world import NodeWorld

from .signing_process import running_signer


async def test_a_session_is_served_with_the_key_in_a_signer(world: World, tmp_path: Path) -> None:
    nodes = NodeWorld(world, tmp_path)
    environment = world.dev_chain.environment()
    words = ("--socket", str(tmp_path / "signer.sock"))
    async with running_signer(tmp_path, environment, *words) as signer:
        async with (
            nodes.node(host_private_key="", host_signer_url=signer.url) as node,
            nodes.client() as client,
        ):
            assert node.report.address == world.address("host")
            async with aiohttp.ClientSession() as http:
                shown = await HostWeb(http, node.report.url).host_key(world.address("host"))
            assert shown == nodes.host_key
            session = await nodes.open(client)
            async with session:
                answer = await session.ask("What is a lighthouse?", max_tokens=8)
                assert await answer.text()
                assert answer.report.tokens
        log = signer.log.read_text()
    assert "agreed on a secret with" in log
    assert "signed the challenge" in log
