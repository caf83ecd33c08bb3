"""Workers of chapter 04, "Look inside a queue"."""

from threading import Lock
from time import monotonic, sleep


def get_simple(queue):
    """Get one message and return it."""
    return queue.get()


def get_when_there(queue, seconds):
    """Get from a SimpleQueue, whose get takes no timeout; return "Empty" when nothing came in time."""
    ends_at = monotonic() + seconds
    while queue.empty():
        if monotonic() > ends_at:
            return "Empty"
        sleep(0.001)
    return queue.get()


def consume(queue, pause):
    """Get messages until the sentinel None comes, with a pause of some seconds after each."""
    while queue.get() is not None:
        sleep(pause)


# The exercises: a program with a mistake, for the reader to find


def put_wrongly(queue, values):
    """Put each value, or its repr where it can't be pickled: with a mistake, for the reader to find."""
    for value in values:
        try:
            queue.put(value)
        except Exception:
            queue.put(repr(value))


def put_three(queue):
    """Put a number, a lock and another number."""
    put_wrongly(queue, [1, Lock(), 3])
    queue.close()
    queue.join_thread()


def get_three(ctx):
    """Start the producer, and get one message for each of its three values."""
    queue = ctx.Queue()
    producer = ctx.Process(target=put_three, args=(queue,))
    producer.start()
    messages = [queue.get() for _ in range(3)]
    producer.join()
    return messages
