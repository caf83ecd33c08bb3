"""The workflows run what the pages promise, on each system, and can neither hang for hours nor be excused."""

from __future__ import annotations

import copy
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


def may_only_read(workflow: Workflow) -> Iterator[str]:
    if workflow.get("permissions") != {"contents": "read"}:
        yield "it may do more than read the repository"
    for name, job in workflow["jobs"].items():
        if "permissions" in job:
            yield f"{name} has permissions of its own"
        if any(given.get("persist-credentials") is not False for given in inputs(job, "actions/checkout")):
            yield f"{name} leaves the token to whatever runs after the checkout"
    if "secrets." in json.dumps(workflow):
        yield "it asks for a secret"


def ends_what_is_out_of_date(workflow: Workflow) -> Iterator[str]:
    concurrency = workflow.get("concurrency", {})
    if "${{ github.ref }}" not in concurrency.get("group", "") or not concurrency.get("cancel-in-progress"):
        yield "a newer commit on a branch does not end the run of an older one"


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


def needs_jobs_that_are_there(workflow: Workflow) -> Iterator[str]:
    for name, job in workflow["jobs"].items():
        needed = job.get("needs", [])
        for other in [needed] if isinstance(needed, str) else needed:
            if other not in workflow["jobs"]:
                yield f"{name} needs {other}, which is no job"


def pins_actions_to_a_major_version(workflow: Workflow) -> Iterator[str]:
    for name, job in workflow["jobs"].items():
        for step in job["steps"]:
            if "uses" in step and not re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"]):
                yield f"{name} uses {step['uses']}"


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
    may_only_read,
    ends_what_is_out_of_date,
    bounds_each_job,
    excuses_nothing,
    needs_jobs_that_are_there,
    pins_actions_to_a_major_version,
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


# The checks, on copies that each break one rule.


def put(path: str, value: Any) -> Callable[[Workflow], None]:
    """Return a change that sets what is at a path of keys and numbers, or removes it for None."""

    def change(workflow: Workflow) -> None:
        *keys, last = [True if key == "on" else int(key) if key.isdecimal() else key for key in path.split()]
        place: Any = workflow
        for key in keys:
            place = place[key]
        if value is None:
            del place[last]
        else:
            place[last] = value

    return change


