"""A group beside whatever else goes on in a program: threads, forks, handlers, other groups."""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import group_workers
import pytest
from groups import AMPLE, DEADLINE, SOON, ends_soon, failure_of, posix, returned, script

from ipc_helpers.group import starting, worker_group
from ipc_helpers.group.errors import DeadlineError, WorkerError
from ipc_helpers.group.starting import start_methods
from ipc_helpers.group.worker_group import WorkerGroup

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("nothing_left")

HANGS = """
import os, time

if "IPC_HANGS" in os.environ:
    time.sleep(300)
"""


@posix
@pytest.mark.parametrize(
    ("ended_by", "error"),
    [
        ("deadline", "DeadlineError True len"),
        ("cancel", "Cancelled True"),
        ("interrupt", "KeyboardInterrupt True"),
    ],
)
@pytest.mark.parametrize("start_method", [method for method in start_methods() if method != "fork"])
def test_start_ends_while_its_child_hangs(
    start_method: str, ended_by: str, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(HANGS, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with script(group_workers.start_one_that_hangs, start_method, ended_by) as process:
        output, errors = process.communicate(timeout=AMPLE)
    assert errors == ""
    assert output.splitlines() == [error, "left: []", "another: 1000000"]


def test_a_timer_of_faulthandlers_does_not_stop_the_children(context: BaseContext) -> None:
    """As pytest's faulthandler_timeout sets it; a forked child that touches it hangs."""
    faulthandler.dump_traceback_later(AMPLE * 10)
    try:
        assert returned(context, group_workers.add, 1, 2) == 3
    finally:
        faulthandler.cancel_dump_traceback_later()


@posix
def test_a_worker_may_have_an_alarm_of_its_own(context: BaseContext) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})  # children inherit that
    try:
        error = failure_of(context, group_workers.set_alarm)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert str(error) == "failing was killed by SIGALRM before its worker returned"


@posix
def test_children_whose_ends_the_program_ignores(context: BaseContext) -> None:
    """Then the system keeps no exit code for anybody."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert returned(context, group_workers.add, 1, 2) == 3
    finally:
        signal.signal(signal.SIGCHLD, before)


@posix
@pytest.mark.parametrize(
    ("function", "outcome"),
    [("add", 3), ("kill_itself", "add exited with code 255 before its worker returned")],
)
def test_another_part_of_the_program_waits_for_the_child_first(
    function: str, outcome: object, context: BaseContext
) -> None:
    go = context.Event()
    with contextlib.suppress(WorkerError), ends_soon(), WorkerGroup(context, deadline=AMPLE) as group:
        child = group.start(group_workers.wait_then_call, go, function, name="add")
        waiter = threading.Thread(target=wait_for_any, args=(child.pid,), daemon=True)
        waiter.start()
        go.set()
        waiter.join(SOON)  # it was first: the group looks at the end of its block
    if context.get_start_method() == "forkserver":  # whose children nobody else can wait for
        assert child.exitcode == (0 if function == "add" else -signal.SIGKILL)
    elif function == "add":
        assert (child.result, child.exitcode) == (outcome, 0)
    else:
        with pytest.raises(WorkerError, match=f"^{outcome}$"):
            _ = child.result
    assert multiprocessing.active_children() == []


def wait_for_any(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def test_others_look_for_ended_children_all_the_time(context: BaseContext) -> None:
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            multiprocessing.active_children()

    with ThreadPoolExecutor() as another:
        looking = another.submit(look)
        try:
            for _ in range(20):
                assert returned(context, group_workers.add, 1, 2) == 3
        finally:
            over.set()
        looking.result()


def test_a_forked_child_uses_a_group_itself(spawn: BaseContext) -> None:
    """Whoever forked it was starting a process, and held what only one at a time may hold."""
    if "fork" not in start_methods():
        pytest.skip("the platform has no fork")
    process = multiprocessing.get_context("fork").Process(
        target=returned, args=(spawn, group_workers.add, 2, 3)
    )
    with worker_group._starting:
        process.start()
    process.join(SOON)
    process.kill()
    process.join()
    assert process.exitcode == 0
    process.close()


def test_more_children_than_one_wait_can_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows that is 63 objects, two for each child."""
    wait = starting.connection.wait

    def wait_as_windows(objects: list[Any], timeout: float | None = None) -> list[Any]:
        if len(objects) > 63:
            raise ValueError("need at most 63 handles, got a sequence of length {len(objects)}")
        return wait(objects, timeout)

    monkeypatch.setattr(starting.connection, "wait", wait_as_windows)
    monkeypatch.setattr(starting, "_MOST_WAITED_FOR", 60)
    with (
        ends_soon(AMPLE),
        WorkerGroup(multiprocessing.get_context(start_methods()[-1]), deadline=AMPLE) as group,
    ):
        children = [group.start(group_workers.add, number, 1) for number in range(40)]
    assert [child.result for child in children] == [*range(1, 41)]


def test_one_end_that_fails_leaves_no_other_behind(
    context: BaseContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    reap = worker_group.Child._reap

    def fail_once(child: worker_group.Child) -> None:
        reap(child)
        if child.name == "first":
            raise OSError("on purpose")

    monkeypatch.setattr(worker_group.Child, "_reap", fail_once)
    with pytest.raises(OSError, match="on purpose"), WorkerGroup(context, deadline=AMPLE) as group:
        children = [group.start(group_workers.add, 1, 2, name=name) for name in ("first", "second", "third")]
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert signal.getsignal(signal.SIGINT) is handler


def test_free_threaded_python_shows_no_stack(context: BaseContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    with pytest.raises(DeadlineError) as caught, WorkerGroup(context, deadline=DEADLINE) as group:
        group.start(group_workers.sleep_long, name="asleep")
    assert caught.value.stacks["asleep"].startswith("no stack: this Python is free-threaded")


def test_exception_is_not_hidden_by_the_deadline(spawn: BaseContext) -> None:
    """The worker raised, then its process was stuck; the body looked only after the deadline."""
    queue = spawn.Queue()
    with (
        pytest.raises(WorkerError, match="raised with a full queue"),
        WorkerGroup(spawn, deadline=DEADLINE) as group,
    ):
        group.start(group_workers.fail_with_a_full_queue, queue)
        time.sleep(DEADLINE + 0.5)


def test_block_that_catches_the_deadline_ends_cleanly(spawn: BaseContext) -> None:
    with WorkerGroup(spawn, deadline=DEADLINE) as group:
        group.start(group_workers.sleep_long)
        with pytest.raises(DeadlineError):
            group.wait()
        assert [child.exitcode is None for child in group.children] == [False]
    with pytest.raises(WorkerError):
        _ = group.children[0].result
