"""The workers of chapter 05: what they answer, how they end, under each start method."""

from __future__ import annotations

import ast
import math
import multiprocessing
import threading
import time
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from refresh_outputs import ROOT

from ipc_helpers.group.errors import WorkerError
from ipc_helpers.group.starting import start_methods
from ipc_helpers.group.worker_group import WorkerGroup
from ipc_helpers.workers import pattern_workers

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from multiprocessing.context import BaseContext

pytestmark = pytest.mark.usefixtures("nothing_left")

AMPLE = 60.0  # seconds


@pytest.fixture(params=start_methods())
def context(request: pytest.FixtureRequest) -> BaseContext:
    return multiprocessing.get_context(request.param)


def let_go(*queues: Any) -> None:
    for queue in queues:
        queue.close()
        queue.join_thread()


def test_each_consumer_ends_with_its_sentinel(context: BaseContext) -> None:
    numbers, seen = context.Queue(), context.Queue()
    with WorkerGroup(context, deadline=AMPLE) as group:
        producers = [
            group.start(pattern_workers.put_all, numbers, range(start, start + 10)) for start in (0, 10)
        ]
        for _ in range(3):
            group.start(pattern_workers.get_all, numbers, seen)
        group.wait(until=lambda: all(producer.exitcode is not None for producer in producers))
        for _ in range(3):
            numbers.put(None)
        lists = [seen.get(timeout=AMPLE) for _ in range(3)]
    assert sorted(number for part in lists for number in part) == list(range(20))
    let_go(numbers, seen)


def test_each_task_is_answered_or_its_error_reported(context: BaseContext) -> None:
    tasks, results = context.Queue(), context.Queue()
    with WorkerGroup(context, deadline=AMPLE) as group:
        group.start(pattern_workers.answer_or_report, tasks, results, math.sqrt)
        for task in (16, -1, "nine", None):
            tasks.put(task)
        answers = [results.get(timeout=AMPLE) for _ in range(3)]
    assert answers == [(16, 4.0), (-1, "ValueError"), ("nine", "TypeError")]
    let_go(tasks, results)


def test_a_task_that_raises_ends_a_worker_that_does_not_report(context: BaseContext) -> None:
    tasks, results = context.Queue(), context.Queue()
    tasks.put(-1)
    with pytest.raises(WorkerError) as caught, WorkerGroup(context, deadline=AMPLE) as group:
        group.start(pattern_workers.answer_all, tasks, results, math.sqrt)
    assert caught.value.kind == "ValueError"
    assert results.empty()
    let_go(tasks, results)


def test_tasks_are_finished_on_request_and_the_sentinel_too(context: BaseContext) -> None:
    tasks, taken, requests = context.JoinableQueue(), context.Semaphore(0), context.Semaphore(0)
    waiter = threading.Thread(target=tasks.join, daemon=True)
    with WorkerGroup(context, deadline=AMPLE) as group:
        group.start(pattern_workers.finish_on_request, tasks, taken, requests)
        for task in ("one", "two", None):
            tasks.put(task)
        waiter.start()
        for _ in range(2):
            assert taken.acquire(timeout=AMPLE)
            assert waiter.is_alive(), "a task that was taken is not done"
            requests.release()
    waiter.join(AMPLE)
    assert not waiter.is_alive()
    with pytest.raises(ValueError, match="task_done"):
        tasks.task_done()
    let_go(tasks)


def replies_until(context: BaseContext, end: Callable[[Connection[Any, Any]], object]) -> None:
    """Have two requests replied to, then end the service."""
    client, service_end = context.Pipe()
    with client, service_end, WorkerGroup(context, deadline=AMPLE) as group:
        group.start(pattern_workers.reply, service_end, context.Semaphore(2))
        service_end.close()
        client.send((1, "one"))
        client.send((2, "two"))
        for expected in ((1, "ONE"), (2, "TWO")):
            assert client.poll(AMPLE)
            assert client.recv() == expected
        end(client)


def test_replies_carry_the_number_of_their_request(context: BaseContext) -> None:
    replies_until(context, lambda client: client.send(None))


# A forked child holds a copy of the other end, so it never sees it closed.
@pytest.mark.parametrize("start_method", [method for method in start_methods() if method != "fork"])
def test_service_ends_when_the_other_end_is_closed(start_method: str) -> None:
    replies_until(multiprocessing.get_context(start_method), lambda client: client.close())


