"""A generator as a process, and a server that remembers what it was sent: what the tests of it share."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadtests.generator_config import GeneratorConfig, KindConfig
from loadtests.probes import Probe, read_probes
from tests.loadtests.known_truth import HOST, ROOT, line_from, running
from tests.loadtests.small_servers import GOOD

READ = KindConfig("read", "/")
ORDER = KindConfig(
    "order",
    "/api/orders/{uuid}",
    method="PUT",
    body='{"item_id": {id}, "order": "{uuid}"}',
    expect_status=(201,),
)
CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"


def config_of(port: int, *kinds: KindConfig, **more: Any) -> GeneratorConfig:
    tls = "s" if more.get("ca_file") else ""
    how: dict[str, Any] = {"rate_hz": 100.0, "duration_s": 0.3, "connect_to": ("127.0.0.1",)} | more
    return GeneratorConfig(url=f"http{tls}://{HOST}:{port}", kinds=kinds or (READ,), **how)


@dataclass
class Generated:
    summary: dict[str, Any]
    rows: list[Probe]
    fates: dict[str, str] = field(default_factory=dict)  # of writes, by id


def command_of(config: GeneratorConfig, tmp_path: Path) -> tuple[str, ...]:
    path = tmp_path / "generator.json"
    path.write_text(config.to_json())
    return ("-m", "loadtests.generator", str(path))


def generate(config: GeneratorConfig, tmp_path: Path) -> Generated:
    """A whole run."""
    done = subprocess.run(
        [sys.executable, *command_of(config, tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return read(config, done.stdout)


def read(config: GeneratorConfig, stdout: str) -> Generated:
    rows = sorted(read_probes(Path(config.output)), key=lambda p: p.k) if config.output else []
    lines = Path(config.acknowledged).read_text().splitlines()[1:] if config.acknowledged else []
    fates = {line.split(",")[0]: line.split(",")[1] for line in lines}
    assert len(fates) == len(lines), "one line per id"
    return Generated(json.loads(stdout.splitlines()[-1]), rows, fates)


@contextmanager
def single_worker(service_ms: float) -> Iterator[int]:
    """A server of known capacity; its port."""
    script = str(Path(__file__).with_name("queue_server.py"))
    with running(script, "--service-ms", f"{service_ms:g}") as process:
        assert process.stdout is not None
        yield line_from(process.stdout, "the single worker to listen")["port"]


@dataclass
class Remembering:
    """Handles connections like tests.loadtests.small_servers: keeps every request, gives the same answer."""

    answer: bytes = GOOD
    requests: list[tuple[bytes, bytes]] = field(default_factory=list)  # head and body
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, connection: socket.socket) -> None:
        while request := receive(connection):
            with self._lock:
                self.requests.append(request)
            connection.sendall(self.answer)


def receive(connection: socket.socket) -> tuple[bytes, bytes] | None:
    """Head and body of one request, None at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(4096)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    while len(body) < length:
        body += connection.recv(4096)
    return head, body
