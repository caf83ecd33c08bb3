"""What runs a worker of an experiment in its child process, and records the calls that it makes.

A worker gets real queues, or a real end of a pipe. Only these objects, in this one process, have other
methods that put and get, or send and recv: they note the time, and leave the work to their own.
"""

from __future__ import annotations

import struct
from _thread import get_ident
from collections import namedtuple
from operator import index
from reprlib import repr as short
from time import perf_counter_ns

from ipc_helpers.child.entry import look_with, ready
from ipc_helpers.trace import RECEIVE, SEND, WAIT, WRITE, pack_into

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
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
    record: Callable[[Callable[..., object], Sequence[Any], Track], Callable[..., object]],
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
        What it is called with. Messages become a list of pairs, the number and the payload.
    record : callable
        One of the functions below: it is called with the worker, its arguments and the track.
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
    recorded = record(worker, arguments, track)
    look_with(_looking(arguments, track))
    if go is not None:
        ready()
        go.acquire()
    recorded(*arguments)


def _looking(arguments: Sequence[Any], track: Track) -> Callable[[], None]:
    """Return what looks whether this process waits, and notes it in the track."""
    main, detect = get_ident(), None

    def look() -> None:
        nonlocal detect
        from ipc_helpers.child import stacks  # which a run that is soon over does not need

        def tell(since: int) -> None:
            track.note_wait(since, *(stacks.whereabouts(main) if since else ()))

        detect = detect or stacks.WaitDetector(main, lambda: arguments, tell)
        detect()

    return look


def _listed(messages: Messages) -> list[tuple[int, bytes]]:
    content = payload(messages.size)
    return [(number, content) for number in messages.numbers]


def calls(worker: Callable[..., object], args: Sequence[Any], track: Track) -> Callable[..., object]:
    """Record each message that is put or got at a queue, or sent or received at an end of a pipe."""
    for endpoint in args:
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


def calls_of_first(worker: Callable[..., object], args: Sequence[Any], track: Track) -> Callable[..., object]:
    """Record the calls at the first argument alone: what goes through others is no message."""
    return calls(worker, args[:1], track)


def slots(worker: Callable[..., object], args: Sequence[Any], track: Track) -> Callable[..., object]:
    """Record the wait for a free slot, at the second queue, of each message that is put into the first."""
    queue, free, cells = args[0], args[1], track.cells
    put_it, get_it = queue.put, free.get
    waits: list[tuple[int, int]] = []  # for the slots that no message has gone into yet

    def get(*args: Any, **options: Any) -> Any:
        cells[SEND] = started = perf_counter_ns()
        try:
            slot = get_it(*args, **options)
        except BaseException:
            cells[SEND] = 0
            raise
        waits.append((started, perf_counter_ns()))
        return slot

    def put(obj: Any, *args: Any, **options: Any) -> None:
        if obj is not None:
            try:
                number = index(obj[0])
            except (TypeError, LookupError):
                words = f"{short(obj)} is no message: it does not begin with a number"
                raise ValueError(words) from None
        put_it(obj, *args, **options)
        if obj is not None:
            now = perf_counter_ns()
            track.add(*(waits.pop(0) if waits else (now, now)), number, SEND)

    free.get, queue.put = get, put
    return worker


def calls_and_writes(
    worker: Callable[..., object], args: Sequence[Any], track: Track
) -> Callable[..., object]:
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

    XRay(args[0], on_step)
    return calls(worker, args, track)


def chunks(worker: Callable[..., object], args: Sequence[Any], track: Track) -> Callable[..., object]:
    """Record each task of the lists that are put; the time of a call goes with the first of its tasks."""
    queue, cells = args[0], track.cells
    put_it = queue.put

    def put(obj: Any, *args: Any, **options: Any) -> None:
        numbers = [] if obj is None else _numbers(obj)
        cells[SEND] = started = perf_counter_ns()
        try:
            put_it(obj, *args, **options)
            ended = perf_counter_ns()
            for number in numbers:
                track.add(started, ended, number, SEND)
                started = ended
        finally:
            cells[SEND] = 0

    queue.put = put
    return worker


def work(worker: Callable[..., object], args: Sequence[Any], track: Track) -> Callable[..., object]:
    """Record how long each task is worked on, from a list or alone: up to the next one, or to the end."""
    queue, cells = args[0], track.cells
    get_it = queue.get
    tasks = _Tasks([], track)

    def get(*args: Any, **options: Any) -> Any:
        nonlocal tasks
        tasks.end(len(tasks.numbers))
        cells[RECEIVE], cells[WAIT] = 0, perf_counter_ns()
        try:
            message = get_it(*args, **options)
        finally:
            cells[WAIT] = 0
        if message is None:
            return None
        tasks = _Tasks(message if isinstance(message, list) else [message], track)
        cells[RECEIVE] = perf_counter_ns()
        return tasks if isinstance(message, list) else message

    def run_and_end(*args: Any) -> None:
        worker(*args)
        tasks.end(len(tasks.numbers))
        cells[RECEIVE] = 0

    queue.get = get
    return run_and_end


class _Tasks(list["Any"]):
    """The tasks of one message. One is at work until a loop takes the next, or until all have ended."""

    def __init__(self, tasks: list[Any], track: Track) -> None:
        super().__init__(tasks)
        self.numbers = _numbers(tasks)
        self._track = track
        self._ended = 0

    def __iter__(self) -> Iterator[Any]:
        for place, task in enumerate(super().__iter__()):
            self.end(place)
            yield task

    def end(self, count: int) -> None:
        """Record that so many of the tasks have ended, unless that is recorded."""
        cells = self._track.cells
        while self._ended < count:
            self._track.add(cells[RECEIVE], now := perf_counter_ns(), self.numbers[self._ended], RECEIVE)
            cells[RECEIVE] = now
            self._ended += 1

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (self[:],)


def _numbers(message: Any) -> list[int]:
    """Return the number of each task of a message."""
    try:
        if isinstance(message, list):
            return [index(task[0]) for task in message]
    except (TypeError, LookupError):
        pass
    raise ValueError(f"{short(message)} is no list of tasks that begin with a number each")


def whole(
    worker: Callable[..., object], _: Sequence[Any], track: Track, number: int
) -> Callable[..., object]:
    """Record the worker's call as a whole, as a message with some number."""

    def run_whole(*args: Any) -> None:
        with track.recorded(RECEIVE, number):
            worker(*args)

    return run_whole
