"""Tasks of different lengths for a pool of workers, chapter 07."""

from __future__ import annotations

from dataclasses import dataclass
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
from ipc_helpers.workers import pool_workers

if TYPE_CHECKING:
    from collections.abc import Iterator


_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class WorkerPool(Experiment):
    """A producer puts numbered tasks into one Queue, workers take them one after the other; all are children.

    A message is a list of tasks, and a worker does all of them before it gets the next message.

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
    chunk : int
        How many tasks go in a message, 1 to 50, as the ``chunksize`` of a pool; the last may have fewer.
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

    labels = Labels(
        "task",
        {SEND: "put", RECEIVE: "a task"},
        {SEND: "put", RECEIVE: "done"},
        "not done",
        "at one long task",
    )
    roles: ClassVar = {
        "producer": Role(
            pool_workers.put_chunks,
            ("queue", "tasks", "chunk", "workers"),
            "puts lists of the tasks, pairs of a number and the seconds it takes, each task once, "
            "then None for each worker",
            recorder.chunks,
        ),
        "worker": Role(
            pool_workers.work,
            ("queue",),
            "gets lists of tasks until None comes, and does all of a list before it gets the next",
            recorder.work,
        ),
    }

    tasks: int = parameter(20, WholeNumber(1, 200, "Tasks"))
    length: int = parameter(25, WholeNumber(0, 200, "Task length (ms)"))
    unevenness: int = parameter(50, WholeNumber(0, 100, "Unevenness (%)"))
    order: str = parameter("mixed", Choice(("mixed", "longest first", "longest last"), "Order of the tasks"))
    chunk: int = parameter(1, WholeNumber(1, 50, "Tasks in a message"))
    workers: int = parameter(4, WholeNumber(1, 8, "Workers"))
    start_method: str = parameter("spawn", Choice(start_methods(), "Start method"))

    def __post_init__(self) -> None:
        super().__post_init__()
        check_product(10, "seconds", 1000, "ms", tasks=self.tasks, length=self.length)

    @property
    def description(self) -> str:
        """What it does, in words and with its numbers."""
        uneven = f", {self.unevenness} % uneven, {self.order}" if self.unevenness else ""
        chunks = f", {self.chunk} in a message" if self.chunk > 1 else ""
        return (
            f"{counted(self.tasks, 'task')} of {self.length} ms{uneven}{chunks}, "
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

    def participants(self, context: Any) -> Iterator[Participant]:
        """Yield the producer with all tasks, then the workers."""
        queue = context.Queue()
        args = queue, list(enumerate(self.lengths)), self.chunk, self.workers
        yield Participant("producer", "producer", args)
        for index in range(1, self.workers + 1):
            yield Participant("worker", f"worker {index}", (queue,))
