"""Runs a reader's worker in real children, under a deadline, and says in a sentence what was seen.

What a check does is the same for every exercise: it finds the worker's cell, refuses one that is not
written or can't be read before it starts anything, runs the exercise's trial with
:func:`~ipc_helpers.diagnose`, and puts what was seen into words: right, or what is wrong, at
which line of the cell, and a hint that fits.
"""

from __future__ import annotations

import ast
import html
import multiprocessing
import os
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ipc_helpers.diagnosis.diagnose import diagnose
from ipc_helpers.exercises import EXERCISES, Mistake, Seen, line_of
from ipc_helpers.ui import worker_cells

if TYPE_CHECKING:
    from ipc_helpers.diagnosis.diagnose import Diagnosis
    from ipc_helpers.diagnosis.observed_processes import ObservedProcess
    from ipc_helpers.exercises import Exercise
    from ipc_helpers.ui.worker_cells import WorkerCell


CHAPTERS = (
    *("process", "queue", "pipe", "inside_queue", "pattern"),
    *("pitfall", "pool", "program", "sharing", "limit"),
)
"""What the modules of :mod:`ipc_helpers.exercises` begin with, in the order of the chapters."""

_HINTS = {
    "get": "after None, the sentinel, no message comes: leave the loop then",
    "recv": "no message comes, and a pipe ends once each copy of its other end is closed. Who has one?",
    "poll": "nothing comes any more: give poll() a timeout",
    "put": "the queue is full, and nobody gets. Who is meant to?",
    "send": "the pipe is full, and nobody receives. Who is meant to?",
    "join": "the process that it joins sends more than a pipe holds. Get or receive all first, then join",
    "running": "does its loop ever end",
    "NotImplementedError": "one part of the cell is still to be written",
    "NameError": "a worker's cell is a module of its own. What it uses has to be imported or defined in it",
    "ModuleNotFoundError": "a worker's cell is a module of its own, and can import what a script can",
    "EOFError": "this is the end of the pipe: catch EOFError, and return what you have",
    "Empty": "no message came in time. Was it put at all, and was the wait long enough",
    "Full": "the queue had no room in time",
    "BrokenPipeError": "the other endpoint is closed already; on Windows, poll() says so by this exception",
    "TypeError": "look at what the line was given; where it may be None, the sentinel, look for that first",
    "ValueError": "after close() this process puts no more; or read what the exception says",
    "AssertionError": "a process is made, then started once, and joined after that",
}
"""Where an exercise has no better one: by what a stuck process called, and by the type of an exception."""
_LIKE = {"wait": "poll", "feeder's join": "join"}
"""What a stuck process called, and whose hint it gets."""


@dataclass(frozen=True)
class Verdict:
    """What a check says.

    Attributes
    ----------
    right : bool
        Whether the exercise is solved.
    text : str
        The sentence, and the hint.
    line : int or None
        The line of the worker's cell that it is about, as JupyterLab counts them.
    """

    right: bool
    text: str
    line: int | None = None

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        head, mark, rest = self.text.partition(": ")
        return f"<div><strong>{html.escape(head)}{mark}</strong>{html.escape(rest)}</div>"


