"""What runs a rung of the ladder in its child process: the turns, the clock, the check of each message.

Each of the two children makes the same messages, from the same seed. So the receiver knows what has to come.
"""

from __future__ import annotations

import os
import signal
import zlib
from collections import namedtuple
from contextlib import suppress
from importlib import import_module
from io import BytesIO
from itertools import repeat
from random import Random
from time import perf_counter, perf_counter_ns, sleep

from ipc_helpers.child.entry import end_with, start_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _thread import LockType
    from collections.abc import Callable, Sequence
    from multiprocessing.synchronize import Semaphore
    from typing import Any

NUMBER, HEAD = 8, 12
"""Bytes of a message's number; of its number and its checksum, which the random bytes follow."""

_KEPT_WHOLE = 4096  # bytes of a message that is kept whole also while the clock runs
_MOST_KEPT = 64 * 2**20  # bytes of all of them
_POOL = 4 * 2**20  # bytes of the different messages that are sent again and again
_DIFFERENT = 1024  # how many of them at most
_PAUSE = 0.0002  # seconds in which the receiver begins to wait, before one message is sent
_LATE_AFTER = 0.5  # seconds after a sender's turn, when the receiver begins to look for what is lost
_LOST_AFTER = 5.0  # seconds in which nothing more came


class MessageError(RuntimeError):
    """A message was lost, torn, or came twice or out of order; or a rung left before its last turn."""


class Plan(namedtuple("Plan", "size batch array seed warm_up counts latencies reuses_buffer wraps cores")):
    """What the children of a run do, sent to each of them.

    Attributes
    ----------
    size : int
        Bytes in a message.
    batch : int
        Messages in a batch, of a rung that sends batches.
    array : bool
        Whether messages are NumPy arrays.
    seed : int
        What the messages are made from.
    warm_up : int
        How many messages the first turn has, which is not timed, and each of whose messages is kept whole.
    counts : tuple of int
        How many messages each turn has that is timed.
    latencies : int
        How many turns follow, of one message each.
    reuses_buffer : bool
        Whether the receiver hands out one buffer again and again.
    wraps : bool
        Whether an array is made of what the receiver hands out.
    cores : tuple of int, or None
        The core that the sender runs on, and the receiver's; None for any.
    """

    @property
    def turns(self) -> list[int]:
        """How many messages each turn has."""
        return [self.warm_up, *self.counts, *repeat(1, self.latencies)]


