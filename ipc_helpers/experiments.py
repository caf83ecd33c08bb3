"""Experiments: checked parameters in, a finished :class:`Result` out, real child processes between.

An experiment is a frozen dataclass. The metadata of its fields hold what a
parameter may be; ``__post_init__`` checks against them and a panel makes its
sliders from them, so the two can't disagree.
"""

from __future__ import annotations

import inspect
import io
import multiprocessing
import pickle
import sys
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field, fields
from itertools import chain
from time import perf_counter_ns, sleep
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from ipc_helpers.payloads import Payloads
from ipc_helpers.processes import ProcessGroup, checked_deadline, start_methods
from ipc_helpers.trace import RECEIVE, SEND, WRITE, Lane, Recorder
from ipc_helpers.workers import inside, own, patterns, pipes, processes, queues

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ipc_helpers.processes import Child

MIB = 1024 * 1024
_SECONDS = 120.0
_GOLDEN = (5**0.5 - 1) / 2


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
    """What a parameter with a few values may be.

    Parameters
    ----------
    options : tuple
        The values allowed, all of one type.
    label : str
        What a reader sees.
    names : tuple of str, optional
        What a reader sees instead of each value.
    """

    options: tuple[Any, ...]
    label: str
    names: tuple[str, ...] = ()

    def check(self, name: str, value: object) -> None:
        """Raise TypeError or ValueError, naming the parameter, when the value is not allowed."""
        allowed = " or ".join(map(repr, self.options))
        if type(value) is not type(self.options[0]):  # True is no 1 here
            raise TypeError(f"{name} must be {allowed}, not {value!r} of type {type(value).__name__}")
        if value not in self.options:
            raise ValueError(f"{name} must be {allowed}, not {value!r}")


def parameter(default: Any, rule: WholeNumber | Choice) -> Any:
    """Return a dataclass field with a default and the rule for its values."""
    return field(default=default, metadata={"rule": rule})


class Role(NamedTuple):
    """What a worker of the reader's own can do in an experiment.

    Attributes
    ----------
    takes : tuple of str
        What it is called with.
    does : str
        What it has to do then, "puts each message" for example.
    """

    takes: tuple[str, ...]
    does: str


