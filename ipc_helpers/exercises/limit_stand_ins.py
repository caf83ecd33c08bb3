"""What the trials of 10.1 to 10.3 hand to a worker, and what runs around it: bad luck is made certain."""

from __future__ import annotations

import pickle
from contextlib import suppress
from importlib import import_module
from multiprocessing.reduction import ForkingPickler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Worker = Callable[..., Any]

SEND, REPLY, START, MAKE = 0.25, 0.75, 32.0, 4.0  # seconds on the clock of 10.3


# 10.1: a queue whose feeder thread takes its time.


class LateQueue:
    """A queue that pickles what was put once the worker has returned; a feeder thread may be as late.

    Parameters
    ----------
    queue : multiprocessing.Queue
        Into which it goes then.
    """

    def __init__(self, queue: Any) -> None:
        self._queue = queue
        self._put: list[tuple[Any, bytes]] = []  # each object, and what it was

    def put(self, obj: Any, block: bool = True, timeout: float | None = None) -> None:
        """Put, and pickle later."""
        self._put.append((obj, pickle.dumps(obj)))

    def put_nowait(self, obj: Any) -> None:
        """Put, and pickle later."""
        self.put(obj)

    def close(self) -> None:
        """Do nothing: all is still to be put."""

    join_thread = close

    def messages(self) -> int:
        """Count the messages that were put, alone or in lists."""
        return sum(len(obj) if isinstance(obj, (list, tuple)) else obj is not None for obj, _ in self._put)

    def flush(self) -> bool:
        """Pickle all now; say whether something has changed since it was put."""
        for obj, _ in self._put:
            self._queue.put(obj)
        return any(pickle.dumps(obj) != before for obj, before in self._put)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)


def with_late_queue(worker: Worker, queue: Any, count: int, size: int) -> tuple[Any, dict[str, Any]]:
    """Have a worker put numbers into a late queue; note how many it held back at most."""
    late, held = LateQueue(queue), 0

    def numbers() -> Iterator[int]:
        nonlocal held
        for number in range(count):
            held = max(held, number - late.messages())
            yield number

    returned = worker(late, numbers(), size)
    return returned, {"held": held, "changed": late.flush()}


# 10.2: a connection that knows the bytes of arrays.


class Weighed:
    """The sending end of a pipe that weighs what is neither an array's bytes nor a part of these.

    Parameters
    ----------
    connection : multiprocessing.connection.Connection
        It sends.
    contents : list of bytes
        Of the arrays.
    """

    def __init__(self, connection: Any, contents: list[bytes]) -> None:
        self._connection, self._contents = connection, contents
        self.other = 0  # bytes
        self.rows = 0  # of bytes in two dimensions

    def send(self, obj: Any) -> None:
        """Send, and weigh the pickle."""
        self.other += len(ForkingPickler.dumps(obj))
        self._connection.send(obj)

    def send_bytes(self, buf: Any, offset: int = 0, size: int | None = None) -> None:
        """Send, and weigh what no array has in it."""
        view = memoryview(buf)
        if view.ndim > 1 and view.itemsize == 1:  # a Connection counts the rows, and goes on without an end
            self.rows, buf = len(view), view.tobytes()
        self._connection.send_bytes(buf, offset, size)
        sent = view.tobytes("A")[offset : None if size is None else offset + size]
        if not any(sent in content for content in self._contents):
            self.other += len(sent)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def make_records() -> list[dict[str, Any]]:
    """Return three records: with two arrays, with none, and with one."""
    np = import_module("numpy")  # other trials, and the package by itself, do not need it
    table = np.arange(60_000, dtype="f4").reshape(300, 200).T  # its rows are not one after the other
    return [
        {"name": "first", "samples": np.arange(50_000, dtype="f8") / 2, "table": table},
        {"name": "without arrays", "channels": [1, 2]},
        {"name": "last", "image": np.arange(40_000, dtype="u1").reshape(100, 400)},
    ]


def sending(worker: Worker, connection: Any) -> tuple[Any, dict[str, Any]]:
    """Have a worker send each record."""
    records = make_records()
    arrays = [value for record in records for value in record.values() if hasattr(value, "dtype")]
    weighed = Weighed(connection, [array.tobytes(order) for array in arrays for order in "CA"])
    with suppress(BrokenPipeError):  # the receiver has failed, and its own exception says more
        for record in records:
            worker(weighed, record)
    connection.close()
    return None, {"other": weighed.other, "rows": weighed.rows}


