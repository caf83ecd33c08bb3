"""What runs a worker of an experiment in its child process, and records the calls that it makes.

A worker gets a real queue, or a real end of a pipe. Only this one object, in this one process, has other
methods that put and get, or send and recv: they note the time, and leave the work to its own.
"""

from __future__ import annotations

import struct
from _thread import get_ident
from collections import namedtuple
from reprlib import repr as short
from time import perf_counter_ns

from ipc_helpers.child.entry import look_with, ready
from ipc_helpers.trace import RECEIVE, SEND, WAIT, WRITE, pack_into

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.synchronize import Semaphore
    from typing import Any

    from ipc_helpers.trace import Track

_PATTERN = bytes(range(256))


class Messages(namedtuple("Messages", "numbers size")):
    """Which messages a worker is called with: made in its process, sent to it as two numbers.

    Attributes
    ----------
    numbers : range
        Their numbers.
    size : int
        Bytes in the payload of each.
    """


def payload(size: int) -> bytes:
    """Return the payload of a message: a fixed pattern of some bytes."""
    return (_PATTERN * (size // len(_PATTERN) + 1))[:size]


def run(
    worker: Callable[..., object],
    args: Sequence[Any],
    record: Callable[[Callable[..., object], Any, Track], Callable[..., object]],
    track: Track,
    go: Semaphore | None = None,
    unused: Sequence[Connection[Any, Any]] = (),
) -> None:
    """Run a worker, and record what it does.

    Parameters
    ----------
    worker : callable
        The worker: the series', or the reader's.
    args : sequence
        What it is called with; what is recorded comes first. Messages become a list of pairs, the number and
        the payload.
    record : callable
        One of the functions below: it is called with the worker, its first argument and the track.
    track : Track
        Where the records go.
    go : Semaphore, optional
        Says when to begin, once this process is ready.
    unused : sequence of Connection
        Ends of pipes that a forked process has beside its own: it closes them, or a pipe would have no end.
    """
    track.unlink()
    for connection in unused:
        connection.close()
    arguments = [_listed(each) if isinstance(each, Messages) else each for each in args]
    recorded = record(worker, arguments[0], track)
    look_with(_looking(arguments[0], track))
    if go is not None:
        ready()
        go.acquire()
    recorded(*arguments)


def _looking(endpoint: Any, track: Track) -> Callable[[], None]:
    """Return what looks whether this process waits, and notes it in the track."""
    main, detect = get_ident(), None

    def look() -> None:
        nonlocal detect
        from ipc_helpers.child import stacks  # which a run that is soon over does not need

        def tell(since: int) -> None:
            track.note_wait(since, *(stacks.whereabouts(main) if since else ()))

        detect = detect or stacks.WaitDetector(main, lambda: [endpoint], tell)
        detect()

    return look


def _listed(messages: Messages) -> list[tuple[int, bytes]]:
    content = payload(messages.size)
    return [(number, content) for number in messages.numbers]


def calls(worker: Callable[..., object], endpoint: Any, track: Track) -> Callable[..., object]:
    """Record each message that is put or got at a queue, or sent or received at an end of a pipe."""
    for name, operation in (("put", SEND), ("send", SEND), ("get", RECEIVE), ("recv", RECEIVE)):
        if hasattr(endpoint, name):
            setattr(endpoint, name, _recorded(getattr(endpoint, name), operation, track))
    return worker


def _recorded(method: Callable[..., Any], operation: int, track: Track) -> Callable[..., Any]:
    """Return what does as a method of one object does, and records it: each line costs the recorded loop."""
    clock, pack, memory = perf_counter_ns, pack_into, track.memory
    next_offset, cells = track.next_offset, track.cells

    def call(*args: Any, **options: Any) -> Any:
        cells[operation] = started = clock()
        try:
            result = method(*args, **options)
            ended = clock()
        except BaseException:
            cells[operation] = 0
            raise
        message = result if operation == RECEIVE else args[0] if args else options["obj"]
        if message is None:
            cells[operation] = 0
            return result
        offset = next_offset()
        try:
            pack(memory, offset, started, ended, message[0], operation)
        except (struct.error, TypeError, LookupError):
            track.check_room(offset)
            if operation == SEND:  # whoever gets it need not say it again
                raise ValueError(f"{short(message)} is no message: it does not begin with a number") from None
        return result

    return call


def calls_and_writes(worker: Callable[..., object], queue: Any, track: Track) -> Callable[..., object]:
    """Record the calls, and each message that the feeder thread of the queue writes."""
    from ipc_helpers.child.xray import TAKEN, WRITTEN, XRay  # one experiment alone needs it

    cells = track.cells

    def on_step(step: str, message: Any) -> None:
        if message is None:
            return
        if step == TAKEN:
            cells[WRITE] = perf_counter_ns()
        elif step == WRITTEN:
            track.add(cells[WRITE], perf_counter_ns(), message[0], WRITE)

    XRay(queue, on_step)
    return calls(worker, queue, track)


def work(worker: Callable[..., object], queue: Any, track: Track) -> Callable[..., object]:
    """Record how long each message is worked on: from the return of a get to the next call, or to the end."""
    get_it, cells = queue.get, track.cells
    task: Any = None

    def finish() -> None:
        nonlocal task
        if task is not None:
            done, task = task, None
            track.add(cells[RECEIVE], perf_counter_ns(), done[0], RECEIVE)

    def get(*args: Any, **options: Any) -> Any:
        nonlocal task
        finish()
        cells[WAIT] = perf_counter_ns()
        try:
            task = get_it(*args, **options)
        finally:
            cells[WAIT] = 0
        cells[RECEIVE] = 0 if task is None else perf_counter_ns()
        return task

    def run_and_finish(*args: Any) -> None:
        worker(*args)
        finish()

    queue.get = get
    return run_and_finish


def whole(worker: Callable[..., object], _: object, track: Track, number: int) -> Callable[..., object]:
    """Record the worker's call as a whole, as a message with some number."""

    def run_whole(*args: Any) -> None:
        with track.recorded(RECEIVE, number):
            worker(*args)

    return run_whole