class Words(NamedTuple):
    """What an experiment's messages, and its operations on them, are called.

    Attributes
    ----------
    noun : str
        "message" for example.
    calls : dict of int to str
        For SEND and RECEIVE: the call, "put" and "get" for example.
    done : dict of int to str
        For SEND and RECEIVE: what a message then is, "put" and "got" for example. With WRITE as well, in the
        order of the operations, where the experiment records what a feeder thread writes.
    waiting : str
        What those are that were sent and not received.
    long : str
        What it is when a process is in one call for long.
    """

    noun: str
    calls: dict[int, str]
    done: dict[int, str]
    waiting: str = "waiting"
    long: str = "inside one long call"


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
        The part of it spent inside of the calls that send and receive.
    """

    who: str
    sent: int
    received: int
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
        return sum(sum(lane.column("size")) for lane in self.lanes_of(RECEIVE)) / self.seconds

    def lanes_of(self, operation: int) -> tuple[Lane, ...]:
        """Return what the lanes hold of one operation, without those that hold none."""
        return tuple(_lanes_of(operation, self.lanes))

    def __repr__(self) -> str:
        return f"<Result of {self.experiment}: {self.sent:,} sent, {self.received:,} received>"


@dataclass(frozen=True)
class Experiment(ABC):
    """A checked set of parameters that can be run.

    A subclass gives each of its fields a rule, with :func:`parameter`; ``start_method`` is one of them.
    It says in ``roles`` what workers of the reader's own can be in it, and starts them in ``_start_own``.

    Raises
    ------
    TypeError, ValueError
        For a parameter of the wrong type or out of its range; the message names it.
    """

    words: ClassVar[Words] = Words(
        "message", {SEND: "send", RECEIVE: "recv"}, {SEND: "sent", RECEIVE: "received"}
    )
    roles: ClassVar[dict[str, Role]] = {}

    def __post_init__(self) -> None:
        for name, rule in self.rules().items():
            rule.check(name, getattr(self, name))

    @classmethod
    def rules(cls) -> dict[str, WholeNumber | Choice]:
        """Return what each parameter may be, by its name."""
        return {item.name: item.metadata["rule"] for item in fields(cls)}

    @property
    @abstractmethod
    def start_method(self) -> str:
        """How its processes are started."""

    @property
    @abstractmethod
    def steps(self) -> int:
        """How many messages go through it, which are the steps of its progress."""

    @property
    @abstractmethod
    def description(self) -> str:
        """What it does, in words and with its numbers."""

    @property
    def roles_here(self) -> tuple[str, ...]:
        """Which of its roles there are with these parameters."""
        return tuple(self.roles)

    @abstractmethod
    def _start(self, group: ProcessGroup) -> list[Lane]:
        """Start the processes, those that send first; return lanes of what the parent did."""

    def _start_own(self, group: ProcessGroup, workers: Mapping[str, Any]) -> list[Lane]:
        """Do the same with workers of the reader's own, by role; those that are missing are the series'."""
        raise NotImplementedError

    @abstractmethod
    def _steps_done(self, children: Sequence[Child]) -> int:
        """Return how many steps are done, from what the children have reported."""

    def run(
        self,
        *,
        progress: Callable[[int], object] | None = None,
        cancelled: threading.Event | None = None,
        deadline: float = _SECONDS,
        **workers: Callable[..., object],
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
        **workers
            Workers of your own, by their role; see ``roles``. A spawned child has to find them: write them
            in a cell that starts with ``%%worker``, or in a module. The series' own sentinels follow a
            producer's messages; what a worker does with its queue or connection is recorded for it.

        Returns
        -------
        Result

        Raises
        ------
        TypeError, ValueError
            For a deadline, or a worker, that is not allowed; before anything starts.
        WorkerError, DeadlineError, Cancelled
            See :class:`~ipc_helpers.processes.ProcessGroup`.
        RuntimeError
            When a message was lost or arrived twice.
        """
        checked_deadline(deadline)
        self.check_workers(workers)
        context = multiprocessing.get_context(self.start_method)

        def on_count() -> None:
            if progress is not None:
                progress(min(self._steps_done(group.children), self.steps))

        with ProcessGroup(context, deadline=deadline, cancelled=cancelled, on_count=on_count) as group:
            lanes = self._start_own(group, workers) if workers else self._start(group)
        lanes += [Lane(child.name, child.result) for child in group.children]
        if progress is not None:
            progress(self.steps)
        return measured(self, lanes, expected=self.steps)

    def check_workers(self, workers: Mapping[str, object]) -> None:
        """Check workers of the reader's own, by role, without starting anything.

        Parameters
        ----------
        workers : dict of str to callable
            As :meth:`run` takes them.

        Raises
        ------
        TypeError
            For a role that this kind of experiment has not; for a worker that is no function, or that can't
            be called as its role is.
        ValueError
            For a role that is not there with these parameters, or a function that a child can't import.
        """
        for name, worker in workers.items():
            if name not in self.roles:
                known = f": {_either(self.roles)}" if self.roles else ""
                raise TypeError(f"{type(self).__name__} has no role {name!r} for a worker of yours{known}")
            if name not in self.roles_here:
                raise ValueError(
                    f"a worker's role must be {_either(self.roles_here)} in {self}, not {name!r}"
                )
            role = self.roles[name]
            call = f"{name}({', '.join(role.takes)})"
            if not callable(worker):
                raise TypeError(f"{name} must be a function: {call} {role.does}; not {worker!r}")
            _check_call(name, role, worker)
            if self.start_method != "fork":
                _check_import(name, worker, self.start_method)


