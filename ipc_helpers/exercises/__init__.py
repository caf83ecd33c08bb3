"""What runs a reader's worker when an exercise is checked: a module per chapter, and what they share.

A trial is the function that :func:`~ipc_helpers.diagnosis.diagnose` runs. It takes a context and the
reader's functions, starts these in processes of their own, and returns what it saw as a dictionary. Where
it waits, it waits without a limit, so that a tree in which nothing can move is told from one that is slow.
"""

from __future__ import annotations

import ast
import contextlib
from dataclasses import dataclass, field
from multiprocessing import active_children, connection
from queue import Empty
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from multiprocessing.connection import Connection

    from ipc_helpers.diagnosis import Diagnosis
    from ipc_helpers.worker_cells import WorkerCell

NOTHING = "(nothing)"
"""Stands for what a worker returned as long as it has not returned."""


class Trial:
    """A reader's worker in a process of its own.

    Parameters
    ----------
    ctx : multiprocessing.context.BaseContext
        With its start method.
    function : callable
        The worker.
    *args
        Its arguments.
    stays : bool
        Whether the process waits for :meth:`let_go` after its function has returned: then a worker that
        forgot to close its end of a pipe is not covered up by the end of its process.

    Attributes
    ----------
    process : multiprocessing.Process
        It runs.
    returned : object
        What the worker returned, once :meth:`is_back` said so; its ``repr`` where it can't be pickled.
    children : int
        How many processes that the worker had started were alive when it returned.
    """

    def __init__(self, ctx: Any, function: Callable[..., Any], *args: Any, stays: bool = False) -> None:
        self.returned: Any = NOTHING
        self.children = 0
        self._is_up = False
        self._end, theirs = ctx.Pipe()
        name = getattr(function, "__name__", "worker")
        self.process = ctx.Process(target=_work, args=(function, args, theirs, stays), name=name)
        self.process.start()
        theirs.close()

    def wait_until_up(self) -> None:
        """Wait until the worker begins, or its process has ended."""
        while not self._is_up and self._take(None):
            pass

    def is_back(self, timeout: float | None = 0) -> bool:
        """Wait until the worker has returned, or its process has ended; say whether it is so.

        Parameters
        ----------
        timeout : float or None
            Seconds; None for as long as it takes.
        """
        while self.returned is NOTHING and self._take(timeout):
            pass
        return self.returned is not NOTHING or not self.process.is_alive()

    def _take(self, timeout: float | None) -> bool:
        """Wait for what the process tells; say whether there was anything."""
        if connection.wait([self._end, self.process.sentinel], timeout):
            # It ended without returning: poll() says so by an exception on Windows, recv() elsewhere.
            with contextlib.suppress(EOFError, BrokenPipeError):
                if self._end.poll():
                    told = self._end.recv()
                    self._is_up = True
                    if told is not None:
                        self.returned, self.children = told
                    return True
        return False

    def let_go(self) -> None:
        """Have a process that stays go on to its end, and wait for that."""
        self._end.close()
        self.process.join()


class Around:
    """A worker with something around it; its process is still called by the worker's own name.

    Parameters
    ----------
    function : callable
        Is called with the worker, what is given, and the worker's arguments.
    worker : callable
        The reader's.
    *given
        For the function.
    about : str
        Words after the name, where a trial runs the same worker twice: when, or with what.
    """

    def __init__(
        self, function: Callable[..., Any], worker: Callable[..., Any], *given: Any, about: str = ""
    ) -> None:
        self._function, self._worker, self._given = function, worker, given
        self.__name__ = getattr(worker, "__name__", "worker") + about

    def __call__(self, *args: Any) -> Any:
        """Call the function with all of them."""
        return self._function(self._worker, *self._given, *args)


def get_all(queue: Any, *workers: Trial) -> list[Any]:
    """Get messages until the processes of the workers have ended and the queue is empty.

    Parameters
    ----------
    queue : multiprocessing.Queue
        Where the workers put; nobody else gets from it.
    *workers : Trial
        Who puts.

    Returns
    -------
    list
        The messages, in the order in which they came.
    """
    messages = []
    # A worker that has returned may still have messages in its deque: its process ends once they are written.
    while pending := [worker for worker in workers if worker.process.is_alive()]:
        ends = [worker.process.sentinel for worker in pending]
        ends += [worker._end for worker in pending if not worker.is_back()]
        connection.wait([queue._reader, *ends])
        messages += _get_what_is_there(queue)
    for worker in workers:
        worker.is_back()
    return messages + _get_what_is_there(queue)


def _get_what_is_there(queue: Any) -> list[Any]:
    messages = []
    with contextlib.suppress(Empty):
        while queue._reader.poll():
            messages.append(queue.get(timeout=60))
    return messages


