"""Every stage in every variant that its options can make: for tests of declarations and templates."""

from __future__ import annotations

from collections.abc import Iterator

from services.service import Service
from topologies.flows import parse_flow
from topologies.stage import LAYERS, Settings, Stage
from topologies.stages import STAGES

#: What the classroom switches on a stage that has layers.
_SWITCHES: dict[str, Settings] = {
    "no-tls": Settings(tls=False),
    "reencrypt": Settings(reencrypt=True),
    "no-agents": Settings(agents=False),
    **{f"no-firewall-{layer}": Settings(firewalls_off=(layer,)) for layer in LAYERS},
    "unprotected": Settings(tls=False, agents=False, firewalls_off=LAYERS),
    "leastconn": Settings(balance="leastconn"),
    "further-flow": Settings(flows=(parse_flow("monitor1>db1:tcp/3306"),)),
    "attentive": Settings(scrape_interval_s=1, evaluation_interval_s=1, alert_for_s=0),
}
_SETTINGS: dict[str, dict[str, Settings]] = {
    "0": {"unix": Settings(), "tcp": Settings(wiring="tcp"), "no-tls": Settings(tls=False)},
    "1": {
        "default": Settings(),
        "source": Settings(balance="source"),
        "short-ttl": Settings(dns_ttl_s=0),
        "further-flow": Settings(flows=(parse_flow("client1>server1:tcp/22"),)),
    },
    "2": {"default": Settings(), **_SWITCHES},
    "3": {
        "default": Settings(),
        "active-passive": Settings(mode="active-passive"),
        "advert-0.1": Settings(advert_int_s=0.1),
        "advert-2.5": Settings(advert_int_s=2.5),
        "one-of-each": Settings(balancers=1, web_servers=1, app_servers=1),
        "as-many-as-possible": Settings(balancers=9, web_servers=9, app_servers=9),
        "eager-checks": Settings(check_inter_s=0.05, check_fall=1, check_rise=1),
        "sized": Settings(server_cores=0.05, server_memory_mb=128, link_mbit=100),
        **_SWITCHES,
    },
}

#: "3 active-passive" → the stage, declared but not built. One without a line above has its default variant.
VARIANTS: dict[str, Stage] = {
    f"{number} {name}": kind(settings)
    for number, kind in STAGES.items()
    for name, settings in _SETTINGS.get(number, {"default": Settings()}).items()
}


def services_of(stage: Stage) -> Iterator[tuple[str, Service]]:
    """(host, service) of everything the stage runs."""
    for host, services in stage.declared.items():
        for service in services:
            yield host, service