@dataclass(frozen=True)
class _MessageExperiment(Experiment):
    """An experiment whose messages have a count and a payload of one size."""

    messages: int = parameter(1_000, WholeNumber(1, 100_000, "Messages", "log10"))
    payload: int = parameter(64, WholeNumber(0, MIB, "Payload (bytes)", "log2"))

    def __post_init__(self) -> None:
        super().__post_init__()
        check_volume(self.messages, self.payload)

    @property
    def steps(self) -> int:
        """How many messages there are to receive."""
        return self.messages


@dataclass(frozen=True)
class QueueFlow(_MessageExperiment):
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

    Attributes
    ----------
    roles : dict of str to Role
        What a worker of yours can be: a producer, a consumer.

    Raises
    ------
    TypeError, ValueError
        For a parameter of the wrong type or out of its range; the message names it.
    """

    words = Words("message", {SEND: "put", RECEIVE: "get"}, {SEND: "put", RECEIVE: "got"})
    roles: ClassVar = {
        "producer": Role(("queue", "messages"), "puts each of the messages, pairs of a number and a payload"),
        "consumer": Role(("queue",), "gets messages until None comes"),
    }

    producers: int = parameter(1, WholeNumber(1, 4, "Producers"))
    consumers: int = parameter(1, WholeNumber(1, 4, "Consumers"))
    maxsize: int = parameter(0, WholeNumber(0, 32_767, "maxsize (0: no bound)", "log2"))
    start_method: str = parameter("spawn", Choice(start_methods(), "Start method"))

    @property
    def description(self) -> str:
        """What it does, in words and with its numbers."""
        bound = f"maxsize={self.maxsize:,}" if self.maxsize else "no bound"
        return (
            f"{counted(self.messages, 'message')} of {counted(self.payload, 'byte')} from "
            f"{counted(self.producers, 'producer')} to {counted(self.consumers, 'consumer')}, "
            f"{bound}, {self.start_method}"
        )

    def _start(self, group: ProcessGroup) -> list[Lane]:
        queue = group.context.Queue(self.maxsize)
        go = group.context.Semaphore(0)
        for index, share in enumerate(shares(self.messages, self.producers), start=1):
            put = queue, share, self.payload, self.consumers, go
            group.start(queues.produce, *put, name=f"producer {index}")
        for index in range(1, self.consumers + 1):
            get = queue, self.payload, self.messages, self.producers, go
            group.start(queues.consume, *get, name=f"consumer {index}")
        _start_together(group, go)
        return []

    def _start_own(self, group: ProcessGroup, workers: Mapping[str, Any]) -> list[Lane]:
        queue = group.context.Queue(self.maxsize)
        go = group.context.Semaphore(0)
        counts = self.consumers - 1, self.producers * self.consumers
        shared = tuple(map(group.context.Semaphore, counts))
        producer, consumer = workers.get("producer", own.put_all), workers.get("consumer", own.get_all)
        for index, share in enumerate(shares(self.messages, self.producers), start=1):
            put = producer, queue, share, self.payload, self.consumers, 0, go
            group.start(own.produce, *put, name=f"producer {index}")
        for index in range(1, self.consumers + 1):
            get = consumer, queue, self.messages, self.payload, self.producers, shared, go
            group.start(own.consume, *get, name=f"consumer {index}")
        _start_together(group, go)
        return []

    def _steps_done(self, children: Sequence[Child]) -> int:
        return sum(child.count or 0 for child in children[self.producers :])


@dataclass(frozen=True)
class QueuePlaces(_MessageExperiment):
    """Where messages wait that a producer puts into a Queue, and a consumer gets with pauses.

    Both are child processes. The producer's feeder thread records, too: when it took each message from
    the deque, and when it had written it into the pipe. The clock runs from the first put to the last get.

    Parameters
    ----------
    messages : int
        How many messages the producer puts, 1 to 2,000; messages times pause at most 20 seconds.
    payload : int
        Bytes in each message beside its number, 0 to 1 MiB; messages times payload at most 256 MiB.
    maxsize : int
        The queue's bound; 0 is no bound. At most 32,767, which macOS allows too.
    pause : int
        How many milliseconds the consumer waits after each message, 0 to 20.
    start_method : str
        "spawn", and "fork" or "forkserver" where the platform has them.

    Attributes
    ----------
    roles : dict of str to Role
        What a worker of yours can be: the producer, the consumer.

    Raises
    ------
    TypeError, ValueError
        For a parameter of the wrong type or out of its range; the message names it.
    """

    words = Words(
        "message",
        {SEND: "put", RECEIVE: "get"},
        {SEND: "put", WRITE: "written", RECEIVE: "got"},
    )
    roles: ClassVar = {
        "producer": Role(("queue", "messages"), "puts each of the messages, pairs of a number and a payload"),
        "consumer": Role(
            ("queue", "pause"), "gets messages until None comes, with a pause of some seconds after each"
        ),
    }

    messages: int = parameter(200, WholeNumber(1, 2_000, "Messages", "log10"))
    payload: int = parameter(1_024, WholeNumber(0, MIB, "Payload (bytes)", "log2"))
    maxsize: int = parameter(0, WholeNumber(0, 32_767, "maxsize (0: no bound)", "log2"))
    pause: int = parameter(1, WholeNumber(0, 20, "Pause (ms)"))
    start_method: str = parameter("spawn", Choice(start_methods(), "Start method"))

    def __post_init__(self) -> None:
        super().__post_init__()
        check_duration(messages=self.messages, pause=self.pause, seconds=20)

    @property
    def description(self) -> str:
        """What it does, in words and with its numbers."""
        bound = f"maxsize={self.maxsize:,}" if self.maxsize else "no bound"
        return (
            f"{counted(self.messages, 'message')} of {counted(self.payload, 'byte')}, {bound}, "
            f"a pause of {self.pause} ms after each get, {self.start_method}"
        )

    def _start(self, group: ProcessGroup) -> list[Lane]:
        queue = group.context.Queue(self.maxsize)
        go = group.context.Semaphore(0)
        group.start(inside.produce, queue, self.messages, self.payload, go, name="producer")
        get = queue, self.messages, self.payload, self.pause / 1000, go
        group.start(inside.consume, *get, name="consumer")
        _start_together(group, go)
        return []

    def _start_own(self, group: ProcessGroup, workers: Mapping[str, Any]) -> list[Lane]:
        queue = group.context.Queue(self.maxsize)
        go = group.context.Semaphore(0)
        producer, consumer = workers.get("producer", own.put_all), workers.get("consumer", own.get_all)
        put = producer, queue, range(self.messages), self.payload, go
        group.start(own.produce_into_places, *put, name="producer")
        get = consumer, queue, self.messages, self.payload, 1, None, go, self.pause / 1000
        group.start(own.consume, *get, name="consumer")
        _start_together(group, go)
        return []

    def _steps_done(self, children: Sequence[Child]) -> int:
        return children[-1].count or 0


@dataclass(frozen=True)
class PipeExchange(_MessageExperiment):
    """Two child processes, one at each end of a Pipe, pass numbered messages to each other.

    One-way, a sender sends them all and a receiver receives them. Over a duplex pipe a client sends
    a request, the server answers it with a reply, and so on, in turn. The clock runs from the first
    send to the last recv: both processes are up before the first message.

    Parameters
    ----------
    messages : int
        How many messages go through the pipe, 1 to 100,000; requests and replies both count.
    payload : int
        Bytes in each message beside its number, 0 to 1 MiB; messages times payload at most 256 MiB.
    duplex : bool
        As for ``Pipe``: False for a one-way pipe, True for one that can send both ways.
    start_method : str
        "spawn", and "fork" or "forkserver" where the platform has them.

    Attributes
    ----------
    roles : dict of str to Role
        What a worker of yours can be: the sender, the receiver; over a duplex pipe, and with an even number
        of messages, the client, the server.

    Raises
    ------
    TypeError, ValueError
        For a parameter of the wrong type or out of its range; the message names it.
    """

    roles: ClassVar = {
        "sender": Role(
            ("connection", "messages"), "sends each of the messages, pairs of a number and a payload"
        ),
        "receiver": Role(("connection",), "receives messages until None comes"),
        "client": Role(
            ("connection", "requests"), "sends each of the requests, and receives a reply to each"
        ),
        "server": Role(
            ("connection", "reply"), "receives requests until None comes, and sends reply(request) for each"
        ),
    }

    duplex: bool = parameter(False, Choice((False, True), "Pipe", ("one-way", "duplex")))
    start_method: str = parameter("spawn", Choice(start_methods(), "Start method"))

    @property
    def description(self) -> str:
        """What it does, in words and with its numbers."""
        way = "requests and replies over a duplex pipe" if self.duplex else "over a one-way pipe"
        return (
            f"{counted(self.messages, 'message')} of {counted(self.payload, 'byte')}, "
            f"{way}, {self.start_method}"
        )

    @property
    def roles_here(self) -> tuple[str, ...]:
        """Which of its roles there are: those of a one-way pipe, or those of a duplex pipe."""
        return ("client", "server") if self.duplex else ("sender", "receiver")

    def check_workers(self, workers: Mapping[str, object]) -> None:
        """Check workers of the reader's own; over a duplex pipe each request then needs its reply."""
        super().check_workers(workers)
        if workers and self.duplex and self.messages % 2:
            raise ValueError(
                "messages must be even with a client or a server of yours, a reply for each request; "
                f"not {self.messages:,}"
            )

    def _start(self, group: ProcessGroup) -> list[Lane]:
        numbers = range(self.messages)
        sends = (numbers[::2], numbers[1::2]) if self.duplex else (numbers, range(0))
        size = self.payload
        return self._start_at_ends(
            group, [(pipes.exchange, (), (share, self.messages, size)) for share in sends]
        )

    def _start_own(self, group: ProcessGroup, workers: Mapping[str, Any]) -> list[Lane]:
        count, size = self.messages, self.payload
        if self.duplex:
            client = workers.get("client", own.request_all)
            server = workers.get("server", own.reply_to_all)
            ask = own.produce, (client,), (range(0, count, 2), size, 1, 1)
            return self._start_at_ends(group, [ask, (own.serve, (server,), (count, size))])
        sender, receiver = workers.get("sender", own.send_all), workers.get("receiver", own.receive_all)
        send = own.produce, (sender,), (range(count), size, 1, 0)
        return self._start_at_ends(group, [send, (own.consume, (receiver,), (count, size, 1, None))])

    def _start_at_ends(self, group: ProcessGroup, jobs: list[tuple[Any, ...]]) -> list[Lane]:
        """Start one process at each end: what it runs, and its arguments before and after the end."""
        first, second = group.context.Pipe() if self.duplex else group.context.Pipe(duplex=False)[::-1]
        go = group.context.Semaphore(0)
        with first, second:
            for end, who, (run, before, after) in zip((first, second), self.roles_here, jobs, strict=True):
                # A forked child has the other end as well: it closes that, or the pipe would have no end.
                more = (second,) if run is own.produce else ()
                group.start(run, *before, end, *after, go, *more, name=who)
                end.close()  # the child has its own, and a forked one must not get the other's as well
        _start_together(group, go)
        return []

    def _steps_done(self, children: Sequence[Child]) -> int:
        return children[-1].count or 0  # it sends or receives every message


