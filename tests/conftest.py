"""Fixtures for the tests of the package."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import leftovers
import pytest

from ipc_helpers.group.starting import start_methods

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from multiprocessing.context import BaseContext

_failed = pytest.StashKey[bool]()

# The files that take longest, in this order: one that began late would keep the others' workers waiting.
_FIRST = (
    *("test_browser.py", "test_diagnosis.py", "test_exercises.py", "test_kernel_faults.py"),
    *(
        "test_check_machine.py",
        "test_refresh_outputs.py",
        "test_run_script.py",
        "test_xray.py",
        "test_experiment_workers.py",
    ),
    *(
        "06-pitfalls.ipynb",
        "07-pools.ipynb",
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

# A shell's background job ignores interrupts, and hands that on to what it starts: to pytest, and from
# there to the kernels and scripts that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
    """Have pytest-xdist keep that order, and nbval know what is different on this system.

    Left alone, pytest-xdist begins with the files that have most tests.
    """
    config.option.loadscopereorder = False
    if sys.platform != "linux":
        config.option.nbval_sanitize_with = str(Path(__file__).with_name("nbval_sanitize_elsewhere.cfg"))
    config.pluginmanager.register(_EachException())


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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[_failed] = True
    return report


@pytest.fixture(scope="session")
def _library_processes(tmp_path_factory: pytest.TempPathFactory) -> None:
    tmp_path_factory.getbasetemp()  # made on first use, which must not fall into a folder of one test
    leftovers.name_semaphores()
    for start_method in multiprocessing.get_all_start_methods():
        leftovers.start_library_processes(start_method)


@pytest.fixture(scope="session")
def fonts() -> None:
    """Have matplotlib open its font files, which it keeps open, before a test looks at what is open."""
    from ipc_helpers import QueueFlow, draw

    draw(QueueFlow(messages=1).run())


@pytest.fixture
def nothing_left(
    request: pytest.FixtureRequest, _library_processes: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Check that a test leaves no child, descriptor, semaphore or stack file; yield its temporary folder."""
    # Short: the path of a forkserver's socket has at most some 100 characters, and the folder is in it.
    folder = tempfile.mkdtemp(prefix="ipc")
    monkeypatch.setattr(tempfile, "tempdir", folder)
    monkeypatch.setenv("TMPDIR", folder)  # for the scripts that a test starts
    before = leftovers.held()
    yield Path(folder)
    left = leftovers.left_since(before)
    shutil.rmtree(folder, ignore_errors=True)
    # The traceback of a failed test keeps its frames, and what they hold, alive.
    if left and not request.node.stash.get(_failed, False):
        pytest.fail("the test left: " + "; ".join(sorted(left)))


@pytest.fixture
def no_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a test that starts a process."""

    def start(process: BaseProcess) -> None:
        pytest.fail(f"{process.name} was started")

    monkeypatch.setattr(BaseProcess, "start", start)


@pytest.fixture(params=start_methods())
def context(request: pytest.FixtureRequest) -> BaseContext:
    return multiprocessing.get_context(request.param)


@pytest.fixture
def spawn() -> BaseContext:
    """Return the context of a test that would show the same under each start method, and takes seconds."""
    return multiprocessing.get_context("spawn")


@pytest.fixture
def panel(fonts: None, nothing_left: Path) -> Any:
    from ipc_helpers import Panel, QueueFlow

    return Panel(QueueFlow(messages=50, payload=8))


@pytest.fixture(scope="module")
def chosen() -> Any:
    from pictures import chosen_result

    return chosen_result()
