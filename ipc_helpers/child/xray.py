"""An X-ray of a live Queue: how many messages are in the deque, with the feeder thread, in the pipe.

It reads private parts of ``multiprocessing.Queue``, which a Python of the future may lack: then it
says which. Look with it to learn, never in a program.
"""

from __future__ import annotations

import struct
import sys
import threading
import time
from collections import deque, namedtuple
from functools import partial
from multiprocessing import queues

if sys.platform == "win32":
    import _winapi
else:
    import fcntl
    import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing import Queue
    from multiprocessing.connection import Connection
    from typing import Any

PARTS = {
    "_buffer": "the deque: put appends to it, the feeder thread takes from it",
    "_thread": "the feeder thread; None before the first put",
    "_send_bytes": "what the feeder thread calls to write into the pipe",
    "_recv_bytes": "what get calls to read from the pipe",
    "_reader": "the end of the pipe that get reads",
    "_on_queue_feeder_error": "what the feeder thread calls when it has to drop a message",
    "_sentinel": "what close appends to the deque, in the module of the class",
}
"""The private parts of a Queue, and of its module, that an X-ray needs; and what they are."""

TAKEN, WRITING, WRITTEN, READ = "taken", "writing", "written", "read"
"""Steps: taken from the deque, the write begins, the write has ended (these three in the feeder thread);
read from the pipe (in get, in the process of this X-ray)."""

_SENTINEL = getattr(queues, "_sentinel", None)
_STILL = 0.3  # seconds without a change: the feeder thread is stuck
_KEPT = 1 << 18  # sizes of written messages: as many as fit into a pipe of a mebibyte
_LONG = 0x7FFFFFFF  # bytes: a longer message has a longer header

Places = namedtuple("Places", ("deque", "feeder", "pipe", "pipe_bytes"))
Places.__doc__ = """Where the messages are that this process has put and nobody has read.

deque : how many wait in this process's deque. feeder : 1 while the feeder thread has a message, which
it pickles, or writes, or waits to write; else 0. pipe : how many are in the pipe as a whole.
pipe_bytes : bytes in the pipe; those of a message that is written in part are among them.
"""


class XRayError(Exception):
    """What an :class:`XRay` raises when a Queue has not the private parts that it needs."""


class XRay:
    """Looks into a Queue, in the process that puts, from before its first put.

    ``deque + feeder + pipe`` is what was put and not read. A message counts at one place alone: with
    the feeder from the moment at which it is taken from the deque until it is written to its last byte;
    a part of it may be in the pipe by then, or even be read. Messages that are still inside a call
    of put, or that a get has read, are at none of these places.

    A look is exact once nothing moves (see :meth:`settled`). While somebody reads, a message that
    is being read may count or not. Messages of several sizes are told apart with the help of
    ``qsize``; on macOS, which has none, ``pipe`` may count too many small ones while a large one is
    being written. What *other* processes put into the same queue it can't tell from its own.

    Parameters
    ----------
    queue : multiprocessing.Queue or multiprocessing.JoinableQueue
        Nothing was put into it in this process yet.
    on_step : callable, optional
        Called as ``on_step(step, message)``, with one of TAKEN, WRITING, WRITTEN and READ, in the thread
        in which it happens. For READ the message is bytes, a pickle.

    Raises
    ------
    XRayError
        When the queue has not one of the private :data:`PARTS`.
    ValueError
        When its feeder thread has started already, or another X-ray looks into it.
    """

    def __init__(self, queue: Queue[Any], on_step: Callable[[str, Any], object] | None = None) -> None:
        for part, what in PARTS.items():
            if not (hasattr(queue, part) or hasattr(queues, part)):
                raise XRayError(
                    f"can't look into a {type(queue).__name__}: it has no {part} ({what}); "
                    "the X-ray knows Queue and JoinableQueue as CPython 3.11 to 3.15 make them"
                )
        inside: Any = queue
        if inside._thread is not None:
            raise ValueError("the feeder thread has started: make the X-ray before the first put")
        if isinstance(inside._buffer, _Deque):
            raise ValueError("another X-ray looks into this queue")
        self._queue = inside
        # The queue holds what follows, which must not hold the queue: it ends its feeder thread when
        # nobody refers to it any more.
        self._deque = inside._buffer = _Deque(on_step or (lambda step, message: None))
        inside._send_bytes = partial(self._deque.send, inside._send_bytes)
        inside._recv_bytes = partial(self._deque.receive, inside._recv_bytes)
        inside._on_queue_feeder_error = partial(self._deque.drop, inside._on_queue_feeder_error)

    def look(self) -> Places:
        """Return where the messages are now.

        Raises
        ------
        ValueError
            When the pipe is closed: after ``close``, once the feeder thread has ended.
        """
        queue = self._queue
        with self._deque.lock:  # the feeder thread takes nothing and finishes nothing meanwhile
            if queue._reader.closed:
                raise ValueError("the queue is closed: there is nothing left to look into")
            in_pipe = _bytes_in(queue._reader)
            in_deque, held = self._deque.messages(), self._deque.held
            least, most = self._deque.messages_in(in_pipe)
        if least < most:
            try:
                least = max(least, min(most, queue.qsize() - in_deque - held))
            except NotImplementedError:  # macOS
                least = most
        return Places(in_deque, held, least, in_pipe)

    def settled(self, timeout: float = 10.0) -> Places:
        """Wait until the feeder thread has nothing to do, or can't go on, and look.

        Parameters
        ----------
        timeout : float
            Seconds to wait at most.

        Raises
        ------
        TimeoutError
            When messages were still moving then.
        """
        ends_at = time.monotonic() + timeout
        places, since = self.look(), time.monotonic()
        while (places.deque or places.feeder) and (now := time.monotonic()) - since < _STILL:
            if now > ends_at:
                raise TimeoutError(f"messages were still moving after {timeout:g} s")
            time.sleep(0.01)
            before, places = places, self.look()
            if places != before:
                since = time.monotonic()
        return places


