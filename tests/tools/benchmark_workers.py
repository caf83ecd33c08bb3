"""Bare workers for the benchmark: they import nothing beyond the standard library."""

from __future__ import annotations

from random import randbytes
from time import perf_counter_ns, sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from multiprocessing import Queue
    from multiprocessing.connection import Connection
    from multiprocessing.synchronize import Barrier
    from typing import Any


def send_one(connection: Connection[Any, Any]) -> None:
    connection.send("up")


def time_loop(loop: Any, end: Any, count: int, both_up: Barrier, clock: Connection[Any, Any]) -> None:
    payload = bytes(64)
    messages = [(number, payload) for number in range(count)]
    both_up.wait()
    started = perf_counter_ns()
    loop(end, messages)
    clock.send((started, perf_counter_ns()))


def time_bytes(loop: Any, end: Any, count: int, both_up: Barrier, clock: Connection[Any, Any]) -> None:
    messages = [randbytes(64) for _ in range(1_000)]
    messages *= -(-count // len(messages))
    loop(end, messages[:1_000])  # warm
    both_up.wait()
    started = perf_counter_ns()
    loop(end, messages[:count])
    clock.send((started, perf_counter_ns()))


def produce_bare(queue: Queue[Any], messages: list[Any]) -> None:
    for message in messages:
        queue.put(message)


def consume_bare(queue: Queue[Any], messages: list[Any]) -> None:
    for _ in messages:
        queue.get()


def send_all(connection: Connection[Any, Any], messages: list[Any]) -> None:
    for message in messages:
        connection.send(message)


def receive_all(connection: Connection[Any, Any], messages: list[Any]) -> None:
    for _ in messages:
        connection.recv()


def send_all_bytes(connection: Connection[Any, Any], messages: list[Any]) -> None:
    for message in messages:
        connection.send_bytes(message)


def receive_all_bytes(connection: Connection[Any, Any], messages: list[Any]) -> None:
    for _ in messages:
        connection.recv_bytes()


def request_all(connection: Connection[Any, Any], messages: list[Any]) -> None:
    for message in messages[: len(messages) // 2]:  # the others are the replies
        connection.send(message)
        connection.recv()


def reply_to_all(connection: Connection[Any, Any], messages: list[Any]) -> None:
    for message in messages[: len(messages) // 2]:
        connection.recv()
        connection.send(message)


def put_slowly(queue: Queue[Any], count: int, pause: float) -> None:
    for number in range(count):
        queue.put(number)
        sleep(pause)
    queue.put(None)


def work_a_second(context: Any) -> int:
    queue = context.Queue()
    producer = context.Process(target=put_slowly, args=(queue, 10, 0.1))
    producer.start()
    total: int = sum(iter(queue.get, None))
    producer.join()
    return total
