"""Workers of the reader's own, as their cell defines them now, and the line of it that raised."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from ipc_helpers.ui import worker_cells

if TYPE_CHECKING:
    from ipc_helpers.group.errors import WorkerError

    pass


def latest(worker: Any) -> Any:
    """Return a worker as its cell defines it now; raise ValueError when the cell could not be run again."""
    cell = worker_cells.find(getattr(worker, "__name__", ""))
    if cell is None or os.path.dirname(cell.path) != os.path.dirname(path_of(worker)):  # not from a cell
        return worker
    if cell.module is None:
        raise ValueError(
            f"the cell that defines {worker.__name__} has an error: correct it, and run it again"
        )
    return getattr(cell.module, worker.__name__, worker)


def path_of(worker: Any) -> str:
    """Return the file of a function; empty where it has none."""
    return str(getattr(getattr(worker, "__code__", None), "co_filename", ""))


def line_that_raised(error: WorkerError, workers: dict[str, Any]) -> str:
    """Say at which line of a worker's own file an exception was raised, if it was."""
    for worker in workers.values():
        path, cell = path_of(worker), worker_cells.find(getattr(worker, "__name__", ""))
        lines = re.findall(rf'File "{re.escape(path)}", line (\d+)', error.traceback) if path else []
        if lines:
            where = "its cell" if cell is not None and cell.path == path else os.path.basename(path)
            return f", at line {lines[-1]} of {where}"
    return ""
