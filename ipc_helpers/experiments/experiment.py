"""Experiments: checked parameters in, a finished Result out, real child processes between."""

from __future__ import annotations

import io
import multiprocessing
import pickle
import sys
from contextlib import closing
from dataclasses import dataclass
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from ipc_helpers.experiments.parameters import (
    MIB,
    ExperimentParameters,
    WholeNumber,
    check_product,
    counted,
    either,
    parameter,
)
from ipc_helpers.experiments.result import Result, measured
from ipc_helpers.experiments.run import Run
from ipc_helpers.experiments.runnable import SECONDS, Runnable
from ipc_helpers.group.errors import WorkerGroupError
from ipc_helpers.group.worker_group import WorkerGroup

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Experiment(ExperimentParameters, Runnable[Result]):
    """A checked set of parameters that can be run, whose workers' calls are recorded."""

    def run(
        self,
        *,
        progress: Callable[[int], object] | None = None,
        look: Callable[[Callable[[], Result]], object] | None = None,
        cancelled: threading.Event | None = None,
        deadline: float = SECONDS,
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
            See :class:`~ipc_helpers.WorkerGroup`; ``result`` is what was measured up to then.
        ProtocolError
            When a message was lost or arrived twice; or when all processes that run have waited for others,
            without a limit, for half a second: then none can go on. Who computes, sleeps, or waits with a
            limit of its own is not taken for stuck.
        """
        self.check_workers(workers)
        context = multiprocessing.get_context(self.start_method)

        with closing(Run(self, workers, progress, look)) as run:
            try:
                with WorkerGroup(context, deadline=deadline, cancelled=cancelled, on_wait=run.watch) as group:
                    run.begin(group)
            except WorkerGroupError as error:
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
                known = f": {either(self.roles)}" if self.roles else ""
                raise TypeError(f"{type(self).__name__} has no role {name!r} for a worker of yours{known}")
            if name not in self.roles_here:
                raise ValueError(f"a worker's role must be {either(self.roles_here)} in {self}, not {name!r}")
            self.roles[name].check(name, worker)
            if self.start_method != "fork":
                _check_import(name, worker, self.start_method)


@dataclass(frozen=True)
class MessageExperiment(Experiment):
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
