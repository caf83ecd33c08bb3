"""What the trials of 10.4 and 10.5 hand to a worker: rings whose other end acts at the worst moment."""

from __future__ import annotations

import os
import threading
from multiprocessing import active_children

from ipc_helpers.exercises.trial_process import brief
from ipc_helpers.workers.torn_ring import SlotRing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Worker = Callable[..., Any]

SLOTS, SIZE = 3, 8
PASSED = 7  # messages that go through the stand-ins of 10.4
ROOMY = 8  # slots of the ring of 10.5
FIRST = [b"message%d" % number for number in range(3)]
LAST = [b"message%d" % number for number in range(3, 5)]
SILENT = 12  # times that no message comes while the producer is alive
IN_VAIN = 1_000  # times that nobody asks an empty ring whose producer has died
PATIENCE = 60  # seconds, for a process that starts on a busy machine


# 10.4: the other end of a ring, as quick as it can be.


class Told:
    """A semaphore of a stand-in for a ring, which notes each call and tells the ring of it.

    Parameters
    ----------
    name : {"free", "filled"}
        Which one it is.
    tell : callable
        Is called with the name and the method.
    """

    def __init__(self, name: str, tell: Callable[[str], None]) -> None:
        self._name, self._tell = name, tell

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Acquire, which always succeeds: the other end is quick."""
        self._tell(f"{self._name}.acquire()")
        return True

    def release(self) -> None:
        """Release; the other end acts at once."""
        self._tell(f"{self._name}.release()")

    __enter__ = acquire

    def __exit__(self, *args: object) -> None:
        self.release()


class QuickRing:
    """One end of a ring whose other end acts in the moment in which a semaphore is released.

    Parameters
    ----------
    react : dict of str to callable
        What the other end does at which call; it is given the ring.
    """

    def __init__(self, react: dict[str, Callable[[QuickRing], None]]) -> None:
        self.slots, self.size, self.count = SLOTS, SIZE, 0
        self.memory = memoryview(bytearray(SLOTS * SIZE))
        self.free, self.filled = Told("free", self._told), Told("filled", self._told)
        self._react = react
        self.calls: list[str] = []
        self.number = 0  # of the message that is under way
        self.seen: list[bytes] = []  # by the other end

    def slot(self, number: int) -> memoryview:
        """Return the slot in which a message belongs."""
        start = number % self.slots * self.size
        return self.memory[start : start + self.size]

    def _told(self, call: str) -> None:
        self.calls.append(call)
        if call in self._react:
            self._react[call](self)


def small_message(number: int) -> bytes:
    """Return a message that fills a slot of the stand-ins."""
    return bytes([number + 1]) * SIZE


def putting(worker: Worker) -> tuple[Any, dict[str, Any]]:
    """Have a worker put messages; note its calls, what a quick consumer sees, and what is there then."""

    def look(ring: QuickRing) -> None:
        ring.seen.append(bytes(ring.slot(ring.number)))

    ring = QuickRing({"free.acquire()": look, "filled.release()": look})
    noted = []
    for number in range(PASSED):
        ring.number, ring.calls, ring.seen = number, [], []
        worker(ring, small_message(number))
        noted.append((ring.calls, ring.seen, bytes(ring.slot(number))))
    return None, {"puts": noted}


def getting(worker: Worker) -> tuple[Any, dict[str, Any]]:
    """Have a worker get messages; note its calls, and each message. A quick producer fills slots again."""
    put = 0

    def fill(ring: QuickRing) -> None:
        nonlocal put
        while put < SLOTS:
            ring.slot(put)[:] = small_message(put)
            put += 1

    def fill_again(ring: QuickRing) -> None:
        nonlocal put
        ring.slot(put)[:] = small_message(put)
        put += 1

    ring = QuickRing({"filled.acquire()": fill, "free.release()": fill_again})
    noted = []
    for _ in range(PASSED):
        ring.calls = []
        noted.append((ring.calls, brief(worker(ring))))
    return None, {"gets": noted}


def put_all(worker: Worker, ring: SlotRing, messages: int) -> tuple[Any, dict[str, Any]]:
    """Have a worker put many messages."""
    for number in range(messages):
        worker(ring, bytes([number % 256]) * ring.size)
    return None, {}


def get_all(worker: Worker, ring: SlotRing, messages: int) -> tuple[Any, dict[str, Any]]:
    """Have a worker get many messages; count those that are whole and in their turn."""
    good = sum(bytes(worker(ring)) == bytes([number % 256]) * ring.size for number in range(messages))
    return None, {"good": good}


# 10.5: a ring whose producer dies.


class _ForeverError(BaseException):
    """Raised in a worker that would wait forever."""


class Watched:
    """The semaphore of the filled slots: no message comes for a while, and then the producer puts its last.

    An acquire with a limit returns False after that, and by then the producer has ended. For one without a
    limit it ends once the last message was acquired.

    Parameters
    ----------
    real : multiprocessing.Semaphore
        It counts.
    go : multiprocessing.connection.Connection
        Tells the producer to put its last messages, and to end.
    """

    def __init__(self, real: Any, go: Any) -> None:
        self._real, self._go = real, go
        self._silent, self._in_vain = SILENT, 0
        self.acquired = 0
        self._threads = threading.active_count()
        self._told: list[str] = []

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Acquire, as a semaphore does, and let happen what is to happen."""
        is_starting = self.acquired < len(FIRST) and active_children()
        if self._real.acquire(True, PATIENCE if is_starting else 0):
            self.acquired += 1
            return True
        if not block or timeout is not None:
            return self._acquire_or_give_up()
        if not self._tell("put"):
            self.let_end()
        while active_children() or threading.active_count() > self._threads:  # somebody may release
            if self._real.acquire(True, 0.05):
                self.acquired += 1
                return True
        if not self._real.acquire(False):
            raise _ForeverError
        self.acquired += 1
        return True

    def _acquire_or_give_up(self) -> bool:
        if active_children():
            if not self._silent:
                self.let_end()
            self._silent -= 1
        else:
            self._in_vain += 1
            if self._in_vain > IN_VAIN:
                raise _ForeverError
        return False

    def release(self) -> None:
        """Release."""
        self._real.release()

    def let_end(self) -> None:
        """Have the producer put its last messages, and wait until it has ended."""
        self._tell("put")
        self._tell("end")
        for child in active_children():
            child.join()

    def _tell(self, what: str) -> bool:
        """Tell the producer something, once; say whether it was told now."""
        if what in self._told or not active_children():
            return False
        self._told.append(what)
        self._go.send(what)
        return True

    def left(self) -> int:
        """Count the slots that are filled."""
        count = 0
        while self._real.acquire(False):
            count += 1
        return count

    __enter__ = acquire

    def __exit__(self, *args: object) -> None:
        self.release()

    def __reduce__(self) -> Any:
        return _same, (self._real,)  # the producer gets the semaphore itself

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def _same(semaphore: Any) -> Any:
    return semaphore


