"""Workers of chapter 02, "Send messages through a queue"."""

import os
from queue import Empty


def put_from_child(queue, message):
    """Put a message, together with the id of the process that puts it."""
    queue.put((os.getpid(), message))


def put_one(queue, message):
    """Put one message."""
    queue.put(message)


def get_one(queue, timeout):
    """Get one message and return it; return "Empty" when none came in time."""
    try:
        return queue.get(timeout=timeout)
    except Empty:
        return "Empty"


def get_on_request(queue, requests, count):
    """Get one message for each request, ``count`` in all."""
    for _ in range(count):
        if not requests.acquire(timeout=30):
            raise TimeoutError("no request came")
        queue.get(timeout=30)


def put_and_leave(queue, count, size):
    """Put many messages, then end without waiting until they are delivered."""
    queue.cancel_join_thread()
    for _ in range(count):
        queue.put(bytes(size))


def produce(queue, messages, consumers):
    """Put each message, then a sentinel for each consumer."""
    for message in messages:
        queue.put(message)
    for _ in range(consumers):
        queue.put(None)


def consume(queue, producers):
    """Get messages until a sentinel has come from each producer."""
    while producers:
        message = queue.get()
        if message is None:
            producers -= 1
