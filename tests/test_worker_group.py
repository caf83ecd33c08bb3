"""WorkerGroup: however its workers and its block end, the right error comes out and nothing is left."""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import gc
import math
import multiprocessing
import os
import queue as queue_module
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import types
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import group_workers
import leftovers
import psutil
import pytest
from kernels import gone_within

from ipc_helpers.child.entry import OVERDUE, start_thread
from ipc_helpers.group import starting, worker_group
from ipc_helpers.group.errors import Cancelled, DeadlineError, StartError, WorkerError, WorkerGroupError
from ipc_helpers.group.starting import start_methods
from ipc_helpers.group.worker_group import WorkerGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.context import BaseContext

pytestmark = pytest.mark.usefixtures("nothing_left")

# Seconds, where it is to pass: the worker must be at its place by then, on a busy machine too.
DEADLINE = 3.0 if sys.platform == "linux" else 5.0
AMPLE = 60.0  # seconds, where it must not pass
SOON = 20.0  # seconds: far more than an end takes, far less than AMPLE

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such signals")


@pytest.fixture(params=start_methods())
def context(request: pytest.FixtureRequest) -> BaseContext:
    return multiprocessing.get_context(request.param)


@pytest.fixture
def spawn() -> BaseContext:
    """Return the context of a test that would show the same under each start method, and takes seconds."""
    return multiprocessing.get_context("spawn")


def is_fork(context: BaseContext) -> bool:
    return context.get_start_method() == "fork"


@contextlib.contextmanager
def ends_soon(within: float = SOON) -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < within, "it ended too late"


# What a worker returns.


def test_results_are_there_after_the_block(context: BaseContext) -> None:
    with WorkerGroup(context, deadline=AMPLE) as group:
        children = [group.start(group_workers.add, number, 1) for number in range(3)]
    assert [child.result for child in children] == [1, 2, 3]
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert [child.name for child in group.children] == ["add", "add 2", "add 3"]
    assert len({child.pid for child in children} | {os.getpid()}) == 4


