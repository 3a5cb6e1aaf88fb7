"""When the active load balancer dies, the standby answers within the interval that VRRP predicts (claim 3.1).

sudo python experiments/failover.py                     stage 3, crash of the active balancer, three trials
"""

from __future__ import annotations

if __name__ == "__main__":
    from _interpreter import hand_over

    hand_over("failover")

import argparse
import random
from argparse import Namespace

from experiments.faults import FAULTS, BadTarget, Fault, Target
from experiments.harness import conclusion, conduct, options, predict, trials
from experiments.harness.generators import loading, probing
from experiments.harness.progress import Progress
from experiments.harness.run import CHECKOUT, VENV, Run
from experiments.harness.trials import HEADLINE
from experiments.harness.watch import Watch
from loadtests.prober_config import ProberConfig, StreamConfig
from topologies.host import TRUST_STORE
from topologies.stage import DOMAIN, RESOLVER, Stage, interface
from topologies.testbed import Testbed

FAILS_OVER = ("3.1", "a load balancer cluster fails over within the interval that VRRP predicts")
REMAINS = ("3.10", "what is not a load balancer fails as its own redundancy predicts, or stays down")
ONE_SERVER = ("0.1", "one server is a single point of failure")
EXAMPLES = """\
  sudo python experiments/failover.py                            the main job
  sudo ./testbed failover --advert-int 0.1                       VRRPv3, a third of a second
  sudo ./testbed failover --fault process-kill --target lb1/haproxy
  sudo ./testbed failover --fault graceful-stop                  the balancer resigns
  sudo ./testbed failover --fault none                           the control
  sudo ./testbed failover --stage 0                              nothing takes over
"""
PROBED, EXPECTED = "/api/items/1", '"id":1,'


def command_line() -> argparse.ArgumentParser:
    p = options.parser("failover", (__doc__ or "").split("\n")[0], EXAMPLES)
    options.add_common(p, repeat=3)
    p.add_argument(
        "--fault", choices=sorted(FAULTS), default="host-crash", help="what is done (default host-crash)"
    )
    p.add_argument(
        "--target", metavar="HOST[/PART]", help="to whom (default: the holder of the first address)"
    )
    p.add_argument(
        "--rate", type=options.number(float, 10, 2000), default=200.0, metavar="HZ", help="probes/s (200)"
    )
    p.add_argument(
        "--users", type=options.number(int, 0, 500), default=5, metavar="N", help="Locust users (5)"
    )
    p.add_argument(
        "--watch", type=options.number(float, 1, 600), metavar="S", help="time watched after injection"
    )
    options.add_sizes(p)
    return p


def main(argv: list[str] | None = None) -> int:
    p = command_line()
    chosen = p.parse_args(argv)
    stage = options.stage_of(p, chosen)
    try:
        fault = FAULTS[chosen.fault].aim(Target.parse(chosen.target or stage.default_target, stage), stage)
    except BadTarget as error:
        p.error(str(error))

    def work(chosen: Namespace, run: Run, progress: Progress) -> int:
        return fail_over(chosen, run, progress, stage, fault)

    return conduct.conduct("failover", f"failover-stage{stage.number}", chosen, work, stage)


def fail_over(chosen: Namespace, run: Run, progress: Progress, stage: Stage, fault: Fault) -> int:
    """Build the stage, load it, break it as often as asked, and say what the numbers support."""
    vip = stage.site_addresses[0]
    report = conclusion.Conclusion(
        "failover", run, stage, chosen, claim_of(stage, fault), period_s=1 / chosen.rate
    )
    testbed = Testbed(
        stage, run_id=run.run_id, results=run.directory, code=CHECKOUT, venv=VENV, say=progress.now
    )
    with progress.waiting(f"bringing up stage {stage.number}"), testbed, Watch(stage.site_addresses) as watch:
        progress.say(f"stage {stage.number} answers after {testbed.timings['bring-up']:.1f} s")
        for balancer in stage.hosts_of("keepalived"):
            watch.addresses_of(testbed.hosts[balancer])
        for daemon in testbed.daemons:
            if daemon.name in ("keepalived", "haproxy"):
                watch.log_of(daemon.host, lambda d=daemon: d.process)  # type: ignore[misc]
        prediction = predict.predict(
            fault.name,
            fault.target.host,
            fault.daemon,
            testbed.configs,
            vip,
            rate_hz=chosen.rate,
            interface=interface(fault.target.host, fault.segment) if fault.segment else None,
        )
        progress.say(f"predicted: {prediction.because}")
        config = prober_config(stage, vip, chosen.rate)
        with (
            loading(testbed.hosts["client2"], run.directory, host_url=f"{stage.scheme}://{DOMAIN}",
                    users=chosen.users, at_most_s=3600),
            probing(testbed.hosts["client1"], config, run.directory) as prober,
        ):  # fmt: skip
            plan = trials.Plan(
                testbed, watch, prober, fault, prediction, vip, period_s=1 / chosen.rate,
                phase_s=max(1.0, stage.settings.advert_int_s),
                watch_s=chosen.watch or trials.watch_time_s(prediction),
                holders=trials.holders_now(watch.events(), vip),
                rng=random.Random(run.seed), say=progress.now,
            )  # fmt: skip
            report.conduct_trials(plan, chosen.repeat, progress)
        report.prober = prober.summary
    return report.publish(watch.events(), testbed, progress)


def claim_of(stage: Stage, fault: Fault) -> tuple[str, str]:
    """The row of CLAIMS.md that this fault tests."""
    if not stage.hosts_of("keepalived"):
        claim = ONE_SERVER
    else:
        claim = FAILS_OVER if fault.target.host in stage.hosts_of("keepalived") else REMAINS
    return (claim[0], f"control, nothing broken: {claim[1]}") if fault.name == "none" else claim


def prober_config(stage: Stage, vip: str, rate_hz: float) -> ProberConfig:
    """The headline stream is pinned to the address that fails over; another goes by name, as browsers do."""
    url = f"{stage.scheme}://{DOMAIN}{PROBED}"
    return ProberConfig(
        streams=(
            StreamConfig(HEADLINE, url, rate_hz, connect_to=vip),
            StreamConfig("by-name", url, rate_hz / 10),
            StreamConfig("kept-alive", url, rate_hz / 10, connect_to=vip, keep_alive=True),
        ),
        output="/run/testbed/results/probes.csv",
        ca_file=TRUST_STORE,
        nameserver=RESOLVER,
        expect_text=EXPECTED,
    )
