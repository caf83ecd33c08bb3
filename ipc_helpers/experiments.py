"""Experiments: checked parameters in, a finished :class:`Result` out, real child processes between.

An experiment is a frozen dataclass. The metadata of its fields hold what a
parameter may be; ``__post_init__`` checks against them and a panel makes its
sliders from them, so the two can't disagree.
"""

from __future__ import annotations

import multiprocessing
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field, fields
from itertools import chain
from typing import TYPE_CHECKING, Any

from ipc_helpers.processes import ProcessGroup, checked_deadline, start_methods
from ipc_helpers.trace import GET, PUT, Lane
from ipc_helpers.workers import queues

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator

MIB = 1024 * 1024
_SECONDS = 120.0


@dataclass(frozen=True)
class WholeNumber:
    """What a whole-numbered parameter may be.

    Parameters
    ----------
    low, high : int
        The least and the largest value allowed.
    label : str
        What a reader sees, with the unit.
    scale : {"linear", "log2", "log10"}
        How a slider spreads the values; a logarithmic one may start at 0.
    """

    low: int
    high: int
    label: str
    scale: str = "linear"

    def check(self, name: str, value: object) -> None:
        """Raise TypeError or ValueError, naming the parameter, when the value is not allowed."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(
                f"{name} must be a whole number from {self.low:,} to {self.high:,}, "
                f"not {value!r} of type {type(value).__name__}"
            )
        if not self.low <= value <= self.high:
            raise ValueError(f"{name} must be from {self.low:,} to {self.high:,}, not {value:,}")


@dataclass(frozen=True)
class Choice:
    """What a parameter with a few named values may be.

    Parameters
    ----------
    options : tuple of str
        The values allowed.
    label : str
        What a reader sees.
    """

    options: tuple[str, ...]
    label: str

    def check(self, name: str, value: object) -> None:
        """Raise TypeError or ValueError, naming the parameter, when the value is not allowed."""
        allowed = ", ".join(map(repr, self.options))
        if not isinstance(value, str):
            raise TypeError(f"{name} must be one of {allowed}, not {value!r} of type {type(value).__name__}")
        if value not in self.options:
            raise ValueError(f"{name} must be one of {allowed}, not {value!r}")


def parameter(default: Any, rule: WholeNumber | Choice) -> Any:
    """Return a dataclass field with a default and the rule for its values."""
    return field(default=default, metadata={"rule": rule})


@dataclass(frozen=True)
class Total:
    """What one process did.

    Attributes
    ----------
    who : str
        The process, "producer 1" for example.
    messages, payload_bytes : int
        How many messages it put or got, and the bytes of their payloads.
    seconds : float
        From the start of its first operation to the end of its last; 0.0 when it had none.
    seconds_in_calls : float
        The part of it spent inside of ``put`` or ``get``.
    """

    who: str
    messages: int
    payload_bytes: int
    seconds: float
    seconds_in_calls: float


@dataclass(frozen=True)
class Result:
    """What an experiment measured.

    Attributes
    ----------
    experiment : Experiment
        The parameters it ran with.
    lanes : tuple of Lane
        The trace: the events of each process, those that send first.
    sent, received : int
        Counts of messages.
    seconds : float
        From the start of the first send to the end of the last receive.
    totals : tuple of Total
        Counts per process, in the order of the lanes.
    """

    experiment: Experiment
    lanes: tuple[Lane, ...]
    sent: int
    received: int
    seconds: float
    totals: tuple[Total, ...]

    @property
    def messages_per_second(self) -> float:
        """Messages received a second, first message to last."""
        return self.received / self.seconds

    @property
    def bytes_per_second(self) -> float:
        """Bytes of payload received a second, first message to last."""
        return sum(sum(lane.column("size")) for lane in self.lanes_of(GET)) / self.seconds

    def lanes_of(self, operation: int) -> tuple[Lane, ...]:
        """Return the lanes of the processes that did one kind of operation, PUT or GET."""
        return tuple(_lanes_of(operation, self.lanes))

    def __repr__(self) -> str:
        return f"<Result of {self.experiment}: {self.sent:,} sent, {self.received:,} received>"


@dataclass(frozen=True)
class Experiment(ABC):
    """A checked set of parameters that can be run.

    A subclass gives each of its fields a rule, with :func:`parameter`.

    Raises
    ------
    TypeError, ValueError
        For a parameter of the wrong type or out of its range; the message names it.
    """

    def __post_init__(self) -> None:
        for name, rule in self.rules().items():
            rule.check(name, getattr(self, name))

    @classmethod
    def rules(cls) -> dict[str, WholeNumber | Choice]:
        """Return what each parameter may be, by its name."""
        return {item.name: item.metadata["rule"] for item in fields(cls)}

    @property
    @abstractmethod
    def steps(self) -> int:
        """How many steps of progress a run has."""

    @property
    @abstractmethod
    def description(self) -> str:
        """What it does, in words and with its numbers."""

    @abstractmethod
    def run(
        self,
        *,
        progress: Callable[[int], object] | None = None,
        cancelled: threading.Event | None = None,
        deadline: float = _SECONDS,
    ) -> Result:
        """Run it in child processes and return what was measured.

        Parameters
        ----------
        progress : callable, optional
            Called with the number of finished steps, 0 to ``steps``, at most 20 times a second.
        cancelled : threading.Event, optional
            Set it from another thread to end the run.
        deadline : float
            Seconds until the run is ended; above 0, at most 86,400.

        Returns
        -------
        Result

        Raises
        ------
        WorkerError, DeadlineError, Cancelled
            See :class:`~ipc_helpers.processes.ProcessGroup`.
        RuntimeError
            When a message was lost or arrived twice.
        """


@dataclass(frozen=True)
class QueueFlow(Experiment):
    """Producers put numbered messages into one Queue, consumers get them; all are child processes.

    The clock runs from the first put to the last get: all processes are up before the first message.

    Parameters
    ----------
    messages : int
        How many messages all producers put together, 1 to 100,000.
    payload : int
        Bytes in each message beside its number, 0 to 1 MiB; messages times payload at most 256 MiB.
    producers, consumers : int
        How many processes put and get, 1 to 4 each.
    maxsize : int
        The queue's bound; 0 is no bound. At most 32,767, which macOS allows too.
    start_method : str
        "spawn", and "fork" or "forkserver" where the platform has them.

    Raises
    ------
    TypeError, ValueError
        For a parameter of the wrong type or out of its range; the message names it.
    """

    messages: int = parameter(1_000, WholeNumber(1, 100_000, "Messages", "log10"))
    payload: int = parameter(64, WholeNumber(0, MIB, "Payload (bytes)", "log2"))
    producers: int = parameter(1, WholeNumber(1, 4, "Producers"))
    consumers: int = parameter(1, WholeNumber(1, 4, "Consumers"))
    maxsize: int = parameter(0, WholeNumber(0, 32_767, "maxsize (0: no bound)", "log2"))
    start_method: str = parameter("spawn", Choice(start_methods(), "Start method"))

    def __post_init__(self) -> None:
        super().__post_init__()
        check_volume(self.messages, self.payload)

    @property
    def steps(self) -> int:
        """How many messages there are to get."""
        return self.messages

    @property
    def description(self) -> str:
        """What it does, in words and with its numbers."""
        bound = f"maxsize={self.maxsize:,}" if self.maxsize else "no bound"
        return (
            f"{counted(self.messages, 'message')} of {counted(self.payload, 'byte')} from "
            f"{counted(self.producers, 'producer')} to {counted(self.consumers, 'consumer')}, "
            f"{bound}, {self.start_method}"
        )

    def run(
        self,
        *,
        progress: Callable[[int], object] | None = None,
        cancelled: threading.Event | None = None,
        deadline: float = _SECONDS,
    ) -> Result:
        """Run it; see :meth:`Experiment.run`."""
        checked_deadline(deadline)
        context = multiprocessing.get_context(self.start_method)
        queue = context.Queue(self.maxsize)
        go = context.Event()

        def on_count() -> None:
            if progress is not None:
                progress(sum(child.count or 0 for child in consumers))

        consumers: list[Any] = []
        with ProcessGroup(context, deadline=deadline, cancelled=cancelled, on_count=on_count) as group:
            for number in range(1, self.consumers + 1):
                arguments = queue, self.payload, self.messages, self.producers, go
                consumers.append(group.start(queues.consume, *arguments, name=f"consumer {number}"))
            producers = [
                group.start(
                    queues.produce, queue, share, self.payload, self.consumers, go, name=f"producer {number}"
                )
                for number, share in enumerate(shares(self.messages, self.producers), start=1)
            ]
            group.wait(until=lambda: all(child.count is not None for child in group.children))
            go.set()
        lanes = [Lane(child.name, child.result) for child in (*producers, *consumers)]
        if progress is not None:
            progress(self.steps)
        return measured(self, lanes, expected=self.messages)


def counted(number: int, noun: str) -> str:
    """Return "1 message", "2,000 messages"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def check_volume(messages: int, payload: int) -> None:
    """Raise ValueError when messages times payload is over 256 MiB."""
    if messages * payload > 256 * MIB:
        raise ValueError(
            f"messages × payload must be at most 256 MiB, not {messages:,} × {payload:,} bytes "
            f"= {messages * payload / MIB:,.0f} MiB: lower messages or payload"
        )


