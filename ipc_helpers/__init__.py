"""Worker functions, experiments and panels for notebooks about ``multiprocessing`` Queue and Pipe.

A spawned child can't find a function that was defined in a notebook, so the
functions that children run live here, in :mod:`ipc_helpers.workers`. The other
names are loaded on first use: a child that imports a worker imports this file
too, and must not pay for widgets and plots.
"""

from __future__ import annotations

# mypy takes the branch, the interpreter does not: importing typing would cost every child time.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from ipc_helpers.diagnosis import Diagnosis, diagnose
    from ipc_helpers.exercises import check
    from ipc_helpers.experiments import (
        PipeExchange,
        ProcessStart,
        ProtocolError,
        QueueFlow,
        QueuePlaces,
        Result,
        WorkerPool,
    )
    from ipc_helpers.figures import Picture, draw, draw_journey
    from ipc_helpers.panels import Panel
    from ipc_helpers.processes import (
        Cancelled,
        Child,
        DeadlineError,
        ProcessGroup,
        ProcessGroupError,
        StartError,
        WorkerError,
    )
    from ipc_helpers.scripts import run_script
    from ipc_helpers.sources import Source, show_source
    from ipc_helpers.xray import XRay, XRayError


__all__ = [
    "Cancelled",
    "Child",
    "DeadlineError",
    "Diagnosis",
    "Panel",
    "Picture",
    "PipeExchange",
    "ProcessGroup",
    "ProcessGroupError",
    "ProcessStart",
    "ProtocolError",
    "QueueFlow",
    "QueuePlaces",
    "Result",
    "Source",
    "StartError",
    "WorkerError",
    "WorkerPool",
    "XRay",
    "XRayError",
    "check",
    "diagnose",
    "draw",
    "draw_journey",
    "run_script",
    "show_source",
]

_HOME = {
    "Cancelled": "processes",
    "Child": "processes",
    "DeadlineError": "processes",
    "Diagnosis": "diagnosis",
    "Panel": "panels",
    "Picture": "figures",
    "PipeExchange": "experiments",
    "ProcessGroup": "processes",
    "ProcessGroupError": "processes",
    "ProcessStart": "experiments",
    "ProtocolError": "experiments",
    "QueueFlow": "experiments",
    "QueuePlaces": "experiments",
    "Result": "experiments",
    "Source": "sources",
    "StartError": "processes",
    "WorkerError": "processes",
    "WorkerPool": "experiments",
    "XRay": "xray",
    "XRayError": "xray",
    "check": "exercises",
    "diagnose": "diagnosis",
    "draw": "figures",
    "draw_journey": "figures",
    "run_script": "scripts",
    "show_source": "sources",
}


def __getattr__(name: str) -> object:
    """Load a public name from its module on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def load_ipython_extension(ipython: object) -> None:
    """Bring the cell magic ``%%worker`` into a notebook; IPython calls this for ``%load_ext ipc_helpers``."""
    from importlib import import_module

    import_module(f"{__name__}.worker_cells").load(ipython)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
