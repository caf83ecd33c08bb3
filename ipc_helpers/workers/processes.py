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


def kind_of_output():
    """Return the type of the object that print writes to in this process."""
    return type(sys.stdout).__name__


def divide(dividend, divisor):
    """Return the quotient."""
    return dividend / divisor


def sleep_for(seconds):
    """Sleep."""
    sleep(seconds)


def get_lock(timeout):
    """Say whether this process gets its lock, in the seconds given."""
    return lock.acquire(timeout=timeout)


def start_up(argument):
    """Return how many bytes this process was started with."""
    return len(argument)
