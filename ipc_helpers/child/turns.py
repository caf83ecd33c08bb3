"""What runs a rung of the ladder in its child process: the turns, the clock, the check of each message.

Each of the two children makes the same messages, from the same seed. So the receiver knows what has to come.
"""

from __future__ import annotations

import os
import zlib
from collections import namedtuple
from importlib import import_module
from itertools import repeat
from random import Random
from time import perf_counter_ns, sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
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
_LOST_AFTER = 5.0  # seconds


class MessageError(RuntimeError):
    """A message was lost, torn, or came twice or out of order; or a rung left before its last turn."""


class Plan(namedtuple("Plan", "size batch array seed warm_up counts latencies reuses_buffer wraps core")):
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
    core : int or None
        The core that both children run on; None for any.
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


def send(function: Callable[..., object], end: Any, plan: Plan, ready: Semaphore) -> list[int]:
    """Run the function of a rung that sends; return when each turn began, by ``time.perf_counter_ns``."""
    turns = _SenderTurns(plan, ready)
    function(end, turns)
    turns.check_all_done()
    return turns.started


def receive(function: Callable[..., object], end: Any, plan: Plan, ready: Semaphore) -> list[int]:
    """Run the function of a rung that receives; return when each turn ended, by ``time.perf_counter_ns``."""
    turns = _ReceiverTurns(plan, ready)
    function(end, turns)
    turns.check_all_done()
    return turns.ended


def exchange(function: Callable[..., object], end: Any, plan: Plan) -> tuple[list[int], list[int]]:
    """Run the one function of a rung that sends and receives; return when each turn began, and ended."""
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

    def __init__(self, plan: Plan) -> None:
        if plan.core is not None:
            os.sched_setaffinity(0, {plan.core})
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

    def __init__(self, plan: Plan, ready: Semaphore) -> None:
        super().__init__(plan)
        self.started: list[int] = []
        self._ready = ready
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
        """Wait until the receiver has all of a turn, and asks for the next."""
        if not self.started:
            self._ready.acquire()  # it comes up; the deadline of this process is the bound
            return
        seconds = (perf_counter_ns() - self.started[-1]) / 1e9
        if not self._ready.acquire(timeout=_LOST_AFTER + 10 * seconds):
            turn = len(self.started) - 1
            raise MessageError(
                f"a message {_where(self._plan, turn)} was lost: all were sent, and {_LOST_AFTER:g} s later "
                "the receiver still waits"
            )


class _ReceiverTurns(_Turns):
    """Each turn is how many messages come, and what to call with each; the next checks what came."""

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
        if self._is_whole and self._plan.reuses_buffer and turn:
            self._kept = bytearray()
            keep = self._kept.extend  # copies, in one call of C
        else:
            self._kept = []
            keep = self._kept.append
            if not self._is_whole:
                keep = _keeping_heads(self._kept)
            elif self._plan.reuses_buffer:
                keep = _keeping_copies(self._kept)
        return keep if self._asarray is None else _keeping_arrays(keep, self._asarray)

    def _check(self) -> None:
        """Raise MessageError for the first message that is not what had to come."""
        turn, expected = len(self.ended) - 1, self._expected
        if isinstance(self._kept, bytearray):
            whole, step = bytes(self._kept), self.size
            if whole == b"".join(expected):
                return
            kept: list[Any] = [whole[start : start + step] for start in range(0, len(whole), step)]
        else:
            kept = self._kept
            if set(map(type, kept)) != {bytes}:
                kept = [_bytes_of(message) for message in kept]
            if kept == expected:
                return
        for place, (message, right) in enumerate(zip(kept, expected, strict=False)):
            if message != right:
                which = f"message {place + 1:,} of {len(expected):,} {_where(self._plan, turn)}"
                raise MessageError(f"{which} {_mistake(message, right, self._is_whole)}")
        if len(kept) != len(expected):
            where = _where(self._plan, turn)
            raise MessageError(f"{len(kept):,} messages were kept {where}, and {len(expected):,} had to come")


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