@dataclass(frozen=True)
class ProcessStart(Experiment):
    """A parent starts child processes one after the other; each has run once it has checked its argument.

    A child's argument is a message too: the parent sends it with ``start``, the worker receives it.

    Parameters
    ----------
    processes : int
        How many are started, 1 to 16.
    argument : int
        Bytes in the argument of each, 0 to 1 MiB.
    start_method : str
        "spawn", and "fork" or "forkserver" where the platform has them.

    Attributes
    ----------
    roles : dict of str to Role
        What a worker of yours can be: the worker that each process runs.

    Raises
    ------
    TypeError, ValueError
        For a parameter of the wrong type or out of its range; the message names it.
    """

    words = Words(
        "process", {SEND: "start", RECEIVE: "its worker"}, {SEND: "started", RECEIVE: "up"}, "not yet up"
    )
    roles: ClassVar = {"worker": Role(("argument",), "does what a process has to do until it is up")}

    processes: int = parameter(4, WholeNumber(1, 16, "Processes"))
    argument: int = parameter(0, WholeNumber(0, MIB, "Argument (bytes)", "log2"))
    start_method: str = parameter("spawn", Choice(start_methods(), "Start method"))

    @property
    def steps(self) -> int:
        """How many processes there are to start."""
        return self.processes

    @property
    def description(self) -> str:
        """What it does, in words and with its numbers."""
        return (
            f"{counted(self.processes, 'process')} with an argument of "
            f"{counted(self.argument, 'byte')}, {self.start_method}"
        )

    def _start(self, group: ProcessGroup) -> list[Lane]:
        return self._start_each(group, processes.start_up)

    def _start_own(self, group: ProcessGroup, workers: Mapping[str, Any]) -> list[Lane]:
        return self._start_each(group, own.start_up, workers["worker"])

    def _start_each(self, group: ProcessGroup, *call: Any) -> list[Lane]:
        """Start the processes; each gets its number and its argument after what is given."""
        payloads = Payloads(self.argument)
        recorder = Recorder(self.processes)
        for number in range(self.processes):
            argument = payloads.of(number)
            started = perf_counter_ns()
            group.start(*call, number, argument, name=f"child {number + 1}")
            recorder.record(started, SEND, number, self.argument)
        return [Lane("parent", b"".join(recorder.records()))]

    def _steps_done(self, children: Sequence[Child]) -> int:
        return sum(child.count is not None for child in children)


