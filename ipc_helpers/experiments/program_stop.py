"""A program that is stopped while it has work to do, chapter 08."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from ipc_helpers.child import recorder
from ipc_helpers.experiments.experiment import Experiment
from ipc_helpers.experiments.parameters import (
    Choice,
    Participant,
    Role,
    Stop,
    WholeNumber,
    check_product,
    counted,
    parameter,
)
from ipc_helpers.experiments.worker_pool import WorkerPool
from ipc_helpers.group.starting import start_methods
from ipc_helpers.workers import program_workers

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class ProgramStop(Experiment):
    """A producer puts tasks into one Queue, workers take them, and their parent stops them at some moment.

    All but the parent are child processes. A task is a sleep: it needs no processor, so the timeline is the
    same on two cores as on eight. The producer puts all tasks at once, and then stops the workers when the
    parent tells it to: with a sentinel for each of them, behind the tasks; or with an event, at which each
    worker looks before it takes a task. Or the parent terminates the workers. The clock runs from the first
    put to the end of the last process; the stop, from the parent's word on.

    A worker is terminated anywhere, also while it holds the queue's lock. So all of them are, at once, and
    nobody is left who would wait for that lock.

    Parameters
    ----------
    tasks : int
        How many there are, 1 to 100: what is left of them fits into the queue's pipe.
    length : int
        How many milliseconds a task takes, 0 to 500; tasks times length at most 10 seconds.
    workers : int
        How many processes take tasks, 1 to 8.
    way : {"sentinels", "event", "terminate"}
        How the workers are stopped.
    moment : int
        After how many milliseconds, 0 to 5,000.
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

    labels = WorkerPool.labels._replace(long="at work")
    roles: ClassVar = {
        "producer": Role(
            program_workers.put_tasks,
            ("queue", "tasks", "moment", "stop"),
            "puts each of the tasks, pairs of a number and the seconds it takes, then calls "
            "moment.acquire(), which returns when the program is to stop, and stop()",
        ),
        "worker": Role(
            program_workers.work_until_stopped,
            ("queue", "stopping"),
            "gets tasks, pairs of a number and the seconds it takes, and does each, until None comes or the "
            "event is set",
            recorder.work,
        ),
    }

    tasks: int = parameter(20, WholeNumber(1, 100, "Tasks"))
    length: int = parameter(100, WholeNumber(0, 500, "Task length (ms)"))
    workers: int = parameter(4, WholeNumber(1, 8, "Workers"))
    way: str = parameter("sentinels", Choice(("sentinels", "event", "terminate"), "Way to stop"))
    moment: int = parameter(250, WholeNumber(0, 5_000, "Stop after (ms)"))
    start_method: str = parameter("spawn", Choice(start_methods(), "Start method"))

    def __post_init__(self) -> None:
        super().__post_init__()
        check_product(10, "seconds", 1000, "ms", tasks=self.tasks, length=self.length)

    @property
    def description(self) -> str:
        """What it does, in words and with its numbers."""
        return (
            f"{counted(self.tasks, 'task')} of {self.length} ms for {counted(self.workers, 'worker')}, "
            f"stopped after {self.moment:,} ms by {self.way}, {self.start_method}"
        )

    @property
    def leaves_some(self) -> bool:
        """Whether tasks may be left that nobody did."""
        return self.way != "sentinels"

    def participants(self, context: Any) -> Iterator[Participant]:
        """Yield the producer with all tasks, the workers, and the parent, which stops them."""
        queue, stopping, moment = context.Queue(), context.Event(), context.Semaphore(0)
        stop = {
            "sentinels": partial(program_workers.put_sentinels, queue, self.workers),
            "event": partial(program_workers.set_event, stopping, queue, self.workers),
            "terminate": program_workers.leave_it_to_the_parent,
        }[self.way]
        tasks = [(number, self.length / 1000) for number in range(self.tasks)]
        yield Participant("producer", "producer", (queue, tasks, moment, stop), records=self.tasks)
        for index in range(1, self.workers + 1):
            yield Participant("worker", f"worker {index}", (queue, stopping))
        terminates = "worker" if self.way == "terminate" else ""
        yield Participant("", "parent", records=1, stop=Stop(self.moment / 1000, moment, terminates))
