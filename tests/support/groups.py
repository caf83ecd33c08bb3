"""What tests of a WorkerGroup share: bounds, and what starts a worker or a script."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import group_workers
import pytest

from ipc_helpers.group.errors import WorkerError
from ipc_helpers.group.worker_group import WorkerGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.context import BaseContext

# Seconds, where it is to pass: the worker must be at its place by then, on a busy machine too.
DEADLINE = 3.0 if sys.platform == "linux" else 5.0
AMPLE = 60.0  # seconds, where it must not pass
SOON = 20.0  # seconds: far more than an end takes, far less than AMPLE
posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such signals")


@contextlib.contextmanager
def ends_soon(within: float = SOON) -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < within, "it ended too late"


def returned(context: BaseContext, function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a worker returns, once its process is gone."""
    with ends_soon(), WorkerGroup(context, deadline=AMPLE) as group:
        child = group.start(function, *arguments)
    assert child.exitcode == 0
    return child.result


def failure_of(context: BaseContext, function: Callable[..., Any], *arguments: Any) -> WorkerError:
    """Run a worker that fails beside one that would sleep on; return the error once both are gone."""
    with ends_soon(), pytest.raises(WorkerError) as caught, WorkerGroup(context, deadline=AMPLE) as group:
        group.start(group_workers.sleep_long)
        group.start(function, *arguments, name="failing")
    assert caught.value.worker == "failing"
    assert [child.exitcode is not None for child in group.children] == [True, True]
    with pytest.raises(WorkerError, match=r"^failing "):
        _ = group.children[1].result
    return caught.value


@contextlib.contextmanager
def script(
    function: Callable[..., None],
    *arguments: str | float,
    folder: Path = Path(group_workers.__file__).parent,
) -> Iterator[subprocess.Popen[str]]:
    """Run a script of group_workers in an interpreter, and process group, of its own."""
    code = f"import group_workers; group_workers.{function.__name__}(*{arguments!r})"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    watchdog = threading.Timer(AMPLE, process.kill)
    watchdog.start()
    try:
        with process:
            yield process
    finally:
        watchdog.cancel()
        watchdog.join()
