"""Workers of chapter 01, "Start processes and get facts back"."""

import sys
import threading
from time import sleep

counter = 0
lock = threading.Lock()


def count_up():
    """Add 1 to the counter of this process, and end with its value as the exit code."""
    global counter
    counter += 1
    sys.exit(counter)


def append_one(numbers):
    """Append a number to the list, and end with the list's length as the exit code."""
    numbers.append(0)
    sys.exit(len(numbers))


def divide(dividend, divisor):
    """Return the quotient."""
    return dividend / divisor


def sleep_for(seconds):
    """Sleep."""
    sleep(seconds)


def get_lock(timeout):
    """Say whether this process gets its lock, in the seconds given."""
    return lock.acquire(timeout=timeout)


class Logbook:
    """Notes that several threads of a process take."""

    def __init__(self):
        self.lock = threading.Lock()
        self.texts = []

    def note(self, text):
        """Append a text, while no other thread does."""
        with self.lock:
            self.texts.append(text)


def start_up(argument):
    """Return how many bytes this process was started with."""
    return len(argument)


# The exercises: a program with a mistake, for the reader to find

counts = []


def note_count(text):
    """Append the number of words in a text to the list."""
    counts.append(len(text.split()))


def count_all_wrongly(ctx, texts):
    """Count the words of each text in a child of its own: with a mistake, for the reader to find."""
    children = [ctx.Process(target=note_count, args=(text,)) for text in texts]
    for child in children:
        child.start()
    for child in children:
        child.join()
    return counts
