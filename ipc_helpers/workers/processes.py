"""Workers of chapter 01, "Start processes and get facts back"."""

from __future__ import annotations

import sys
import threading
from time import perf_counter_ns, sleep

from ipc_helpers.payloads import Payloads
from ipc_helpers.trace import RECEIVE, Recorder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ipc_helpers.child import Pieces

counter = 0
lock = threading.Lock()


def count_up() -> None:
    """Add 1 to the counter of this process, and end with its value as the exit code."""
    global counter
    counter += 1
    sys.exit(counter)


def append_one(numbers: list[int]) -> None:
    """Append a number to the list, and end with the list's length as the exit code."""
    numbers.append(0)
    sys.exit(len(numbers))


def kind_of_output() -> str:
    """Return the type of the object that print writes to in this process."""
    return type(sys.stdout).__name__


def divide(dividend: float, divisor: float) -> float:
    """Return the quotient."""
    return dividend / divisor


def sleep_for(seconds: float) -> None:
    """Sleep."""
    sleep(seconds)


def get_lock(timeout: float) -> bool:
    """Say whether this process gets its lock, in the seconds given."""
    return lock.acquire(timeout=timeout)


def start_up(number: int, argument: bytes) -> Pieces:
    """Check the argument that this process was started with; return the record of it."""
    started = perf_counter_ns()
    recorder = Recorder(1)
    Payloads(len(argument)).check(number, argument)
    recorder.record(started, RECEIVE, number, len(argument))
    return recorder.records()