def receiving(worker: Worker, connection: Any) -> tuple[Any, dict[str, Any]]:
    """Have a worker receive each record; note what differs from what was sent, and can't be changed."""
    differs, frozen, received = "", "", []
    for record in make_records():
        came = worker(connection)
        received.append(came)
        differs = differs or _difference(came, record)
        if not differs:
            arrays = {name: value for name, value in came.items() if hasattr(value, "dtype")}
            frozen = frozen or next((name for name, array in arrays.items() if not array.flags.writeable), "")
    kept = not differs and not _difference(received[0], make_records()[0])
    connection.close()
    return None, {"differs": differs, "frozen": frozen, "kept": kept}


def _difference(came: Any, record: dict[str, Any]) -> str:
    if not isinstance(came, dict):
        return f"of the record {record['name']!r} came {type(came).__name__}, and no dictionary"
    if list(came) != list(record):
        return f"the record {record['name']!r} has {', '.join(record)}, and {', '.join(map(str, came))} came"
    for name, value in record.items():
        if not hasattr(value, "dtype"):
            if hasattr(came[name], "dtype") or came[name] != value:
                return f"{name} is {value!r}, and {came[name]!r} came"
        elif not hasattr(came[name], "dtype"):
            return f"{name} is an array, and {type(came[name]).__name__} came"
        elif (came[name].shape, came[name].dtype) != (value.shape, value.dtype):
            sent, arrived = (f"{array.dtype} of shape {array.shape}" for array in (value, came[name]))
            return f"{name} is {sent}, and {arrived} came"
        elif (came[name] != value).any():
            return f"{name} came with other numbers in it"
    return ""


# 10.3: a clock that goes on by what happens, and not by time.


class Clock:
    """A clock on which each step takes the same time on every machine."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.reads = 0

    def __call__(self) -> float:
        """Return what time it is, in seconds."""
        self.reads += 1
        return self.now


class Timed:
    """One end of a pipe, by whose calls a clock goes on. The first reply comes late: a child starts.

    Parameters
    ----------
    connection : multiprocessing.connection.Connection
        Its other end sends each message back.
    clock : Clock
        It goes on.
    """

    def __init__(self, connection: Any, clock: Clock) -> None:
        self._connection, self._clock = connection, clock
        self._replies = 0
        self.most = 0  # messages that were under way at once
        self._is_there = False  # a reply for which somebody has waited by poll()
        self.sent: list[Any] = []

    def send(self, obj: Any) -> None:
        """Send."""
        self._connection.send(obj)
        self._note(obj)

    def send_bytes(self, buf: Any) -> None:
        """Send."""
        self._connection.send_bytes(buf)
        self._note(bytes(buf))

    def recv(self) -> Any:
        """Receive."""
        return self._received(self._connection.recv())

    def recv_bytes(self) -> bytes:
        """Receive."""
        return bytes(self._received(self._connection.recv_bytes()))

    def recv_bytes_into(self, buf: Any) -> int:
        """Receive."""
        return int(self._received(self._connection.recv_bytes_into(buf)))

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Wait for a reply."""
        is_there = bool(self._connection.poll(timeout))
        if is_there:
            self._arrive()
        return is_there

    def __enter__(self) -> Timed:
        return self

    def __exit__(self, *args: object) -> None:
        self._connection.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def _note(self, message: Any) -> None:
        self.sent.append(message)
        self.most = max(self.most, len(self.sent) - self._replies)
        self._clock.now += SEND

    def _received(self, reply: Any) -> Any:
        self._arrive()
        self._is_there = False
        return reply

    def _arrive(self) -> None:
        if not self._is_there:
            self._clock.now += REPLY if self._replies else START
            self._replies += 1
            self._is_there = True


def by_the_clock(worker: Worker, connection: Any, count: int) -> tuple[Any, dict[str, Any]]:
    """Have a worker measure by a clock on which each step has its time."""
    clock = Clock()
    timed = Timed(connection, clock)

    def make(number: int) -> bytes:
        clock.now += MAKE
        return b"message %d" % number

    returned = worker(timed, make, count, clock)
    connection.close()
    return returned, {"reads": clock.reads, "sent": timed.sent, "most": timed.most}


def send_back(connection: Any) -> None:
    """Send each message back until the other end is closed."""
    try:
        while True:
            connection.send_bytes(connection.recv_bytes())
    except (EOFError, OSError):
        connection.close()
