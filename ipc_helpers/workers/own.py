"""What runs a reader's own workers in their children: it hands them what they need, and records what they do.

A queue, or an end of a pipe, stays the object that it is. Only this one instance gets other methods that
put and get, or send and recv, and close: they record, and leave the work to its own. So a worker may be
written in any way that is right, with timeouts, ``with`` or ``wait``.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from contextlib import suppress
from threading import Lock
from time import perf_counter_ns, sleep

from ipc_helpers.payloads import Payloads
from ipc_helpers.trace import RECEIVE, SEND, WRITE, Recorder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing import Queue
    from multiprocessing.connection import Connection
    from multiprocessing.synchronize import Semaphore
    from typing import Any

    from ipc_helpers.child import Pieces

# The other end was closed before all was said. Whoever closed it says why, or the count of messages does.
_PEER_GONE = EOFError, OSError


# The plain workers, for the roles that the reader leaves to the series.


def put_all(queue: Queue[Any], messages: Sequence[object]) -> None:
    """Put each message."""
    for message in messages:
        queue.put(message)


def get_all(queue: Queue[Any], pause: float = 0) -> None:
    """Get messages until the sentinel None comes, with a pause of some seconds after each."""
    for _ in iter(queue.get, None):
        if pause:
            sleep(pause)


def send_all(connection: Connection[Any, Any], messages: Sequence[object]) -> None:
    """Send each message."""
    with suppress(*_PEER_GONE):
        for message in messages:
            connection.send(message)


def receive_all(connection: Connection[Any, Any]) -> None:
    """Receive messages until the sentinel None comes."""
    for _ in iter(connection.recv, None):
        pass


def request_all(connection: Connection[Any, Any], requests: Sequence[object]) -> None:
    """Send each request, and receive its reply."""
    with suppress(*_PEER_GONE):
        for request in requests:
            connection.send(request)
            connection.recv()


def reply_to_all(connection: Connection[Any, Any], reply: Callable[[Any], object]) -> None:
    """Answer each request with its reply until the sentinel None comes."""
    with suppress(*_PEER_GONE):
        for request in iter(connection.recv, None):
            connection.send(reply(request))


# What a child runs: one of those, or the reader's.


def produce(
    function: Callable[..., object],
    endpoint: Queue[Any] | Connection[Any, Any],
    numbers: range,
    contents: int | Sequence[float],
    sentinels: int,
    awaited: int,
    go: Semaphore,
    other_end: Connection[Any, Any] | None = None,
) -> Pieces:
    """Run a worker that gets some messages to put or send; return the records.

    Parameters
    ----------
    function : callable
        Called with the endpoint and the messages.
    endpoint : Queue or Connection
        Where it puts, or sends.
    numbers : range
        The numbers of its messages.
    contents : int or sequence of float
        Bytes in each payload; or what comes with each number.
    sentinels : int
        How many follow the messages.
    awaited : int
        1 when replies come, until the other end is closed; else 0.
    go : Semaphore
        Says when to begin.
    other_end : Connection, optional
        The other end of the pipe, which is not for this process.
    """
    if other_end is not None:
        other_end.close()
    recorded = Recorded(endpoint, numbers, contents, sentinels, awaited, len(numbers) * awaited)
    go.acquire()
    function(endpoint, recorded.messages)
    return recorded.end()


def produce_into_places(
    function: Callable[..., object], queue: Queue[Any], numbers: range, size: int, go: Semaphore
) -> Pieces:
    """Run a producer; return the records of its puts, then those of the feeder thread's writes."""
    from ipc_helpers.xray import TAKEN, WRITTEN, XRay  # the workers of one chapter alone need it

    writes = Recorder(2 * len(numbers), reports=False)
    taken = 0

    def on_step(step: str, message: Any) -> None:
        nonlocal taken
        if step == TAKEN:
            taken = perf_counter_ns()
        elif step == WRITTEN and message is not None:
            writes.record(taken, WRITE, message[0], size)

    XRay(queue, on_step)
    return produce(function, queue, numbers, size, 1, 0, go) + writes.records()


def consume(
    function: Callable[..., object],
    endpoint: Queue[Any] | Connection[Any, Any],
    expected: int,
    size: int,
    awaited: int,
    shared: tuple[Semaphore, Semaphore] | None,
    go: Semaphore,
    *more: object,
) -> Pieces:
    """Run a worker that gets or receives messages until None comes; return the records.

    Parameters
    ----------
    function : callable
        Called with the endpoint, and with what else there is for it.
    endpoint : Queue or Connection
        Where it gets, or receives.
    expected : int
        How many messages there are.
    size : int
        Bytes in each payload.
    awaited : int
        How many sentinels come; the worker sees the last alone.
    shared : tuple of Semaphore, optional
        With several consumers of one queue: how many others have still to return, and how many sentinels
        nobody has got.
    go : Semaphore
        Says when to begin.
    *more
        What else the worker is called with.
    """
    recorded = Recorded(endpoint, range(0), size, 0, awaited, expected, shared)
    go.acquire()
    function(endpoint, *more)
    return recorded.end()