MATRIX = "jobs systems strategy matrix"
CONDA = "jobs conda steps 1 with"
SPOILED = [
    (runs_on_each_change_and_weekly, put("on push branches", ["old"]), "a push to main starts nothing"),
    (runs_on_each_change_and_weekly, put("on pull_request", None), "not every pull request"),
    (runs_on_each_change_and_weekly, put("on pull_request", {"paths": ["tests"]}), "not every pull request"),
    (runs_on_each_change_and_weekly, put("on workflow_dispatch", None), "by hand"),
    (runs_on_each_change_and_weekly, put("on schedule", None), "no schedule is once a week"),
    (runs_on_each_change_and_weekly, put("on schedule 0 cron", "41 3 * * *"), "no schedule is once a week"),
    (runs_on_each_change_and_weekly, put("on schedule 0 cron", "41 3 1 * *"), "no schedule is once a week"),
    (may_only_read, put("permissions", None), "more than read"),
    (may_only_read, put("permissions contents", "write"), "more than read"),
    (may_only_read, put("jobs conda permissions", "write-all"), "conda has permissions of its own"),
    (may_only_read, put("jobs conda steps 0 with", None), "conda leaves the token"),
    (may_only_read, put("env", {"TOKEN": "${{ secrets.TOKEN }}"}), "asks for a secret"),
    (ends_what_is_out_of_date, put("concurrency", None), "a newer commit"),
    (ends_what_is_out_of_date, put("concurrency group", "all"), "a newer commit"),
    (ends_what_is_out_of_date, put("concurrency cancel-in-progress", False), "a newer commit"),
    (bounds_each_job, put("jobs everything timeout-minutes", None), "everything may hang"),
    (bounds_each_job, put("jobs conda timeout-minutes", 90), "conda may hang"),
    (excuses_nothing, put("jobs systems strategy fail-fast", None), "systems ends all its jobs"),
    (excuses_nothing, put(f"{MATRIX} exclude", [{"python": NEWEST}]), "systems leaves out a part"),
    (excuses_nothing, put("jobs conda continue-on-error", True), "conda has a part"),
    (excuses_nothing, put("jobs conda steps 2 if", "failure()"), "conda has a part"),
    (needs_jobs_that_are_there, put("jobs conda needs", "nothing"), "conda needs nothing"),
    (needs_jobs_that_are_there, put("jobs conda needs", ["systems", "all"]), "conda needs all"),
    (pins_actions_to_a_major_version, put("jobs conda steps 0 uses", "actions/checkout@main"), "conda uses"),
    (uses_the_python_that_it_sets_up, put("jobs everything steps 1", {}), "everything sets up []"),
    (uses_the_python_that_it_sets_up, put("jobs systems steps 1 with", {}), "systems sets up [None]"),
    (covers_systems_and_both_ends, put(f"{MATRIX} system", SYSTEMS[1:2]), f"on {SYSTEMS[0]}"),
    (covers_systems_and_both_ends, put(f"{MATRIX} system", SYSTEMS[:1]), f"on {SYSTEMS[1]}"),
    (covers_systems_and_both_ends, put(f"{MATRIX} python", [OLDEST, "3.13"]), f"with Python {NEWEST}"),
    (covers_systems_and_both_ends, put("jobs windows", None), f"on {SYSTEMS[2]}"),
    (covers_systems_and_both_ends, put("jobs windows steps 2 run", POSIX + TESTS), f": {WINDOWS}"),
    # Without quotes, YAML reads 3.20 as the number 3.2.
    (covers_systems_and_both_ends, put(f"{MATRIX} python", [3.20, NEWEST]), f"with Python {OLDEST}"),
    (covers_systems_and_both_ends, put("jobs systems env", None), f"with Python {NEWEST}"),
    (covers_systems_and_both_ends, put("jobs systems steps 2 run", "pytest"), f": {POSIX}"),
    (covers_systems_and_both_ends, put("jobs lowest-dependencies env UV_PYTHON", "3.12"), LOWEST_OPTIONS),
    (covers_systems_and_both_ends, put("jobs lowest-dependencies steps 2 run", "true"), LOWEST_OPTIONS),
    (runs_what_decides, put("jobs everything steps 2 run", TESTS), "no job runs .ci/run"),
    (runs_what_decides, put("jobs everything runs-on", SYSTEMS[1]), "no job runs .ci/run"),
    (takes_warnings_for_errors, put("env", None), "a warning"),
    (covers_conda, put("jobs conda strategy matrix system", SYSTEMS[:2]), SYSTEMS[2]),
    (covers_conda, put(f"{CONDA} environment-file", "other.yml"), LINUX),
    (covers_conda, put(f"{CONDA} activate-environment", "test"), LINUX),
    (covers_conda, put(f"{CONDA} channel-priority", None), LINUX),
    (covers_conda, put("jobs conda defaults", None), LINUX),
    (covers_conda, put("jobs conda steps 2 run", TESTS), LINUX),
]


@pytest.mark.parametrize(
    ("check", "change", "words"), SPOILED, ids=[f"{check.__name__}-{words}" for check, _, words in SPOILED]
)
def test_a_spoiled_workflow_is_found_out(
    check: Callable[[Workflow], Iterator[str]], change: Callable[[Workflow], None], words: str
) -> None:
    workflow = copy.deepcopy(WORKFLOWS["tests.yml"])
    change(workflow)
    assert words in "\n".join(check(workflow))


def test_every_check_was_seen_to_find_something() -> None:
    assert {check for check, _, _ in SPOILED} == set(CHECKS)
