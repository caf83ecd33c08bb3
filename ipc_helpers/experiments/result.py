"""What an experiment measured; a whole run accounts for each of its messages."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from time import perf_counter_ns
from typing import TYPE_CHECKING

from ipc_helpers.experiments.parameters import ExperimentParameters, plural
from ipc_helpers.group.errors import WorkerGroupError
from ipc_helpers.trace import RECEIVE, SEND, STOP, WRITE, Event, Lane

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORDS = {SEND: "sent", RECEIVE: "received", WRITE: "written"}


@dataclass(frozen=True)
class Total:
    """What one process did, without what its feeder thread did.

    Attributes
    ----------
    who : str
        The process, "producer 1" for example.
    sent, received : int
        Counts of messages.
    payload_bytes : int
        Bytes in the payloads of the messages that it sent or received.
    seconds : float
        From the start of its first operation to the end of its last; 0.0 when it had none.
    seconds_in_calls : float
        The part of it spent inside the calls that send and receive.
    """

    who: str
    sent: int
    received: int
    payload_bytes: int
    seconds: float
    seconds_in_calls: float


@dataclass(frozen=True)
class Result:
    """What an experiment measured: as a whole, or up to the moment at which a run was ended.

    Attributes
    ----------
    experiment : ExperimentParameters
        The parameters it ran with.
    lanes : tuple of Lane
        The trace: the events of each process, those that send first.
    stopped : int or None
        When the run was ended before its end, or looked at, in nanoseconds of ``time.perf_counter_ns``; None
        for a whole run.
    is_running : bool
        Whether the run went on from there.
    """

    experiment: ExperimentParameters
    lanes: tuple[Lane, ...]
    stopped: int | None = None
    is_running: bool = False

    @cached_property
    def sent(self) -> int:
        """How many messages were sent."""
        return sum(map(len, self.lanes_of(SEND)))

    @cached_property
    def received(self) -> int:
        """How many messages were received."""
        return sum(map(len, self.lanes_of(RECEIVE)))

    @cached_property
    def seconds(self) -> float:
        """From the start of the first send to the end of the last receive; 0.0 when there was none."""
        return _seconds(self.lanes_of(SEND), self.lanes_of(RECEIVE))

    @cached_property
    def totals(self) -> tuple[Total, ...]:
        """Counts per process, in the order of the lanes."""
        return tuple(_total(lane, self.experiment.bytes_each) for lane in self.lanes)

    @cached_property
    def stop(self) -> Event | None:
        """From its parent's word to stop to the end of the last process; None where that did not happen."""
        return next((event for lane in self.lanes_of(STOP) for event in lane), None)

    @property
    def lost(self) -> int:
        """How many messages were under way in processes that a stop ended."""
        return sum(RECEIVE in lane.unfinished for lane in self.lanes) if self.stop else 0

    @property
    def left(self) -> int:
        """How many messages a stop left that nobody had begun with."""
        return self.sent - self.received - self.lost if self.stop else 0

    @property
    def messages_per_second(self) -> float:
        """Messages received a second, first message to last; 0.0 when none was."""
        return self.received / self.seconds if self.seconds else 0.0

    @property
    def bytes_per_second(self) -> float:
        """Bytes of payload received a second, first message to last."""
        return self.messages_per_second * self.experiment.bytes_each

    def lanes_of(self, operation: int, who: str = "") -> tuple[Lane, ...]:
        """Return what the lanes hold of one operation, without those that hold none.

        Parameters
        ----------
        operation : int
            SEND, RECEIVE, WRITE or STOP.
        who : str, optional
            A process, for its lane alone. By default all, but for those that pass messages on: who sends a
            message is who sends it first, and who receives it is who receives it at last.
        """
        on_the_way = {place.who for place in self.experiment.places}
        lanes = (lane for lane in self.lanes if (lane.who == who if who else lane.who not in on_the_way))
        return tuple(part for lane in lanes if len(part := lane.only(operation)))

    def __repr__(self) -> str:
        ended = ", still running" if self.is_running else ", ended before its end" if self.stopped else ""
        return f"<Result of {self.experiment}: {self.sent:,} sent, {self.received:,} received{ended}>"


class ProtocolError(WorkerGroupError, RuntimeError):
    """The workers of an experiment did not keep to what they had agreed on.

    A message was lost or arrived twice, a sentinel was forgotten, or a worker returned before all had come.

    Attributes
    ----------
    result : Result
        What was measured up to then.
    """

    def __init__(self, words: str, result: Result) -> None:
        super().__init__(words)
        self.result = result


def measured(result: Result) -> Result:
    """Account for every message of a whole run, and return its result.

    Raises
    ------
    ProtocolError
        See :func:`mistake`.
    """
    if wrong := mistake(result):
        raise ProtocolError(wrong, replace(result, stopped=perf_counter_ns()))
    return result


def mistake(result: Result, first: int = SEND) -> str:
    """Say what is wrong in the books of a run, from some operation on; empty when nothing is.

    The numbers sent, those received, and those of what is recorded on the way, have to be 0 to ``steps`` - 1,
    each once; but for those that an experiment may leave.
    """
    total = result.experiment.steps
    expected = Counter(range(total))
    on_the_way = [(place.operation, place.who) for place in result.experiment.places]
    for operation, who in dict.fromkeys([(SEND, ""), *on_the_way, (RECEIVE, "")]):
        lanes = result.lanes_of(operation, who)
        numbers = Counter(chain.from_iterable(lane.column("number") for lane in lanes))
        may_be_fewer = operation == RECEIVE and result.experiment.leaves_some
        is_right = numbers <= expected if may_be_fewer else numbers == expected
        if operation >= first and not is_right:
            missing, repeated = len(expected - numbers), sum(count > 1 for count in numbers.values())
            words = f"{_WORDS[operation]} by {who}" if who else _WORDS[operation]
            things = plural_of(result)
            return f"of {total:,} {things} {missing:,} were not {words}, {repeated:,} more than once"
    return ""


def plural_of(result: Result) -> str:
    """Return what its messages are called: "messages", "tasks"."""
    return plural(result.experiment.labels.noun)


def _seconds(first: Sequence[Lane], last: Sequence[Lane]) -> float:
    """Return the time from the first start in some lanes to the last end in some; 0.0 where there is none."""
    if not (first and last):
        return 0.0
    started = min(min(lane.column("started")) for lane in first)
    ended = max(lane.column("ended")[-1] for lane in last)  # of one operation: in the order of their ends
    return (ended - started) / 1e9


def _total(lane: Lane, size: int) -> Total:
    sends, receives = lane.only(SEND), lane.only(RECEIVE)
    parts = [part for part in (sends, receives) if len(part)]
    in_calls = sum(part.seconds for part in parts)
    payload_bytes = (len(sends) + len(receives)) * size
    return Total(lane.who, len(sends), len(receives), payload_bytes, _seconds(parts, parts), in_calls)
