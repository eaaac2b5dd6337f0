"""Peers that lie, and peers that attack.

`python -m tests.p2p.hostile lie BOOTSTRAP KIND…` announces a model, one peer for each kind of lie,
and stays; `… attack ADDRESS` does to a node what strangers can, and ends.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import trio
from libp2p.custom_types import TProtocol
from libp2p.kad_dht.common import PROTOCOL_ID
from libp2p.kad_dht.pb.kademlia_pb2 import Message
from libp2p.tools.anyio_service import background_trio_service
from libp2p.utils.varint import encode_uvarint, encode_varint_prefixed
from multiaddr import Multiaddr

from platformless.node.p2p.addresses import PeerAddress
from platformless.node.p2p.host import open_dht, open_host, peer_info
from platformless.node.p2p.identity import PeerIdentity
from platformless.node.p2p.limits import RECORD_PROTOCOL
from platformless.node.p2p.naming import model_key
from platformless.protocol.node_record import SignedNodeRecord

from .records import KEY, MODEL, OTHER_KEY, OTHER_MODEL, PEER, record_of

Answer = Callable[[Any], Awaitable[None]]


def _sends(data: bytes) -> Answer:
    async def answer(stream: Any) -> None:
        await stream.write(data)
        await stream.close()

    return answer


async def _silent(_stream: Any) -> None:
    await trio.sleep_forever()


async def _drips(stream: Any) -> None:
    await stream.write(encode_uvarint(1000))
    while True:
        await stream.write(b"x")
        await trio.sleep(0.5)


def answer_of(kind: str, peer: str) -> Answer:
    """What a liar sends in place of a record."""
    true = record_of(peer)
    now = int(time.time())
    theirs = replace(true.record, api_url="http://thief.example")
    records = {
        "noise": b"\x01\x02{" + os.urandom(200),
        "forged": SignedNodeRecord(theirs, true.signature).encode(),
        "foreign": SignedNodeRecord(true.record, record_of(peer, OTHER_KEY).signature).encode(),
        "borrowed": record_of(PEER).encode(),
        "expired": record_of(peer, issued_at=now - 900, expires_at=now - 300).encode(),
        "elsewhere": record_of(peer, marketplace=KEY.address).encode(),
        "other-model": record_of(peer, models=(OTHER_MODEL,)).encode(),
    }
    if kind in records:
        return _sends(encode_varint_prefixed(records[kind]))
    return {
        "huge": _sends(encode_uvarint(1 << 40) + bytes(1 << 18)),
        "too-long": _sends(encode_varint_prefixed(bytes(20_000))),
        "cut": _sends(encode_uvarint(1000) + b"x"),
        "nothing": _sends(b""),
        "silent": _silent,
        "drips": _drips,
    }[kind]


async def lie(bootstrap: str, *kinds: str) -> None:
    async with AsyncExitStack() as parts:
        for kind in kinds:
            identity = PeerIdentity.new()
            host = open_host(identity)
            host.set_stream_handler(RECORD_PROTOCOL, answer_of(kind, identity.peer_id))
            await parts.enter_async_context(host.run([Multiaddr("/ip4/127.0.0.1/tcp/0")]))
            dht, providers = open_dht(host, answers=False)
            await parts.enter_async_context(background_trio_service(dht))
            info = peer_info(PeerAddress.parsed(bootstrap))
            await _connected(host, info)
            await dht.add_peer(info.peer_id)
            with trio.fail_after(60):
                while not await providers.provide(model_key(MODEL)):
                    await trio.sleep(0.2)
            print(kind, identity.peer_id, flush=True)
        print("ready", flush=True)
        await trio.sleep_forever()


async def attack(address: str) -> None:
    victim = PeerAddress.parsed(address)
    port = int(victim.transport.rpartition("/")[2])
    # What is no libp2p at all, and connections that say nothing.
    for data in (b"", b"GET / HTTP/1.1\r\n\r\n", os.urandom(4096), b"\xff" * 4096):
        for _ in range(10):
            with socket.create_connection(("127.0.0.1", port), 10) as strange:
                strange.sendall(data)
    idle = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(200)]
    for each in idle:
        each.close()
    info = peer_info(victim)
    host = open_host(PeerIdentity.new())
    async with host.run([]):
        await _connected(host, info)
        await _send_garbage(host, info)
        await _hold_streams(host, info)
        await _fill(host, info)


async def _connected(host: Any, info: Any) -> None:
    """Waits until the victim, which may have thrown everybody out, takes a guest again."""
    with trio.fail_after(60):
        while True:
            host.get_network().unblock_peer(info.peer_id)
            try:
                await host.connect(info)
            except Exception:
                await trio.sleep(0.2)
            else:
                return


async def _send_garbage(host: Any, info: Any) -> None:
    long_key = Message(type=Message.MessageType.ADD_PROVIDER, key=b"k" * 500)
    value = Message(type=Message.MessageType.PUT_VALUE, key=b"/pk/x")
    value.record.key, value.record.value = b"/pk/x", bytes(1 << 20)
    for data in (
        encode_uvarint(1 << 50) + b"x",
        b"\xff" * 40,
        encode_varint_prefixed(os.urandom(1000)),
        encode_varint_prefixed(long_key.SerializeToString()),
        encode_varint_prefixed(value.SerializeToString()),
    ):
        for protocol in (PROTOCOL_ID, TProtocol(RECORD_PROTOCOL)):
            with trio.move_on_after(10):
                try:
                    stream = await host.new_stream(info.peer_id, [protocol])
                    await stream.write(data)
                    await stream.read(64)
                except Exception as error:
                    print("refused", type(error).__name__, flush=True)
                    await _connected(host, info)


async def _hold_streams(host: Any, info: Any) -> None:
    """Opens more streams than one peer may have, and leaves them open."""
    opened = 0
    for _ in range(40):
        with trio.move_on_after(5):
            try:
                stream = await host.new_stream(info.peer_id, [PROTOCOL_ID])
                await stream.write(b"\x05")
                opened += 1
            except Exception:
                await _connected(host, info)
    print("held", opened, flush=True)


async def _fill(host: Any, info: Any) -> None:
    """Announces what is no model, and thousands of models that nobody asked for."""
    for number in range(300):
        key = number.to_bytes(34, "big") if number % 2 else b"\x1b\x20" + number.to_bytes(32, "big")
        message = Message(type=Message.MessageType.ADD_PROVIDER, key=key)
        provider = message.providerPeers.add()
        provider.id = host.get_id().to_bytes()
        provider.addrs.extend([Multiaddr("/ip4/127.0.0.1/tcp/9").to_bytes()] * 100)
        with trio.move_on_after(5):
            try:
                stream = await host.new_stream(info.peer_id, [PROTOCOL_ID])
                await stream.write(encode_varint_prefixed(message.SerializeToString()))
                await stream.close()
            except Exception:
                await _connected(host, info)


if __name__ == "__main__":
    role: Callable[..., Awaitable[None]] = lie if sys.argv[1] == "lie" else attack
    trio.run(role, *sys.argv[2:])
