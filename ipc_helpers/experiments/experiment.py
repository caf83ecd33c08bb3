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
import re
import sys
from abc import ABC, abstractmethod
from collections import Counter
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, partial
from itertools import chain
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from ipc_helpers.child import recorder, stacks
from ipc_helpers.child.recorder import Messages
from ipc_helpers.group.worker_group import (
    PEER_GONE,
    ProcessGroup,
    ProcessGroupError,
    WorkerError,
    start_methods,
)
from ipc_helpers.trace import RECEIVE, SEND, WAIT, WRITE, Lane, Track
from ipc_helpers.workers import (
    inside_queue_workers,
    pattern_workers,
    pipe_workers,
    process_workers,
    queue_workers,
)

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from ipc_helpers.group.worker_group import Child
    from ipc_helpers.trace import Wait

MIB = 1024 * 1024
_SECONDS = 120.0
_GOLDEN = (5**0.5 - 1) / 2
_SPARE = 100  # records of a sender for messages that it sends too often, so that the books can say how often
_STUCK_FOR = 0.5  # seconds in which no process moved


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
        allowed = _either(self.options)
        if type(value) is not type(self.options[0]):  # True is no 1 here
            raise TypeError(f"{name} must be {allowed}, not {value!r} of type {type(value).__name__}")
        if value not in self.options:
            raise ValueError(f"{name} must be {allowed}, not {value!r}")


def parameter(default: Any, rule: WholeNumber | Choice) -> Any:
    """Return a dataclass field with a default and the rule for its values."""
    return field(default=default, metadata={"rule": rule})


class Role(NamedTuple):
    """What a worker of an experiment does: the series' own, or the reader's in its place.

    Attributes
    ----------
    worker : callable
        The series' own worker.
    takes : tuple of str
        What it is called with. What it is recorded at comes first.
    does : str
        What it has to do then, "puts each message" for example.
    record : callable
        What records it: a function of :mod:`ipc_helpers.child.recorder`.
    """

    worker: Callable[..., object]
    takes: tuple[str, ...]
    does: str
    record: Callable[..., Callable[..., object]] = recorder.calls

    def check(self, name: str, worker: object) -> None:
        """Raise TypeError, naming the role, when a worker can't be called with what it takes."""
        takes = ", ".join(self.takes)
        if not callable(worker):
            raise TypeError(f"{name} must be a function: {name}({takes}) {self.does}; not {worker!r}")
        try:
            signature = inspect.signature(worker)
        except (TypeError, ValueError):  # some functions written in C don't tell
            return
        try:
            signature.bind(*self.takes)
        except TypeError:
            given = ", ".join(signature.parameters)
            raise TypeError(
                f"{name} must take ({takes}), not ({given}): {name}({takes}) {self.does}"
            ) from None


class Part(NamedTuple):
    """One process of an experiment.

    Attributes
    ----------
    role : str
        Which worker it runs; empty for the parent, of which each start is recorded as sent.
    name : str
        What it is called, "producer 1" for example.
    args : tuple
        What its worker is called with; what it is recorded at comes first.
    records : int or None
        How many messages it has to record; None when that follows from what others do.
    number : int or None
        Which message its own start is; None where all processes begin together, once they are up.
    """

    role: str
    name: str
    args: tuple[Any, ...] = ()
    records: int | None = None
    number: int | None = None


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
    """What an experiment measured: as a whole, or up to the moment at which a run was ended.

    Attributes
    ----------
    experiment : Experiment
        The parameters it ran with.
    lanes : tuple of Lane
        The trace: the events of each process, those that send first.
    stopped : int or None
        When the run was ended before its end, or looked at, in nanoseconds of ``time.perf_counter_ns``; None
        for a whole run.
    is_running : bool
        Whether the run went on from there.
    """

    experiment: Experiment
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

    @property
    def messages_per_second(self) -> float:
        """Messages received a second, first message to last; 0.0 when none was."""
        return self.received / self.seconds if self.seconds else 0.0

    @property
    def bytes_per_second(self) -> float:
        """Bytes of payload received a second, first message to last."""
        return self.messages_per_second * self.experiment.bytes_each

    def lanes_of(self, operation: int) -> tuple[Lane, ...]:
        """Return what the lanes hold of one operation, without those that hold none."""
        return tuple(part for lane in self.lanes if len(part := lane.only(operation)))

    def __repr__(self) -> str:
        ended = ", still running" if self.is_running else ", ended before its end" if self.stopped else ""
        return f"<Result of {self.experiment}: {self.sent:,} sent, {self.received:,} received{ended}>"


