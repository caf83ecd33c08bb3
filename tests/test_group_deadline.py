"""At its deadline, a group shows where its workers are stuck."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import group_workers
import pytest
from groups import DEADLINE, SOON, ends_soon, posix, script

from ipc_helpers.group import worker_group
from ipc_helpers.group.errors import DeadlineError
from ipc_helpers.group.worker_group import WorkerGroup

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.context import BaseContext

pytestmark = pytest.mark.usefixtures("nothing_left")


either_way = pytest.mark.parametrize("alone", [False, True], ids=["beside a thread", "alone"])


def stack_at_deadline(
    context: BaseContext, function: Callable[..., Any], *arguments: Any, alone: bool = False
) -> str:
    """Start a worker that gets stuck; return the stack that the deadline brings."""
    with (
        ends_soon(DEADLINE + SOON),
        pytest.raises(TimeoutError) as caught,
        WorkerGroup(context, deadline=DEADLINE) as group,
    ):
        group.start(function, *arguments, alone=alone)
    assert isinstance(caught.value, DeadlineError)
    ((name, stack),) = caught.value.stacks.items()
    assert str(caught.value).startswith(f"{name} was still running after {DEADLINE:g} s\n")
    assert f"\n\n{name}:\n{stack}" in str(caught.value)
    return stack


def main_thread(stack: str) -> list[str]:
    """Return the functions in the main thread's part of a stack, innermost first."""
    title, *lines = stack.partition("\nanother thread")[0].splitlines()
    assert title == "main thread, innermost frame first:"
    return [line.rpartition(" in ")[2] for line in lines]


def test_stuck_in_a_folder_with_an_umlaut(tmp_path: Path) -> None:
    folder = tmp_path / "für Prozesse"
    shutil.copytree(Path(worker_group.__file__).parents[1], folder / "ipc_helpers")
    shutil.copy(group_workers.__file__, folder)
    with script(group_workers.print_stack_of_a_sleeper, DEADLINE, folder=folder) as process:
        output, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")
    assert main_thread(output.rstrip()) == ["sleep_long"]


@either_way
def test_stuck_in_sleep(context: BaseContext, alone: bool) -> None:
    stack = stack_at_deadline(context, group_workers.sleep_long, alone=alone)
    assert main_thread(stack) == ["sleep_long"]
    assert "another thread" not in stack, "the one that wrote the stack down"
    assert "entry.py" not in stack, "frames that only start the worker"


@either_way
def test_stuck_in_a_full_pipe(context: BaseContext, alone: bool) -> None:
    stack = stack_at_deadline(context, group_workers.send_without_reader, alone=alone)
    assert main_thread(stack)[-2:] == ["send_bytes", "send_without_reader"]


@either_way
def test_stuck_in_the_feeders_join(context: BaseContext, alone: bool) -> None:
    """The worker has returned: its own line is gone, and the library's show that the queue is not empty."""
    stack = stack_at_deadline(context, group_workers.put_without_reader, context.Queue(), alone=alone)
    assert "_finalize_join" in main_thread(stack)
    assert "put_without_reader" not in stack
    assert "group_workers.py" not in stack
    feeder = stack.partition("another thread, innermost frame first:\n")[2]
    assert " in send_bytes\n" in feeder or " in _send_bytes\n" in feeder
    assert " in _feed\n" in feeder


@either_way
def test_stuck_in_a_computation(spawn: BaseContext, alone: bool) -> None:
    stack = stack_at_deadline(spawn, group_workers.compute, alone=alone)
    assert main_thread(stack) == ["compute"]


@either_way
def test_stuck_in_c_with_the_interpreter_held(spawn: BaseContext, alone: bool) -> None:
    stack = stack_at_deadline(spawn, group_workers.hold_the_interpreter, alone=alone)
    assert main_thread(stack)[-2:] == ["fullmatch", "hold_the_interpreter"]


def test_those_that_are_stuck_are_in_one_error(context: BaseContext) -> None:
    lock = context.Lock()
    with lock, pytest.raises(DeadlineError) as caught, WorkerGroup(context, deadline=DEADLINE) as group:
        group.start(group_workers.sleep_long)
        returned = group.start(group_workers.add, 1, 2)
        group.start(group_workers.wait_for_lock, lock)
    assert str(caught.value).startswith(f"2 workers were still running after {DEADLINE:g} s\n")
    assert {name: main_thread(stack) for name, stack in caught.value.stacks.items()} == {
        "sleep_long": ["sleep_long"],
        "wait_for_lock": ["wait_for_lock"],  # acquire() is written in C: it has no frame
    }
    assert returned.result == 3


@posix
def test_stopped_process_has_no_stack(context: BaseContext) -> None:
    with (
        ends_soon(DEADLINE + SOON),
        pytest.raises(DeadlineError) as caught,
        WorkerGroup(context, deadline=DEADLINE) as group,
    ):
        stopped = group.start(group_workers.sleep_long, name="stopped")
        group.start(group_workers.sleep_long, name="asleep")
        group_workers.wait_until_up(group)
        os.kill(stopped.pid, signal.SIGSTOP)
        watchdog = threading.Timer(SOON, os.kill, (stopped.pid, signal.SIGKILL))
        watchdog.start()
    watchdog.cancel()
    assert caught.value.stacks["stopped"].startswith("no stack")
    assert main_thread(caught.value.stacks["asleep"]) == ["sleep_long"]
    assert stopped.exitcode == -signal.SIGKILL
