"""Fixtures for the tests of the package."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import leftovers
import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_failed = pytest.StashKey[bool]()

# A shell's background job ignores interrupts, and hands that on to what it starts: to pytest, and from
# there to the kernels and scripts that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Most tests wait more than they compute, so even two processors have enough for four workers."""
    return max(4, os.cpu_count() or 1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
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
