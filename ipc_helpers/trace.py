"""Event records: which process did what to which message, when, in memory that it shares with its parent.

A :class:`Track` is written in one process, and read in another at any time, also when the first was killed
or is stuck. What it holds becomes a :class:`Lane`.
"""

from __future__ import annotations

import itertools
import mmap
import os
import struct
from array import array
from bisect import bisect_left
from collections import namedtuple
from contextlib import contextmanager, suppress
from functools import cached_property
from time import perf_counter_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

SEND, RECEIVE, WRITE, WAIT, STOP = 1, 2, 3, 4, 5
"""Operations: a message sent (put into a queue, for example), a message received (got out of it), a
message written (the feeder thread of a queue took it from the deque, and has moved it into the pipe). A wait
for the next message is never a record: it is noted while it lasts, where RECEIVE is the work on a message.
A stop is no operation on a message: it goes from the parent's word to the end of its last process."""


class Event(namedtuple("Event", "started ended number operation")):
    """One operation on one message.

    Attributes
    ----------
    started, ended : int
        Nanoseconds of ``time.perf_counter_ns``, which agrees across processes.
    number : int
        The message's.
    operation : int
        SEND, RECEIVE, WRITE or STOP.
    """


class Wait(namedtuple("Wait", "since seen line call")):
    """A wait for other processes, without a limit, that still went on when it was seen last.

    Attributes
    ----------
    since, seen : int
        Nanoseconds of ``time.perf_counter_ns``.
    line : str
        The line of the program's own.
    call : str
        The library's function that this calls.
    """


PLACES = ("put", "deque", "feeder thread", "pipe", "get", "got")
"""Where a message is on its way through a Queue, one after the other: first in a call of put, then in
the deque, and so on; in a call of get, and at last in the hands of who called it."""


class Step(namedtuple("Step", "time what place process thread")):
    """One step on the way of one message.

    Attributes
    ----------
    time : int
        Nanoseconds of ``time.perf_counter_ns``, which agrees across processes.
    what : str
        The step, in words.
    place : str or None
        One of PLACES, where the message is from now on; None where the step does not move it.
    process, thread : str
        The names of who did it.
    """


_RECORD = struct.Struct(f"{len(Event._fields)}q")
_SIZE = _RECORD.size
_SINCE, _SEEN = STOP + 1, STOP + 2  # cells: the wait that was noted last
_WORDS = 1024  # bytes for the words of that
_MOST_THREADS = 64  # that record at once; a record between others may be missing for a moment
_HEADER = struct.calcsize("q") * (_SEEN + 1) + _WORDS

pack_into = _RECORD.pack_into
"""Write a record: takes a memory, an offset in it, and the fields of an event; the operation last, so what
has an operation is whole, also where its process was killed."""


