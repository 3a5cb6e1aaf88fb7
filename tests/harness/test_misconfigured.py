"""What is weakened or exchanged is what the daemons really read, in every stage that has TLS."""

from __future__ import annotations

import pytest

from experiments.harness.misconfigured import certificate_files, front_of, weakened
from services import haproxy, nginx
from services.credentials import Secrets
from topologies.stage import Stage
from topologies.stage0_simple import Stage0
from topologies.stage2_secured import Stage2
from topologies.stage3_scaleup import Stage3
from topologies.waiting import TestbedError

SECRETS = Secrets()
CONFIGURATION = {"haproxy": haproxy.CONFIGURATION, "nginx": nginx.CONFIGURATION}


def rendered(stage: Stage) -> dict[str, str]:
    front = front_of(stage)
    (service,) = (s for s in stage.declared[front.host] if s.name == front.daemon)
    return {path: file.text for path, file in service.render(SECRETS).items()}


@pytest.mark.parametrize(
    ("stage", "host", "daemon"),
    [(Stage0(), "server1", "nginx"), (Stage2(), "lb1", "haproxy"), (Stage3(), "lb1", "haproxy")],
)
def test_the_front_server_is_where_tls_ends(stage: Stage, host: str, daemon: str) -> None:
    front = front_of(stage)
    assert (front.host, front.daemon, front.address) == (host, daemon, "8.8.8.8")
    files = certificate_files(front, SECRETS.certificate("www.foobar.com"))
    assert files.items() == {p: f for p, f in _files(stage).items() if p in files}.items()


def _files(stage: Stage) -> dict[str, object]:
    front = front_of(stage)
    (service,) = (s for s in stage.declared[front.host] if s.name == front.daemon)
    return dict(service.render(SECRETS))


@pytest.mark.parametrize("stage", [Stage0(), Stage2(), Stage3()])
def test_every_configuration_can_be_weakened(stage: Stage) -> None:
    daemon = front_of(stage).daemon
    own = rendered(stage)[CONFIGURATION[daemon]]
    weak = weakened(daemon, own)
    assert weak != own
    assert "ALL:eNULL:@SECLEVEL=0" in weak
    assert "TLSv1.0" in weak or "TLSv1 " in weak


def test_a_configuration_that_is_not_recognised_is_not_taken_for_weak() -> None:
    with pytest.raises(TestbedError, match="could be weakened"):
        weakened("haproxy", "global\n    log stdout\n")
