"""The workflow runs what the pages promise, on each system, and can neither hang for hours nor be excused.

What a linter of workflows knows (permissions, credentials, concurrency) is left to it, in .ci/run.
"""

from __future__ import annotations

import json
import re
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from test_project import POSIX, PROJECT, ROOT, TESTS, WINDOWS, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LINUX = "ubuntu-latest"
SYSTEMS = (LINUX, "macos-latest", "windows-latest")
(OLDEST,) = (
    bound.version for bound in SpecifierSet(PROJECT["project"]["requires-python"]) if bound.operator == ">="
)
NEWEST = "3.15"
LOWEST_OPTIONS = "--isolated --resolution lowest-direct"
LOWEST = TESTS.replace("uv run", f"uv run {LOWEST_OPTIONS}")
COMMANDS = dict(zip(SYSTEMS, (POSIX, POSIX, WINDOWS), strict=True))  # what comes before uv's own
LONGEST = 60  # minutes; GitHub's own limit is six hours

WORKFLOWS = {path.name: yaml.safe_load(path.read_text("utf-8")) for path in ROOT.glob(".github/workflows/*")}
Workflow = dict[Any, Any]


def triggers(workflow: Workflow) -> dict[str, Any]:
    found: dict[str, Any] = workflow[True]  # to YAML, "on" is a way to write true
    return found


def jobs(workflow: Workflow) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each job by its name, once for each combination of its matrix, with the values put in."""
    for name, job in workflow["jobs"].items():
        matrix = job.get("strategy", {}).get("matrix", {})
        for values in product(*matrix.values()):
            text = json.dumps(job)
            for key, value in zip(matrix, values, strict=True):
                text = text.replace(f"${{{{ matrix.{key} }}}}", str(value))
            yield name, json.loads(text)


def commands(job: dict[str, Any]) -> list[str]:
    return [step["run"].strip() for step in job["steps"] if "run" in step]


def inputs(job: dict[str, Any], action: str) -> list[dict[str, Any]]:
    """Return what each step that uses an action hands to it."""
    return [step.get("with", {}) for step in job["steps"] if step.get("uses", "").startswith(f"{action}@")]


# The checks: each takes a workflow, and yields what is wrong with it.


def runs_on_each_change_and_weekly(workflow: Workflow) -> Iterator[str]:
    on = triggers(workflow)
    if on.get("push") != {"branches": ["main"]}:
        yield "a push to main starts nothing, or a push to another branch does"
    if "pull_request" not in on or on["pull_request"] is not None:
        yield "not every pull request is tested"
    if "workflow_dispatch" not in on:
        yield "nobody can start it by hand"
    weekly = re.compile(r"[1-5]?\d 1?\d \* \* [0-6]")
    if not any(weekly.fullmatch(entry["cron"]) for entry in on.get("schedule", [])):
        yield "no schedule is once a week"


def bounds_each_job(workflow: Workflow) -> Iterator[str]:
    for name, job in workflow["jobs"].items():
        if not 0 < job.get("timeout-minutes", 360) <= LONGEST:
            yield f"{name} may hang for longer than {LONGEST} minutes"


def excuses_nothing(workflow: Workflow) -> Iterator[str]:
    for name, job in workflow["jobs"].items():
        if job.get("strategy", {"fail-fast": False}).get("fail-fast", True):
            yield f"{name} ends all its jobs when one fails"
        if "exclude" in job.get("strategy", {}).get("matrix", {}):
            yield f"{name} leaves out a part of its matrix"
        for part in (job, *job["steps"]):
            if {"if", "continue-on-error"} & part.keys():
                yield f"{name} has a part that may be left out, or fail"


def uses_the_python_that_it_sets_up(workflow: Workflow) -> Iterator[str]:
    for name, job in jobs(workflow):
        given = [given.get("python-version") for given in inputs(job, "actions/setup-python")]
        if not inputs(job, "conda-incubator/setup-miniconda") and given != ["${{ env.UV_PYTHON }}"]:
            yield f"{name} sets up {given}, and uv may take another Python"


def covers_systems_and_both_ends(workflow: Workflow) -> Iterator[str]:
    wanted = {(system, python, COMMANDS[system] + TESTS) for system in SYSTEMS for python in (OLDEST, NEWEST)}
    wanted.add((LINUX, OLDEST, POSIX + LOWEST))
    found = {
        (job["runs-on"], str(job.get("env", {}).get("UV_PYTHON")), command)
        for _, job in jobs(workflow)
        for command in commands(job)
    }
    for system, python, command in sorted(wanted - found):
        yield f"no job runs on {system}, with Python {python}: {command}"


def runs_what_decides(workflow: Workflow) -> Iterator[str]:
    if not any(commands(job) == [".ci/run"] and job["runs-on"] == LINUX for _, job in jobs(workflow)):
        yield "no job runs .ci/run"


def takes_warnings_for_errors(workflow: Workflow) -> Iterator[str]:
    if workflow.get("env") != {"PYTEST_ADDOPTS": "-W error"}:
        yield "a warning, which readers may see with the next release of a package, is missed"


def covers_conda(workflow: Workflow) -> Iterator[str]:
    wanted = {
        "miniforge-version": "latest",
        "environment-file": "environment.yml",
        "activate-environment": yaml.safe_load(read("environment.yml"))["name"],
        "channel-priority": "strict",
    }
    found = {
        job["runs-on"]
        for _, job in jobs(workflow)
        if inputs(job, "conda-incubator/setup-miniconda") == [wanted]
        and commands(job) == ["pytest"]
        # GitHub's own shells are no login shells, and only those activate the environment.
        and job.get("defaults") == {"run": {"shell": "bash -el {0}"}}
    }
    for system in SYSTEMS:
        if system not in found:
            yield f"no job runs the tests in the conda environment on {system}"


CHECKS: tuple[Callable[[Workflow], Iterator[str]], ...] = (
    runs_on_each_change_and_weekly,
    bounds_each_job,
    excuses_nothing,
    uses_the_python_that_it_sets_up,
    covers_systems_and_both_ends,
    runs_what_decides,
    takes_warnings_for_errors,
    covers_conda,
)


def test_one_workflow_does_it_all() -> None:
    assert list(WORKFLOWS) == ["tests.yml"], "the checks below look at this one alone"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_workflow(check: Callable[[Workflow], Iterator[str]]) -> None:
    assert list(check(WORKFLOWS["tests.yml"])) == []


def test_contributing_has_the_lowest_command() -> None:
    assert f".uv/bin/{LOWEST}" in [line.strip() for line in read("CONTRIBUTING.md").splitlines()]