def messages_of(plan: Plan) -> list[bytes]:
    """Return the different messages of a run: the number of each, the checksum of the rest, the rest."""
    # Pickle writes the same object once: a batch must not hold one twice.
    many = max(2, plan.batch, min(_DIFFERENT, _POOL // plan.size))
    random = Random(plan.seed)
    messages = []
    for number in range(many):
        rest = random.randbytes(plan.size - HEAD)
        checksum = zlib.crc32(rest).to_bytes(HEAD - NUMBER, "little")
        messages.append(number.to_bytes(NUMBER, "little") + checksum + rest)
    return messages


def send(
    function: Callable[..., object], end: Any, plan: Plan, ready: Semaphore, late: int | Semaphore
) -> list[int]:
    """Run the function of a rung that sends; return when each turn began.

    Parameters
    ----------
    function : callable
        Called with the end and the turns.
    end : object
        What it sends through.
    plan : Plan
        The turns.
    ready : Semaphore
        Is released by the receiver once it is ready for a turn.
    late : int or Semaphore
        Whom the sender tells that all of a turn is sent, and the receiver not ready for the next: the
        receiver's process id on Linux; elsewhere a semaphore, for a thread of the receiver's.

    Returns
    -------
    list of int
        In nanoseconds of ``time.perf_counter_ns``.
    """
    turns = _SenderTurns(plan, ready, late)
    function(end, turns)
    turns.check_all_done()
    return turns.started


def receive(
    function: Callable[..., object], end: Any, plan: Plan, ready: Semaphore, late: Semaphore | None
) -> list[int]:
    """Run the function of a rung that receives; return when each turn ended. See :func:`send`."""
    turns = _ReceiverTurns(plan, ready)
    if late is None:  # no thread before it is needed: with one, each call costs more
        signal.signal(signal.SIGUSR1, lambda *_: start_thread(turns.watch, None))
    else:
        start_thread(turns.watch, late)
    function(end, turns)
    turns.check_all_done()
    return turns.ended


def exchange(function: Callable[..., object], end: Any, plan: Plan) -> tuple[list[int], list[int]]:
    """Run the one function of a rung that sends and receives; return when each turn began, and ended.

    See :func:`send`.
    """
    turns = _ExchangeTurns(plan)
    function(end, turns)
    turns.check_all_done()
    return turns.started, turns.ended


class _Turns:
    """The turns of one child, as its function sees them.

    Attributes
    ----------
    size : int
        Bytes in a message.
    batch : int
        How many messages a rung sends at once that sends batches.
    """

    _side = 0  # the sender's, or 1, the receiver's

    def __init__(self, plan: Plan) -> None:
        if plan.cores is not None:
            os.sched_setaffinity(0, {plan.cores[self._side]})
        self.size: int = plan.size
        self.batch: int = plan.batch
        self._plan = plan
        self._messages = messages_of(plan)
        self._left = iter(enumerate(plan.turns))
        self._first = 0  # where in the messages the next turn begins
        self._is_done = False

    def __iter__(self) -> Any:
        return self

    def _next(self) -> tuple[int, int] | None:
        """Return the number of the next turn, and how many messages it has; None after the last."""
        turn = next(self._left, None)
        self._is_done = turn is None
        return turn

    def _cycled(self, messages: Sequence[Any], count: int) -> list[Any]:
        """Return so many messages, from where the last turn ended on, and begin again after the last."""
        start, many = self._first, len(messages)
        self._first = (start + count) % many
        turned = [*messages[start:], *messages[:start]]
        return (turned * (count // many + 1))[:count]

    def check_all_done(self) -> None:
        """Raise when the function has returned before it asked for the turn after the last."""
        if not self._is_done:
            raise MessageError("returned before its last turn: it has to go on until turns ends")


class _SenderTurns(_Turns):
    """Each turn is a list of messages. It begins once the receiver is ready for it."""

    def __init__(self, plan: Plan, ready: Semaphore, late: int | Semaphore) -> None:
        super().__init__(plan)
        self.started: list[int] = []
        self._ready = ready
        self._late: Any = late
        self._sent: Sequence[Any] = self._messages
        if plan.array:
            numpy = import_module("numpy")
            self._sent = [numpy.frombuffer(bytearray(each), numpy.uint8) for each in self._messages]

    def __next__(self) -> list[Any]:
        following = self._next()
        messages = self._cycled(self._sent, following[1]) if following else []
        self._wait_for_receiver()  # after the last turn, too: who closed its end before might lose the rest
        if following is None:
            raise StopIteration
        if following[0] > len(self._plan.counts):
            sleep(_PAUSE)
        self.started.append(perf_counter_ns())
        return messages

    def _wait_for_receiver(self) -> None:
        """Wait until the receiver has all of a turn, and asks for the next: to the deadline, if need be."""
        if not self._ready.acquire(timeout=_LATE_AFTER):
            if self.started and isinstance(self._late, int):  # else it is coming up
                with suppress(ProcessLookupError):  # it has just been killed, which its parent tells
                    os.kill(self._late, signal.SIGUSR1)
            elif self.started:
                self._late.release()
            self._ready.acquire()


class _ReceiverTurns(_Turns):
    """Each turn is how many messages come, and what to call with each; the next checks what came."""

    _side = 1

    def __init__(self, plan: Plan, ready: Semaphore | None = None) -> None:
        super().__init__(plan)
        self.ended: list[int] = []
        self._ready = ready
        self._heads = [message[:HEAD] for message in self._messages]
        self._kept: Any = None
        self._asarray: Callable[[Any], Any] | None = None
        if plan.wraps:
            numpy = import_module("numpy")
            self._asarray = lambda message: numpy.frombuffer(message, numpy.uint8)

    def __next__(self) -> tuple[Any, Callable[[Any], object]]:
        self._end(perf_counter_ns())
        following = self._next()
        keep = self._begin(*following) if following else None
        if self._ready is not None:
            self._ready.release()
        if following is None or keep is None:
            raise StopIteration
        return following[1], keep

    def _end(self, moment: int) -> None:
        """Note when a turn ended, and check what came; before the first there is none."""
        if self._kept is not None:
            self.ended.append(moment)
            self._check()
            self._kept = None

    def _begin(self, turn: int, count: int) -> Callable[[Any], object]:
        """Return what keeps the messages of a turn: whole, or the head of each."""
        size = self.size
        self._is_whole = turn == 0 or (size <= _KEPT_WHOLE and size * count <= _MOST_KEPT)
        self._expected = self._cycled(self._messages if self._is_whole else self._heads, count)
        keep: Callable[[Any], object]
        if self._is_whole and turn:
            # Copied to one place, and let go of: a list would need new memory for each message, which costs a
            # fast reader three times as much.
            self._kept = BytesIO()
            keep = self._kept.write
        else:
            self._kept = []
            keep = self._kept.append
            if not self._is_whole:
                keep = _keeping_heads(self._kept)
            elif self._plan.reuses_buffer:
                keep = _keeping_copies(self._kept)
        return keep if self._asarray is None else _keeping_arrays(keep, self._asarray)

    def _check(self) -> None:
        """Raise MessageError for what had not to come in a turn, and for what came too rarely or often."""
        turn, expected = len(self.ended) - 1, self._expected
        kept = self._parted(self._kept)
        if kept != expected:
            self._check_each(turn, kept)
            where = _where(self._plan, turn)
            raise MessageError(f"{len(kept):,} messages were kept {where}, and {len(expected):,} had to come")

    def _check_each(self, turn: int, kept: list[Any]) -> None:
        """Raise MessageError for the first message that is not what had to come."""
        for place, (message, right) in enumerate(zip(kept, self._expected, strict=False)):
            if message != right:
                which = f"message {place + 1:,} of {len(self._expected):,} {_where(self._plan, turn)}"
                raise MessageError(f"{which} {_mistake(message, right, self._is_whole)}")

    def _parted(self, kept: Any) -> list[Any]:
        """Return what was kept, message by message, as bytes."""
        if isinstance(kept, BytesIO):
            whole, step = kept.getvalue(), self.size
            return [whole[start : start + step] for start in range(0, len(whole), step)]
        return kept if set(map(type, kept)) == {bytes} else [_bytes_of(message) for message in kept]

    def watch(self, late: Semaphore | None, begun: LockType) -> None:
        """End this process when it waits for what can't come any more; runs in a thread of its own.

        Parameters
        ----------
        late : Semaphore or None
            Released for each turn to watch; None for the one that is under way.
        begun : lock
            See :func:`~ipc_helpers.child.entry.start_thread`.
        """
        begun.release()
        while late is None or late.acquire():
            turn, seen, since = len(self.ended), -1, 0.0
            while len(self.ended) == turn and (kept := self._kept) is not None:
                many = kept.tell() if isinstance(kept, BytesIO) else len(kept)
                if many != seen:
                    seen, since = many, perf_counter()
                elif perf_counter() - since > _LOST_AFTER:
                    end_with(self._why_stuck(turn, self._parted(kept)))
                sleep(0.1)
            if late is None:
                return

    def _why_stuck(self, turn: int, kept: list[Any]) -> MessageError:
        """Say what was lost, or why a message is missing at the end."""
        try:
            self._check_each(turn, kept)
        except MessageError as error:
            return error
        which = f"message {len(kept) + 1:,} of {len(self._expected):,} {_where(self._plan, turn)}"
        return MessageError(f"{which} was lost: all were sent, and none has come for {_LOST_AFTER:g} s")


class _ExchangeTurns(_ReceiverTurns):
    """Each turn is a list of messages, and what to call with each once it has arrived."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.started: list[int] = []

    def __next__(self) -> tuple[Any, Callable[[Any], object]]:
        self._end(perf_counter_ns())
        following = self._next()
        if following is None:
            raise StopIteration
        first = self._first
        keep = self._begin(*following)
        self._first = first
        messages = self._cycled(self._messages, following[1])
        if following[0] > len(self._plan.counts):
            sleep(_PAUSE)
        self.started.append(perf_counter_ns())
        return messages, keep


def _keeping_heads(heads: list[bytes]) -> Callable[[Any], object]:
    append = heads.append

    def keep(message: Any) -> None:
        append(bytes(message[:HEAD]))

    return keep


def _keeping_copies(copies: list[bytes]) -> Callable[[Any], object]:
    return lambda message: copies.append(bytes(message))


def _keeping_arrays(keep: Callable[[Any], object], asarray: Callable[[Any], Any]) -> Callable[[Any], object]:
    return lambda message: keep(asarray(message))


def _bytes_of(message: Any) -> Any:
    """Return the bytes of what has a buffer; anything else as it is."""
    try:
        return bytes(memoryview(message))
    except TypeError:
        return message


def _where(plan: Plan, turn: int) -> str:
    """Say which turn it was."""
    if turn == 0:
        return "of the warm-up"
    return "of a timed turn" if turn <= len(plan.counts) else f"(latency, turn {turn - len(plan.counts):,})"


def _mistake(message: Any, right: bytes, is_whole: bool) -> str:
    """Say in which way a message differs from the right one."""
    if not isinstance(message, bytes):
        return f"is no bytes, but {type(message).__name__}"
    if len(message) != len(right):
        return f"came with {len(message):,} bytes, not {len(right):,}"
    number, expected = (int.from_bytes(each[:NUMBER], "little") for each in (message, right))
    if is_whole and zlib.crc32(message[HEAD:]).to_bytes(HEAD - NUMBER, "little") != message[NUMBER:HEAD]:
        return "was torn: its checksum is not that of its bytes"
    if number == expected:
        return "was torn: its checksum is not the one that was sent"
    return f"was number {number:,} where number {expected:,} had to come: lost, sent twice or out of order"