def returned(context: BaseContext, function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a worker returns, once its process is gone."""
    with ends_soon(), WorkerGroup(context, deadline=AMPLE) as group:
        child = group.start(function, *arguments)
    assert child.exitcode == 0
    return child.result


def test_worker_runs_in_another_process(context: BaseContext) -> None:
    assert returned(context, os.getpid) != os.getpid()


def test_large_result_arrives_whole(context: BaseContext) -> None:
    size = 8 * 1024 * 1024
    assert returned(context, bytes, size) == bytes(size)


def test_results_are_there_after_wait(context: BaseContext) -> None:
    with WorkerGroup(context, deadline=AMPLE) as group:
        child = group.start(group_workers.add, 1, 2)
        group.wait()
        assert child.result == 3
        second = group.start(group_workers.add, child.result, 4)
    assert second.result == 7


def test_result_before_the_end_is_refused(context: BaseContext) -> None:
    event = context.Event()
    with WorkerGroup(context, deadline=AMPLE) as group:
        child = group.start(group_workers.wait_for, event)
        with pytest.raises(RuntimeError, match="wait_for has not ended"):
            _ = child.result
        event.set()
    assert child.result == "went on"


def test_any_callable_is_a_worker(context: BaseContext) -> None:
    with WorkerGroup(context, deadline=AMPLE) as group:
        child = group.start(functools.partial(group_workers.add, 1), 2)
        named = group.start(group_workers.add, 3, 4, name="the sum")
    assert (child.name, child.result) == ("partial", 3)
    assert (named.name, named.result) == ("the sum", 7)


def test_argument_that_nobody_else_refers_to_lives_until_the_child_has_it(context: BaseContext) -> None:
    with WorkerGroup(context, deadline=AMPLE) as group:
        children = [group.start(group_workers.put_in_own_queue, context.Queue()) for _ in range(4)]
    assert [child.result for child in children] == ["message"] * 4


def test_empty_block_ends(context: BaseContext) -> None:
    with ends_soon(), WorkerGroup(context, deadline=AMPLE) as group:
        pass
    assert group.children == ()


def test_nothing_is_held_after_the_block_while_the_group_is_kept(context: BaseContext) -> None:
    """As a notebook's variables keep it."""
    before = leftovers.held()
    with WorkerGroup(context, deadline=AMPLE) as group:
        children = [group.start(group_workers.put_in_own_queue, context.Queue()) for _ in range(2)]
    assert leftovers.left_since(before) == set()
    assert [child.result for child in children] == [child.result for child in group.children]


def test_nothing_is_held_after_a_failure_while_the_group_is_kept(context: BaseContext) -> None:
    before = leftovers.held()
    group = WorkerGroup(context, deadline=AMPLE)
    with contextlib.suppress(WorkerError), group:
        group.start(group_workers.put_without_reader, context.Queue())
        group.start(group_workers.fail, "on purpose")
    assert leftovers.left_since(before) == set()
    assert [child.exitcode is None for child in group.children] == [False, False]


def test_group_works_outside_of_the_main_thread(context: BaseContext) -> None:
    results: list[int] = []

    def run() -> None:
        results.append(returned(context, group_workers.add, 1, 2))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(AMPLE)
    assert results == [3, 3, 3, 3]


# How a worker fails.


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


def test_worker_raises(context: BaseContext) -> None:
    error = failure_of(context, group_workers.fail, "these words")
    assert (error.kind, error.message) == ("ValueError", "these words")
    assert str(error).startswith("failing raised ValueError: these words\n\nIn the child process:\n")
    assert "in fail\n" in error.traceback
    assert "raise ValueError(message)" in error.traceback
    assert "child.py" not in error.traceback, "frames that only start the worker"


def test_worker_raises_and_its_process_gets_stuck(context: BaseContext) -> None:
    error = failure_of(context, group_workers.fail_with_a_full_queue, context.Queue())
    assert (error.kind, error.message) == ("ValueError", "raised with a full queue")


def test_worker_raises_an_exception_whose_message_fails(context: BaseContext) -> None:
    error = failure_of(context, group_workers.fail_without_words)
    assert (error.kind, error.message) == ("group_workers.Wordless", "<its message can't be shown>")


def test_worker_exits(context: BaseContext) -> None:
    error = failure_of(context, sys.exit, 0)
    assert (error.kind, error.message) == ("SystemExit", "0")


@pytest.mark.parametrize("code", [0, 3, OVERDUE])
def test_worker_leaves_without_returning(code: int, context: BaseContext) -> None:
    """Also with the exit code of one that is overdue."""
    error = failure_of(context, os._exit, code)
    assert str(error) == f"failing exited with code {code} before its worker returned"
    assert (error.kind, error.exitcode) == (None, code)


LOST = pytest.mark.parametrize("error", [EOFError, BrokenPipeError, ConnectionResetError])


def raised_beside_one_that_lost_its_peer(
    spawn: BaseContext, error: type[Exception], other: Callable[..., Any], seconds: float
) -> WorkerGroupError:
    """Return what comes out of the block when a worker finds the end of its pipe closed, beside another."""
    go = spawn.Event()
    with (
        pytest.raises(WorkerGroupError) as caught,
        ends_soon(),
        WorkerGroup(spawn, deadline=AMPLE) as group,
    ):
        group.start(group_workers.find_the_end_closed, go, error)
        child = group.start(other, go, seconds)
        if other is group_workers.be_overdue_later:
            child._ends_at = 0  # as if its deadline had come
        group_workers.wait_until_up(group)
        go.set()
    return caught.value


@posix
@LOST
def test_killed_worker_is_named_rather_than_one_that_lost_its_peer(
    error: type[Exception], spawn: BaseContext
) -> None:
    raised = raised_beside_one_that_lost_its_peer(spawn, error, group_workers.kill_itself_later, 0.03)
    assert str(raised) == "kill_itself_later was killed by SIGKILL before its worker returned"


@posix
@LOST
@pytest.mark.parametrize("seconds", [0, 0.03])
def test_deadline_is_raised_rather_than_the_error_of_one_that_lost_its_peer(
    error: type[Exception], seconds: float, spawn: BaseContext
) -> None:
    """At the deadline, one ends a moment before the other, which finds the end of its pipe closed."""
    raised = raised_beside_one_that_lost_its_peer(spawn, error, group_workers.be_overdue_later, seconds)
    assert isinstance(raised, DeadlineError)
    assert list(raised.stacks) == ["be_overdue_later"]


def test_worker_that_lost_its_peer_is_named_when_nobody_was_killed(spawn: BaseContext) -> None:
    go = spawn.Event()
    go.set()
    assert failure_of(spawn, group_workers.find_the_end_closed, go, EOFError).kind == "EOFError"


@posix
def test_worker_is_killed(context: BaseContext) -> None:
    error = failure_of(context, group_workers.kill_itself)
    assert str(error) == "failing was killed by SIGKILL before its worker returned"
    assert (error.kind, error.traceback, error.exitcode) == (None, "", -signal.SIGKILL)


def test_result_cannot_be_pickled(context: BaseContext) -> None:
    error = failure_of(context, group_workers.return_lambda)
    assert error.message.startswith("its result can't be pickled: ")
    assert "return_lambda" in error.message


def test_thread_runs_once_it_is_started() -> None:
    """On CPython 3.11.2, a process that ends before its thread runs may crash."""
    ran = []

    def function(number: int, begun: Any) -> None:
        time.sleep(0.1)
        ran.append(number)
        begun.release()

    start_thread(function, 7)
    assert ran == [7]


def test_result_cannot_be_unpickled(context: BaseContext) -> None:
    error = failure_of(context, group_workers.return_unreadable)
    assert (error.kind, error.message) == (
        "ValueError",
        "its result can't be unpickled in the parent: unpickled",
    )


def test_argument_cannot_be_pickled(context: BaseContext) -> None:
    def local() -> None:
        pass

    if is_fork(context):
        assert returned(context, callable, local), "under fork nothing is pickled"
    else:
        with (
            ends_soon(),
            pytest.raises(StartError, match=r"^callable could not be started: \w+: .*local"),
            WorkerGroup(context, deadline=AMPLE) as group,
        ):
            group.start(group_workers.sleep_long)
            group.start(callable, local)
        assert [child.name for child in group.children] == ["sleep_long"]


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("known_in_the_parent", "ModuleNotFoundError: No module named 'known_in_the_parent'"),
        ("group_workers", "AttributeError: .*defined_late.*"),  # as with a function defined in a notebook
    ],
)
def test_worker_that_the_parent_alone_has(
    module: str, words: str, context: BaseContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defined_late() -> int:
        return 7

    defined_late.__qualname__ = "defined_late"
    defined_late.__module__ = module
    monkeypatch.setitem(sys.modules, "known_in_the_parent", types.ModuleType("known_in_the_parent"))
    monkeypatch.setattr(sys.modules[module], "defined_late", defined_late, raising=False)
    if is_fork(context):
        assert returned(context, defined_late) == 7, "under fork nothing is imported"
    else:
        error = failure_of(context, defined_late)
        assert re.fullmatch(words, f"{error.kind}: {error.message}")


# What is stuck at the deadline.


def stack_at_deadline(context: BaseContext, function: Callable[..., Any], *arguments: Any) -> str:
    """Start a worker that gets stuck; return the stack that the deadline brings."""
    with (
        ends_soon(DEADLINE + SOON),
        pytest.raises(TimeoutError) as caught,
        WorkerGroup(context, deadline=DEADLINE) as group,
    ):
        group.start(function, *arguments)
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


def test_stuck_in_sleep(context: BaseContext) -> None:
    stack = stack_at_deadline(context, group_workers.sleep_long)
    assert main_thread(stack) == ["sleep_long"]
    assert "another thread" not in stack, "the one that wrote the stack down"
    assert "entry.py" not in stack, "frames that only start the worker"


def test_stuck_in_a_full_pipe(context: BaseContext) -> None:
    stack = stack_at_deadline(context, group_workers.send_without_reader)
    assert main_thread(stack)[-2:] == ["send_bytes", "send_without_reader"]


def test_stuck_in_the_feeders_join(context: BaseContext) -> None:
    """The worker has returned: its own line is gone, and the library's show that the queue is not empty."""
    stack = stack_at_deadline(context, group_workers.put_without_reader, context.Queue())
    assert "_finalize_join" in main_thread(stack)
    assert "put_without_reader" not in stack
    assert "group_workers.py" not in stack
    feeder = stack.partition("another thread, innermost frame first:\n")[2]
    assert " in send_bytes\n" in feeder or " in _send_bytes\n" in feeder
    assert " in _feed\n" in feeder


def test_stuck_in_a_computation(spawn: BaseContext) -> None:
    stack = stack_at_deadline(spawn, group_workers.compute)
    assert main_thread(stack) == ["compute"]


def test_stuck_in_c_with_the_interpreter_held(spawn: BaseContext) -> None:
    stack = stack_at_deadline(spawn, group_workers.hold_the_interpreter)
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


# What else goes on in the program.


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


# How the block ends.


def test_block_raises(context: BaseContext) -> None:
    queue = context.Queue()
    with ends_soon(), pytest.raises(ZeroDivisionError), WorkerGroup(context, deadline=AMPLE) as group:
        group.start(group_workers.sleep_long)
        group.start(group_workers.put_without_reader, queue)
        group_workers.wait_until_up(group)
        _ = 1 / 0


def test_block_raises_at_once(context: BaseContext) -> None:
    """The children are killed while they start."""
    with ends_soon(), pytest.raises(ZeroDivisionError), WorkerGroup(context, deadline=AMPLE) as group:
        for _ in range(4):
            group.start(group_workers.sleep_long)
        _ = 1 / 0


def test_block_raises_beside_a_worker(context: BaseContext) -> None:
    """A get() of the body's that finds nothing must not hide why there was nothing."""
    queue = context.Queue()
    with (
        ends_soon(),
        pytest.raises(WorkerError, match="put_nothing raised ValueError: no message") as caught,
        WorkerGroup(context, deadline=AMPLE) as group,
    ):
        group.start(group_workers.sleep_long)
        child = group.start(group_workers.fail, "no message", name="put_nothing")
        ends_at = time.monotonic() + SOON
        while child.pid in {process.pid for process in multiprocessing.active_children()}:
            assert time.monotonic() < ends_at
            time.sleep(0.01)
        queue.get(timeout=0.05)
    assert isinstance(caught.value.__context__, queue_module.Empty)


def test_cancelled_from_a_thread(context: BaseContext) -> None:
    queue = context.Queue()
    event = threading.Event()
    with (
        ends_soon(),
        pytest.raises(Cancelled),
        WorkerGroup(context, deadline=AMPLE, cancelled=event) as group,
    ):
        group.start(group_workers.sleep_long)
        group.start(group_workers.put_without_reader, queue)
        group_workers.wait_until_up(group)
        timer = threading.Timer(0.1, event.set)
        timer.start()
    timer.join()


def test_cancelled_before_a_start(context: BaseContext) -> None:
    event = threading.Event()
    with pytest.raises(Cancelled), WorkerGroup(context, deadline=AMPLE, cancelled=event) as group:
        event.set()
        group.start(group_workers.sleep_long)
    assert group.children == ()


def test_error_keeps_nothing_alive(context: BaseContext) -> None:
    """Once an error was handled, no cycle keeps the queue and its semaphores until a collection."""
    gc.disable()
    try:
        assert [made_by_a_failure(context, kind)() for kind in ("worker", "result", "body", "cancelled")] == [
            None
        ] * 4
    finally:
        gc.enable()


def made_by_a_failure(context: BaseContext, kind: str) -> weakref.ref[Any]:
    queue, cancelled = context.Queue(), threading.Event()
    try:
        with WorkerGroup(context, deadline=AMPLE, cancelled=cancelled) as group:
            if kind == "worker":
                group.start(group_workers.fail, "on purpose")
            elif kind == "body":
                raise ValueError("on purpose")
            elif kind == "cancelled":
                cancelled.set()
            else:
                child = group.start(group_workers.fail, "on purpose")
                with contextlib.suppress(WorkerError):
                    group.wait()
                _ = child.result
    except (WorkerError, ValueError, Cancelled):
        pass
    return weakref.ref(queue)


# Waiting.


def test_wait_ends_once_its_condition_holds(context: BaseContext) -> None:
    event = context.Event()
    with WorkerGroup(context, deadline=AMPLE) as group:
        child = group.start(group_workers.wait_for, event)
        assert not child.is_ready
        group.wait(until=lambda: child.is_ready)
        assert (child.is_ready, child.exitcode) == (True, None)
        event.set()
    assert child.result == "went on"


def test_wait_for_what_can_no_longer_happen(context: BaseContext) -> None:
    with (
        pytest.raises(RuntimeError, match="all workers have returned"),
        WorkerGroup(context, deadline=AMPLE) as group,
    ):
        group.start(group_workers.add, 1, 2)
        group.wait(until=lambda: False)


def test_wait_for_a_condition_sees_a_failure(context: BaseContext) -> None:
    with (
        ends_soon(),
        pytest.raises(WorkerError, match="on purpose"),
        WorkerGroup(context, deadline=AMPLE) as group,
    ):
        group.start(group_workers.fail, "on purpose")
        group.wait(until=lambda: False)


def test_group_that_waits_looks_again_and_again(context: BaseContext) -> None:
    seen: list[bool] = []
    with WorkerGroup(context, deadline=AMPLE, on_wait=lambda: seen.append(child.is_ready)) as group:
        child = group.start(group_workers.wait_for, event := context.Event())
        timer = threading.Timer(0.5, event.set)
        timer.start()
    timer.join()
    assert seen == sorted(seen)
    assert seen[-1]
    assert len(seen) > 2


def test_error_in_on_wait_ends_the_block(context: BaseContext) -> None:
    def on_wait() -> None:
        raise ZeroDivisionError

    with (
        ends_soon(),
        pytest.raises(ZeroDivisionError),
        WorkerGroup(context, deadline=AMPLE, on_wait=on_wait) as group,
    ):
        group.start(group_workers.sleep_long)


# Interrupts, and a parent that dies.


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


@pytest.mark.parametrize("start_method", start_methods())
def test_interpreter_that_exits_does_not_wait_for_a_thread_and_its_children(start_method: str) -> None:
    with script(group_workers.run_in_a_thread_and_leave, start_method) as process:
        workers = workers_of(process)
        assert len(workers) == 1
        with ends_soon():
            process.communicate("leave")
        assert process.returncode == 0
        assert gone_within(10, workers)


# What is refused, before anything starts.


@pytest.mark.parametrize("deadline", [True, "10", None, 10j, [10]])
def test_deadline_of_a_wrong_type(deadline: Any, spawn: BaseContext) -> None:
    with pytest.raises(TypeError, match=r"^deadline must be a number of seconds"):
        WorkerGroup(spawn, deadline=deadline)


OUT_OF_RANGE = [0, -1, 0.0, -math.inf, math.inf, math.nan, 86_400.1, pytest.param(10**400, id="huge")]


@pytest.mark.parametrize("deadline", OUT_OF_RANGE)
def test_deadline_out_of_range(deadline: float, spawn: BaseContext) -> None:
    with pytest.raises(ValueError, match=r"^deadline must be above 0 and at most 86,400 seconds"):
        WorkerGroup(spawn, deadline=deadline)


def test_deadlines_at_the_ends_of_the_range(spawn: BaseContext) -> None:
    assert WorkerGroup(spawn, deadline=86_400).deadline == 86_400
    assert WorkerGroup(spawn, deadline=1e-9).deadline == 1e-9


@pytest.mark.parametrize("context", ["spawn", None, multiprocessing], ids=["str", "None", "module"])
def test_context_of_a_wrong_type(context: Any) -> None:
    with pytest.raises(TypeError, match=r"^context must be a multiprocessing context"):
        WorkerGroup(context, deadline=AMPLE)


@pytest.mark.usefixtures("no_start")
def test_start_refuses_what_is_not_callable(spawn: BaseContext) -> None:
    with WorkerGroup(spawn, deadline=AMPLE) as group:
        with pytest.raises(TypeError, match=r"^function must be callable, not 'add'"):
            group.start("add", 1, 2)  # type: ignore[arg-type]
        assert group.children == ()


def test_start_refuses_a_name_twice(context: BaseContext) -> None:
    with WorkerGroup(context, deadline=AMPLE) as group:
        group.start(group_workers.add, 1, 2, name="sum")
        with pytest.raises(ValueError, match=r"^name must differ from the group's other names: 'sum'"):
            group.start(group_workers.add, 1, 2, name="sum")
        assert [child.name for child in group.children] == ["sum"]


@pytest.mark.usefixtures("no_start")
def test_group_is_used_inside_of_its_block_and_once(spawn: BaseContext) -> None:
    group = WorkerGroup(spawn, deadline=AMPLE)
    outside = "inside of the group's with block"
    with pytest.raises(RuntimeError, match=outside):
        group.start(group_workers.add, 1, 2)
    with group:
        pass
    with pytest.raises(RuntimeError, match=outside):
        group.start(group_workers.add, 1, 2)
    with pytest.raises(RuntimeError, match=outside):
        group.wait()
    with pytest.raises(RuntimeError, match="used once"), group:
        pass
