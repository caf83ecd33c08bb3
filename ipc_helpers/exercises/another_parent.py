"""A process that a worker takes for its parent, and that a trial may kill.

A worker's real parent is the trial, which has to see what becomes of the worker.
"""

from __future__ import annotations

import os
import time
from multiprocessing import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from typing import Any

    Worker = Callable[..., Any]


class AnotherParent:
    """A process that does nothing, until it is killed.

    Parameters
    ----------
    ctx : multiprocessing.context.BaseContext
        With its start method.

    Attributes
    ----------
    facts : tuple
        What :func:`with_another_parent` takes last.
    """

    def __init__(self, ctx: Any) -> None:
        gone, held = ctx.Pipe(duplex=False)
        self._never = ctx.Event()
        self._process = ctx.Process(target=_stay, args=(held, self._never), name="parent", daemon=True)
        self._process.start()
        held.close()
        self.facts = gone, self._process.pid

    def kill(self) -> None:
        """Kill it, and wait for its end."""
        self._process.kill()
        self._process.join()


def with_another_parent(worker: Worker, *args: Any) -> tuple[Any, dict[str, Any]]:
    """Run a worker whose ``multiprocessing.parent_process()`` is an :class:`AnotherParent`.

    A trial gives it as ``around``. It changes the whole process, which ends after the worker.

    Parameters
    ----------
    worker : callable
        The reader's.
    *args
        Its arguments, and the two facts of the other parent.
    """
    *others, gone, pid = args
    time.sleep(0.1)  # what watches the real parent, in a thread of this process, knows it by now
    # As in multiprocessing itself, the end of a pipe the other end of which is the parent's alone.
    sentinel: Any = gone.fileno() if os.name == "posix" else gone
    process._parent_process = process._ParentProcess("parent", pid, sentinel)  # type: ignore[attr-defined]
    return worker(*others), {}


def _stay(held: Connection, never: Any) -> None:
    """Hold an end of a pipe open."""
    never.wait()
