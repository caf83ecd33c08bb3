"""Producers and consumers on one queue, chapter 02."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ipc_helpers.child.recorder import Messages
from ipc_helpers.experiments.experiment import MessageExperiment
from ipc_helpers.experiments.parameters import (
    Choice,
    Labels,
    Participant,
    Role,
    WholeNumber,
    counted,
    parameter,
)
from ipc_helpers.group.starting import start_methods
from ipc_helpers.trace import RECEIVE, SEND
from ipc_helpers.workers import (
    queue_workers,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


PRODUCER = Role(
    queue_workers.produce,
    ("queue", "messages", "consumers"),
    "puts each of the messages, pairs of a number and a payload, then None for each consumer",
)


@dataclass(frozen=True)
class QueueFlow(MessageExperiment):
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

    labels = Labels("message", {SEND: "put", RECEIVE: "get"}, {SEND: "put", RECEIVE: "got"})
    roles: ClassVar = {
        "producer": PRODUCER,
        "consumer": Role(
            queue_workers.consume,
            ("queue", "producers"),
            "gets messages until as many None have come as there are producers",
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

    def participants(self, context: Any) -> Iterator[Participant]:
        """Yield the producers, each with its share of the messages, then the consumers."""
        queue = context.Queue(self.maxsize)
        for index, share in enumerate(shares(self.messages, self.producers), start=1):
            args = queue, Messages(share, self.payload), self.consumers
            yield Participant("producer", f"producer {index}", args, records=len(share))
        for index in range(1, self.consumers + 1):
            yield Participant("consumer", f"consumer {index}", (queue, self.producers))


def shares(messages: int, processes: int) -> Iterator[range]:
    """Split message numbers into one range for each process, as even as can be."""
    for index in range(processes):
        yield range(messages * index // processes, messages * (index + 1) // processes)
