"""Event records: which process did what to which message, when, written where it costs little.

A worker makes a :class:`Recorder`, records each operation and returns
``recorder.records()``; the parent wraps the bytes that arrive in a :class:`Lane`.
"""

from __future__ import annotations

import struct
from array import array
from collections import namedtuple
from itertools import compress
from tempfile import TemporaryFile
from time import perf_counter_ns

from ipc_helpers.child import Pieces, report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

SEND, RECEIVE, WRITE = 1, 2, 3
"""Operations: a message sent (put into a queue, for example), a message received (got out of it), a
message written: the feeder thread of a queue took it from the deque, and has moved it into the pipe."""

Event = namedtuple("Event", ("started", "ended", "operation", "number", "size"))
Event.__doc__ = """One operation on one message.

started, ended : nanoseconds of ``time.perf_counter_ns``, which agrees across processes.
operation : SEND, RECEIVE or WRITE. number : the message's. size : of its payload, in bytes.
"""

PLACES = ("put", "deque", "feeder thread", "pipe", "get", "got")
"""Where a message is on its way through a Queue, one after the other: first in a call of put, then in
the deque, and so on; in a call of get, and at last in the hands of who called it."""

Step = namedtuple("Step", ("time", "what", "place", "process", "thread"))
Step.__doc__ = """One step on the way of one message.

time : nanoseconds of ``time.perf_counter_ns``, which agrees across processes.
what : the step, in words. place : one of PLACES, where the message is from now on; None where the step
does not move it. process, thread : the names of who did it.
"""

_RECORD = struct.Struct(f"{len(Event._fields)}q")
_SIZE = _RECORD.size
_pack_into = _RECORD.pack_into
_HELD = 4096  # records in memory, at most: 160 KiB
_REPORT_EVERY = 50_000_000  # nanoseconds: 20 times a second
_NEVER = float("inf")


class Recorder:
    """Records what one thread of a worker does, into a buffer that is allocated beforehand.

    A buffer that is full goes to a temporary file, so that the process's memory does not grow with what
    it records. It also tells the parent how many operations are done: once when it is made (the worker is
    ready), then at most 20 times a second.

    Parameters
    ----------
    capacity : int
        How many operations it has room for, 40 bytes each: up to 4,096 in memory, all others in a file
        without a name, which is gone when the process ends, however it ends.
    reports : bool
        Whether it tells the parent. One recorder of a process may: two threads can't use one connection.

    Raises
    ------
    OSError
        From here, :meth:`record` or :meth:`records`, when the file can't be made, written or read.
    """

    def __init__(self, capacity: int, reports: bool = True) -> None:
        self._capacity = capacity
        self._buffer = bytearray(min(capacity, _HELD) * _SIZE)
        self._used = 0
        self._before = 0  # records in the file
        # Made beforehand, too. It stays open until all is read.
        self._file: IO[bytes] | None = TemporaryFile() if capacity > _HELD else None  # noqa: SIM115
        self._next_report: float = perf_counter_ns() + _REPORT_EVERY if reports else _NEVER
        if reports:
            report(0)

    def record(self, started: int, operation: int, number: int, size: int) -> None:
        """Record one operation that has just ended.

        Parameters
        ----------
        started : int
            ``time.perf_counter_ns()`` from before the operation.
        operation : int
            SEND, RECEIVE or WRITE.
        number : int
            The message's number.
        size : int
            Size of its payload in bytes.

        Raises
        ------
        struct.error
            When the recorder is full.
        """
        now = perf_counter_ns()
        try:
            _pack_into(self._buffer, self._used, started, now, operation, number, size)
        except struct.error:  # no room: to ask first would cost each record
            self._move_to_file()
            _pack_into(self._buffer, self._used, started, now, operation, number, size)
        self._used += _SIZE
        if now >= self._next_report:
            self._next_report = now + _REPORT_EVERY
            report(self._before + self._used // _SIZE)

    def _move_to_file(self) -> None:
        """Make room in the buffer, if there is to be any."""
        if self._file is None:
            return
        self._file.write(memoryview(self._buffer)[: self._used])
        self._before += self._used // _SIZE
        self._used = 0
        del self._buffer[(self._capacity - self._before) * _SIZE :]

    def records(self) -> Pieces:
        """Return all records, for a worker to return at its end: the parent gets bytes for :class:`Lane`."""
        return Pieces(self._read(bytes(memoryview(self._buffer)[: self._used])))

    def _read(self, last: bytes) -> Iterator[bytes]:
        """Yield what is in the file, then the last piece."""
        if self._file is not None:
            with self._file:
                self._file.seek(0)
                while piece := self._file.read(_HELD * _SIZE):
                    yield piece
        yield last


class Lane:
    """The events of one process, those of each operation in the order in which they ended.

    Parameters
    ----------
    who : str
        The process, "producer 1" for example.
    records : bytes
        The bytes of what :meth:`Recorder.records` returned; or of several of those, one after the other.
    """

    def __init__(self, who: str, records: bytes) -> None:
        self.who = who
        self.records = records

    def __len__(self) -> int:
        return len(self.records) // _SIZE

    def __iter__(self) -> Iterator[Event]:
        return map(Event._make, _RECORD.iter_unpack(self.records))

    def column(self, field: str) -> array[int]:
        """Return one field of all events.

        Parameters
        ----------
        field : str
            A field of :class:`Event`.

        Raises
        ------
        ValueError
            When there is no such field.
        """
        if field not in Event._fields:
            raise ValueError(f"field must be one of {', '.join(Event._fields)}, not {field!r}")
        return array("q", self.records)[Event._fields.index(field) :: len(Event._fields)]

    def only(self, operation: int) -> Lane:
        """Return a lane with the events of one operation alone: SEND, RECEIVE or WRITE."""
        operations = self.column("operation")
        if operations.count(operation) == len(operations):
            return self
        starts = compress(range(0, len(self.records), _SIZE), map(operation.__eq__, operations))
        return Lane(self.who, b"".join(self.records[start : start + _SIZE] for start in starts))

    def __repr__(self) -> str:
        return f"Lane({self.who!r}, {len(self):,} events)"
