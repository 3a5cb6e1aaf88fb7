"""The rooms of DESIGN.md: who may import whom, that importing does nothing, and what is done nowhere."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOP_LEVEL = {
    "README.md", "LICENSE", "pyproject.toml", "requirements.lock", "testbed",
    "topologies", "services", "loadtests", "experiments", "results", "tests",
}  # fmt: skip
#: Room → what its modules may import beside their own room and the standard library.
MAY_IMPORT: dict[str, set[str]] = {
    "services": {"jinja2", "pymysql", "dns", "cryptography"},
    "services/app": {"flask", "werkzeug", "pymysql"},
    "topologies": {"mininet", "services"},
    "loadtests": {"dns"},
    "experiments": {"topologies", "services", "loadtests", "_interpreter", "rich"},
    "experiments/faults": {"topologies", "services"},
    "experiments/harness": {
        "topologies",
        "services",
        "loadtests",
        "jinja2",
        "markupsafe",
        "matplotlib",
        "rich",
    },
    "experiments/operate": {"topologies", "services", "loadtests", "mininet", "rich"},
}
#: Locust patches sockets where it is imported: only in locustfiles and in what they alone import.
SIBLINGS = {
    "acts", "bounds", "extras", "failure_classes", "recording", "shaping", "stage_tab", "stage_tab_option",
    "visitors",
}  # fmt: skip
LOCUST = {"locust", "gevent", "flask", "requests", "urllib3", "shapes", *SIBLINGS}
LOCUSTFILES = {
    f"loadtests/{name}.py" for name in (*SIBLINGS, "browse", "compute", "mixed", "static", "write")
}  # fmt: skip
#: Poll loops, the schedule of a generator, and the one place where an experiment lets time pass.
MAY_SLEEP = {
    "topologies/waiting.py", "topologies/cgroup.py", "experiments/harness/generators.py",
    "loadtests/engine.py", "loadtests/recording.py",
    "services/app/answers.py",  # a slow release is slow
}  # fmt: skip
#: The age of a file is the one duration that only the wall clock knows.
#: Prometheus and the logs (monitor.py) know no other clock.
MAY_ASK_THE_WALL_CLOCK = {"topologies/capsule.py", "experiments/harness/monitor.py"}
FILES = sorted(
    p.relative_to(ROOT).as_posix()
    for room in ("topologies", "services", "loadtests", "experiments")
    for p in (ROOT / room).rglob("*")
    if p.is_file() and "__pycache__" not in p.parts
)
PROGRAM = [file for file in FILES if file.endswith(".py")]
TESTS = sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "tests").rglob("*.py"))
EVERY = pytest.mark.parametrize("module", PROGRAM)


def nodes(module: str) -> Iterator[ast.AST]:
    return ast.walk(ast.parse((ROOT / module).read_text(), module))


def imports(module: str) -> set[str]:
    """Every module that is named in an import, wherever in the file it stands."""
    found = set()
    for node in nodes(module):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            found.add(f"{module.rpartition('/')[0].replace('/', '.')}.{node.module or ''}")
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room_of(module: str) -> str:
    return max((room for room in MAY_IMPORT if module.startswith(f"{room}/")), key=len)


def calls(module: str) -> Iterator[str]:
    """ "time.sleep", "open": what is called, as it is written."""
    return (ast.unparse(node.func) for node in nodes(module) if isinstance(node, ast.Call))


# -- arrows ------------------------------------------------------------------------------------------


@EVERY
def test_a_module_imports_only_what_its_room_may(module: str) -> None:
    room = room_of(module)
    allowed = MAY_IMPORT[room] | {room.partition("/")[0]} | set(sys.stdlib_module_names)
    if module in LOCUSTFILES:
        allowed |= LOCUST
    unexpected = {name for name in imports(module) if name.partition(".")[0] not in allowed}
    assert not unexpected, f"{room} does not import {', '.join(sorted(unexpected))}"


@EVERY
def test_the_site_is_whole_without_the_project_around_it(module: str) -> None:
    inside = module.startswith("services/app/")
    ours = {name for name in imports(module) if name.startswith("services")}
    if inside:
        assert all(name.startswith("services.app") for name in ours), "it is copied to hosts as it is"
    else:
        assert not any(name.startswith("services.app") for name in ours), "it runs on hosts, not in here"


@EVERY
def test_the_harness_knows_no_experiment_and_nobody_a_locustfile(module: str) -> None:
    ours = {name for name in imports(module) if name.startswith("experiments.")}
    if module.startswith("experiments/faults/"):
        assert all(name.startswith("experiments.faults") for name in ours)
    if module.startswith("experiments/harness/"):
        assert all(name.startswith(("experiments.harness", "experiments.faults")) for name in ours)
    locustfiles = tuple(file.removesuffix(".py").replace("/", ".") for file in LOCUSTFILES)
    assert not {name for name in imports(module) if name.startswith(locustfiles)}


def test_no_module_is_named_like_a_library_that_its_neighbours_import() -> None:
    # `locust -f` and `python experiments/failover.py` put their own directory first on the path.
    for directory in ("loadtests", "experiments"):
        names = {p.stem for p in (ROOT / directory).glob("*.py")} - {"__init__", "__main__"}
        libraries = {
            *sys.stdlib_module_names,
            "dns",
            "flask",
            "gevent",
            "locust",
            "requests",
            "rich",
            "mininet",
        }
        assert not names & libraries


# -- importing does nothing --------------------------------------------------------------------------

_IMPORT_ALL = """
import sys
for library in ("cryptography.x509", "dns.resolver", "flask", "jinja2", "matplotlib.pyplot", "mininet.cli",
                "pymysql", "rich.console", "rich.table"):
    __import__(library)