class ProtocolError(ProcessGroupError, RuntimeError):
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


@dataclass(frozen=True)
class Experiment(ABC):
    """A checked set of parameters that can be run.

    A subclass gives each of its fields a rule, with :func:`parameter`; ``start_method`` is one of them, and
    the plural of its messages' noun another: "messages" for example.
    It says in ``roles`` which workers it has, and in ``_parts`` which processes.

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
    def steps(self) -> int:
        """How many messages go through it, which are the steps of its progress."""
        steps: int = getattr(self, plural(self.words.noun))
        return steps

    @property
    @abstractmethod
    def description(self) -> str:
        """What it does, in words and with its numbers."""

    @property
    def roles_here(self) -> tuple[str, ...]:
        """Which of its roles there are with these parameters."""
        return tuple(self.roles)

    @property
    def bytes_each(self) -> int:
        """How many bytes of payload a message has."""
        return 0

    @abstractmethod
    def _parts(self, context: Any) -> Iterator[Part]:
        """Make what its processes share, and yield each process, those that send first."""

    def run(
        self,
        *,
        progress: Callable[[int], object] | None = None,
        look: Callable[[Callable[[], Result]], object] | None = None,
        cancelled: threading.Event | None = None,
        deadline: float = _SECONDS,
        **workers: Callable[..., object],
    ) -> Result:
        """Run it in child processes and return what was measured.

        Parameters
        ----------
        progress : callable, optional
            Called with the number of finished steps, 0 to ``steps``, at most 20 times a second.
        look : callable, optional
            Called while the processes run, at most 20 times a second, with a function that returns the Result
            up to that moment. The run is not watched meanwhile.
        cancelled : threading.Event, optional
            Set it from another thread to end the run.
        deadline : float
            Seconds until the run is ended; above 0, at most 86,400.
        **workers
            Workers of your own, by their role, in place of the series'; see ``roles``. A spawned child has to
            find them: write them in a cell that starts with ``%%worker``, or in a module. What a worker does
            with its queue or connection is recorded for it.

        Returns
        -------
        Result

        Raises
        ------
        TypeError, ValueError
            For a deadline, or a worker, that is not allowed; before anything starts.
        WorkerError, DeadlineError, Cancelled
            See :class:`~ipc_helpers.ProcessGroup`; ``result`` is what was measured up to then.
        ProtocolError
            When a message was lost or arrived twice; or when all processes that run have waited for others,
            without a limit, for half a second: then none can go on. Who computes, sleeps, or waits with a
            limit of its own is not taken for stuck.
        """
        self.check_workers(workers)
        context = multiprocessing.get_context(self.start_method)

        with closing(_Run(self, workers, progress, look)) as run:
            try:
                with ProcessGroup(
                    context, deadline=deadline, cancelled=cancelled, on_wait=run.watch
                ) as group:
                    run.begin(group)
            except ProcessGroupError as error:
                if error.result is None:  # a stuck run has it: who is killed first may move the others
                    error.result = run.result(perf_counter_ns())
                run.explain(error)
                raise
            return measured(run.result())

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
            self.roles[name].check(name, worker)
            if self.start_method != "fork":
                _check_import(name, worker, self.start_method)


@dataclass(frozen=True)
class _MessageExperiment(Experiment):
    """An experiment whose messages have a count and a payload of one size."""

    messages: int = parameter(1_000, WholeNumber(1, 100_000, "Messages", "log10"))
    payload: int = parameter(64, WholeNumber(0, MIB, "Payload (bytes)", "log2"))

    def __post_init__(self) -> None:
        super().__post_init__()
        check_product(256, "MiB", MIB, "bytes", messages=self.messages, payload=self.payload)

    @property
    def bytes_each(self) -> int:
        """How many bytes of payload a message has."""
        return self.payload

    @property
    def _load(self) -> str:
        return f"{counted(self.messages, 'message')} of {counted(self.payload, 'byte')}"


_PRODUCER = Role(
    queue_workers.produce,
    ("queue", "messages", "consumers"),
    "puts each of the messages, pairs of a number and a payload, then None for each consumer",
)


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
        Its workers, or yours in their place: a producer, a consumer.

    Raises
    ------
    TypeError, ValueError
        For a parameter of the wrong type or out of its range; the message names it.
    """

    words = Words("message", {SEND: "put", RECEIVE: "get"}, {SEND: "put", RECEIVE: "got"})
    roles: ClassVar = {
        "producer": _PRODUCER,
        "consumer": Role(
            queue_workers.consume,
            ("queue", "producers"),
            "gets messages until None has come from each producer",
        ),
    }

    producers: int = parameter(1, WholeNumber(1, 4, "Producers"))
    consumers: int = parameter(1, WholeNumber(1, 4, "Consumers"))
    maxsize: int = parameter(0, WholeNumber(0, 32_767, "maxsize (0: no bound)", "log2"))
    start_method: str = parameter("spawn", Choice(start_methods(), "Start method"))

    @property
    def description(self) -> str:
        """What it does, in words and with its numbers."""
        bound = f"maxsize={self.maxsize:,}" if self.maxsize else "no bound"
        ways = f"{counted(self.producers, 'producer')} to {counted(self.consumers, 'consumer')}"
        return f"{self._load} from {ways}, {bound}, {self.start_method}"

    def _parts(self, context: Any) -> Iterator[Part]:
        queue = context.Queue(self.maxsize)
        for index, share in enumerate(shares(self.messages, self.producers), start=1):
            args = queue, Messages(share, self.payload), self.consumers
            yield Part("producer", f"producer {index}", args, records=len(share))
        for index in range(1, self.consumers + 1):
            yield Part("consumer", f"consumer {index}", (queue, self.producers))


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
        Its workers, or yours in their place: the producer, the consumer.

    Raises
    ------
    TypeError, ValueError
        For a parameter of the wrong type or out of its range; the message names it.
    """

    words = Words("message", {SEND: "put", RECEIVE: "get"}, {SEND: "put", WRITE: "written", RECEIVE: "got"})
    roles: ClassVar = {
        "producer": _PRODUCER._replace(record=recorder.calls_and_writes),
        "consumer": Role(
            inside_queue_workers.consume,
            ("queue", "pause"),
            "gets messages until None comes, with a pause of some seconds after each",
        ),
    }

    messages: int = parameter(200, WholeNumber(1, 2_000, "Messages", "log10"))
    payload: int = parameter(1_024, WholeNumber(0, MIB, "Payload (bytes)", "log2"))
    maxsize: int = parameter(0, WholeNumber(0, 32_767, "maxsize (0: no bound)", "log2"))
    pause: int = parameter(1, WholeNumber(0, 20, "Pause (ms)"))
    start_method: str = parameter("spawn", Choice(start_methods(), "Start method"))

    def __post_init__(self) -> None:
        super().__post_init__()
        check_product(20, "seconds", 1000, "ms", messages=self.messages, pause=self.pause)

    @property
    def description(self) -> str:
        """What it does, in words and with its numbers."""
        bound = f"maxsize={self.maxsize:,}" if self.maxsize else "no bound"
        return f"{self._load}, {bound}, a pause of {self.pause} ms after each get, {self.start_method}"

    def _parts(self, context: Any) -> Iterator[Part]:
        queue = context.Queue(self.maxsize)
        args = queue, Messages(range(self.messages), self.payload), 1
        yield Part("producer", "producer", args, records=2 * self.messages)
        yield Part("consumer", "consumer", (queue, self.pause / 1000))


@dataclass(frozen=True)
class PipeExchange(_MessageExperiment):
    """Two child processes, one at each end of a Pipe, pass numbered messages to each other.

    One-way, a sender sends them all and a receiver receives them. Over a duplex pipe a client sends
    a request, the server answers it with a reply, and so on, in turn. The clock runs from the first
    send to the last recv: both processes are up before the first message.

    Parameters
    ----------
    messages : int
        How many messages go through the pipe, 1 to 100,000; requests and replies both count, so over a
        duplex pipe it is an even number.
    payload : int
        Bytes in each message beside its number, 0 to 1 MiB; messages times payload at most 256 MiB.
    duplex : bool
        As for ``Pipe``: False for a one-way pipe, True for one that can send both ways.
    start_method : str
        "spawn", and "fork" or "forkserver" where the platform has them.

    Attributes
    ----------
    roles : dict of str to Role
        Its workers, or yours in their place: the sender, the receiver; over a duplex pipe the client, the
        server.

    Raises
    ------
    TypeError, ValueError
        For a parameter of the wrong type or out of its range; the message names it.
    """

    roles: ClassVar = {
        "sender": Role(
            pipe_workers.send_all,
            ("connection", "messages"),
            "sends each of the messages, pairs of a number and a payload, then None",
        ),
        "receiver": Role(
            pipe_workers.receive_until_none, ("connection",), "receives messages until None comes"
        ),
        "client": Role(
            pipe_workers.ask_all,
            ("connection", "requests"),
            "sends each of the requests, and receives a reply to each, then sends None",
        ),
        "server": Role(
            pipe_workers.serve,
            ("connection", "reply"),
            "receives requests until None comes, and sends reply(request) for each",
        ),
    }

    duplex: bool = parameter(False, Choice((False, True), "Pipe", ("one-way", "duplex")))
    start_method: str = parameter("spawn", Choice(start_methods(), "Start method"))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.duplex and self.messages % 2:
            raise ValueError(
                f"messages must be even over a duplex pipe, a reply for each request; not {self.messages:,}"
            )

    @property
    def description(self) -> str:
        """What it does, in words and with its numbers."""
        way = "requests and replies over a duplex pipe" if self.duplex else "over a one-way pipe"
        return f"{self._load}, {way}, {self.start_method}"

    @property
    def roles_here(self) -> tuple[str, ...]:
        """Which of its roles there are: those of a one-way pipe, or those of a duplex pipe."""
        return ("client", "server") if self.duplex else ("sender", "receiver")

    def _parts(self, context: Any) -> Iterator[Part]:
        second, first = context.Pipe(self.duplex)
        numbers = range(0, self.messages, 2 if self.duplex else 1)
        starts, answers = self.roles_here
        yield Part(starts, starts, (first, Messages(numbers, self.payload)))
        yield Part(answers, answers, (second, pipe_workers.next_message) if self.duplex else (second,))


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
        Its worker, or yours in its place, which each process runs.

    Raises
    ------
    TypeError, ValueError
        For a parameter of the wrong type or out of its range; the message names it.
    """

    words = Words(
        "process", {SEND: "start", RECEIVE: "its worker"}, {SEND: "started", RECEIVE: "up"}, "not yet up"
    )
    roles: ClassVar = {
        "worker": Role(
            process_workers.start_up,
            ("argument",),
            "does what a process has to do until it is up",
            recorder.whole,
        )
    }

    processes: int = parameter(4, WholeNumber(1, 16, "Processes"))
    argument: int = parameter(0, WholeNumber(0, MIB, "Argument (bytes)", "log2"))
    start_method: str = parameter("spawn", Choice(start_methods(), "Start method"))

    @property
    def bytes_each(self) -> int:
        """How many bytes the argument of each process has."""
        return self.argument

    @property
    def description(self) -> str:
        """What it does, in words and with its numbers."""
        return (
            f"{counted(self.processes, 'process')} with an argument of "
            f"{counted(self.argument, 'byte')}, {self.start_method}"
        )

    def _parts(self, context: Any) -> Iterator[Part]:
        argument = recorder.payload(self.argument)
        yield Part("", "parent", records=self.processes)
        for number in range(self.processes):
            yield Part("worker", f"child {number + 1}", (argument,), records=1, number=number)


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
        Its workers, or yours in their place: the producer, a worker.

    Raises
    ------
    TypeError, ValueError
        For a parameter of the wrong type or out of its range; the message names it.
    """

    words = Words(
        "task",
        {SEND: "put", RECEIVE: "a task"},
        {SEND: "put", RECEIVE: "done"},
        "not done",
        "at one long task",
    )
    roles: ClassVar = {
        "producer": Role(
            queue_workers.produce,
            ("queue", "tasks", "workers"),
            "puts each of the tasks, pairs of a number and the seconds it takes, then None for each worker",
        ),
        "worker": Role(
            pattern_workers.work,
            ("queue",),
            "gets tasks until None comes, and does each before it gets the next",
            recorder.work,
        ),
    }

    tasks: int = parameter(20, WholeNumber(1, 200, "Tasks"))
    length: int = parameter(25, WholeNumber(0, 200, "Task length (ms)"))
    unevenness: int = parameter(50, WholeNumber(0, 100, "Unevenness (%)"))
    order: str = parameter("mixed", Choice(("mixed", "longest first", "longest last"), "Order of the tasks"))
    workers: int = parameter(4, WholeNumber(1, 8, "Workers"))
    start_method: str = parameter("spawn", Choice(start_methods(), "Start method"))

    def __post_init__(self) -> None:
        super().__post_init__()
        check_product(10, "seconds", 1000, "ms", tasks=self.tasks, length=self.length)

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
        places = {
            "longest first": range(self.tasks - 1, -1, -1),
            "longest last": range(self.tasks),
            # Multiples of the golden ratio, without their whole part, are spread evenly, and look mixed.
            "mixed": sorted(range(self.tasks), key=lambda number: number * _GOLDEN % 1),
        }[self.order]
        return tuple(length for _, length in sorted(zip(places, rising, strict=True)))

    def _parts(self, context: Any) -> Iterator[Part]:
        queue = context.Queue()
        yield Part("producer", "producer", (queue, list(enumerate(self.lengths)), self.workers))
        for index in range(1, self.workers + 1):
            yield Part("worker", f"worker {index}", (queue,))


@dataclass(eq=False)
class _Run:
    """The processes of one run: the one way to start them, and what they have recorded so far."""

    experiment: Experiment
    workers: Mapping[str, Any]
    progress: Callable[[int], object] | None
    look: Callable[[Callable[[], Result]], object] | None

    def __post_init__(self) -> None:
        self._group: ProcessGroup
        self._tracks: dict[str, Track] = {}  # by the name of their process, in the order of the lanes
        self._children: dict[str, list[Child]] = {role: [] for role in self.experiment.roles_here}
        self._are_up = False
        self._running = 0
        self._changed = 0  # when one ended last, in nanoseconds of perf_counter_ns

    def begin(self, group: ProcessGroup) -> None:
        """Start the processes, and let all begin once all are ready: the clock measures no start.

        With a semaphore, which is released without waiting. Setting an Event waits until each process has
        woken up, for ever when one was killed (``multiprocessing.synchronize``, ``Condition.notify``).
        """
        self._group = group
        parts = list(self.experiment._parts(group.context))
        for part in parts:
            enough = self.experiment.steps + 10 * _SPARE if part.records is None else part.records
            self._tracks[part.name] = Track(enough + _SPARE)
        ends = [part.args[0] for part in parts] if self._is_through("connection") else []
        go = group.context.Semaphore(0)
        with ExitStack() as stack:
            for end in ends:
                stack.enter_context(end)  # a pipe has no end while this process has it open
            for part in parts:
                if part.role:
                    self._start(part, go, unused=[end for end in ends if end is not part.args[0]])
        together = [part for part in parts if part.role and part.number is None]
        if together:
            group.wait(until=lambda: all(child.is_ready for child in group.children))
        self._are_up = True
        for _ in together:
            go.release()

    def _start(self, part: Part, go: Any, unused: Sequence[Any]) -> None:
        """Start the worker of a role in a process of its own, the series' or the reader's."""
        rule = self.experiment.roles[part.role]
        worker = self.workers.get(part.role, rule.worker)
        record, track = rule.record, self._tracks[part.name]
        recorded: AbstractContextManager[None] = nullcontext()
        if part.number is not None:
            record, go = partial(rule.record, number=part.number), None
            recorded = self._tracks["parent"].recorded(SEND, part.number)
        with recorded:
            child = self._group.start(
                recorder.run, worker, part.args, record, track, go, unused, name=part.name
            )
        self._children[part.role].append(child)

    def watch(self) -> None:
        """Tell the progress, and show it; end a run whose processes wait for what can't come any more."""
        if self.progress is not None:
            done = sum(self._tracks[child.name].count for child in self._receivers)
            self.progress(min(done, self.experiment.steps))
        if self.look is not None:
            self.look(lambda: self.result(perf_counter_ns(), is_running=True))
        if self._are_up:
            self._raise_if_stuck()

    @property
    def _receivers(self) -> list[Child]:
        return self._children[self.experiment.roles_here[-1]]

    def _is_through(self, endpoint: str) -> bool:
        """Say whether the messages go through a queue, or through a connection."""
        return any(role.takes[0] == endpoint for role in self.experiment.roles.values())

    def _raise_if_stuck(self) -> None:
        """Raise when all processes that run have waited for each other, throughout some time."""
        running = [child.name for child in self._group.children if child.exitcode is None]
        if len(running) != self._running:  # who waits for one that has ended goes on
            self._running, self._changed = len(running), perf_counter_ns()
        waits = {name: wait for name in running if (wait := self._tracks[name].wait)}
        known = [(waits[name].since, waits[name].seen) if name in waits else None for name in running]
        if stacks.have_waited(known, self._changed, _STUCK_FOR):
            result = self.result(perf_counter_ns())
            raise ProtocolError(self._why_stuck(result, waits), result)

    def _why_stuck(self, result: Result, waits: dict[str, Wait]) -> str:
        """Say why the processes wait for what can't come any more."""
        sender, receiver = self.experiment.roles_here[0], self.experiment.roles_here[-1]
        left = [child for child in self._receivers if not child.has_returned]
        things = _plural_of(result)
        if self._is_through("queue") and not left:
            missing = f"{self.experiment.steps - result.received:,} {things}"
            return f"{_names(self._receivers)} returned, and {missing} were still to come"
        have_ended = all(child.exitcode == 0 for child in self._children[sender])
        if have_ended and all(wait.call.endswith("Queue.get") for wait in waits.values()):
            words = f"{_names(left)} waited for a message, and each {sender} had ended"
            return f"{words}: a {sender} puts None for each {receiver} once its {things} are put"
        places = [f"{name} waits in {wait.call}, in the line  {wait.line}" for name, wait in waits.items()]
        return f"nobody can go on: {'; '.join(places)}"

    def explain(self, error: ProcessGroupError) -> None:
        """Raise what a worker did wrong, where another found the end of its pipe because of that."""
        if not isinstance(error, WorkerError) or error.kind not in PEER_GONE:
            return
        others = [child for child in self._group.children if child.name != error.worker]
        if self._is_through("connection") and all(child.has_returned for child in others):
            # Who could not send any more has not sent all because of the others.
            wrong = mistake(error.result, SEND if error.kind == EOFError.__name__ else RECEIVE)
            returned = f"{_names(others)} returned{'' if wrong else ' without sending None'}"
            words = f"{returned}, and {error.worker} raised {error.kind}"
            raise ProtocolError(f"{words}: {wrong}" if wrong else words, error.result)

    def result(self, stopped: int | None = None, is_running: bool = False) -> Result:
        """Return what was measured, as a whole or up to some moment."""
        return Result(self.experiment, tuple(self._lanes()), stopped, is_running)

    def _lanes(self) -> Iterator[Lane]:
        children = {child.name: child for child in self._group.children}
        calls = {**self.experiment.words.calls, WAIT: "get"}
        for name, track in self._tracks.items():
            child = children.get(name)  # None for the parent, and before it is started
            ending, where = (child.ending, _line_that_raised(child.traceback)) if child else ("", "")
            records, goes_on = track.read()
            inside = [calls[operation] for operation in goes_on if operation in calls]
            if ending != "returned" and not where and (wait := track.wait):
                where = wait.line
            if ending == "was still running" and inside:
                ending = f"was still in {inside[0]}"
            yield Lane(name, records, ending, goes_on, where)

    def close(self) -> None:
        """Let go of the records."""
        for track in self._tracks.values():
            track.close()