class NotRightError(AssertionError):
    """Raised under nbgrader, which counts a check that raises as not passed."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]  # the frames of the check tell a student nothing


def exercises() -> dict[str, Exercise]:
    """Return all exercises by their keys, in the order of the chapters."""
    for chapter in CHAPTERS:
        import_module(f"ipc_helpers.exercises.{chapter}_exercises")
    return dict(sorted(EXERCISES.items()))


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
    known = exercises()
    if key not in known:
        near = [number for number in known if number[:3] == key[:3]] or known
        raise ValueError(f"key must be the number of an exercise ({', '.join(near)}), not {key!r}")
    return run(known[key], worker_cells.find(known[key].defines[0]))


def run(exercise: Exercise, cell: WorkerCell | None) -> Verdict:
    """Check what a reader wrote.

    Parameters
    ----------
    exercise : Exercise
        What it is for.
    cell : WorkerCell or None
        The cell that defines the worker; None when there is none yet.

    Returns
    -------
    Verdict
        Right or not, in words.

    Raises
    ------
    NotRightError
        When the exercise is not solved, under nbgrader alone (it sets ``NBGRADER_EXECUTION``).
    KeyboardInterrupt
        When an interrupt arrived; all processes are ended first.
    """
    verdict = _verdict(exercise, cell)
    if not verdict.right and os.environ.get("NBGRADER_EXECUTION"):
        raise NotRightError(verdict.text)
    return verdict


def _verdict(exercise: Exercise, cell: WorkerCell | None) -> Verdict:
    if cell is None:
        what = f"no cell has defined {exercise.defines[0]}"
        return Verdict(False, f"Not yet run: {what}. Run the exercise's worker cell, then this one.")
    if cell.error is not None:
        return _unreadable(cell)
    missing = [name for name in exercise.defines if not callable(getattr(cell.module, name, None))]
    if missing:
        return _wrong(f"the cell defines no function {missing[0]}", "keep the name that was given")
    line = _unwritten_line(cell.source, exercise.defines)
    if line is not None:
        return Verdict(
            False, f"Not yet written: line {line} of the worker's cell is where your code goes.", line
        )
    return _try(exercise, cell)


def _try(exercise: Exercise, cell: WorkerCell) -> Verdict:
    """Run the trial; say what was seen."""
    functions = [getattr(cell.module, name) for name in exercise.defines]
    context = multiprocessing.get_context("spawn")
    diagnosis = diagnose(exercise.trial, context, *functions, deadline=exercise.deadline)
    ends = []
    for process in diagnosis.processes:
        line = next((number for file, number in process.lines if file == cell.path), None)
        if line is not None or process.name != diagnosis.processes[0].name:  # the trial's own process
            ends.append((process, line))
    ends.sort(key=lambda end: end[1] is None)  # those in the cell first
    facts = diagnosis.returned
    for process, line in ends:
        # One that raised in no line of the cell may belong to the trial, whose judge knows what it means.
        if process.error[0] and (line or not facts):
            return _raised(exercise, cell, process, line)
    if not facts:
        stuck = [end for end in ends if end[0].state == "stuck"]
        return _where_it_waits(exercise, cell, stuck, diagnosis)
    return judged(exercise, cell.source, facts, diagnosis.cause)


def judged(exercise: Exercise, source: str, facts: dict[str, Any], cause: str = "") -> Verdict:
    """Say what the facts of a trial mean; nothing is started for it.

    Parameters
    ----------
    exercise : Exercise
        What they are of.
    source : str
        The worker's cell, without ``%%worker``.
    facts : dict
        What the trial returned.
    cause : str
        What the diagnosis says.

    Returns
    -------
    Verdict
    """
    try:
        return Verdict(True, f"Right: {exercise.judge(Seen(source, cause), **facts)}.")
    except Mistake as found:
        return _wrong(found.what, found.hint, line_of(source, *found.at, exercise.worker, last=found.last))


def _wrong(what: str, hint: str, line: int | None = None) -> Verdict:
    where = f", line {line}" if line else ""
    stop = "" if hint.endswith("?") else "."
    return Verdict(False, f"Not yet right{where}: {what}. Hint: {hint}{stop}", line)


def _unreadable(cell: WorkerCell) -> Verdict:
    """Say what is wrong with a cell that could not be made into a module."""
    error = cell.error
    if isinstance(error, SyntaxError):
        return _wrong(
            f"Python can't read the cell ({error.msg})",
            "run the cell by itself: Python points at the place, which may be a line before",
            cell.line,
        )
    kind = type(error).__name__
    hint = _HINTS.get(kind, "run the cell by itself, and read the last line of its error")
    return _wrong(f"the cell raised {kind} as it was imported ({error})", hint, cell.line)


def _unwritten_line(source: str, names: tuple[str, ...]) -> int | None:
    """Return the line, as JupyterLab counts, of a function that is still to be written; None without one."""
    for node in ast.parse(source).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name in names:
            for statement in node.body:
                if isinstance(statement, ast.Raise) and "NotImplementedError" in ast.unparse(statement):
                    return statement.lineno + 1
            if all(_is_empty(statement) for statement in node.body):
                return node.lineno + 1
    return None


def _is_empty(statement: ast.stmt) -> bool:
    """Say whether a statement does nothing: a docstring, an ellipsis, pass."""
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def _raised(exercise: Exercise, cell: WorkerCell, process: ObservedProcess, line: int | None) -> Verdict:
    kind, message = process.error
    hint = exercise.hints.get(kind) or _HINTS.get(kind) or "read what the exception says"
    text = f" ({message})" if message else ""
    # Without a line of the cell it was called wrongly: with too few arguments, for example.
    line = line or line_of(cell.source, "Process", *exercise.defines)
    return _wrong(f"{process.name} raised {kind}{text}", hint, line)


def _where_it_waits(
    exercise: Exercise,
    cell: WorkerCell,
    stuck: list[tuple[ObservedProcess, int | None]],
    diagnosis: Diagnosis,
) -> Verdict:
    """Say where a worker was that had to be ended."""
    for process, line in stuck:
        called = process.call.rpartition(".")[2]
        method = _LIKE.get(called, called.partition("_bytes")[0])  # recv_bytes_into() waits like recv()
        if method not in _HINTS and method not in exercise.hints:
            method = "running"
        hint = exercise.hints.get(method) or _HINTS[method]
        if line is not None:
            where = "was still running" if method == "running" else f"waits in {called}() forever"
            return _wrong(f"{process.name} {where}", hint, line)
        if process.call == "feeder's join":
            what = f"{process.name} can't end: its messages are still to be got"
            return _wrong(what, hint, line_of(cell.source, "join", "put", exercise.worker))
    hint = diagnosis.remedy or "look at each wait"
    return _wrong(diagnosis.cause, hint, line_of(cell.source, exercise.worker))