def serve(
    function: Callable[..., object], connection: Connection[Any, Any], count: int, size: int, go: Semaphore
) -> Pieces:
    """Run a server, which answers each message with the next number until None comes; return the records."""
    recorded = Recorded(connection, range(1, count, 2), size, 0, 0, count)

    def reply(request: tuple[int, bytes]) -> tuple[int, Any]:
        """Return the reply to a request."""
        number, content = recorded.messages[request[0] // 2]
        return number, content

    go.acquire()
    function(connection, reply)
    return recorded.end()


def start_up(function: Callable[..., object], number: int, argument: bytes) -> Pieces:
    """Run a worker with the argument that this process was started with; return the record of it."""
    Payloads(len(argument)).check(number, argument)
    recorder = Recorder(1)
    started = perf_counter_ns()
    function(argument)
    recorder.record(started, RECEIVE, number, len(argument))
    return recorder.records()


# What it hands to them.


class Messages(Sequence[tuple[int, "Any"]]):
    """The messages of one worker: numbers, each with its content, which is made when it is asked for.

    Parameters
    ----------
    numbers : range
        The numbers.
    content : callable
        Returns what belongs to a number.
    """

    def __init__(self, numbers: range, content: Callable[[int], Any]) -> None:
        self._numbers = numbers
        self._content = content

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: Any) -> Any:
        numbers = self._numbers[index]
        if isinstance(numbers, range):
            return [(number, self._content(number)) for number in numbers]
        return numbers, self._content(numbers)

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        return zip(self._numbers, map(self._content, self._numbers), strict=True)


class Recorded:
    """Records what goes through a queue, or one end of a pipe, in this process from now on.

    Parameters
    ----------
    endpoint : Queue or Connection
        Its methods that put and get, or send and recv, and close are replaced.
    numbers : range
        The numbers of the messages that may be put or sent.
    contents : int or sequence of float
        Bytes in each payload; or what comes with each number.
    sentinels : int
        How many are put or sent when it is closed.
    awaited : int
        How many sentinels come in, of which the last alone is handed out. What nobody has got is taken out
        when it is closed, so that whoever puts does not wait for ever.
    expected : int
        How many messages there are to get.
    shared : tuple of Semaphore, optional
        As for :func:`consume`: the last consumer to return takes out what all have left. One that did so
        earlier would take what the others are to get.
    """

    def __init__(
        self,
        endpoint: Any,
        numbers: range,
        contents: int | Sequence[float],
        sentinels: int,
        awaited: int,
        expected: int,
        shared: tuple[Semaphore, Semaphore] | None = None,
    ) -> None:
        if isinstance(contents, int):
            content: Callable[[int], Any] = Payloads(contents).of
            self._size = contents
        else:
            content, self._size = contents.__getitem__, 0
        self.messages = Messages(numbers, content)
        self._endpoint = endpoint
        self._numbers = numbers
        self._content = content
        self._sentinels = sentinels
        self._awaited = awaited
        self._shared = shared
        self._closed = False
        # Room for each twice: what goes through too often is counted with the rest, unless it never ends.
        self._recorder = Recorder(2 * (len(numbers) + expected))
        self._lock = Lock()  # a worker may have threads
        put, get = ("put", "get") if hasattr(endpoint, "put") else ("send", "recv")
        self._verb = put
        self._put, self._get, self._close = (getattr(endpoint, name) for name in (put, get, "close"))
        for name, method in ((put, self.put), (get, self.get), ("close", self.close)):
            setattr(endpoint, name, method)

    def put(self, obj: Any, *args: Any, **options: Any) -> None:
        """Put or send a message; leave out a None of the worker's own: the sentinels follow."""
        if obj is None:
            return
        number = self._number_of(obj)
        started = perf_counter_ns()
        self._put(obj, *args, **options)
        self._record(started, SEND, number)

    def get(self, *args: Any, **options: Any) -> Any:
        """Get or receive a message, or the sentinel None once all have come."""
        while True:
            started = perf_counter_ns()
            message = self._get(*args, **options)
            if message is not None:
                number, content = message
                self._record(started, RECEIVE, number)
                if content != self._content(number):
                    raise ValueError(f"message {number} arrived with another content than it was sent with")
                return message
            self._awaited -= 1
            if self._shared is not None:
                self._shared[1].acquire(block=False)
            if self._awaited <= 0:
                return None

    def close(self) -> None:
        """Put the sentinels, take out what was not got, and close."""
        if not self._closed:
            self._closed = True
            with suppress(*_PEER_GONE):
                for _ in range(self._sentinels):
                    self._put(None)
                for _ in self._sentinels_to_come():
                    while self._get() is not None:
                        pass
        self._close()

    def _sentinels_to_come(self) -> Iterator[None]:
        """Yield for each sentinel that has to be taken out here."""
        if self._shared is None:
            yield from [None] * self._awaited
            return
        others, sentinels = self._shared
        if not others.acquire(block=False):
            while sentinels.acquire(block=False):
                yield None

    def end(self) -> Pieces:
        """Close, wait until all is delivered, and return the records."""
        self.close()
        if hasattr(self._endpoint, "join_thread"):
            self._endpoint.join_thread()
        return self._recorder.records()

    def _number_of(self, message: Any) -> int:
        try:
            number, content = message
            if number in self._numbers and content == self._content(number):
                return int(number)
        except (TypeError, ValueError, LookupError):
            pass
        from reprlib import repr as short

        raise ValueError(f"{self._verb} was called with {short(message)}, which is no message of this worker")

    def _record(self, started: int, operation: int, number: int) -> None:
        try:
            with self._lock:
                self._recorder.record(started, operation, number, self._size)
        except struct.error:
            raise RuntimeError(f"{self._verb} was called for far more messages than there are") from None
