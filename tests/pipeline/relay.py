"""An RPC endpoint that may be killed: bytes pass between its port and the chain's.

`python -m tests.pipeline.relay PORT CHAIN_PORT`
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

READY = "relay ready"
_HOST = "127.0.0.1"
_PIECE_BYTES = 64 << 10


async def relay(port: int, chain_port: int) -> None:
    """Runs for ever."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            from_chain, to_chain = await asyncio.open_connection(_HOST, chain_port)
            await asyncio.gather(_pass_on(reader, to_chain), _pass_on(from_chain, writer))

    server = await asyncio.start_server(serve, _HOST, port, reuse_address=True)
    print(READY, flush=True)
    async with server:
        await server.serve_forever()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError), contextlib.closing(writer):
        while piece := await reader.read(_PIECE_BYTES):
            writer.write(piece)
            await writer.drain()


if __name__ == "__main__":
    asyncio.run(relay(int(sys.argv[1]), int(sys.argv[2])))