if sys.argv[1] == "locust":
    import locust
forbidden = ("socket.", "subprocess.", "os.", "shutil.", "signal.", "_thread.start", "ctypes.", "fcntl.")
harmless = ("os.listdir", "os.scandir", "os.walk", "os.stat")
def object_to(event, arguments):
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if writes or (event.startswith(forbidden) and not event.startswith(harmless)):
        raise RuntimeError(f"importing does {event} {arguments}")
sys.addaudithook(object_to)
for name in sys.argv[2:]:
    __import__(name)
"""


@pytest.mark.parametrize("kind", ["locust", "all others"])
def test_importing_opens_starts_and_writes_nothing(kind: str) -> None:
    chosen = [m for m in PROGRAM if (m in LOCUSTFILES) == (kind == "locust")]
    names = [m.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for m in chosen]
    path = os.pathsep.join((str(ROOT), str(ROOT / "loadtests")))
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT_ALL, kind, *names],
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == ("", "")


# -- what is done nowhere ----------------------------------------------------------------------------


@EVERY
def test_time_passes_only_in_poll_loops_and_is_measured_only_on_the_monotonic_clock(module: str) -> None:
    called = set(calls(module))
    if module not in MAY_SLEEP:
        assert not {name for name in called if name.rpartition(".")[2] == "sleep"}
    if module not in MAY_ASK_THE_WALL_CLOCK:
        assert not called & {"time.time", "time", "time.time_ns"}


@pytest.mark.parametrize("module", [*PROGRAM, *TESTS])
def test_no_error_is_swallowed_unseen_and_no_command_goes_through_a_shell_string(module: str) -> None:
    for node in nodes(module):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{module}:{node.lineno}: bare except"
        if isinstance(node, ast.keyword) and node.arg == "shell":
            assert ast.unparse(node.value) == "False", f"{module}:{node.lineno}: shell="
    assert not {"os.system", "os.popen", "subprocess.getoutput"} & set(calls(module))


@pytest.mark.parametrize("file", ["testbed", *FILES])
def test_nothing_is_ever_ended_by_name(file: str) -> None:
    text = (ROOT / file).read_bytes().decode(errors="replace")
    for word in ("pkill", "killall", "pgrep", "pidof", "mn -c", '"mn", "-c"'):
        assert word not in text


# -- the house ---------------------------------------------------------------------------------------


def test_the_top_level_holds_only_the_fixed_entries() -> None:
    assert {p.name for p in ROOT.iterdir() if not p.name.startswith(".")} <= TOP_LEVEL


def test_the_distribution_lists_every_package() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    packages = {
        m.removesuffix("/__init__.py").replace("/", ".") for m in PROGRAM if m.endswith("/__init__.py")
    }
    assert set(listed) == packages


@pytest.mark.parametrize("module", [m for m in [*PROGRAM, *TESTS] if (ROOT / m).stat().st_size])
def test_a_file_opens_with_a_line_that_says_what_it_is(module: str) -> None:
    first = (ast.get_docstring(ast.parse((ROOT / module).read_text())) or "").split("\n")[0]
    assert len(first) > 15
