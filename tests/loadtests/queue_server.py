"""A single worker that needs the same time for every request: its capacity is known, 1 / service time.

    python queue_server.py --service-ms 5      stdout: {"port": 40123}     (the end of stdin ends it)

Whoever comes while it works waits in line. An answer is due at max(arrival, end of the one before) + service
time, whenever the machine gets round to sending it: so lateness does not add up, and the capacity is exact.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Served-By: app1\r\n\r\nhello\n"


class Worker(asyncio.Protocol):
    """One connection; `line` is shared by all: when the worker is free again."""

    def __init__(self, service_s: float, line: list[float]) -> None:
        self._service_s, self._line = service_s, line

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        self._line[0] = max(loop.time(), self._line[0]) + self._service_s
        loop.call_at(self._line[0], self._transport.write, ANSWER)


async def serve(service_s: float) -> None:
    loop, line = asyncio.get_running_loop(), [0.0]
    server = await loop.create_server(lambda: Worker(service_s, line), "127.0.0.1", 0, backlog=1024)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--service-ms", type=float, required=True)
    asyncio.run(serve(parser.parse_args().service_ms / 1e3))


if __name__ == "__main__":
    main()
