"""Workers of chapter 04, "Look inside a queue"."""

from time import monotonic, sleep


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
