"""Messages that go through slots of shared memory, chapter 09."""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from typing import TYPE_CHECKING, Any, ClassVar

from ipc_helpers.child import recorder
from ipc_helpers.experiments.experiment import Experiment
from ipc_helpers.experiments.parameters import (
    Choice,
    Labels,
    Participant,
    Role,
    WholeNumber,
    check_product,
    counted,
    parameter,
)
from ipc_helpers.group.starting import start_methods
from ipc_helpers.trace import RECEIVE, SEND
from ipc_helpers.workers import sharing_workers

if TYPE_CHECKING:
    from collections.abc import Iterator


_KIB = 1024


@dataclass(frozen=True)
class SlotExchange(Experiment):
    """A producer hands messages to a consumer through slots of one segment of shared memory.

    Both are child processes. The producer gets the number of a free slot from one queue, writes a message
    into that slot, and puts both numbers into another queue; the consumer reads the slot, and gives it back.
    So that one sees what this saves, the same messages can go through the queue as a whole, of which as many
    may be in it as there are slots. What counts as a put is the wait for a free slot, as that for a place in
    a full queue. The clock runs from the first put to the last get.

    The parent makes the segment, and removes it once both processes have ended, however they do.

    Parameters
    ----------
    messages : int
        How many go from the producer to the consumer, 1 to 1,000.
    size : int
        How many KiB each has, 1 to 1,024; messages times size at most 256 MiB.
    slots : int
        How many the segment has, 1 to 16; or how many messages may be in the queue.
    pause : int
        How many milliseconds the consumer waits after each message, 0 to 20; messages times pause at most 10
        seconds.
    through : {"slots", "queue"}
        What the messages go through.
    start_method : str
        "spawn", and "fork" or "forkserver" where the platform has them.

    Attributes
    ----------
    roles : dict of str to Role
        Its workers, or yours in their place: the producer, the consumer; those of messages that go through
        the queue as a whole have names of their own.

    Raises
    ------
    TypeError, ValueError
        For a parameter of the wrong type or out of its range; the message names it.
    """

    labels = Labels("message", {SEND: "put", RECEIVE: "get"}, {SEND: "put", RECEIVE: "got"})
    roles: ClassVar = {
        "producer": Role(
            sharing_workers.write_into_slots,
            ("queue", "free", "segment", "messages", "size"),
            "gets the number of a free slot for each message, writes the message there, and puts its number "
            "with that of the slot; then it puts None",
            recorder.slots,
        ),
        "consumer": Role(
            sharing_workers.read_from_slots,
            ("queue", "free", "segment", "size", "pause"),
            "gets numbers of messages, with those of their slots, until None comes; reads each slot, puts "
            "its number into free, and pauses for some seconds",
            recorder.calls_of_first,
        ),
        "queue_producer": Role(
            sharing_workers.put_whole,
            ("queue", "messages", "size"),
            "puts each of the messages, pairs of a number and so many bytes, then None",
        ),
        "queue_consumer": Role(
            sharing_workers.get_whole,
            ("queue", "pause"),
            "gets messages until None comes, with a pause of some seconds after each",
        ),
    }

    messages: int = parameter(200, WholeNumber(1, 1_000, "Messages", "log10"))
    size: int = parameter(256, WholeNumber(1, 1_024, "Size (KiB)", "log2"))
    slots: int = parameter(4, WholeNumber(1, 16, "Slots"))
    pause: int = parameter(0, WholeNumber(0, 20, "Pause (ms)"))
    through: str = parameter("slots", Choice(("slots", "queue"), "Through"))
    start_method: str = parameter("spawn", Choice(start_methods(), "Start method"))

    def __post_init__(self) -> None:
        super().__post_init__()
        check_product(256, "MiB", _KIB, "KiB", messages=self.messages, size=self.size)
        check_product(10, "seconds", 1000, "ms", messages=self.messages, pause=self.pause)

    @property
    def bytes_each(self) -> int:
        """How many bytes a message has."""
        return self.size * _KIB

    @property
    def description(self) -> str:
        """What it does, in words and with its numbers."""
        slots = counted(self.slots, "slot")
        way = slots if self.through == "slots" else f"a queue with maxsize={self.slots}"
        return (
            f"{counted(self.messages, 'message')} of {self.size:,} KiB through {way}, "
            f"a pause of {self.pause} ms after each get, {self.start_method}"
        )

    @property
    def roles_here(self) -> tuple[str, ...]:
        """Which of its roles there are: those that use slots, or those that do without."""
        return ("producer", "consumer") if self.through == "slots" else ("queue_producer", "queue_consumer")

    def participants(self, context: Any) -> Iterator[Participant]:
        """Yield the producer, then the consumer; the run removes the segment that they share."""
        producer, consumer = self.roles_here
        size, pause = self.bytes_each, self.pause / 1000
        if self.through == "queue":
            queue = context.Queue(self.slots)
            yield Participant(producer, "producer", (queue, self.messages, size))
            yield Participant(consumer, "consumer", (queue, pause))
            return
        queue, free = context.Queue(), context.SimpleQueue()  # a put into which starts no thread here
        for slot in range(self.slots):
            free.put(slot)
        segment = SharedMemory(create=True, size=self.slots * size)
        yield Participant(producer, "producer", (queue, free, segment, self.messages, size))
        yield Participant(consumer, "consumer", (queue, free, segment, size, pause))
