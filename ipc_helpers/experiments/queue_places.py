"""Where the messages of a queue wait, chapter 04."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ipc_helpers.child import recorder
from ipc_helpers.child.recorder import Messages
from ipc_helpers.experiments.experiment import MessageExperiment
from ipc_helpers.experiments.parameters import (
    MIB,
    Choice,
    Labels,
    Participant,
    Place,
    Role,
    WholeNumber,
    check_product,
    parameter,
)
from ipc_helpers.experiments.queue_flow import PRODUCER
from ipc_helpers.group.starting import start_methods
from ipc_helpers.trace import RECEIVE, SEND, WRITE
from ipc_helpers.workers import (
    inside_queue_workers,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class QueuePlaces(MessageExperiment):
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

    labels = Labels(
        "message",
        {SEND: "put", RECEIVE: "get"},
        {SEND: "put", WRITE: "written", RECEIVE: "got"},
        "waiting in",
    )
    roles: ClassVar = {
        "producer": PRODUCER._replace(record=recorder.calls_and_writes),
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

    @property
    def places(self) -> tuple[Place, ...]:
        """Where a message is in the queue."""
        return (
            Place("deque", "in the deque", WRITE, field="started"),
            Place("feeder thread", "with the feeder thread", WRITE),
            Place("pipe", "in the pipe", RECEIVE),
        )

    def participants(self, context: Any) -> Iterator[Participant]:
        """Yield the producer, then the consumer."""
        queue = context.Queue(self.maxsize)
        args = queue, Messages(range(self.messages), self.payload), 1
        yield Participant("producer", "producer", args, records=2 * self.messages)
        yield Participant("consumer", "consumer", (queue, self.pause / 1000))
