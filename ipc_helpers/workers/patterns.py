"""Workers of chapter 05, "Build programs from queues and pipes"."""

from __future__ import annotations

import sys
from contextlib import suppress
from time import perf_counter_ns

from ipc_helpers.trace import RECEIVE, SEND, Recorder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from multiprocessing import JoinableQueue, Queue, SimpleQueue
    from multiprocessing.connection import Connection
    from multiprocessing.shared_memory import SharedMemory
    from multiprocessing.synchronize import Semaphore
    from typing import Any

    from ipc_helpers.child import Pieces


def put_all(queue: Queue[Any], messages: Iterable[object]) -> None:
    """Put each message."""
    for message in messages:
        queue.put(message)


def get_all(queue: Queue[Any], seen: Queue[Any]) -> None:
    """Get messages until the sentinel None comes; then put the list of them into another queue."""
    seen.put(list(iter(queue.get, None)))


def answer_all(tasks: Queue[Any], results: Queue[Any], function: Callable[[Any], Any]) -> None:
    """Put each task and what a function makes of it, until the sentinel None comes."""
    for task in iter(tasks.get, None):
        results.put((task, function(task)))


def answer_or_report(tasks: Queue[Any], results: Queue[Any], function: Callable[[Any], Any]) -> None:
    """Answer all tasks; where the function raises, put the name of the exception instead."""
    for task in iter(tasks.get, None):
        try:
            results.put((task, function(task)))
        except Exception as error:
            results.put((task, type(error).__name__))


def finish_on_request(tasks: JoinableQueue[Any], taken: Semaphore, requests: Semaphore) -> None:
    """Say when a task is taken, finish it on request; until the sentinel None comes."""
    while True:
        task = tasks.get()
        try:
            if task is None:
                return
            taken.release()
            if not requests.acquire(timeout=30):
                raise TimeoutError("no request came")
        finally:
            tasks.task_done()


def take_and_forget(tasks: JoinableQueue[Any]) -> None:
    """Get one task, and end without a word about it."""
    tasks.get()


def reply(connection: Connection[Any, Any], permits: Semaphore) -> None:
    """Reply to numbered requests, a permit for each; until None comes or the other end is closed."""
    with suppress(EOFError):
        for number, text in iter(connection.recv, None):
            if not permits.acquire(timeout=30):
                raise TimeoutError("no permit came")
            connection.send((number, text.upper()))


def answer_requests(connection: Connection[Any, Any], function: Callable[[Any], Any]) -> None:
    """Send what a function makes of each request, until the request None comes."""
    for request in iter(connection.recv, None):
        connection.send(function(request))


def take_and_exit(connection: Connection[Any, Any], function: Callable[[Any], Any]) -> None:
    """Take one request, and end with exit code 3 and without an answer."""
    connection.recv()
    sys.exit(3)


def stage(inbox: Queue[Any], outbox: Queue[Any], function: Callable[[Any], Any]) -> None:
    """Put what a function makes of each message into the next queue; pass the sentinel None on."""
    for message in iter(inbox.get, None):
        outbox.put(function(message))
    outbox.put(None)


def square(number: int) -> int:
    """Return the square."""
    return number * number


def put_square(queue: Queue[Any], number: int) -> None:
    """Put the square of a number into a queue that is an argument."""
    queue.put(square(number))


kept: Any = None


def keep(queue: Queue[Any]) -> None:
    """Keep a queue in this process, for the tasks to come."""
    global kept
    kept = queue


def put_square_into_kept(number: int) -> None:
    """Put the square of a number into the queue that this process keeps."""
    kept.put(square(number))


def get_simple(queue: SimpleQueue[Any]) -> object:
    """Get one message and return it."""
    return queue.get()


def add_one(memory: SharedMemory, start: int, stop: int) -> None:
    """Add 1 to some bytes of a shared memory, then close it in this process."""
    numbers = memory.buf
    assert numbers is not None, "it was closed"
    for index in range(start, stop):
        numbers[index] += 1
    memory.close()


def put_tasks(tasks: Queue[Any], lengths: Iterable[tuple[int, float]], workers: int, go: Semaphore) -> Pieces:
    """Put each task, its number and the seconds it takes, then a sentinel a worker; return the records."""
    pairs = list(lengths)
    recorder = Recorder(len(pairs))
    go.acquire()
    for number, seconds in pairs:
        started = perf_counter_ns()
        tasks.put((number, seconds))
        recorder.record(started, SEND, number, 0)
    for _ in range(workers):
        tasks.put(None)
    return recorder.records()


def work(function: Callable[[float], object], tasks: Queue[Any], capacity: int, go: Semaphore) -> Pieces:
    """Call a function with the seconds of each task, until the sentinel None comes; return the records."""
    recorder = Recorder(capacity)
    go.acquire()
    for number, seconds in iter(tasks.get, None):
        started = perf_counter_ns()
        function(seconds)
        recorder.record(started, RECEIVE, number, 0)
    return recorder.records()
