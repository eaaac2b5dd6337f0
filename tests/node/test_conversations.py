"""Paid conversations with the real model: encrypted, verified, acknowledged, kept."""

from __future__ import annotations

from platformless.engine.chat import ChatFormat
from platformless.protocol.transcript import Kind

from .world import NodeWorld


async def test_a_conversation_is_streamed_verified_and_kept(nodes: NodeWorld) -> None:
    async with nodes.node() as node, nodes.client() as client:
        session = await nodes.open(client)
        async with session:
            first = await session.ask("What is a lighthouse?", max_tokens=30)
            pieces = [piece async for piece in first]
            assert len(pieces) > 20
            assert "".join(pieces) == first.report.text
            assert first.report.tokens == 30
            second = await session.ask("And who keeps it?", max_tokens=30)
            assert await second.text()
            assert session.tokens == first.report.tokens + second.report.tokens
        kept = await node.ledger.session(session.id)
        assert kept is not None
        assert tuple(one.entry for one in kept.entries) == session.history
        assert [one.entry.kind for one in kept.entries] == [Kind.PROMPT, Kind.COMPLETION] * 2
        assert len(kept.acknowledgements) == 2
        chat = ChatFormat(node.engine.vocabulary, node.engine.chat_template)
        assert chat is not None
