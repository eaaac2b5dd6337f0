"""Storage that gives other files than the chain names, or none, or without end."""

from __future__ import annotations

import asyncio
import zlib

from aiohttp import web

from .attack import attack
from .scene import Scene


@attack("names the CID of another file", "RCV-006")
async def other_file(scene: Scene) -> None:
    stage = scene.stage
    await stage.open()
    await stage.submit(0, proof_cid=await stage.put(stage.bundles[1]))


@attack("names a CID that is none", "AUD-602")
async def no_cid(scene: Scene) -> None:
    await scene.stage.open()
    await scene.stage.submit(0, proof_cid="uNotACid")


@attack("names a file that nobody has", "AUD-602")
async def lost_file(scene: Scene) -> None:
    from platformless.storage.cids import BlobId

    await scene.stage.open()
    await scene.stage.submit(0, proof_cid=str(BlobId.of(b"never uploaded")))


async def _lie(scene: Scene) -> None:
    await scene.stage.be_honest()
    scene.lie_from_storage()


@attack("gives other bytes", "AUD-602", who="storage")
async def other_bytes(scene: Scene) -> None:
    await _lie(scene)

    async def fault(request: web.Request) -> web.StreamResponse | None:
        size = max(map(len, scene.stage.bundles))
        return web.Response(body=bytes(size)) if _asks_for_a_file(request) else None

    scene.portal.fault = fault


@attack("cuts every stream short", "AUD-602", who="storage")
async def truncated(scene: Scene) -> None:
    await _lie(scene)

    async def fault(request: web.Request) -> web.StreamResponse | None:
        if not _asks_for_a_file(request):
            return None
        reply = web.StreamResponse(headers={"content-length": str(len(scene.stage.bundles[0]))})
        await reply.prepare(request)
        await reply.write(scene.stage.bundles[0][:1000])
        if request.transport is not None:
            request.transport.abort()
        return reply

    scene.portal.fault = fault


@attack("sends bytes without end", "AUD-602", who="storage")
async def endless(scene: Scene) -> None:
    await _lie(scene)

    async def fault(request: web.Request) -> web.StreamResponse | None:
        if not _asks_for_a_file(request):
            return None
        reply = web.StreamResponse()
        reply.enable_chunked_encoding()
        await reply.prepare(request)
        while True:
            await reply.write(bytes(1 << 16))

    scene.portal.fault = fault


@attack("sends a byte now and then", "AUD-602", who="storage")
async def dripping(scene: Scene) -> None:
    await _lie(scene)

    async def fault(request: web.Request) -> web.StreamResponse | None:
        if not _asks_for_a_file(request):
            return None
        reply = web.StreamResponse()
        await reply.prepare(request)
        while True:
            await reply.write(b"\x00")
            await asyncio.sleep(0.2)

    scene.portal.fault = fault


@attack("sends a gigabyte packed into a megabyte", "AUD-602", who="storage")
async def decompression_bomb(scene: Scene) -> None:
    await _lie(scene)
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(1024)) + packer.flush()

    async def fault(request: web.Request) -> web.StreamResponse | None:
        if not _asks_for_a_file(request):
            return None
        return web.Response(body=bomb, headers={"content-encoding": "gzip"})

    scene.portal.fault = fault


@attack("sends the auditor round in circles", "AUD-602", who="storage")
async def redirects(scene: Scene) -> None:
    await _lie(scene)

    async def fault(request: web.Request) -> web.StreamResponse | None:
        if not _asks_for_a_file(request):
            return None
        return web.Response(status=302, headers={"location": str(request.url)})

    scene.portal.fault = fault


@attack("never answers", "AUD-602", who="storage")
async def silent(scene: Scene) -> None:
    await _lie(scene)

    async def fault(_request: web.Request) -> web.StreamResponse | None:
        await asyncio.sleep(60)
        return None

    scene.portal.fault = fault


def _asks_for_a_file(request: web.Request) -> bool:
    return request.method == "GET"
