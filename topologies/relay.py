"""Every connection to a listening socket that this process was given goes on to ADDRESS:PORT.

python relay.py DESCRIPTOR ADDRESS PORT      runs in the network of a host; the socket is another one's
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys

READY = "relaying"


async def relay(listener: socket.socket, address: str, port: int, connect_timeout_s: float = 5.0) -> None:
    """Until cancelled. Where ADDRESS:PORT does not answer, the caller's connection is closed."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(connect_timeout_s):
                answer, question = await asyncio.open_connection(address, port)
        except OSError:  # TimeoutError is one
            writer.close()
            return
        try:
            await asyncio.gather(_pump(reader, question), _pump(answer, writer))
        finally:
            question.close()
            writer.close()

    server = await asyncio.start_server(carry, sock=listener)
    print(f"{READY} 127.0.0.1:{listener.getsockname()[1]} to {address}:{port}", flush=True)
    async with server:
        await server.serve_forever()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """One direction, until its end; the other one may go on."""
    with contextlib.suppress(ConnectionError):
        while data := await source.read(1 << 16):
            sink.write(data)
            await sink.drain()
        sink.write_eof()


if __name__ == "__main__":
    asyncio.run(relay(socket.socket(fileno=int(sys.argv[1])), sys.argv[2], int(sys.argv[3])))
