"""What each run of pytest does, of tests and of notebooks."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from nbval.kernel import RunningKernel

if TYPE_CHECKING:
    from collections.abc import Generator

# The files that take longest, in this order: one that began late would keep the others' workers waiting.
_FIRST = (
    *("test_browser.py", "test_diagnosis.py", "test_exercises.py", "test_kernel_faults.py"),
    *(
        "test_check_machine.py",
        "test_refresh_outputs.py",
        "test_scripts.py",
        "test_xray.py",
        "test_experiment_workers.py",
    ),
    *(
        "06-pitfalls.ipynb",
        "07-pools.ipynb",
        "08-programs.ipynb",
        "09-sharing.ipynb",
        "05-patterns.ipynb",
        "04-inside-the-queue.ipynb",
        "02-queue.ipynb",
    ),
    "test_notebooks.py",
)

# Since CPython 3.12 a process with threads, as pytest-xdist's are, is warned when it forks. That children
# come up well all the same is what the tests of that start method show.
_MAY_FORK = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded, use of fork:DeprecationWarning"
)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Most tests wait more than they compute, so even two processors have enough for four workers."""
    return max(4, os.cpu_count() or 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; let tests fork.

    As a mark, the filter holds where -W makes errors of warnings as well.
    """
    places = {name: place for place, name in enumerate(_FIRST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))
    for item in items:
        item.add_marker(_MAY_FORK)


def pytest_configure(config: pytest.Config) -> None:
    """Have pytest-xdist keep that order, and nbval know what is different here, and end its kernels.

    Left alone, pytest-xdist begins with the files that have most tests. And nbval kills a kernel together
    with Python's resource tracker, so that the semaphores of queues that a notebook keeps stay for good.
    """
    config.option.loadscopereorder = False
    if sys.platform != "linux":
        config.option.nbval_sanitize_with = str(
            Path(__file__).with_name("tests") / "nbval_sanitize_elsewhere.cfg"
        )
    config.pluginmanager.register(_EachException())
    RunningKernel.__init__ = _start_kernel
    RunningKernel.stop = _end_kernel


_start_one = RunningKernel.__init__


def _start_kernel(kernel: RunningKernel, *args: Any, **options: Any) -> None:
    """Start a kernel, and another if that one dies: its ports were free when they were chosen for it.

    By the time it binds them, a kernel that starts beside it may have one.
    """
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ResourceWarning
        )  # nbval forgets the file that it opened for the first
        with contextlib.suppress(RuntimeError):
            _start_one(kernel, *args, **options)
            return
        gc.collect()
    _start_one(kernel, *args, **options)


def _end_kernel(kernel: RunningKernel) -> None:
    kernel.kc.stop_channels()
    # Asked to end, ipykernel waits for its children, and so for the resource tracker, which ends after it.
    kernel.km.signal_kernel(signal.SIGTERM)
    kernel.km.shutdown_kernel()  # kills it only if it has not ended
    kernel.km._launch_args["stderr"].close()  # nbval opens it, and forgets it


class _EachException:
    """Shows each exception of a group that ended a test, where nbval shows how many there are."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.excinfo is not None and isinstance(call.excinfo.value, BaseExceptionGroup):
            report.sections.append(("Each", "".join(traceback.format_exception(call.excinfo.value))))
        return report


def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Keep compiled modules in pytest's cache where the environment forbids them beside the modules.

    Else each of the hundreds of interpreters that the tests start compiles anew all that it imports.
    """
    cache = getattr(config, "cache", None)  # None without pytest's plugin for it
    if cache is not None and os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        os.environ["PYTHONPYCACHEPREFIX"] = str(cache.mkdir("compiled"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in the closing lines, once for each reason, how many tests were skipped."""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.stats.get("skipped", [])
    )
    for reason, count in reasons.items():
        terminalreporter.write_line(f"{count} {'tests' if count > 1 else 'test'} did not run: {reason}")
