"""Fixtures for the tests of the package."""

from __future__ import annotations

import multiprocessing
import shutil
import signal
import tempfile
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

# A shell's background job ignores interrupts, and hands that on to what it starts: to pytest, and from
# there to the kernels and scripts that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