@dataclass(frozen=True)
class WorkerPool(Experiment):
    """A producer puts numbered tasks into one Queue, workers take them one after the other; all are children.

    A task is a sleep: it needs no processor, so the timeline is the same on two cores as on eight. With
    unevenness 0 each takes ``length``. With unevenness 100, the k-th shortest of n tasks takes k³ times
    what the shortest takes, and between the two each task is between the two. The sum is always tasks ×
    length. The clock runs from the first put to the end of the last task.

    Parameters
    ----------
    tasks : int
        How many there are, 1 to 200.
    length : int
        How many milliseconds a task takes on average, 0 to 200; tasks times length at most 10 seconds.
    unevenness : int
        How much the lengths of the tasks differ, 0 to 100 percent.
    order : {"mixed", "longest first", "longest last"}
        In which order they are put.
    workers : int
        How many processes take tasks, 1 to 8.
    start_method : str
        "spawn", and "fork" or "forkserver" where the platform has them.

    Attributes
    ----------
    roles : dict of str to Role
        What a worker of yours can be: the producer; the worker that does a task, in place of the sleep.

    Raises
    ------
    TypeError, ValueError
        For a parameter of the wrong type or out of its range; the message names it.
    """

    words = Words(
        "task", {SEND: "put", RECEIVE: "work"}, {SEND: "put", RECEIVE: "done"}, "not done", "at one long task"
    )
    roles: ClassVar = {
        "producer": Role(
            ("queue", "tasks"), "puts each of the tasks, pairs of a number and the seconds it takes"
        ),
        "worker": Role(("seconds",), "does one task"),
    }

    tasks: int = parameter(20, WholeNumber(1, 200, "Tasks"))
    length: int = parameter(25, WholeNumber(0, 200, "Task length (ms)"))
    unevenness: int = parameter(50, WholeNumber(0, 100, "Unevenness (%)"))
    order: str = parameter("mixed", Choice(("mixed", "longest first", "longest last"), "Order of the tasks"))
    workers: int = parameter(4, WholeNumber(1, 8, "Workers"))
    start_method: str = parameter("spawn", Choice(start_methods(), "Start method"))

    def __post_init__(self) -> None:
        super().__post_init__()
        check_duration(tasks=self.tasks, length=self.length, seconds=10)

    @property
    def steps(self) -> int:
        """How many tasks there are."""
        return self.tasks

    @property
    def description(self) -> str:
        """What it does, in words and with its numbers."""
        uneven = f", {self.unevenness} % uneven, {self.order}" if self.unevenness else ""
        return (
            f"{counted(self.tasks, 'task')} of {self.length} ms{uneven}, "
            f"for {counted(self.workers, 'worker')}, {self.start_method}"
        )

    @property
    def lengths(self) -> tuple[float, ...]:
        """How many seconds each task takes, in the order in which they are put."""
        cubes = [rank**3 for rank in range(1, self.tasks + 1)]
        uneven = self.unevenness / 100
        rising = [
            self.length / 1000 * (1 - uneven + uneven * cube * self.tasks / sum(cubes)) for cube in cubes
        ]
        if self.order == "longest first":
            return tuple(reversed(rising))
        if self.order == "longest last":
            return tuple(rising)
        # Multiples of the golden ratio, without their whole part, are spread evenly, and look mixed.
        places = sorted(range(self.tasks), key=lambda number: number * _GOLDEN % 1)
        mixed = dict(zip(places, rising, strict=True))
        return tuple(mixed[number] for number in range(self.tasks))

    def _start(self, group: ProcessGroup) -> list[Lane]:
        tasks = group.context.Queue()
        go = group.context.Semaphore(0)
        numbered = list(enumerate(self.lengths))
        group.start(patterns.put_tasks, tasks, numbered, self.workers, go, name="producer")
        for index in range(1, self.workers + 1):
            group.start(patterns.work, sleep, tasks, self.tasks, go, name=f"worker {index}")
        _start_together(group, go)
        return []

    def _start_own(self, group: ProcessGroup, workers: Mapping[str, Any]) -> list[Lane]:
        tasks = group.context.Queue()
        go = group.context.Semaphore(0)
        producer, worker = workers.get("producer", own.put_all), workers.get("worker", sleep)
        put = producer, tasks, range(self.tasks), self.lengths, self.workers, 0, go
        group.start(own.produce, *put, name="producer")
        for index in range(1, self.workers + 1):
            group.start(patterns.work, worker, tasks, 2 * self.tasks, go, name=f"worker {index}")
        _start_together(group, go)
        return []

    def _steps_done(self, children: Sequence[Child]) -> int:
        return sum(child.count or 0 for child in children[1:])


