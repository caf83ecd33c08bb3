"""WorkerGroup: what workers return, how its block ends, and what it refuses."""

from __future__ import annotations

import contextlib
import functools
import gc
import math
import multiprocessing
import os
import queue as queue_module
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import group_workers
import leftovers
import pytest
from groups import AMPLE, SOON, ends_soon, returned

from ipc_helpers.group.errors import Cancelled, WorkerError
from ipc_helpers.group.worker_group import WorkerGroup

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

pytestmark = pytest.mark.usefixtures("nothing_left")

# What a worker returns.


def test_results_are_there_after_the_block(context: BaseContext) -> None:
    with WorkerGroup(context, deadline=AMPLE) as group:
        children = [group.start(group_workers.add, number, 1) for number in range(3)]
    assert [child.result for child in children] == [1, 2, 3]
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert [child.name for child in group.children] == ["add", "add 2", "add 3"]
    assert len({child.pid for child in children} | {os.getpid()}) == 4


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


# How the block ends.


def test_terminated_worker_has_not_failed(context: BaseContext) -> None:
    """The others go on, and the one has no result."""
    with ends_soon(), WorkerGroup(context, deadline=AMPLE) as group:
        one = group.start(time.sleep, 300)
        event = context.Event()
        other = group.start(group_workers.wait_for, event)
        group.terminate(one)
        group.wait(until=lambda: one.exitcode is not None)
        group.terminate(one)  # again does nothing
        event.set()
    assert other.result == "went on"
    assert (one.ending, other.ending) == ("was terminated", "returned")
    assert one.exitcode
    with pytest.raises(WorkerError, match=r"^sleep was killed by SIGTERM before its worker returned$"):
        _ = one.result


def test_worker_that_raises_when_it_is_terminated_has_failed(context: BaseContext) -> None:
    with (
        pytest.raises(WorkerError, match=r"^add raised TypeError"),
        WorkerGroup(context, deadline=AMPLE) as group,
    ):
        child = group.start(group_workers.add, 1, "one")
        with contextlib.suppress(WorkerError):
            group.wait()
        group.terminate(child)
        group.wait()


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
    outside = "inside the group's with block"
    with pytest.raises(RuntimeError, match=outside):
        group.start(group_workers.add, 1, 2)
    with group:
        pass
    with pytest.raises(RuntimeError, match=outside):
        group.start(group_workers.add, 1, 2)
    with pytest.raises(RuntimeError, match=outside):
        group.wait()
    with pytest.raises(RuntimeError, match=outside):
        group.terminate()
    with pytest.raises(RuntimeError, match="used once"), group:
        pass
