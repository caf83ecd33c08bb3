"""Workers as a reader would write them, for the tests of experiments and panels: right and wrong ones.

The standard library alone, as in a cell that starts with ``%%worker``.
"""

from __future__ import annotations

import queue as queues
import threading
import time
from multiprocessing import connection as connections
from multiprocessing import current_process
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


# Producers and consumers of a queue.


def produce(queue: Any, messages: Sequence[Any]) -> None:
    for message in messages:
        queue.put(message)


def produce_in_another_way(queue: Any, messages: Sequence[Any]) -> None:
    """Slices, timeouts, a try, a sentinel of its own, the end that the chapter teaches."""
    half = len(messages) // 2
    for message in messages[:half]:
        queue.put(obj=message, timeout=30)
    index = half
    while index < len(messages):
        try:
            queue.put_nowait(messages[index])
        except queues.Full:
            time.sleep(0.001)
            continue
        index += 1
    queue.put(None)
    queue.close()
    queue.join_thread()


def produce_in_threads(queue: Any, messages: Sequence[Any]) -> None:
    threads = [threading.Thread(target=produce, args=(queue, messages[start::3])) for start in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def lose_one(queue: Any, messages: Sequence[Any]) -> None:
    produce(queue, messages[:2])
    produce(queue, messages[3:])


def put_one_twice(queue: Any, messages: Sequence[Any]) -> None:
    produce(queue, messages)
    queue.put(messages[0])


def put_for_ever(queue: Any, messages: Sequence[Any]) -> None:
    while True:
        produce(queue, messages)


def put_something_else(queue: Any, messages: Sequence[Any]) -> None:
    queue.put("hello")


def put_another_payload(queue: Any, messages: Sequence[Any]) -> None:
    queue.put((messages[0][0], b"another"))


def raise_in_producer(queue: Any, messages: Sequence[Any]) -> None:
    queue.put(messages[0])
    raise KeyError("apples")  # the line


def hang_in_producer(queue: Any, messages: Sequence[Any]) -> None:
    queue.put(messages[0])
    threading.Event().wait()


def consume(queue: Any, pause: float = 0) -> None:
    for _ in iter(queue.get, None):
        time.sleep(pause)


def consume_in_another_way(queue: Any, pause: float = 0) -> None:
    while True:
        try:
            message = queue.get_nowait()
        except queues.Empty:
            time.sleep(0.001)
            continue
        if message is None:
            break
        number, payload = message
        assert len(payload) == 64, number
    queue.close()
    queue.join_thread()


def get_three(queue: Any, pause: float = 0) -> None:
    for _ in range(3):
        queue.get()


def leave_or_get_all(queue: Any, pause: float = 0) -> None:
    """The first consumer leaves at once; the second gets all that there is."""
    if current_process().name != "consumer 1":
        consume(queue)


def raise_in_consumer(queue: Any, pause: float = 0) -> None:
    queue.get()
    raise KeyError("apples")


def hang_in_consumer(queue: Any, pause: float = 0) -> None:
    queue.get()
    threading.Event().wait()


# Workers at the ends of a pipe.


def send(connection: Any, messages: Sequence[Any]) -> None:
    for message in messages:
        connection.send(message)


def send_in_another_way(connection: Any, messages: Sequence[Any]) -> None:
    with connection:
        for index in range(len(messages)):
            connection.send(obj=messages[index])


def send_all_but_one(connection: Any, messages: Sequence[Any]) -> None:
    send(connection, messages[:2])
    send(connection, messages[3:])


def receive(connection: Any) -> None:
    for _ in iter(connection.recv, None):
        pass


def receive_in_another_way(connection: Any) -> None:
    """Wait for the object itself, and for the end of the pipe."""
    with connection:
        while connections.wait([connection], 30) and connection.poll():
            try:
                connection.recv()
            except EOFError:
                return


def receive_three(connection: Any) -> None:
    for _ in range(3):
        connection.recv()


def request(connection: Any, requests: Sequence[Any]) -> None:
    for message in requests:
        connection.send(message)
        number, _ = connection.recv()
        assert number == message[0] + 1


def request_in_another_way(connection: Any, requests: Sequence[Any]) -> None:
    """Two requests at a time, and a sentinel of its own."""
    for start in range(0, len(requests), 2):
        pair = requests[start : start + 2]
        for message in pair:
            connection.send(message)
        for _ in pair:
            assert connection.poll(30)
            connection.recv()
    connection.send(None)
    connection.close()


def request_without_reply(connection: Any, requests: Sequence[Any]) -> None:
    send(connection, requests)


def serve(connection: Any, reply: Callable[[Any], Any]) -> None:
    for message in iter(connection.recv, None):
        connection.send(reply(message))


def serve_in_another_way(connection: Any, reply: Callable[[Any], Any]) -> None:
    try:
        while (message := connection.recv()) is not None:
            connection.send(reply(message))
    except EOFError:
        pass
    connection.close()


def serve_three(connection: Any, reply: Callable[[Any], Any]) -> None:
    for _ in range(3):
        connection.send(reply(connection.recv()))


def raise_at_a_pipe(connection: Any, _: Any = None) -> None:
    raise KeyError("apples")


def hang_at_a_pipe(connection: Any, _: Any = None) -> None:
    threading.Event().wait()


# Workers with one argument.


def take_a_moment(_: object) -> None:
    time.sleep(0.01)


def return_something(_: object) -> object:
    return lambda: None  # nobody asks for it, and it can't be pickled


def raise_with_argument(_: object) -> None:
    raise KeyError("apples")


def hang_with_argument(_: object) -> None:
    threading.Event().wait()


def with_nothing() -> None:
    pass
