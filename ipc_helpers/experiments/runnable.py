"""What can be run with parameters that a panel has controls for, whatever it measures."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from ipc_helpers.experiments.parameters import Parameters

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping


SECONDS = 120.0  # until a run is ended, where nobody says more or less

Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class Runnable(Parameters, Generic[Outcome]):
    """A checked set of parameters that can be run, and what comes out of that."""

    @abstractmethod
    def run(
        self,
        *,
        progress: Callable[[int], object] | None = None,
        look: Callable[[Callable[[], Outcome]], object] | None = None,
        cancelled: threading.Event | None = None,
        deadline: float = SECONDS,
    ) -> Outcome:
        """Run it in child processes and return what was measured.

        Parameters
        ----------
        progress : callable, optional
            Called with the number of finished steps, 0 to ``steps``.
        look : callable, optional
            Called during the run with a function that returns what was measured up to that moment.
        cancelled : threading.Event, optional
            Set it from another thread to end the run.
        deadline : float
            Seconds until the run is ended.
        """

    def check_workers(self, workers: Mapping[str, object]) -> None:
        """Check workers of the reader's own, by role: here there is no role for one.

        Raises
        ------
        TypeError
            For any worker.
        """
        for name in workers:
            raise TypeError(f"{type(self).__name__} has no role {name!r} for a worker of yours")
