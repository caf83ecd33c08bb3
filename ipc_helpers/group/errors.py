"""What a group of workers raises."""

from __future__ import annotations

import os
from typing import Any

if os.name == "posix":
    pass


class WorkerGroupError(Exception):
    """What a :class:`WorkerGroup` raises when its workers did not all return.

    Attributes
    ----------
    result : Result or None
        What an experiment had measured up to then, for ``draw``; None where none was running.
    """

    result: Any = None


class StartError(WorkerGroupError):
    """A worker could not be started: its function or arguments can't be handed to a child."""


class WorkerError(WorkerGroupError):
    """A worker raised, was killed, or left without returning.

    Attributes
    ----------
    worker : str
        The name of the child.
    kind : str or None
        The name of the exception's type; None when there was no exception.
    message : str
        The exception's message, or what happened to the process.
    traceback : str
        The traceback in the child; empty when there was no exception.
    exitcode : int or None
        The exit code: negative for the number of the signal that killed it; None when the worker
        raised, since its process may still be at its end.
    """

    def __init__(
        self, worker: str, kind: str | None, message: str, traceback: str, exitcode: int | None
    ) -> None:
        self.worker = worker
        self.kind = kind
        self.message = message
        self.traceback = traceback
        self.exitcode = exitcode
        text = f"{worker} raised {kind}: {message}" if kind else f"{worker} {message}"
        super().__init__(f"{text}\n\nIn the child process:\n{traceback}" if traceback else text)


class DeadlineError(WorkerGroupError, TimeoutError):
    """Children were still running at the deadline.

    Attributes
    ----------
    stacks : dict of str to str
        For each child that was still running, by name: where its threads were, innermost frame
        first, as ``faulthandler`` wrote it down in the child; or, in words, why there is no stack.
    """

    def __init__(self, deadline: float, stacks: dict[str, str]) -> None:
        self.stacks = stacks
        many = f"{len(stacks)} workers were" if len(stacks) > 1 else f"{next(iter(stacks))} was"
        parts = [f"{many} still running after {deadline:g} s"]
        parts += [f"{name}:\n{stack}" for name, stack in stacks.items()]
        super().__init__("\n\n".join(parts))


class Cancelled(WorkerGroupError):
    """The group was cancelled."""