def _line_that_raised(traceback: str) -> str:
    """Return the innermost line of a worker's own in a traceback; empty where there is none."""
    frames = re.findall(r'^  File "(.+)", line \d+, in .+\n    (.+)', traceback, re.MULTILINE)
    return next((line for file, line in reversed(frames) if not stacks.is_library_file(file)), "")


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


def _either(values: Iterable[object]) -> str:
    return " or ".join(map(repr, values))


def _names(children: Sequence[Child]) -> str:
    return " and ".join(child.name for child in children)


def counted(number: int, noun: str) -> str:
    """Return "1 message", "2,000 messages", "3 processes"."""
    return f"{number:,} {noun if number == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """Return "messages", "processes"."""
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"


def check_product(limit: int, unit: str, parts: int, part: str, **parameters: int) -> None:
    """Raise ValueError when a count, times what each takes, is over a limit.

    Parameters
    ----------
    limit : int
        The most allowed, in the unit.
    unit, part : str
        What the limit is in, and what each takes: "seconds" and "ms" for example.
    parts : int
        How many of the one make the other.
    **parameters
        The count, and how many parts each takes, by the names of the two parameters.
    """
    (many, count), (each, size) = parameters.items()
    total = count * size / parts
    if total > limit:
        shown = total if total < 1000 else round(total)
        raise ValueError(
            f"{many} × {each} must be at most {limit} {unit}, not {count:,} × {size:,} {part} "
            f"= {shown:,.6g} {unit}: lower {many} or {each}"
        )


def shares(messages: int, processes: int) -> Iterator[range]:
    """Split message numbers into one range for each process, as even as can be."""
    for index in range(processes):
        yield range(messages * index // processes, messages * (index + 1) // processes)


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

    The numbers sent, those received, and those written where the experiment records writes, have to be 0 to
    ``steps`` - 1, each once.
    """
    total = result.experiment.steps
    expected = Counter(range(total))
    for operation, word in ((SEND, "sent"), (RECEIVE, "received"), (WRITE, "written")):
        lanes = result.lanes_of(operation)
        numbers = Counter(chain.from_iterable(lane.column("number") for lane in lanes))
        is_counted = operation >= first and operation in result.experiment.words.done
        if is_counted and numbers != expected:
            missing, repeated = len(expected - numbers), sum(count > 1 for count in numbers.values())
            things = _plural_of(result)
            return f"of {total:,} {things} {missing:,} were not {word}, {repeated:,} more than once"
    return ""


def _plural_of(result: Result) -> str:
    return plural(result.experiment.words.noun)


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
    in_calls = sum(sum(part.column("ended")) - sum(part.column("started")) for part in parts) / 1e9
    payload_bytes = (len(sends) + len(receives)) * size
    return Total(lane.who, len(sends), len(receives), payload_bytes, _seconds(parts, parts), in_calls)
