"""Interrupts, and a parent that dies: a group's children end."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import group_workers
import psutil
import pytest
from groups import AMPLE, ends_soon, posix, script
from kernels import gone_within

from ipc_helpers.group.starting import start_methods
from ipc_helpers.group.worker_group import WorkerGroup

if TYPE_CHECKING:
    import subprocess
    from multiprocessing.context import BaseContext

pytestmark = pytest.mark.usefixtures("nothing_left")


@posix
def test_child_ignores_an_interrupt(context: BaseContext) -> None:
    event = context.Event()
    with WorkerGroup(context, deadline=AMPLE) as group:
        child = group.start(group_workers.wait_for, event)
        group_workers.wait_until_up(group)
        os.kill(child.pid, signal.SIGINT)
        event.set()
    assert (child.result, child.exitcode) == ("went on", 0)


def test_interrupt_in_the_body_ends_the_children_at_once(context: BaseContext) -> None:
    """Not only at the end of the block, which CPython 3.13 may skip (its issue 130279)."""
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), WorkerGroup(context, deadline=AMPLE) as group:
        child = group.start(group_workers.sleep_long)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        # Asserted below: the block's end raises KeyboardInterrupt, whatever was raised in it.
        seen = child.exitcode is not None, signal.getsignal(signal.SIGINT)
    assert seen == (True, handler)


@posix
@pytest.mark.parametrize("place", ["wait", "body", "until"])
@pytest.mark.parametrize("start_method", start_methods())
def test_parent_is_interrupted(start_method: str, place: str) -> None:
    """As Ctrl-C and a notebook's interrupt do it: the signal goes to the whole process group."""
    with script(group_workers.run_until_interrupted, start_method, place) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        with ends_soon():
            os.killpg(process.pid, signal.SIGINT)
            output, errors = process.communicate()
    assert (output, errors, process.returncode) == ("interrupted, left: []\n", "", 0)


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the workers of a script, whose process ids it prints."""
    assert process.stdout is not None
    return [psutil.Process(int(pid)) for pid in process.stdout.readline().split()]


@posix
@pytest.mark.parametrize("start_method", start_methods())
def test_children_end_when_their_parent_dies_beside_one_that_cannot(start_method: str) -> None:
    """Under fork the last child holds what would tell the others of the parent's end."""
    with script(group_workers.run_until_killed, start_method) as process:
        *others, last = workers_of(process)
        assert len(others) == 2
        last.suspend()
        time.sleep(0.2)  # a stop takes a moment to reach all threads
        try:
            process.kill()
            assert gone_within(10, others)
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):  # on a busy machine it may take longer
                last.resume()
        assert gone_within(10, [last])


@posix
@pytest.mark.parametrize("start_method", start_methods())
def test_children_that_run_alone_end_when_their_parent_dies(start_method: str) -> None:
    with script(group_workers.run_until_killed, start_method, True) as process:
        workers = workers_of(process)
        if sys.platform == "linux":  # the third puts: its queue has a thread
            assert [worker.num_threads() for worker in workers[:2]] == [1, 1]
        process.kill()
        assert gone_within(10, workers)


@pytest.mark.parametrize("start_method", start_methods())
def test_interpreter_that_exits_does_not_wait_for_a_thread_and_its_children(start_method: str) -> None:
    with script(group_workers.run_in_a_thread_and_leave, start_method) as process:
        workers = workers_of(process)
        assert len(workers) == 1
        with ends_soon():
            process.communicate("leave")
        assert process.returncode == 0
        assert gone_within(10, workers)