class _Deque(deque[object]):
    """The deque of a queue, and what the feeder thread does with each message that it takes from it."""

    def __init__(self, on_step: Callable[[str, Any], object]) -> None:
        super().__init__()
        self.lock = threading.Lock()
        self.held = 0  # messages: taken, and neither written nor dropped
        self.on_step = on_step
        self._writing = 0  # bytes of the message that is being written
        self._written: deque[int] = deque(maxlen=_KEPT)  # bytes of each written message
        self._message: object = None

    def messages(self) -> int:
        """Return how many messages are inside, without what ``close`` has appended."""
        try:
            return len(self) - (self[-1] is _SENTINEL)
        except IndexError:  # empty
            return 0

    def popleft(self) -> object:
        """Take the first message, in the feeder thread."""
        with self.lock:
            message = super().popleft()
            self.held = int(message is not _SENTINEL)
        if self.held:
            self._message = message
            self.on_step(TAKEN, message)
        return message

    def send(self, send_bytes: Callable[[bytes], None], data: bytes) -> None:
        """Write a message into the pipe, as ``send_bytes`` does."""
        size = _size_in_pipe(len(data))
        message, self._message = self._message, None
        self.on_step(WRITING, message)
        with self.lock:
            self._writing = size
        send_bytes(data)  # when it raises, the message is dropped
        with self.lock:
            self._written.append(size)
            self._writing = self.held = 0
        self.on_step(WRITTEN, message)

    def receive(self, recv_bytes: Callable[[], bytes]) -> bytes:
        """Read a message from the pipe, as ``recv_bytes`` does."""
        data = recv_bytes()
        self.on_step(READ, data)
        return data

    def drop(self, on_error: Callable[[Exception, Any], None], error: Exception, message: Any) -> None:
        """Report a message that is dropped, as ``on_error`` does."""
        self._message = None
        with self.lock:
            self._writing = self.held = 0
        on_error(error, message)

    def messages_in(self, count: int) -> tuple[int, int]:
        """Return the fewest and the most whole messages that some bytes in the pipe can be.

        They are the last that were written, and a part of the one that is being written.
        """
        least = most = total = 0
        for size in reversed(self._written):
            if total + self._writing < count:  # these are too few
                least = most + 1
            total += size
            if total > count:
                break
            most += 1
        return min(least, most), most


def _bytes_in(reader: Connection[Any, Any]) -> int:
    """Return how many bytes are in a pipe."""
    if sys.platform == "win32":
        return int(_winapi.PeekNamedPipe(reader.fileno())[0])
    return int(struct.unpack("i", fcntl.ioctl(reader.fileno(), termios.FIONREAD, bytes(4)))[0])


def _size_in_pipe(size: int) -> int:
    """Return how many bytes a pickle takes in a pipe: its length goes in front, but on Windows."""
    if sys.platform == "win32":
        return size
    return size + (4 if size <= _LONG else 12)
