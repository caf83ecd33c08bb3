"""Workers of chapter 02, "Send messages through a queue"."""

import os
from queue import Empty
from time import sleep


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
    """Get messages until as many sentinels have come as there are producers."""
    while producers:
        message = queue.get()
        if message is None:
            producers -= 1


# The exercises: a program with a mistake, for the reader to find


def put_blobs(queue):
    """Put four messages of 100,000 bytes each and a sentinel, and take a moment to end."""
    for _ in range(4):
        queue.put(bytes(100_000))
    queue.put(None)
    sleep(0.5)


def collect_wrongly(ctx, produce):
    """Start a producer, and add up the lengths of its messages: with a mistake, for the reader to find."""
    queue = ctx.Queue()
    producer = ctx.Process(target=produce, args=(queue,))
    producer.start()
    producer.join()
    total = 0
    while (message := queue.get()) is not None:
        total += len(message)
    return total
