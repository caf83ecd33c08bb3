"""The benchmark compares two trees. How fast they are is nothing that a test asserts."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
KINDS = "Queue", "Queue, maxsize=64", "one-way pipe", "duplex pipe"

pytestmark = pytest.mark.usefixtures("nothing_left")


def benchmark(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tests" / "tools" / "benchmark.py"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def test_two_trees_are_measured_against_a_bare_loop_and_each_other(tmp_path: Path) -> None:
    package = tmp_path / "before" / "ipc_helpers"
    shutil.copytree(ROOT / "ipc_helpers", package, ignore=shutil.ignore_patterns("__pycache__"))
    few = "--rounds", "1", "--parts", "b", "--messages", "10"
    done = benchmark(*few, "--against", "before", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for kind in KINDS:
        row = rf"^ +{kind} +this [\d.]+ \(.+\) +other [\d.]+ \(.+\) +this/other [\d.]+ \(.+\) +bare [\d,]+/s$"
        assert re.search(row, done.stdout, re.MULTILINE), done.stdout


def test_rates_that_measure_finds_are_compared_with_bare_loops(tmp_path: Path) -> None:
    done = benchmark("--rounds", "1", "--parts", "e", "--messages", "10", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for kind in ("Queue", "Pipe, send", "Pipe, send_bytes"):
        row = rf"^ +{kind} +measure [\d.]+ \(.+\) +bare [\d,]+/s$"
        assert re.search(row, done.stdout, re.MULTILINE), done.stdout


def test_a_path_without_the_package_is_named(tmp_path: Path) -> None:
    done = benchmark("--against", "nowhere", folder=tmp_path)
    assert done.returncode == 2
    assert f"there is no package ipc_helpers in {tmp_path.resolve() / 'nowhere'}" in done.stderr