def _check_call(name: str, role: Role, worker: Callable[..., object]) -> None:
    """Raise TypeError when a worker can't be called with what its role takes."""
    try:
        signature = inspect.signature(worker)
    except (TypeError, ValueError):  # some functions written in C don't tell
        return
    try:
        signature.bind(*role.takes)
    except TypeError:
        takes, given = ", ".join(role.takes), ", ".join(signature.parameters)
        raise TypeError(f"{name} must take ({takes}), not ({given}): {name}({takes}) {role.does}") from None


class _Names(pickle.Pickler):
    """Pickles, and refuses what a child would look for in a ``__main__`` that it can't import."""

    def persistent_id(self, obj: Any) -> None:
        """Look at an object that is about to be pickled; leave it as it is."""
        named = getattr(obj, "__module__", None) == "__main__" and hasattr(obj, "__qualname__")
        is_script = hasattr(sys.modules["__main__"], "__file__")  # whose file a child imports
        if named and not is_script:
            raise pickle.PicklingError("a child has no such __main__")


def _check_import(name: str, worker: object, start_method: str) -> None:
    """Raise ValueError when a child can't import a worker."""
    try:
        _Names(io.BytesIO()).dump(worker)
    except Exception:
        called = getattr(worker, "__qualname__", repr(worker))
        raise ValueError(
            f"{name} must be a function that a child can import under {start_method}, and {called} is not: "
            "start its cell with %%worker, and define it there at the left margin"
        ) from None


