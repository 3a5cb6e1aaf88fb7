"""`./testbed VERB …`: experiments and operator's commands, one module each."""

from __future__ import annotations

import importlib
import sys
import traceback

from experiments.harness.model import EXIT_INCONCLUSIVE

#: Verb → (module, what it does). The only list of verbs.
VERBS = {
    "failover": (
        "experiments.failover",
        "kill the active load balancer, measure the outage against VRRP's prediction",
    ),
    "balance": ("experiments.balance", "who gets which share of the requests, for each algorithm"),
    "wiring": ("experiments.wiring", "who listens, who asks whom, and where the time of a request goes"),
    "dns": (
        "experiments.name_change",
        "what a client is told of the site's name, and when it follows a change",
    ),
    "security": ("experiments.security", "who reaches whom, what the wire shows, what TLS offers and costs"),
    "monitoring": (
        "experiments.monitoring",
        "what is collected of each layer, and how soon somebody is told of a fault",
    ),
    "replication": ("experiments.replication", "how late a replica is, what it answers, and what it refuses"),
    "capacity": (
        "experiments.capacity",
        "the highest rate a stage carries, and what its tightest budget allows",
    ),
    "bench": ("experiments.bench", "how fast and how precise the testbed itself is"),
    "up": ("experiments.operate.up", "bring a stage up and stay: table, URLs, Mininet's command line"),
    "load": (
        "experiments.operate.load",
        "Locust against a stage: headless, or with its web UI in the browser",
    ),
    "ps": ("experiments.operate.ps", "what runs where, from another terminal"),
    "exec": ("experiments.operate.exec", "run a command on a host: exec client1 -- dig www.foobar.com"),
    "logs": ("experiments.operate.logs", "the logs of a host or one daemon: logs lb1/haproxy"),
    "down": ("experiments.operate.down", "end a running stage"),
    "doctor": ("experiments.operate.doctor", "what this machine can and cannot emulate, one fix per failure"),
    "flows": ("experiments.operate.flows", "who may speak to whom in a stage, as declared"),
    "draw": ("experiments.operate.draw", "the picture of a stage as SVG or PNG, drawn from its declaration"),
    "report": ("experiments.operate.report", "the verdict and files of a run: the latest, or a directory"),
}


def usage() -> str:
    lines = ["usage: testbed VERB [options]", "", "verbs:"]
    lines += [f"  {verb:<10} {what}" for verb, (_, what) in VERBS.items()]
    lines += [
        "  test       the whole test suite (arguments go to pytest)",
        "  setup      install what is missing, and nothing else",
        "",
        "testbed VERB --help says more; sudo ./testbed failover is the main job",
        "exit codes: 0 held, 1 deviated, 2 usage, 3 this machine cannot, 4 inconclusive, 130 interrupted",
    ]
    return "\n".join(lines)


def main() -> int:
    verb = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if verb in ("--help", "-h", "help"):
        print(usage())
        return 0
    if verb not in VERBS:
        print(f"testbed: unknown verb {verb!r}; one of {', '.join(VERBS)}", file=sys.stderr)
        return 2
    module = importlib.import_module(VERBS[verb][0])
    try:
        status: int = module.main(sys.argv[2:])
    except Exception as defect:
        # A defect of ours. Python's own exit status for it is 1, which here would say "deviated".
        traceback.print_exception(defect)
        raise SystemExit(EXIT_INCONCLUSIVE) from defect
    return status


if __name__ == "__main__":
    sys.exit(main())
