"""The exercises: a module per chapter, each with what its notebook has the reader write."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING

from ipc_helpers import checks, worker_cells

if TYPE_CHECKING:
    from ipc_helpers.checks import Exercise, Verdict

_CHAPTERS = {
    "01": "processes",
    "02": "queues",
    "03": "pipes",
    "04": "inside",
    "05": "patterns",
    "06": "pitfalls",
}


def exercises() -> dict[str, Exercise]:
    """Return all exercises by their keys, in the order of the chapters."""
    found: dict[str, Exercise] = {}
    for module in _CHAPTERS.values():
        found |= import_module(f"{__name__}.{module}").EXERCISES
    return found


def check(key: str) -> Verdict:
    """Run the worker of an exercise in real children, and say in words whether it is right.

    Parameters
    ----------
    key : str
        The number of the exercise, "02.1" for example; its notebook says it.

    Returns
    -------
    Verdict
        A sentence: right, and what was seen; or what is wrong, at which line of the worker's cell, and a
        hint. Nothing is started for a worker that is not written, or can't be read.

    Raises
    ------
    TypeError, ValueError
        For something else than the number of an exercise.
    NotRightError
        When the exercise is not solved, under nbgrader alone.
    KeyboardInterrupt
        When an interrupt arrived; all processes are ended first.
    """
    if not isinstance(key, str):
        raise TypeError(f"key must be a string, not {key!r}")
    chapter = _CHAPTERS.get(key.partition(".")[0]) if re.fullmatch(r"\d\d\.\d", key) else None
    known = import_module(f"{__name__}.{chapter}").EXERCISES if chapter else exercises()
    if key not in known:
        raise ValueError(f"key must be the number of an exercise ({', '.join(known)}), not {key!r}")
    return checks.run(known[key], worker_cells.find(known[key].defines[0]))