def _either(names: Iterable[str]) -> str:
    return " or ".join(map(repr, names))


def _start_together(group: ProcessGroup, go: Any) -> None:
    """Let all processes begin once all are up, so that the clock measures messages and no start.

    With a semaphore, which is released without waiting. Setting an Event waits until each process has
    woken up, for ever when one was killed (``multiprocessing.synchronize``, ``Condition.notify``).
    """
    group.wait(until=lambda: all(child.count is not None for child in group.children))
    for _ in group.children:
        go.release()


def counted(number: int, noun: str) -> str:
    """Return "1 message", "2,000 messages", "3 processes"."""
    return f"{number:,} {noun if number == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """Return "messages", "processes"."""
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"


def check_volume(messages: int, payload: int) -> None:
    """Raise ValueError when messages times payload is over 256 MiB."""
    if messages * payload > 256 * MIB:
        raise ValueError(
            f"messages × payload must be at most 256 MiB, not {messages:,} × {payload:,} bytes "
            f"= {messages * payload / MIB:,.0f} MiB: lower messages or payload"
        )


def check_duration(*, seconds: int, **parameters: int) -> None:
    """Raise ValueError when a count, times the milliseconds that each takes, is over some seconds."""
    (many, count), (each, milliseconds) = parameters.items()
    taken = count * milliseconds / 1000
    if taken > seconds:
        raise ValueError(
            f"{many} × {each} must be at most {seconds} seconds, not {count:,} × {milliseconds} ms "
            f"= {taken:g} seconds: lower {many} or {each}"
        )


def shares(messages: int, processes: int) -> Iterator[range]:
    """Split message numbers into one range for each process, as even as can be."""
    for index in range(processes):
        yield range(messages * index // processes, messages * (index + 1) // processes)


def measured(experiment: Experiment, lanes: Sequence[Lane], expected: int) -> Result:
    """Account for every message and return the Result.

    Raises
    ------
    RuntimeError
        When the numbers sent, those received, or those written where the experiment records writes, are
        not 0 to ``expected`` - 1, each once.
    """
    senders, receivers = _lanes_of(SEND, lanes), _lanes_of(RECEIVE, lanes)
    for operation in experiment.words.done:
        word = {SEND: "sent", WRITE: "written", RECEIVE: "received"}[operation]
        counted_lanes = _lanes_of(operation, lanes)
        numbers = sorted(chain.from_iterable(lane.column("number") for lane in counted_lanes))
        if numbers != list(range(expected)):
            missing = len(set(range(expected)) - set(numbers))
            repeated = sum(count > 1 for count in Counter(numbers).values())
            what = plural(experiment.words.noun)
            raise RuntimeError(
                f"of {expected:,} {what} {missing:,} were not {word}, {repeated:,} more than once"
            )
    return Result(
        experiment,
        tuple(lanes),
        sent=sum(map(len, senders)),
        received=sum(map(len, receivers)),
        seconds=_seconds(senders, receivers),
        totals=tuple(map(_total, lanes)),
    )


def _lanes_of(operation: int, lanes: Sequence[Lane]) -> list[Lane]:
    return [part for lane in lanes if len(part := lane.only(operation))]


def _seconds(first: Sequence[Lane], last: Sequence[Lane]) -> float:
    """Return the time from the first start in some lanes to the last end in some."""
    started = min(lane.column("started")[0] for lane in first)
    ended = max(lane.column("ended")[-1] for lane in last)
    return (ended - started) / 1e9


def _total(lane: Lane) -> Total:
    parts = _lanes_of(SEND, [lane]) + _lanes_of(RECEIVE, [lane])
    sent, received = (len(lane.only(operation)) for operation in (SEND, RECEIVE))
    payload_bytes = sum(sum(part.column("size")) for part in parts)
    in_calls = sum(sum(part.column("ended")) - sum(part.column("started")) for part in parts) / 1e9
    seconds = _seconds(parts, parts) if parts else 0.0
    return Total(lane.who, sent, received, payload_bytes, seconds, in_calls)
