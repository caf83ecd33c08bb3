"""Workers of chapter 04, "Look inside a queue"."""

from __future__ import annotations

import sys
from multiprocessing import current_process
from multiprocessing.queues import SimpleQueue
from threading import current_thread
from time import monotonic, perf_counter_ns, sleep

from ipc_helpers.payloads import Payloads
from ipc_helpers.trace import RECEIVE, SEND, WRITE, Recorder, Step
from ipc_helpers.xray import TAKEN, WRITING, WRITTEN, XRay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from multiprocessing import Queue
    from multiprocessing.synchronize import Semaphore
    from typing import Any

    from ipc_helpers.child import Pieces

_steps: list[Step] = []


def note(what: str, place: str | None) -> None:
    """Note a step of the traveller: when, where the message is then, and in which process and thread."""
    _steps.append(Step(perf_counter_ns(), what, place, current_process().name, current_thread().name))


class Traveller:
    """A message that notes when, and by whom, it is pickled and unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        note("it is pickled", "feeder thread")
        return _arrive, ()


def _arrive() -> Traveller:
    note("it is unpickled", "get")
    return Traveller()


def put_traveller(queue: Queue[Any], first: bytes, put: Semaphore, written: Semaphore) -> list[Step]:
    """Put some bytes, then a traveller; return the steps of its way into the pipe."""
    words = {
        TAKEN: ("the feeder takes it", "feeder thread"),
        WRITING: ("the write begins", "feeder thread"),
        WRITTEN: ("the write ends", "pipe"),
    }

    def on_step(step: str, message: object) -> None:
        if isinstance(message, Traveller):
            note(*words[step])
            if step == WRITTEN:
                written.release()

    xray = XRay(queue, on_step)
    queue.put(first)
    xray.settled()
    sleep(0.2)  # time for a consumer that waits for nothing to get them
    traveller = Traveller()
    note("put is called", "put")
    queue.put(traveller)
    note("put returns", "deque")
    put.release()
    queue.close()
    queue.join_thread()
    return _steps


def get_traveller(queue: Queue[Any], put: Semaphore, written: Semaphore) -> list[Step]:
    """Once the traveller is put, get the bytes before it; once it is written, get it; return its steps."""
    put.acquire(timeout=30)
    queue.get(timeout=30)
    XRay(queue, lambda step, _: note("its bytes are read", "get"))
    written.acquire(timeout=30)
    note("get is called", None)
    queue.get(timeout=30)
    note("get returns", "got")
    return _steps


def get_when_there(queue: SimpleQueue[Any], seconds: float) -> Any:
    """Get from a SimpleQueue, whose get takes no timeout; return "Empty" when nothing came in time."""
    ends_at = monotonic() + seconds
    while queue.empty():
        if monotonic() > ends_at:
            return "Empty"
        sleep(0.001)
    return queue.get()


def put_while_busy(
    queue: Queue[Any] | SimpleQueue[Any], count: int, seconds: float, interval: float
) -> list[float]:
    """Compute for some seconds after each put; return how long each message took to its write."""
    sys.setswitchinterval(interval)
    writes: list[int] = []
    if not isinstance(queue, SimpleQueue):
        XRay(queue, lambda step, _: writes.append(perf_counter_ns()) if step == WRITING else None)
    delays = []
    for number in range(count):
        started = perf_counter_ns()
        queue.put(number)
        if isinstance(queue, SimpleQueue):
            writes.append(perf_counter_ns())  # put has returned, so its write has ended
        while perf_counter_ns() < started + seconds * 1e9:
            pass
        while len(writes) <= number:
            sleep(0.001)
        delays.append((writes[number] - started) / 1e9)
    return delays


def produce(queue: Queue[Any], count: int, size: int, go: Semaphore) -> Pieces:
    """Put numbered messages; return the records of the puts, then those of the feeder thread's writes."""
    puts, writes = Recorder(count), Recorder(count, reports=False)
    taken = 0

    def on_step(step: str, message: Any) -> None:
        nonlocal taken
        if step == TAKEN:
            taken = perf_counter_ns()
        elif step == WRITTEN:
            writes.record(taken, WRITE, message[0], size)

    XRay(queue, on_step)
    go.acquire()
    for message in Payloads(size).messages(range(count)):
        started = perf_counter_ns()
        queue.put(message)
        puts.record(started, SEND, message[0], size)
    queue.close()
    queue.join_thread()
    return puts.records() + writes.records()


def consume(queue: Queue[Any], count: int, size: int, pause: float, go: Semaphore) -> Pieces:
    """Get messages and check them, with a pause of some seconds after each; return the records."""
    recorder = Recorder(count)
    payloads = Payloads(size)
    go.acquire()
    for _ in range(count):
        started = perf_counter_ns()
        number, payload = queue.get()
        recorder.record(started, RECEIVE, number, len(payload))
        payloads.check(number, payload)
        sleep(pause)
    return recorder.records()
