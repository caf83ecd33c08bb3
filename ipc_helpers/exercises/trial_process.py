"""What trials have in common: a reader's worker in a process of its own, and what is got from its queue."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from multiprocessing import active_children, connection
from numbers import Number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from typing import Any

    Worker = Callable[..., Any]


class Nothing:
    """What a worker "returned" that has not returned; its ``repr`` says so.

    Parameters
    ----------
    exitcode : int or None
        How its process ended; None as long as it has not.
    """

    def __init__(self, exitcode: int | None = None) -> None:
        self.exitcode = exitcode

    def __repr__(self) -> str:
        return "nothing" if self.exitcode is None else f"nothing, and left with exit code {self.exitcode}"


class Trial:
    """A reader's worker in a process of its own.

    Parameters
    ----------
    ctx : multiprocessing.context.BaseContext
        With its start method.
    worker : callable
        The reader's. The process has its name.
    *args
        Its arguments.
    around : callable, optional
        Is called in its place, with the worker and the arguments; returns what the worker returned, and a
        dictionary of what it noted itself.
    about : str
        Labels after the name, where a trial runs the same worker twice: when, or with what.

    Attributes
    ----------
    process : multiprocessing.Process
        It runs.
    returned : object
        What the worker returned, in brief, once :meth:`is_back` said so.
    noted : dict
        What was noted around it, in brief; empty as long as it has not returned.
    children : int
        How many processes that the worker had started were alive when it returned.
    """

    def __init__(
        self,
        ctx: Any,
        worker: Callable[..., Any],
        *args: Any,
        around: Callable[..., tuple[Any, dict[str, Any]]] | None = None,
        about: str = "",
    ) -> None:
        self.returned: Any = Nothing()
        self.noted: dict[str, Any] = {}
        self.children = 0
        self._is_up = self._has_returned = False
        self.end, theirs = ctx.Pipe()
        name = getattr(worker, "__name__", "worker") + about
        self.process = ctx.Process(target=_work, args=(worker, args, around, theirs), name=name)
        self.process.start()
        theirs.close()

    def is_back(self, timeout: float | None = 0) -> bool:
        """Wait until the worker has returned, or its process has ended; say whether it is so.

        Parameters
        ----------
        timeout : float or None
            Seconds from when the worker begins; None for as long as it takes.
        """
        while not self._is_up and self._take(None):
            pass
        while not self._has_returned and self._take(timeout):
            pass
        if not self._has_returned:
            self.returned = Nothing(self.process.exitcode)
        return self._has_returned or self.process.exitcode is not None

    def wait(self) -> Any:
        """Wait until the worker has returned, or its process has ended; return what it returned."""
        if not self.is_back(None):
            self.join()
        return self.returned

    def join(self) -> int:
        """Wait until its process has ended; return its exit code."""
        self.is_back(None)  # or what it returned could be more than the pipe holds
        self.process.join()
        self.is_back()
        return int(self.process.exitcode)

    def _take(self, timeout: float | None) -> bool:
        """Wait for what the process tells; say whether there was anything."""
        if connection.wait([self.end, self.process.sentinel], timeout):
            # It ended without returning: poll() says so by an exception on Windows, recv() elsewhere.
            with contextlib.suppress(EOFError, BrokenPipeError):
                if self.end.poll():
                    told = self.end.recv()
                    self._is_up = True
                    if told is not None:
                        self.returned, self.noted, self.children = told
                        self._has_returned = True
                    return True
        return False


def _work(
    worker: Callable[..., Any], args: tuple[Any, ...], around: Callable[..., Any] | None, end: Connection
) -> None:
    end.send(None)  # it is up
    try:
        returned, noted = around(worker, *args) if around else (worker(*args), {})
    except Exception:
        for child in active_children():  # or what was raised would be covered up by the wait for them
            child.kill()
        raise
    end.send((brief(returned), brief(noted), len(active_children())))


def all_noted(*trials: Trial) -> bool:
    """Wait for all trials; say whether something was noted around each: nothing is where a worker raised."""
    for trial in trials:
        trial.wait()
    return all(trial.noted for trial in trials)


def gather_messages(queue: Any, *workers: Trial, most: float = float("inf")) -> list[Any]:
    """Get messages until the processes of the workers have ended and the queue is empty.

    Parameters
    ----------
    queue : multiprocessing.Queue
        Where the workers put; nobody else gets from it.
    *workers : Trial
        Who puts.
    most : float
        Of more messages than these one is got; then the workers are ended.

    Returns
    -------
    list
        The messages, in the order in which they came.
    """
    messages: list[Any] = []
    while len(messages) <= most:
        # A worker that has returned may have messages in its deque: its process ends once they are written.
        pending = [worker for worker in workers if worker.process.is_alive()]
        ends = [worker.process.sentinel for worker in pending]
        ends += [worker.end for worker in pending if not worker.is_back()]
        connection.wait([queue._reader, *ends], None if pending else 0)
        if queue._reader.poll():
            messages.append(queue.get(timeout=60))
        elif not pending:
            break
    else:
        for worker in workers:
            worker.process.terminate()
    for worker in workers:
        worker.is_back()
    return messages


def drain(queue: Any) -> list[Any]:
    """Get all from a SimpleQueue into which nobody puts any more."""
    messages = []
    while not queue.empty():
        messages.append(queue.get())
    return messages


def noting_work(
    worker: Callable[..., Any], tasks: Any, *args: Any
) -> tuple[Any, dict[str, list[tuple[Any, int]]]]:
    """Run a worker that does tasks by its last argument; note how many were unfinished as each was begun."""
    *others, function = args
    done = []

    def do(task: Any) -> Any:
        done.append((task, count_unfinished(tasks)))
        return function(task)

    return worker(tasks, *others, do), {"done": done}


def count_unfinished(tasks: Any) -> int:
    """Count what is unfinished in a JoinableQueue: macOS has no way to ask, so take it and give it back."""
    count = 0
    while tasks._unfinished_tasks.acquire(False):
        count += 1
    for _ in range(count):
        tasks._unfinished_tasks.release()
    return count


def brief(value: Any) -> Any:
    """Return a value that can be pickled: long texts by a letter and their length, objects by their types."""
    if isinstance(value, dict):
        return {brief(key): brief(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(map(brief, value))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, str):
        return value if len(value) < 1_000 else f"{value[0]} × {len(value):,}"
    if isinstance(value, Iterable):
        return list(map(brief, value))
    return value if value is None or isinstance(value, Number) else f"<{type(value).__name__}>"
