"""Processes that come up, one after the other, chapter 01."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ipc_helpers.child import recorder
from ipc_helpers.experiments.experiment import Experiment
from ipc_helpers.experiments.parameters import (
    MIB,
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
    process_workers,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


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

    labels = Labels(
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

    def participants(self, context: Any) -> Iterator[Participant]:
        """Yield the parent, then each process in the order of the starts."""
        argument = recorder.payload(self.argument)
        yield Participant("", "parent", records=self.processes)
        for number in range(self.processes):
            yield Participant("worker", f"child {number + 1}", (argument,), records=1, number=number)
