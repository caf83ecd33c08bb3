"""Workers of chapter 04, "Look inside a queue", that look into it with an X-ray."""

import sys
from multiprocessing import current_process
from multiprocessing.queues import SimpleQueue
from threading import current_thread
from time import perf_counter_ns, sleep

from ipc_helpers.child.xray import TAKEN, WRITING, WRITTEN, XRay
from ipc_helpers.trace import Step

_steps = []


def note(what, place):
    """Note a step of the traveller: when, where the message is then, and in which process and thread."""
    _steps.append(Step(perf_counter_ns(), what, place, current_process().name, current_thread().name))


class Traveller:
    """A message that notes when, and by whom, it is pickled and unpickled."""

    def __reduce__(self):
        note("it is pickled", "feeder thread")
        return _arrive, ()


def _arrive():
    note("it is unpickled", "get")
    return Traveller()


def put_traveller(queue, first, put, written):
    """Put some bytes, then a traveller; return the steps of its way into the pipe."""
    words = {
        TAKEN: ("the feeder takes it", "feeder thread"),
        WRITING: ("the write begins", "feeder thread"),
        WRITTEN: ("the write ends", "pipe"),
    }

    def on_step(step, message):
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


def get_traveller(queue, put, written):
    """Once the traveller is put, get the bytes before it; once it is written, get it; return its steps."""
    put.acquire(timeout=30)
    queue.get(timeout=30)
    XRay(queue, lambda step, _: note("its bytes are read", "get"))
    written.acquire(timeout=30)
    note("get is called", None)
    queue.get(timeout=30)
    note("get returns", "got")
    return _steps


def put_while_busy(queue, count, seconds, interval):
    """Compute for some seconds after each put; return how long each message took to its write."""
    sys.setswitchinterval(interval)
    writes = []
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
