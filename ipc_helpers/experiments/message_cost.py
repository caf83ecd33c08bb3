"""What a message costs, beside the limit of the machine, chapter 10."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipc_helpers.experiments.parameters import (
    MIB,
    Choice,
    WholeNumber,
    bytes_in_words,
    check_product,
    counted,
    either,
    parameter,
)
from ipc_helpers.experiments.runnable import SECONDS, Runnable
from ipc_helpers.group.starting import start_methods
from ipc_helpers.group.worker_group import checked_deadline
from ipc_helpers.measuring.ladder import Ladder
from ipc_helpers.measuring.measure import measure
from ipc_helpers.measuring.rungs import RUNGS

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable


_ROUNDS = 5
_LIMITS = 2  # that are measured in each round, too
_LONGEST_BUDGET = 3_600.0  # seconds
_LEAST_MESSAGES = 8  # or no message follows another for long
_MOST_AT_ONCE = 64 * MIB  # bytes in the messages of one run
_BATCHES = ", batches"  # what a rung is called that sends batches


def _rungs_here() -> tuple[str, ...]:
    """Return the ways to hand over a message that this machine has, but for those that send batches."""
    return tuple(
        name
        for name, rung in RUNGS.items()
        if not (rung.limit or rung.batched) and rung.why_missing() is None
    )


@dataclass(frozen=True)
class MessageCost(Runnable[Ladder]):
    """One way to hand messages to another process is measured beside the limit of the machine.

    In each of five rounds a sender and a receiver, both child processes, hand over messages of random bytes,
    first as fast as they can, then one at a time. In the same round they do so through os.pipe, and as many
    bytes are copied within one process. Each message is checked by its number.

    Parameters
    ----------
    rung : str
        Which way: one of those that this machine has.
    size : int
        Bytes in a message, 16 to 16 MiB.
    batch : int
        How many messages are sent as one, 1 to 1,000; batch times size at most 16 MiB. More than 1 where the
        rung has a form that sends batches: "Queue" does.
    messages : int
        How many each round is timed with, 10 to 100,000; fewer where they would be more than 64 MiB, but 8
        at least.
    start_method : str
        "spawn", and "fork" or "forkserver" where the platform has them.

    Raises
    ------
    TypeError, ValueError
        For a parameter of the wrong type or out of its range, and for a rung that has no batches; the message
        names the parameter.
    """

    rung: str = parameter("Queue", Choice(_rungs_here(), "Rung"))
    size: int = parameter(64, WholeNumber(16, 16 * MIB, "Size (bytes)", "log2"))
    batch: int = parameter(1, WholeNumber(1, 1_000, "Batch", "log10"))
    messages: int = parameter(10_000, WholeNumber(10, 100_000, "Messages", "log10"))
    start_method: str = parameter("spawn", Choice(start_methods(), "Start method"))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.measured not in RUNGS:
            batched = [name for name in _rungs_here() if f"{name}{_BATCHES}" in RUNGS]
            raise ValueError(
                f"batch must be 1 for {self.rung}, not {self.batch:,}: batches are sent by {either(batched)}"
            )
        check_product(16, "MiB", MIB, "bytes", batch=self.batch, size=self.size)

    @property
    def measured(self) -> str:
        """The rung that is measured: the one that sends batches where ``batch`` is more than 1."""
        return f"{self.rung}{_BATCHES}" if self.batch > 1 else self.rung

    @property
    def count(self) -> int:
        """How many messages each round is timed with."""
        return min(self.messages, max(self.batch, _LEAST_MESSAGES, _MOST_AT_ONCE // self.size))

    @property
    def steps(self) -> int:
        """How many runs there are in all rounds, which are the steps of its progress."""
        return _ROUNDS * (1 + _LIMITS)

    @property
    def description(self) -> str:
        """What it does, in words and with its numbers."""
        batches = f" in batches of {self.batch:,}" if self.batch > 1 else ""
        return (
            f"{counted(self.count, 'message')} of {bytes_in_words(self.size)}{batches} by {self.rung}, "
            f"in {counted(_ROUNDS, 'round')}, {self.start_method}"
        )

    def run(
        self,
        *,
        progress: Callable[[int], object] | None = None,
        look: Callable[[Callable[[], Ladder]], object] | None = None,
        cancelled: threading.Event | None = None,
        deadline: float = SECONDS,
    ) -> Ladder:
        """Measure it, and the limits beside it, and return what was measured.

        Parameters
        ----------
        progress : callable, optional
            Called after each run with the number of finished runs, 1 to ``steps``.
        look : callable, optional
            Called after each round with a function that returns the Ladder up to then.
        cancelled : threading.Event, optional
            Set it from another thread to end it.
        deadline : float
            Seconds for all rounds, above 0, at most 86,400: those that no longer fit are left out, but for
            the first 3.

        Returns
        -------
        Ladder

        Raises
        ------
        TypeError, ValueError
            For a deadline that is not allowed; before anything starts.
        MeasureError, Cancelled
            As :func:`~ipc_helpers.measure`; ``result`` is the Ladder up to then.
        """
        budget = min(checked_deadline(deadline), _LONGEST_BUDGET)
        return measure(
            [self.measured],
            size=self.size,
            batch=self.batch if self.batch > 1 else None,
            messages=self.count,
            latencies=min(100, max(5, _MOST_AT_ONCE // self.size)),
            rounds=_ROUNDS,
            budget=budget,
            start_method=self.start_method,
            progress=progress and (lambda done, of: progress(done * self.steps // of)),
            look=look and (lambda ladder: look(lambda: ladder)),
            cancelled=cancelled,
        )
