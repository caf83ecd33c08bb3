"""Bare workers for the benchmark: they import nothing beyond the standard library."""

from __future__ import annotations

from time import perf_counter_ns, sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from multiprocessing import Queue
    from multiprocessing.connection import Connection
    from multiprocessing.synchronize import Event
    from typing import Any


def send_one(connection: Connection[Any, Any]) -> None:
    connection.send("up")


def put_all(queue: Queue[Any], up: Event, go: Event, clock: Connection[Any, Any], count: int) -> None:
    payload = bytes(64)
    up.set()
    go.wait()
    started = perf_counter_ns()
    for number in range(count):
        queue.put((number, payload))
    clock.send(started)


def get_all(queue: Queue[Any], up: Event, go: Event, clock: Connection[Any, Any], count: int) -> None:
    up.set()
    go.wait()
    for _ in range(count):
        queue.get()
    clock.send(perf_counter_ns())


def put_slowly(queue: Queue[Any], count: int, pause: float) -> None:
    for number in range(count):
        queue.put(number)
        sleep(pause)
    queue.put(None)


def work_a_second(context: Any) -> int:
    queue = context.Queue()
    producer = context.Process(target=put_slowly, args=(queue, 10, 0.1))
    producer.start()
    total = sum(iter(queue.get, None))
    producer.join()
    return total
