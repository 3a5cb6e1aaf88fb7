"""When the active load balancer dies, the standby answers within the interval that VRRP predicts (claim 3.1).

sudo python experiments/failover.py                     stage 3, crash of the active balancer, three trials
"""

from __future__ import annotations

if __name__ == "__main__":
    from _interpreter import hand_over

    hand_over("failover")

import argparse
from argparse import Namespace

from experiments.faults import FAULTS, BadTarget, Fault, Target
from experiments.harness import conduct, options
from experiments.harness.conclusion import Conclusion
from experiments.harness.generators import loading, probing
from experiments.harness.progress import Progress
from experiments.harness.run import Run
from experiments.harness.standing import standing
from experiments.harness.trials import HEADLINE, plan_trials, predict_outage
from experiments.harness.watch import watching
from loadtests.prober_config import ProberConfig, StreamConfig
from topologies.host import TRUST_STORE
from topologies.stage import DOMAIN, RESOLVER, Stage

FAILS_OVER = ("3.1", "a load balancer cluster fails over within the interval that VRRP predicts")
REMAINS = ("3.10", "what is not a load balancer fails as its own redundancy predicts, or stays down")
SINGLE = ("1.4", "one load balancer is a single point of failure; a server behind it is not")
WRITES = ("2.6", "the database is a single point of failure without automatic failover")
ONE_SERVER = ("0.1", "one server is a single point of failure")
EXAMPLES = """\
  sudo python experiments/failover.py                            the main job
  sudo ./testbed failover --advert-int 0.1                       VRRPv3, a third of a second
  sudo ./testbed failover --fault process-kill --target lb1/haproxy
  sudo ./testbed failover --fault graceful-stop                  the balancer resigns
  sudo ./testbed failover --fault none                           the control
  sudo ./testbed failover --stage 0                              nothing takes over
  sudo ./testbed failover --stage 1 --target server2             requests are sent elsewhere, at once
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
        "--rate", type=options.number(float, 10, 2000), metavar="HZ",
        help="probes/s (default 200; 100 where a server must carry alone what two carried)",
    )  # fmt: skip
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
    vip, users = stage.site_addresses[0], chosen.users
    config = prober_config(stage, vip, chosen.rate or usual_rate_hz(stage, fault))
    report = Conclusion("failover", run, stage, chosen, claim_of(stage, fault), config.streams[0].period_s)
    with (
        standing(stage, run, progress) as testbed,
        progress.waiting("measuring"),
        watching(testbed) as watch,
    ):
        prediction = predict_outage(fault, testbed, vip, config.rate_hz + users)
        progress.say(f"predicted: {prediction.because}")
        with (
            loading(
                testbed.hosts["client2"], run.directory, host_url=f"{stage.scheme}://{DOMAIN}", users=users
            ),
            probing(testbed.hosts["client1"], config, run.directory) as prober,
        ):
            plan = plan_trials(
                testbed, watch, prober, fault, prediction, chosen.watch, run.seed, progress.now
            )
            report.conduct_trials(plan, chosen.repeat, progress)
        report.prober = prober.summary
    return report.publish(watch.events(), testbed, progress)


def usual_rate_hz(stage: Stage, fault: Fault) -> float:
    """200 probes a second; half of it where one application server must carry alone what two carried."""
    balancers = stage.hosts_of("haproxy")
    behind = bool(balancers) and fault.target.host not in balancers
    return 100.0 if behind else 200.0


def claim_of(stage: Stage, fault: Fault) -> tuple[str, str]:
    """The row of CLAIMS.md that this fault tests."""
    host = fault.target.host
    if stage.hosts_of("keepalived"):
        claim = FAILS_OVER if host in stage.hosts_of("keepalived") else REMAINS
    elif not stage.hosts_of("haproxy"):
        claim = ONE_SERVER
    else:
        claim = WRITES if stage.hosts_of("mysql") == [host] else SINGLE
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