class Track:
    """The records of one process, in a file that this process and its parent map into their memory.

    The parent makes it, and hands it to a child as an argument. The file is as long from the start as it may
    become, and its name is gone once both have it: so nothing is left of it, however they end.

    Parameters
    ----------
    capacity : int
        How many records it has room for, 32 bytes each.

    Attributes
    ----------
    memory : mmap
        The file.
    cells : memoryview of int
        Its first cells: with the operation as the index, when the last one began, in nanoseconds of
        ``time.perf_counter_ns``, or 0.
    next_offset : callable
        Returns where the next record goes, in any thread.

    Raises
    ------
    OSError
        When the file can't be made, for example because the disk is full.
    """

    def __init__(self, capacity: int) -> None:
        from tempfile import mkstemp  # which no child needs

        descriptor, self._path = mkstemp(prefix="ipc_helpers-", suffix=".records")
        try:
            with open(descriptor, "r+b") as file:
                # Written, not only made longer: a full disk is an error here, and not a SIGBUS later.
                file.write(bytes(_HEADER + capacity * _SIZE))
                file.flush()
                self._map(file.fileno())
        except BaseException:
            self.unlink()
            raise

    def _map(self, descriptor: int) -> None:
        self.memory = mmap.mmap(descriptor, 0)
        whole = memoryview(self.memory).cast("q")
        self.cells = whole[: _SEEN + 1]
        fields = len(Event._fields)
        self._operations = whole[_HEADER // whole.itemsize + fields - 1 :: fields]
        # A lock would cost as much as all the rest of a record.
        self.next_offset = itertools.count(_HEADER, _SIZE).__next__

    def __reduce__(self) -> tuple[Any, ...]:
        return _open, (self._path,)

    @property
    def count(self) -> int:
        """How many records there are; where threads write at once, some may be missing for a moment."""
        return bisect_left(self._operations, True, key=lambda operation: not operation)

    def add(self, started: int, ended: int, number: int, operation: int) -> None:
        """Record an operation that has ended.

        Parameters
        ----------
        started, ended : int
            Nanoseconds of ``time.perf_counter_ns``.
        number : int
            The message's number.
        operation : int
            SEND, RECEIVE or WRITE.

        Raises
        ------
        RuntimeError
            When there is no room for more.
        """
        offset = self.next_offset()
        self.check_room(offset)
        pack_into(self.memory, offset, started, ended, number, operation)

    @contextmanager
    def recorded(self, operation: int, number: int) -> Iterator[None]:
        """Record the body of a with statement as an operation on a message, unless it raises."""
        self.cells[operation] = started = perf_counter_ns()
        yield
        self.add(started, perf_counter_ns(), number, operation)

    def check_room(self, offset: int) -> None:
        """Raise RuntimeError when there is no room for a record at some offset."""
        if offset + _SIZE > len(self.memory):
            raise RuntimeError("far more messages went through here than there are")

    def read(self) -> tuple[bytes, dict[int, int]]:
        """Return a copy of all records, and since when each operation goes on that does.

        Returns
        -------
        records : bytes
            For a :class:`Lane`.
        unfinished : dict of int to int
            By their operation, in nanoseconds of ``time.perf_counter_ns``.
        """
        # These come first: what ends in the meantime is among the records, and goes on no more.
        begun = {operation: self.cells[operation] for operation in (SEND, RECEIVE, WRITE, WAIT, STOP)}
        end = _HEADER + (self.count + _MOST_THREADS) * _SIZE
        used = self.memory[_HEADER:end].rstrip(b"\0")
        records = used + bytes(-len(used) % _SIZE)
        operations = array("q", records)[len(Event._fields) - 1 :: len(Event._fields)]
        if 0 in operations:  # one that another thread has not finished yet
            records = b"".join(itertools.compress(_pieces(records), operations))
        lane = Lane("", records)
        return records, {
            operation: since
            for operation, since in begun.items()
            if since and since not in lane.only(operation).column("started")
        }

    def note_wait(self, since: int, line: str = "", call: str = "") -> None:
        """Note that the process waits for others, as far as one can see.

        Parameters
        ----------
        since : int
            Nanoseconds of ``time.perf_counter_ns``; 0 when it waits no more.
        line, call : str
            Where: the line of its own, and the library's function that this calls.
        """
        cells = self.cells
        if since and since != cells[_SINCE]:
            text = f"{line}\n{call}".encode()[: _WORDS - 1] + b"\0"
            self.memory[_HEADER - _WORDS : _HEADER - _WORDS + len(text)] = text
        cells[_SEEN] = perf_counter_ns()
        cells[_SINCE] = since

    @property
    def wait(self) -> Wait | None:
        """Where the process waits for others; None when it does not, as far as one can see."""
        since, seen = self.cells[_SINCE], self.cells[_SEEN]
        text = self.memory[_HEADER - _WORDS : _HEADER].partition(b"\0")[0].decode(errors="replace")
        line, _, call = text.partition("\n")
        return Wait(since, seen, line, call) if since else None

    def unlink(self) -> None:
        """Remove the file's name; the memory stays."""
        with suppress(OSError):  # gone already; or Windows, which keeps it until both have closed the file
            os.unlink(self._path)

    def close(self) -> None:
        """Let go of the memory, and remove the file's name."""
        self.cells.release()
        self._operations.release()
        self.memory.close()
        self.unlink()


def _pieces(records: bytes) -> Iterator[bytes]:
    return (records[start : start + _SIZE] for start in range(0, len(records), _SIZE))


def _open(path: str) -> Track:
    """Return the track that a parent has made, in its child."""
    track = Track.__new__(Track)
    track._path = path
    with open(path, "r+b") as file:
        track._map(file.fileno())
    return track


class Lane:
    """The events of one process, those of each operation in the order in which they ended.

    Parameters
    ----------
    who : str
        The process, "producer 1" for example.
    records : bytes
        What :meth:`Track.read` returned.
    ending : str
        How the process ended, or where it still was, "returned" or "was still in get" for example.
    unfinished : dict of int to int
        For each operation that had begun and not ended: since when, in nanoseconds of
        ``time.perf_counter_ns``.
    where : str
        The line in which it raised, or waited for others; empty where it did neither.
    """

    def __init__(
        self,
        who: str,
        records: bytes,
        ending: str = "returned",
        unfinished: dict[int, int] | None = None,
        where: str = "",
    ) -> None:
        self.who = who
        self.records = records
        self.ending = ending
        self.unfinished = unfinished or {}
        self.where = where
        self._parts: dict[int, Lane] = {}  # by their operation

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

    @cached_property
    def _operations(self) -> frozenset[int]:
        return frozenset(self.column("operation"))

    @property
    def seconds(self) -> float:
        """How long all of its operations took together."""
        return (sum(self.column("ended")) - sum(self.column("started"))) / 1e9

    def only(self, operation: int) -> Lane:
        """Return a lane with the events of one operation alone: SEND, RECEIVE or WRITE."""
        if not self._operations - {operation}:
            return self
        if operation not in self._parts:
            operations = self.column("operation")
            kept = map(operation.__eq__, operations) if operation in self._operations else ()
            records = b"".join(itertools.compress(_pieces(self.records), kept))
            self._parts[operation] = Lane(self.who, records, self.ending, self.unfinished, self.where)
        return self._parts[operation]

    def __repr__(self) -> str:
        return f"Lane({self.who!r}, {len(self):,} events)"