def test_a_faulty_worker_takes_its_request_along(context: BaseContext) -> None:
    end, workers_end = context.Pipe()
    with end, workers_end, pytest.raises(WorkerError) as caught:  # noqa: SIM117
        with WorkerGroup(context, deadline=AMPLE) as group:
            group.start(pattern_workers.take_and_exit, workers_end, math.sqrt)
            end.send(4)
            group.wait()
    assert caught.value.kind == "SystemExit"
    assert caught.value.message == "3"


def test_sentinel_travels_through_the_stages(context: BaseContext) -> None:
    first, second, third = (context.Queue(maxsize=1) for _ in range(3))
    with WorkerGroup(context, deadline=AMPLE) as group:
        group.start(pattern_workers.stage, first, second, pattern_workers.square)
        group.start(pattern_workers.stage, second, third, str)
        for number in (1, 2, 3, None):
            first.put(number, timeout=AMPLE)
        assert [third.get(timeout=AMPLE) for _ in range(4)] == ["1", "4", "9", None]
    let_go(first, second, third)


# The loop that survives its workers, from the chapter's cells.

LOOP = (
    *("def start(", "def hire(", "def dismiss(", "class Job:"),
    *("def give_tasks(", "def wait_for_workers(", "def take_answer(", "def run_tasks("),
)


@pytest.fixture
def loop(context: BaseContext) -> dict[str, Any]:
    """Return the names that these cells define, without what they do beside."""
    notebook = nbformat.read(ROOT / "notebooks" / "05-patterns.ipynb", as_version=4)
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    found: dict[str, Any] = {"ctx": context}
    for line in LOOP:
        (source,) = (cell for cell in cells if line in cell)
        nodes = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
        body = [node for node in ast.parse(source).body if isinstance(node, nodes)]
        exec(compile(ast.Module(body, []), line, "exec"), found)
    return found


def crew_of(loop: dict[str, Any], *workers: Any, function: Callable[..., object]) -> dict[Any, Any]:
    return dict(loop["hire"](worker, function) for worker in workers)


def test_the_loop_answers_each_task_though_a_worker_dies(loop: dict[str, Any]) -> None:
    good, faulty = pattern_workers.answer_requests, pattern_workers.take_and_exit
    crew = crew_of(loop, faulty, good, good, function=math.sqrt)
    answers = loop["run_tasks"]([1, 4, 4, 9, threading.Lock(), 16], crew, limit=AMPLE)
    assert answers[:4] + answers[5:] == [1.0, 2.0, 2.0, 3.0, 4.0]
    assert "Error" in answers[4]
    assert loop["dismiss"](crew) == [0, 0]


def test_the_loop_goes_on_when_an_idle_worker_has_died(loop: dict[str, Any]) -> None:
    crew = crew_of(loop, *[pattern_workers.answer_requests] * 2, function=math.sqrt)
    dead = next(iter(crew.values()))
    dead.kill()
    dead.join(AMPLE)
    assert loop["run_tasks"]([1, 4, 9], crew, limit=AMPLE) == [1.0, 2.0, 3.0]
    assert loop["dismiss"](crew) == [0]


def test_the_loop_tries_a_task_twice_that_takes_too_long(loop: dict[str, Any]) -> None:
    crew = crew_of(loop, *[pattern_workers.answer_requests] * 3, function=time.sleep)
    assert loop["run_tasks"]([0, 0, 600], crew, limit=3) == [None, None, "no answer"]
    assert loop["dismiss"](crew) == [0]


def test_the_loop_ends_without_a_crew_and_when_no_task_can_be_pickled(loop: dict[str, Any]) -> None:
    crew = crew_of(loop, *[pattern_workers.take_and_exit] * 3, function=math.sqrt)
    assert loop["run_tasks"]([1, 4], crew, limit=AMPLE) == ["no answer", "no answer"]
    assert loop["run_tasks"]([1], {}, limit=AMPLE) == ["no answer"]
    crew = crew_of(loop, pattern_workers.answer_requests, function=math.sqrt)
    refused = loop["run_tasks"]([threading.Lock()] * 2, crew, limit=AMPLE)
    assert all("Error" in answer for answer in refused)
    assert loop["dismiss"](crew) == [0]