class TakenRing:
    """A ring whose consumer acquires ``filled``, and then takes."""

    def __init__(self, ctx: Any, slots: int, size: int) -> None:
        self._ring = SlotRing(ctx, slots, size)
        self.filled: Any = self._ring.filled

    def put(self, message: bytes) -> None:
        """Put a message into the next slot."""
        self._ring.free.acquire()
        self._next_slot()[:] = message
        self.filled.release()

    def take(self) -> bytes:
        """Copy the next message out of its slot, and give the slot back."""
        if self._ring.count >= self.filled.acquired:
            raise RuntimeError("no filled slot was acquired for this")
        message = bytes(self._next_slot())
        self._ring.free.release()
        return message

    def _next_slot(self) -> Any:
        ring = self._ring
        start = ring.count % ring.slots * ring.size
        ring.count += 1
        return ring.memory[start : start + ring.size]


class Produce:
    """Puts messages into a ring, waits, puts some more, and ends.

    Parameters
    ----------
    end : multiprocessing.connection.Connection
        Something comes when it is time for the last messages, and something more when it is time to end.
    exitcode : int
        With which it ends.
    """

    __name__ = "produce"

    def __init__(self, end: Any, exitcode: int) -> None:
        self._end, self._exitcode = end, exitcode

    def __call__(self, ring: TakenRing) -> None:
        """Put all messages, and end."""
        for message in FIRST:
            ring.put(message)
        self._end.recv()
        for message in LAST:
            ring.put(message)
        self._end.recv()
        if self._exitcode:
            os._exit(self._exitcode)


def with_producer(
    worker: Worker, ctx: Any, produce: Produce, ring: TakenRing, go: Any
) -> tuple[Any, dict[str, Any]]:
    """Have a worker start a producer that ends, and take its messages; note what was left, and who."""
    watched = ring.filled = Watched(ring.filled, go)
    returned, forever = None, False
    try:
        returned = worker(ctx, produce, ring)
    except _ForeverError:
        forever = True
    alive = len(active_children())
    if alive:
        watched.let_end()
    return returned, {"forever": forever, "alive": alive, "left": watched.left()}
