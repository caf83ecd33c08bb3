"""A chain of stages, a queue before each, chapter 05."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from ipc_helpers.child.recorder import Messages
from ipc_helpers.experiments.experiment import Experiment
from ipc_helpers.experiments.parameters import (
    Choice,
    Labels,
    Participant,
    Place,
    Role,
    WholeNumber,
    check_product,
    counted,
    parameter,
)
from ipc_helpers.experiments.queue_places import QueuePlaces
from ipc_helpers.group.starting import start_methods
from ipc_helpers.trace import RECEIVE, SEND
from ipc_helpers.workers import (
    pattern_workers,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class StageChain(Experiment):
    """A producer, stages and a consumer, with a Queue between each two; all are child processes.

    A stage gets a numbered message, works on it, and puts it into the next queue. Work is a sleep: it needs
    no processor, so the timeline is the same on two cores as on eight. One process is slow, and the others
    take a quarter of its time for each message: the producer before its put, a stage between get and put,
    the consumer after its get. Queue 1 is before stage 1, and the last one before the consumer. The clock
    runs from the first put to the last get.

    Parameters
    ----------
    messages : int
        How many go through the chain, 1 to 500.
    stages : int
        How many processes there are between the producer and the consumer, 1 to 4.
    maxsize : int
        The bound of each queue, 0 to 64; 0 is no bound.
    slow : {"nobody", "producer", "first stage", "last stage", "consumer"}
        Which process is slow.
    work : int
        How many milliseconds the slow one takes for a message, 0 to 100; messages times work at most 10
        seconds.
    start_method : str
        "spawn", and "fork" or "forkserver" where the platform has them.

    Attributes
    ----------
    roles : dict of str to Role
        Its workers, or yours in their place: the producer, a stage, the consumer.

    Raises
    ------
    TypeError, ValueError
        For a parameter of the wrong type or out of its range; the message names it.
    """

    labels = Labels("message", {SEND: "put", RECEIVE: "get"}, {SEND: "put", RECEIVE: "got"}, "in queue")
    roles: ClassVar = {
        "producer": Role(
            pattern_workers.put_slowly,
            ("queue", "messages", "pause"),
            "puts each of the messages, pairs of a number and a payload, after a pause of some seconds, "
            "then None",
        ),
        "stage": Role(
            pattern_workers.stage,
            ("inbox", "outbox", "function"),
            "gets messages until None comes, puts function(message) for each into the next queue, then None",
        ),
        "consumer": QueuePlaces.roles["consumer"],
    }

    messages: int = parameter(40, WholeNumber(1, 500, "Messages", "log10"))
    stages: int = parameter(3, WholeNumber(1, 4, "Stages"))
    maxsize: int = parameter(2, WholeNumber(0, 64, "maxsize (0: no bound)", "log2"))
    slow: str = parameter(
        "last stage", Choice(("nobody", "producer", "first stage", "last stage", "consumer"), "Who is slow")
    )
    work: int = parameter(20, WholeNumber(0, 100, "Work of the slow one (ms)"))
    start_method: str = parameter("spawn", Choice(start_methods(), "Start method"))

    def __post_init__(self) -> None:
        super().__post_init__()
        check_product(10, "seconds", 1000, "ms", messages=self.messages, work=self.work)

    @property
    def description(self) -> str:
        """What it does, in words and with its numbers."""
        bound = f"maxsize={self.maxsize}" if self.maxsize else "no bound"
        quick = f"{self.work / 4:g} ms"
        slow = "" if self.slow == "nobody" else f"{self.work} ms in the {self.slow}, "
        work = f"{slow}{quick} {'elsewhere' if slow else 'each'}"
        return (
            f"{counted(self.messages, 'message')} through {counted(self.stages, 'stage')}, {bound}, {work}, "
            f"{self.start_method}"
        )

    @property
    def seconds(self) -> tuple[float, ...]:
        """How many seconds each process takes for a message, from the producer to the consumer."""
        last = self.stages + 1
        slow = {"producer": 0, "first stage": 1, "last stage": self.stages, "consumer": last}.get(self.slow)
        return tuple(self.work / (1000 if place == slow else 4000) for place in range(last + 1))

    @property
    def places(self) -> tuple[Place, ...]:
        """Where a message is: in a queue, or with a stage, which is not shown."""
        places = []
        for number in range(1, self.stages + 1):
            who = f"stage {number}"
            places += [self._queue(number, who), Place("", "", SEND, who)]
        return (*places, self._queue(self.stages + 1))

    def _queue(self, number: int, who: str = "") -> Place:
        """Return a queue as a place, and who gets from it."""
        return Place(str(number), f"in queue {number}", RECEIVE, who, most=self.maxsize)

    def participants(self, context: Any) -> Iterator[Participant]:
        """Yield the producer, the stages, then the consumer."""
        queues = [context.Queue(self.maxsize) for _ in range(self.stages + 1)]
        first, *works, last = self.seconds
        messages = Messages(range(self.messages), 0)
        yield Participant("producer", "producer", (queues[0], messages, first), records=self.messages)
        for number, (ends, work) in enumerate(zip(pairwise(queues), works, strict=True), start=1):
            args = *ends, partial(pattern_workers.take_time, work)
            yield Participant("stage", f"stage {number}", args, records=2 * self.messages)
        yield Participant("consumer", "consumer", (queues[-1], last))
