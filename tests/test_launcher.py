"""The launcher and its verbs: what a user types first works, or says in one line what to type instead."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.__main__ import VERBS

ROOT = Path(__file__).parents[1]


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [str(word) for word in command], cwd=cwd, env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def launch(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What the launcher executes once set-up is done."""
    return run(sys.executable, "-P", "-m", "experiments", *arguments)


def test_the_launcher_is_executable_and_valid_for_a_plain_posix_shell() -> None:
    assert os.access(ROOT / "testbed", os.X_OK)
    assert (ROOT / "testbed").read_text().startswith("#!/bin/sh\n")
    checked = run("sh", "-n", ROOT / "testbed")
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_every_verb_on_stdout(arguments: list[str]) -> None:
    helped = launch(*arguments)
    assert helped.returncode == 0
    for verb, (_, what) in VERBS.items():
        assert f"  {verb:<10} {what}" in helped.stdout
    assert "  setup " in helped.stdout
    assert "  test " in helped.stdout
    assert helped.stderr == ""


def test_an_unknown_verb_is_a_usage_error_of_one_line_that_names_the_verbs() -> None:
    refused = launch("fail-over")
    assert refused.returncode == 2
    assert refused.stdout == ""
    (line,) = refused.stderr.splitlines()
    assert "'fail-over'" in line
    assert all(verb in line for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_a_module_with_a_main_that_takes_arguments(verb: str) -> None:
    found = importlib.util.find_spec(VERBS[verb][0])
    assert found is not None, f"{VERBS[verb][0]} does not exist"
    assert found.origin is not None
    body = ast.parse(Path(found.origin).read_text()).body
    (main,) = [node for node in body if isinstance(node, ast.FunctionDef) and node.name == "main"]
    assert len(main.args.args) == 1


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_and_refuses_what_it_does_not_know(verb: str) -> None:
    helped = launch(verb, "--help")
    assert helped.returncode == 0, helped.stderr
    assert f"usage: testbed {verb}" in helped.stdout
    refused = launch(verb, "--no-such-option")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.splitlines()[-1].startswith(f"testbed {verb}: error: ")


def verb_of(experiment: str) -> str:
    """A file is called like its verb, but where that name is a library's (dns)."""
    module = f"experiments.{experiment.removesuffix('.py')}"
    (verb,) = (verb for verb, (where, _) in VERBS.items() if where == module)
    return verb


@pytest.mark.parametrize("experiment", sorted(p.name for p in (ROOT / "experiments").glob("[!_]*.py")))
def test_an_experiment_before_set_up_names_the_command_that_helps(experiment: str, tmp_path: Path) -> None:
    here = tmp_path / "a checkout"
    shutil.copytree(ROOT / "experiments", here / "experiments", ignore=shutil.ignore_patterns("__pycache__"))
    early = run("/usr/bin/python3", here / "experiments" / experiment, cwd=tmp_path)
    assert early.returncode == 3
    assert early.stdout == ""
    assert early.stderr == (
        f"{verb_of(experiment)}: this checkout is not set up yet; run: sudo {here}/testbed setup\n"
    )


@pytest.mark.parametrize("experiment", sorted(p.name for p in (ROOT / "experiments").glob("[!_]*.py")))
def test_an_experiment_started_as_a_file_is_the_same_verb(experiment: str, tmp_path: Path) -> None:
    """With whatever python comes first, from wherever, and with its arguments."""
    here = tmp_path / "checkout"
    shutil.copytree(ROOT / "experiments", here / "experiments", ignore=shutil.ignore_patterns("__pycache__"))
    (here / ".venv" / "bin").mkdir(parents=True)
    (here / ".venv" / "ready").touch()
    project_python = here / ".venv" / "bin" / "python"
    project_python.write_text('#!/bin/sh\nprintf "%s\\n" "$PYTHONDONTWRITEBYTECODE" "$@"\n')
    project_python.chmod(0o755)
    handed = run(
        "/usr/bin/python3", here / "experiments" / experiment, "--stage", "0", "two words", cwd=tmp_path
    )
    verb = verb_of(experiment)
    assert handed.stdout.splitlines() == ["1", "-P", "-m", "experiments", verb, "--stage", "0", "two words"]
    assert handed.returncode == 0