def count_unfinished(tasks: Any) -> int:
    """Take all that is unfinished in a JoinableQueue, and count it: macOS has no way to ask."""
    count = 0
    while tasks._unfinished_tasks.acquire(False):
        count += 1
    return count


def _work(function: Callable[..., Any], args: tuple[Any, ...], end: Connection, stays: bool) -> None:
    end.send(None)  # it is up
    value = function(*args)
    children = len(active_children())
    try:
        end.send((value, children))
    except Exception:  # what pickle raises depends on the value
        end.send((repr(value), children))
    if stays:
        with contextlib.suppress(EOFError):
            end.recv()


DEADLINE = 20.0
"""Seconds that a trial may take, with room for a class on one server. A stuck one is ended long before."""


class Mistake(NamedTuple):
    """What is wrong with a worker.

    Attributes
    ----------
    what : str
        A sentence without its full stop.
    hint : str
        What to think about, in the same form.
    line : int or None
        The line of the cell, as JupyterLab counts them: ``%%worker`` is line 1.
    """

    what: str
    hint: str
    line: int | None = None


class Place(NamedTuple):
    """Where a process was stuck, or raised.

    Attributes
    ----------
    name : str
        Of the process.
    line : int or None
        The innermost line of the worker's cell; None when it was in none.
    call : str
        For a stuck one, what the line called: "Queue.get" for example; "feeder's join" after the function had
        returned while messages were still to be written; empty for code of its own.
    kind, message : str
        For one that raised, the type and the text of the exception.
    """

    name: str
    line: int | None
    call: str = ""
    kind: str = ""
    message: str = ""


@dataclass(frozen=True)
class Seen:
    """What was seen of a worker, for the function that judges it.

    Attributes
    ----------
    facts : dict
        What the trial returned; empty when it was stuck.
    stuck, raised : tuple of Place
        The processes that had to be ended, and those that raised; the trial's own only where it was in the
        worker's cell.
    cell : WorkerCell
        The cell.
    diagnosis : Diagnosis
        All else.
    """

    facts: Mapping[str, Any]
    stuck: tuple[Place, ...]
    raised: tuple[Place, ...]
    cell: WorkerCell
    diagnosis: Diagnosis

    def line_of(self, *names: str) -> int | None:
        """Return the first line that calls one of these functions or methods, or defines one.

        Parameters
        ----------
        *names : str
            In the order of preference: "put", and the worker's own name for a cell that calls no put.

        Returns
        -------
        int or None
            As JupyterLab counts; None when there is none.
        """
        tree = ast.parse(self.cell.source)
        for name in names:
            lines = [
                node.lineno
                for node in ast.walk(tree)
                if (isinstance(node, ast.Call) and _name_of(node.func) == name)
                or (isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name)
            ]
            if lines:
                return min(lines) + 1
        return None


@dataclass(frozen=True)
class Exercise:
    """One exercise: what its cell has to define, how that is tried, and what to say of it.

    Attributes
    ----------
    key : str
        The chapter's number and its own: "02.1".
    defines : tuple of str
        The functions that the reader writes.
    trial : callable
        Of the chapter's module: takes a context and these functions, and returns facts as a
        dictionary.
    judge : callable
        Takes a :class:`Seen` whose facts are there. Returns what was seen of a right worker, a sentence
        without its full stop, or the mistake.
    stuck, raised : dict of str to str
        Hints that fit this exercise better than the general ones: by the method that a stuck process was
        in ("get"; "" for code of its own), and by the type of an exception.
    deadline : float
        Seconds for its trial.
    """

    key: str
    defines: tuple[str, ...]
    trial: Callable[..., dict[str, Any]]
    judge: Callable[[Seen], str | Mistake]
    stuck: Mapping[str, str] = field(default_factory=dict)
    raised: Mapping[str, str] = field(default_factory=dict)
    deadline: float = DEADLINE


def returned_instead(
    seen: Seen, name: str, hint: str = "nobody sees what a process returns; put it into the queue"
) -> Mistake | None:
    """Return what is wrong with a worker that put nothing, where it returned something."""
    returned = seen.facts.get("returned")
    if returned is None or returned == NOTHING:
        return None
    return Mistake(f"the worker returned {short(returned)}, and put nothing", hint, seen.line_of(name))


def short(value: object) -> str:
    """Return the ``repr`` of what a worker made, cut where it is long."""
    text = repr(value)
    return text if len(text) < 80 else text[:60] + " …"


def listed(values: object) -> str:
    """Return "1, 2, None" for a list or a tuple, "nothing" for an empty one, and another value alone."""
    return ", ".join(map(short, values if isinstance(values, (list, tuple)) else [values])) or "nothing"


def _name_of(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
