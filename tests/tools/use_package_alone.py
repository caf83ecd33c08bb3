"""Use the package where nothing but its wheel is installed; .ci/run calls this in such an environment.

    EMPTY/bin/python -I tests/tools/use_package_alone.py

Fails when another package is there, when something that needs Python alone does not work, or when a panel
or a figure does not say what to install.
"""

from __future__ import annotations

import multiprocessing
from importlib import metadata

import ipc_helpers
from ipc_helpers.ui import worker_cells

CELL = "def add(first, second):\n    return first + second\n"
NEEDED = "needs ipywidgets, anywidget, matplotlib, numpy: python -m pip install "


def hang() -> None:
    """Wait for a message that nobody puts."""
    multiprocessing.get_context("spawn").Queue().get()


def answer() -> int:
    """Return a number that no other failure returns."""
    return 42


def main() -> None:
    """Check all of it, and say so in a line."""
    assert [found.name for found in metadata.distributions()] == ["ipc-helpers"]

    healthy, stuck = ipc_helpers.diagnose(answer), ipc_helpers.diagnose(hang, deadline=30)
    assert (healthy.healthy, healthy.returned) == (True, 42), healthy
    assert "in Queue.get" in stuck.stuck["main"], stuck

    cell = worker_cells.define(CELL)
    assert cell.module is not None, cell.error
    with ipc_helpers.WorkerGroup(multiprocessing.get_context("spawn"), deadline=30) as group:
        child = group.start(cell.module.add, 2, 3)
    assert child.result == 5
    assert ipc_helpers.QueueFlow(messages=10).run().received == 10
    assert ipc_helpers.check("02.1").text.startswith("Not yet run")

    assert ipc_helpers.run_script("print(6 * 7)", expected="42").outcome == "exit code 0, same output"

    said = []
    for name in ("Panel", "draw"):
        try:
            getattr(ipc_helpers, name)
        except ImportError as error:
            said.append(str(error))
    assert [NEEDED in words for words in said] == [True, True], said
    print(
        "The package alone: diagnose, a worker's cell, an experiment, a check and a script need nothing else."
    )


if __name__ == "__main__":
    main()
