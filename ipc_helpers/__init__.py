"""Worker functions, experiments and panels for notebooks about ``multiprocessing`` Queue and Pipe.

A spawned child can't find a function that was defined in a notebook, so the
functions that children run live here, in :mod:`ipc_helpers.workers`. The other
names are loaded on first use: a child that imports a worker imports this file
too, and must not pay for widgets and plots.
"""

from __future__ import annotations

# Type checkers take the branch, the interpreter does not: importing typing would cost every child time.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from ipc_helpers.child.xray import XRay as XRay
    from ipc_helpers.child.xray import XRayError as XRayError
    from ipc_helpers.diagnosis.diagnose import Diagnosis as Diagnosis
    from ipc_helpers.diagnosis.diagnose import diagnose as diagnose
    from ipc_helpers.diagnosis.run_script import run_script as run_script
    from ipc_helpers.experiments.message_cost import MessageCost as MessageCost
    from ipc_helpers.experiments.pipe_exchange import PipeExchange as PipeExchange
    from ipc_helpers.experiments.process_start import ProcessStart as ProcessStart
    from ipc_helpers.experiments.program_stop import ProgramStop as ProgramStop
    from ipc_helpers.experiments.queue_flow import QueueFlow as QueueFlow
    from ipc_helpers.experiments.queue_places import QueuePlaces as QueuePlaces
    from ipc_helpers.experiments.result import ProtocolError as ProtocolError
    from ipc_helpers.experiments.result import Result as Result
    from ipc_helpers.experiments.slot_exchange import SlotExchange as SlotExchange
    from ipc_helpers.experiments.stage_chain import StageChain as StageChain
    from ipc_helpers.experiments.worker_pool import WorkerPool as WorkerPool
    from ipc_helpers.group.child_handle import Child as Child
    from ipc_helpers.group.errors import Cancelled as Cancelled
    from ipc_helpers.group.errors import DeadlineError as DeadlineError
    from ipc_helpers.group.errors import StartError as StartError
    from ipc_helpers.group.errors import WorkerError as WorkerError
    from ipc_helpers.group.errors import WorkerGroupError as WorkerGroupError
    from ipc_helpers.group.worker_group import WorkerGroup as WorkerGroup
    from ipc_helpers.measuring.choose import choose_rungs as choose_rungs
    from ipc_helpers.measuring.ladder import Ladder as Ladder
    from ipc_helpers.measuring.ladder import MeasureError as MeasureError
    from ipc_helpers.measuring.ladder import Spread as Spread
    from ipc_helpers.measuring.measure import measure as measure
    from ipc_helpers.measuring.rungs import RUNGS as RUNGS
    from ipc_helpers.measuring.rungs import Rung as Rung
    from ipc_helpers.ui.check_exercise import check as check
    from ipc_helpers.ui.check_machine import check_machine as check_machine
    from ipc_helpers.ui.comparison_figure import draw_comparison as draw_comparison
    from ipc_helpers.ui.drawing import Picture as Picture
    from ipc_helpers.ui.ladder_figure import draw_ladder as draw_ladder
    from ipc_helpers.ui.message_journey_figure import draw_journey as draw_journey
    from ipc_helpers.ui.panel import Panel as Panel
    from ipc_helpers.ui.run_figure import draw as draw
    from ipc_helpers.ui.show_source import Source as Source
    from ipc_helpers.ui.show_source import show_source as show_source

_NAMES = {
    "child.xray": "XRay XRayError",
    "diagnosis.diagnose": "Diagnosis diagnose",
    "diagnosis.run_script": "run_script",
    "experiments.message_cost": "MessageCost",
    "experiments.pipe_exchange": "PipeExchange",
    "experiments.process_start": "ProcessStart",
    "experiments.program_stop": "ProgramStop",
    "experiments.queue_flow": "QueueFlow",
    "experiments.queue_places": "QueuePlaces",
    "experiments.result": "ProtocolError Result",
    "experiments.slot_exchange": "SlotExchange",
    "experiments.stage_chain": "StageChain",
    "experiments.worker_pool": "WorkerPool",
    "group.child_handle": "Child",
    "group.errors": "Cancelled DeadlineError WorkerGroupError StartError WorkerError",
    "group.worker_group": "WorkerGroup",
    "measuring.choose": "choose_rungs",
    "measuring.ladder": "Ladder MeasureError Spread",
    "measuring.measure": "measure",
    "measuring.rungs": "RUNGS Rung",
    "ui.check_exercise": "check",
    "ui.check_machine": "check_machine",
    "ui.comparison_figure": "draw_comparison",
    "ui.drawing": "Picture",
    "ui.ladder_figure": "draw_ladder",
    "ui.message_journey_figure": "draw_journey",
    "ui.panel": "Panel",
    "ui.run_figure": "draw",
    "ui.show_source": "Source show_source",
}  # of each module, those that are public
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    """Load a public name from its module on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    try:
        home = import_module(f"{__name__}.{_HOME[name]}")
    except ImportError as error:
        words = import_module(f"{__name__}.ui.check_machine").what_to_install(name)
        raise ImportError(words) from error
    value = getattr(home, name)
    globals()[name] = value
    return value


def load_ipython_extension(ipython: object) -> None:
    """Bring the cell magic ``%%worker`` into a notebook; IPython calls this for ``%load_ext ipc_helpers``."""
    from importlib import import_module

    import_module(f"{__name__}.ui.worker_cells").load(ipython)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
