"""The flaky server and the prober as processes, and certificates for them: what the tests here share."""

from __future__ import annotations

import datetime
import json
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from loadtests.prober_config import ProberConfig, StreamConfig
from loadtests.probes import Probe, read_probes

ROOT = Path(__file__).parents[2]
HOST = "www.foobar.com"
RATE_HZ = 200.0
PERIOD_S = 1 / RATE_HZ


def line_from(pipe: IO[str], what: str, timeout_s: float = 5.0) -> dict[str, Any]:
    ready, _, _ = select.select([pipe], [], [], timeout_s)
    assert ready, f"waited {timeout_s} s for {what}"
    document: dict[str, Any] = json.loads(pipe.readline())
    return document


def let_time_pass(for_s: float) -> None:
    """The duration of a fault is not a condition that could be waited for."""
    threading.Event().wait(for_s)


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=5)


@dataclass
class FlakyServer:
    process: subprocess.Popen[str]
    port: int

    def _order(self, word: str) -> tuple[float, float]:
        """Two moments that the change lies between: a millisecond, or more on a busy machine."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        before_s, after_s = line_from(self.process.stdout, f"the server to {word}")["between_s"]
        return before_s, after_s

    def fail(self) -> tuple[float, float]:
        return self._order("fail")

    def recover(self) -> tuple[float, float]:
        return self._order("recover")


@contextmanager
def flaky_server(fault: str = "none", *options: str) -> Iterator[FlakyServer]:
    with running(str(Path(__file__).with_name("flaky_server.py")), fault, *options) as process:
        assert process.stdout is not None
        yield FlakyServer(process, line_from(process.stdout, "the server to listen")["port"])


@dataclass
class RunningProber:
    process: subprocess.Popen[str]
    output: Path
    started_s: float

    def finish(self) -> tuple[list[Probe], dict[str, Any]]:
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> tuple[list[Probe], dict[str, Any]]:
        out, _ = self.process.communicate(timeout=10)
        assert self.process.returncode == 0
        return sorted(read_probes(self.output), key=lambda p: p.due_s), json.loads(out.splitlines()[-1])


@contextmanager
def prober(config: ProberConfig) -> Iterator[RunningProber]:
    path = Path(config.output).with_suffix(".json")
    path.write_text(config.to_json())
    with running("-m", "loadtests.prober", str(path)) as process:
        assert process.stdout is not None
        started = line_from(process.stdout, "the prober to start")["started_s"]
        yield RunningProber(process, Path(config.output), started)


def config_for(
    port: int, tmp_path: Path, *, ca_file: str | None = None, keep_alive: bool = False
) -> ProberConfig:
    stream = StreamConfig(
        "new", f"{'https' if ca_file else 'http'}://{HOST}:{port}/", RATE_HZ, "127.0.0.1", keep_alive
    )
    return ProberConfig(
        (stream,),
        str(tmp_path / "probes.csv"),
        expect_text="hello from the site",
        ca_file=ca_file,
        max_duration_s=20,
    )


def certificate(directory: Path, name: str, host: str) -> tuple[Path, Path]:
    """A self-signed certificate for `host` and its key, which is its own CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)  # noqa: UP017 - datetime.UTC hides that it is a time zone
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = directory / f"{name}.pem", directory / f"{name}.key"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return cert_file, key_file
