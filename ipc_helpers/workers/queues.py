"""Workers of chapter 02, "Send messages through a queue"."""

from __future__ import annotations

import os
from queue import Empty
from time import perf_counter_ns

from ipc_helpers.payloads import Payloads
from ipc_helpers.trace import RECEIVE, SEND, Recorder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from multiprocessing import Queue
    from multiprocessing.synchronize import Semaphore
    from typing import Any

    from ipc_helpers.child import Pieces


def put_from_child(queue: Queue[Any], message: object) -> None:
    """Put a message, together with the id of the process that puts it."""
    queue.put((os.getpid(), message))


def put_one(queue: Queue[Any], message: object) -> None:
    """Put one message."""
    queue.put(message)


def get_one(queue: Queue[Any], timeout: float) -> object:
    """Get one message and return it; return "Empty" when none came in time."""
    try:
        return queue.get(timeout=timeout)
    except Empty:
        return "Empty"


def get_on_request(queue: Queue[Any], requests: Semaphore, count: int) -> None:
    """Get one message for each request, ``count`` in all."""
    for _ in range(count):
        if not requests.acquire(timeout=30):
            raise TimeoutError("no request came")
        queue.get(timeout=30)


def put_and_leave(queue: Queue[Any], count: int, size: int) -> None:
    """Put many messages, then end without waiting until they are delivered."""
    queue.cancel_join_thread()
    for _ in range(count):
        queue.put(bytes(size))


def produce(queue: Queue[Any], numbers: range, size: int, sentinels: int, go: Semaphore) -> Pieces:
    """Put one message for each number, then a sentinel for each consumer; return the records."""
    recorder = Recorder(len(numbers))
    payloads = Payloads(size)
    go.acquire()
    for message in payloads.messages(numbers):
        started = perf_counter_ns()
        queue.put(message)
        recorder.record(started, SEND, message[0], size)
    for _ in range(sentinels):
        queue.put(None)
    queue.close()
    queue.join_thread()  # the feeder first: to send the records at the same time would slow it down
    return recorder.records()


def consume(queue: Queue[Any], size: int, capacity: int, producers: int, go: Semaphore) -> Pieces:
    """Get messages and check them, until each producer has sent a sentinel; return the records."""
    recorder = Recorder(capacity)
    payloads = Payloads(size)
    go.acquire()
    while producers:
        started = perf_counter_ns()
        message = queue.get()
        if message is None:
            producers -= 1
            continue
        number, payload = message
        recorder.record(started, RECEIVE, number, len(payload))
        payloads.check(number, payload)
    return recorder.records()