def shares(messages: int, processes: int) -> Iterator[range]:
    """Split message numbers into one range for each process, as even as can be."""
    for index in range(processes):
        yield range(messages * index // processes, messages * (index + 1) // processes)


def measured(experiment: Experiment, lanes: list[Lane], expected: int) -> Result:
    """Account for every message and return the Result.

    Raises
    ------
    RuntimeError
        When the numbers put, or the numbers got, are not 0 to ``expected`` - 1, each once.
    """
    senders, receivers = _lanes_of(PUT, lanes), _lanes_of(GET, lanes)
    for word, counted_lanes in (("sent", senders), ("received", receivers)):
        numbers = sorted(chain.from_iterable(lane.column("number") for lane in counted_lanes))
        if numbers != list(range(expected)):
            missing = len(set(range(expected)) - set(numbers))
            repeated = sum(count > 1 for count in Counter(numbers).values())
            raise RuntimeError(
                f"of {expected:,} messages {missing:,} were not {word}, {repeated:,} more than once"
            )
    return Result(
        experiment,
        tuple(lanes),
        sent=sum(map(len, senders)),
        received=sum(map(len, receivers)),
        seconds=_seconds(senders, receivers),
        totals=tuple(_total(lane) for lane in lanes),
    )


def _lanes_of(operation: int, lanes: Iterable[Lane]) -> list[Lane]:
    return [lane for lane in lanes if operation in lane.column("operation")]


def _seconds(first: list[Lane], last: list[Lane]) -> float:
    """Return the time from the first start in some lanes to the last end in some."""
    started = min(lane.column("started")[0] for lane in first)
    ended = max(lane.column("ended")[-1] for lane in last)
    return (ended - started) / 1e9


def _total(lane: Lane) -> Total:
    in_calls = (sum(lane.column("ended")) - sum(lane.column("started"))) / 1e9
    seconds = _seconds([lane], [lane]) if len(lane) else 0.0
    return Total(lane.who, len(lane), sum(lane.column("size")), seconds, in_calls)
