"""Workers as a reader would write them, for the tests of experiments and panels: right and wrong ones.

As in a cell that starts with ``%%worker``.
"""

from __future__ import annotations

import queue as queues
import threading
import time
from multiprocessing import connection as connections
from multiprocessing import current_process
from typing import TYPE_CHECKING

from group_workers import kill_itself

from ipc_helpers.workers import pipe_workers
from ipc_helpers.workers.queue_workers import consume, produce

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


# Producers and consumers of a queue.


def put_each(queue: Any, messages: Sequence[Any]) -> None:
    for message in messages:
        queue.put(message)


def produce_in_another_way(queue: Any, messages: Sequence[Any], consumers: int = 1) -> None:
    """Slices, timeouts, a try, the end that the chapter teaches."""
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
    produce(queue, (), consumers)
    queue.close()
    queue.join_thread()


def produce_in_threads(queue: Any, messages: Sequence[Any], consumers: int = 1) -> None:
    threads = [threading.Thread(target=put_each, args=(queue, messages[start::3])) for start in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    produce(queue, (), consumers)


def produce_after_a_while(queue: Any, messages: Sequence[Any], consumers: int = 1) -> None:
    put_each(queue, messages[:3])
    time.sleep(2.5)
    produce(queue, messages[3:], consumers)


def lose_one(queue: Any, messages: Sequence[Any], consumers: int = 1) -> None:
    put_each(queue, messages[:2])
    produce(queue, messages[3:], consumers)


def put_one_twice(queue: Any, messages: Sequence[Any], consumers: int = 1) -> None:
    queue.put(messages[0])
    produce(queue, messages, consumers)


def forget_sentinels(queue: Any, messages: Sequence[Any], consumers: int = 1) -> None:
    put_each(queue, messages)


def put_sentinels_first(queue: Any, messages: Sequence[Any], consumers: int = 1) -> None:
    produce(queue, (), consumers)
    time.sleep(0.5)
    put_each(queue, messages)


def put_for_ever(queue: Any, messages: Sequence[Any], consumers: int = 1) -> None:
    while True:
        put_each(queue, messages)


def put_something_else(queue: Any, messages: Sequence[Any], consumers: int = 1) -> None:
    queue.put("hello")


def die_in_producer(queue: Any, messages: Sequence[Any], consumers: int = 1) -> None:
    put_each(queue, messages[:5])
    time.sleep(0.3)
    kill_itself()


def consume_in_another_way(queue: Any, producers: int = 1) -> None:
    """A reader that can't wait; and that works for a while, once all has come."""
    while producers:
        try:
            message = queue.get_nowait()
        except queues.Empty:
            time.sleep(0.001)
            continue
        if message is None:
            producers -= 1
        else:
            number, payload = message
            assert len(payload) == 64, number
    time.sleep(1.5)
    queue.close()
    queue.join_thread()


def get_one_and_doze(queue: Any, _: float = 0) -> None:
    queue.get()
    doze()


def get_three(queue: Any, _: float = 0) -> None:
    for _ in range(3):
        queue.get()


def leave_or_get_all(queue: Any, producers: int = 1) -> None:
    """The first consumer leaves at once; the second gets all that there is."""
    if current_process().name != "consumer 1":
        consume(queue, producers)


def raise_in_consumer(queue: Any, _: float = 0) -> None:
    queue.get()
    raise KeyError("apples")


def die_in_consumer(queue: Any, _: float = 0) -> None:
    queue.get()
    kill_itself()


def put_growing_chunks(queue: Any, tasks: Sequence[Any], _: int, workers: int) -> None:
    """One task in the first message, two in the second, and so on."""
    left, size = list(tasks), 1
    while left:
        queue.put(obj=left[:size], timeout=30)
        left, size = left[size:], size + 1
    produce(queue, (), workers)


def lose_one_task(queue: Any, tasks: Sequence[Any], _: int, workers: int) -> None:
    lose_one(queue, [[task] for task in tasks], workers)


def forget_workers(queue: Any, tasks: Sequence[Any], *_: int) -> None:
    put_each(queue, [list(tasks)])


def put_bare_tasks(queue: Any, tasks: Sequence[Any], _: int, workers: int) -> None:
    produce(queue, tasks, workers)


def take_tasks(queue: Any) -> None:
    for tasks in iter(queue.get, None):
        for _ in tasks:
            time.sleep(0.01)


def take_tasks_without_a_loop(queue: Any) -> None:
    """Look at all of them first, and begin from the end."""
    while (tasks := queue.get(timeout=30)) is not None:
        assert len([number for number, _ in tasks]) == len(list(tasks)) == len(tasks)
        while tasks:
            tasks.pop()
            time.sleep(0.01)


def take_one_task(queue: Any) -> None:
    queue.get()
    time.sleep(0.01)


# Stages.


def pass_on_in_another_way(inbox: Any, outbox: Any, function: Callable[[Any], Any]) -> None:
    """Two messages at a time."""
    is_open = True
    while is_open:
        pair = [inbox.get(timeout=30)]
        if pair[0] is not None:
            pair.append(inbox.get())
        is_open = None not in pair
        for message in pair:
            outbox.put(obj=message if message is None else (function(message)[0], "done"))
            if message is None:
                break


def drop_one(inbox: Any, outbox: Any, _: object) -> None:
    for number, payload in iter(inbox.get, None):
        if number != 3:
            outbox.put((number, payload))
    outbox.put(None)


def keep_the_sentinel(inbox: Any, outbox: Any, _: object) -> None:
    for message in iter(inbox.get, None):
        outbox.put(message)


# Workers at the ends of a pipe.


def send_each(connection: Any, messages: Sequence[Any]) -> None:
    for message in messages:
        connection.send(message)


def send_in_another_way(connection: Any, messages: Sequence[Any]) -> None:
    with connection:
        for index in range(len(messages)):
            connection.send(obj=messages[index])
        connection.send(None)


def send_all_but_one(connection: Any, messages: Sequence[Any]) -> None:
    send_each(connection, messages[:2])
    pipe_workers.send_all(connection, messages[3:])


def receive_in_another_way(connection: Any) -> None:
    """Wait for the object itself, and for the end of the pipe."""
    with connection:
        while connections.wait([connection], 30) and connection.poll():
            try:
                connection.recv()
            except EOFError:
                return


def send_late(connection: Any, messages: Sequence[Any]) -> None:
    """For a while, it and its peer wait, both with a limit."""
    threading.Event().wait(2)
    pipe_workers.send_all(connection, messages)


def receive_in_time(connection: Any) -> None:
    while connection.poll(30) and connection.recv() is not None:
        pass


def receive_three(connection: Any) -> None:
    for _ in range(3):
        connection.recv()


def request_in_another_way(connection: Any, requests: Sequence[Any]) -> None:
    """Two requests at a time."""
    for start in range(0, len(requests), 2):
        pair = requests[start : start + 2]
        send_each(connection, pair)
        for _ in pair:
            assert connection.poll(30)
            connection.recv()
    connection.send(None)
    connection.close()


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


# Workers with one argument.


def take_a_moment(_: object) -> None:
    time.sleep(0.01)


def read_a_line_at_last(argument: Any) -> None:
    """One worker of several reads a line where there is no terminal, when the others have returned."""
    if not current_process().name.endswith(" 1"):
        if hasattr(argument, "get"):
            take_tasks(argument)
        return
    time.sleep(1)
    raise EOFError("EOF when reading a line")


def return_something(_: object) -> object:
    return lambda: None  # nobody asks for it, and it can't be pickled


def with_nothing() -> None:
    pass


# Workers at any place.


def fail(*_: Any) -> None:
    raise KeyError("apples")  # the line


def hang(*_: Any) -> None:
    threading.Event().wait()


def doze(*_: Any) -> None:
    time.sleep(300)
