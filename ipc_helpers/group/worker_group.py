"""One way to own child processes: whatever a :class:`WorkerGroup` started is gone when its block ends."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import threading
import time
from multiprocessing.context import BaseContext
from typing import TYPE_CHECKING, Any

from ipc_helpers.child import entry as child_side
from ipc_helpers.group.child_handle import KILLED_WITHIN, Child
from ipc_helpers.group.errors import Cancelled, DeadlineError, StartError, WorkerGroupError
from ipc_helpers.group.starting import send_and_close, sigint_blocked, start_helpers, wait_for

if os.name == "posix":
    from multiprocessing import forkserver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess
    from types import FrameType, TracebackType

_POLL = 0.05  # seconds between two looks at cancelled, the interrupt and the deadline
_AT_ONCE = 4000  # bytes that fit into any empty pipe
_GRACE = 1.0  # seconds a child has after its deadline to write down its stack, before it is killed
_CAUSE_WITHIN = 0.2  # seconds that a killed child may take to be seen, after another found its end closed
_LONGEST_DEADLINE = 86_400.0  # seconds


# Two threads that fork at once pass each other's pipe ends on to their children.
_starting = threading.RLock()

if hasattr(os, "register_at_fork"):  # in a forked child nobody is left who would release it
    os.register_at_fork(after_in_child=_starting._at_fork_reinit)  # type: ignore[attr-defined]


_server_that_answered: int | None = None  # the process id of a forkserver that is known to have come up


class WorkerGroup:
    """Start workers in child processes, and leave none behind.

    A context manager. At the end of its block it waits until every worker has returned; as soon
    as one fails, when the deadline passes, when it is cancelled, on an interrupt and when the block
    raises, it kills the others, all first, then joins all. Children ignore SIGINT and end by
    themselves when the parent dies.

    It bounds its children and its own waits. What the body calls, the body bounds.

    Parameters
    ----------
    context : multiprocessing context
        ``multiprocessing.get_context("spawn")`` for example.
    deadline : float
        Seconds from the start of the block until every child that still runs writes down its
        stack and ends; above 0, at most 86,400.
    cancelled : threading.Event, optional
        Cancels the group once set, from any thread.
    on_wait : callable, optional
        Called without arguments, in the thread that waits, at most every 50 ms, and once all have returned: a
        place to look at what the children do. What it raises ends the group.

    Raises
    ------
    TypeError, ValueError
        For a parameter of the wrong type or out of its range, before anything starts.
    StartError
        From ``start()``.
    WorkerError
        From ``wait()`` or the end of the block: a worker raised or its process died. When the body
        raised as well, its exception is the WorkerError's context.
    DeadlineError
        From ``wait()`` or the end of the block, with the stack of each child that was stuck.
    Cancelled
        From ``start()``, ``wait()`` or the end of the block.
    KeyboardInterrupt
        From ``start()``, ``wait()`` or the end of the block when an interrupt arrived in them; an
        interrupt in the body is raised there, once the children are killed.

    Notes
    -----
    The children are daemons (see ``multiprocessing.Process.daemon``), so that an interpreter that
    exits does not wait for them; they can't start processes of their own. Under forkserver, a group
    that is the first to start the server has it load what wraps a worker, once for all children.

    Examples
    --------
    >>> import multiprocessing, operator
    >>> with WorkerGroup(multiprocessing.get_context("spawn"), deadline=10) as group:
    ...     child = group.start(operator.add, 2, 3)
    >>> child.result
    5
    """

    def __init__(
        self,
        context: BaseContext,
        *,
        deadline: float,
        cancelled: threading.Event | None = None,
        on_wait: Callable[[], object] | None = None,
    ) -> None:
        if not isinstance(context, BaseContext):
            raise TypeError(
                f"context must be a multiprocessing context, as get_context() returns, not {context!r}"
            )
        self.context = context
        self.deadline = checked_deadline(deadline)
        self._cancelled = threading.Event() if cancelled is None else cancelled
        self._on_wait = on_wait
        self._children: list[Child] = []
        self._state = "new"
        self._ends_at = 0  # nanoseconds of perf_counter_ns
        self._interrupted = False
        self._marks = 0
        self._previous_handler: Any = None

    @property
    def children(self) -> tuple[Child, ...]:
        """The children, in the order in which they were started."""
        return tuple(self._children)

    def __enter__(self) -> WorkerGroup:
        if self._state != "new":
            raise RuntimeError("a WorkerGroup is used once: make a new one")
        self._state = "open"
        self._ends_at = time.perf_counter_ns() + int(self.deadline * 1e9)
        handler = signal.getsignal(signal.SIGINT)
        # Python runs handlers in the main thread alone, and one that is not callable was set on purpose.
        if threading.current_thread() is threading.main_thread() and callable(handler):
            self._previous_handler = handler
            signal.signal(signal.SIGINT, self._on_interrupt)
        return self

    def start(
        self, function: Callable[..., Any], /, *args: Any, name: str | None = None, alone: bool = False
    ) -> Child:
        """Start a worker in a child process of its own.

        Parameters
        ----------
        function : callable
            The worker. Under spawn and forkserver the child imports it by its module and name.
        *args
            Its arguments; pickled under spawn and forkserver.
        name : str, optional
            What errors call it, different from the group's other names. By default the function's
            name, numbered from the second on.
        alone : bool
            True for a child that measures: on Linux it has no thread beside the worker's, for a process
            with two pays more for a call. SIGALRM and SIGIO, which a worker must not set then, end it.

        Returns
        -------
        Child

        Raises
        ------
        TypeError
            When ``function`` is not callable.
        ValueError
            When another worker of the group has this name.
        RuntimeError
            Outside of the group's block.
        StartError
            When the function or an argument can't be handed to a child.
        DeadlineError, Cancelled, KeyboardInterrupt
            When the group has to end before the child has come up and, under spawn and forkserver, taken
            its arguments.
        """
        if not callable(function):
            raise TypeError(f"function must be callable, not {function!r}")
        self._check_open()
        self._raise_if_ended()
        if name is not None and name in {child.name for child in self._children}:
            raise ValueError(f"name must differ from the group's other names: {name!r} is taken")
        with self._marked():
            child = self._start(function, args, name or self._name_for(function), alone)
        self._raise_if_ended()
        return child

    def terminate(self, *children: Child) -> None:
        """Terminate some of the workers, as ``Process.terminate()`` does: how they end is no failure then.

        Parameters
        ----------
        *children : Child
            Of this group. One that does not end by it is waited for, as any other.

        Raises
        ------
        RuntimeError
            Outside of the group's block.
        """
        self._check_open()
        with self._marked():
            for child in children:
                child._terminate()

    def wait(self, until: Callable[[], bool] | None = None) -> None:
        """Wait until all workers have returned, or until a condition holds.

        Parameters
        ----------
        until : callable, optional
            Returns True once the wait may end early; asked after whatever a child sent, and every 50 ms.

        Raises
        ------
        WorkerError, DeadlineError, Cancelled, KeyboardInterrupt
            See the class. The children are killed when the block ends, which such an exception does.
        RuntimeError
            Outside of the group's block, or when all workers have returned and the condition does not hold.
        """
        self._check_open()
        next_look = 0.0
        while True:
            self._receive()
            now = time.perf_counter()
            if self._on_wait is not None and (now >= next_look or not self._running()):
                next_look = now + _POLL
                self._on_wait()
            self._raise_if_ended()
            self._raise_failures()
            if until is not None and until():
                return
            running = self._running()
            if not running:
                break
            self._raise_if_late()
            objects = [item for child in running for item in child._waits_on()]
            wait_for(objects, min(_POLL, max(self._seconds_left() + _GRACE, 0) + 0.001))
        if until is not None:
            raise RuntimeError("all workers have returned, and what wait() was to wait for has not happened")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None and self._state == "open":  # closed: the body caught what wait() raised
                self.wait()
            elif isinstance(error, Exception) and not isinstance(error, WorkerGroupError):
                self._receive()
                self._raise_failures()
        finally:
            self._end_all()
        if self._interrupted and not isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt

    def _name_for(self, function: Callable[..., Any]) -> str:
        base = str(getattr(function, "__name__", type(function).__name__))
        taken = {child.name for child in self._children}
        names = [base, *(f"{base} {number}" for number in range(2, len(taken) + 2))]
        return next(name for name in names if name not in taken)

    def _start(self, function: Callable[..., Any], args: tuple[Any, ...], name: str, alone: bool) -> Child:
        """Start a child and send it its call; what can take long ends with the group's deadline."""
        start_helpers(self.context)
        while not _starting.acquire(timeout=_POLL):
            self._raise_if_late(name)
        try:
            child, call, sender = self._launch(function, args, name, alone)
            self._children.append(child)
        finally:
            _starting.release()
        if sender is not None:
            data, call.data = call.data, b""
            if len(data) <= _AT_ONCE:  # no thread: each costs milliseconds on a busy machine
                send_and_close(sender, data)
            # As Process.start() would, wait until the child has read it; but no longer than there is time.
            elif self._in_a_thread(send_and_close, sender, data).is_alive():
                self._raise_if_late()
        return child

    def _in_a_thread(self, function: Callable[..., None], *args: Any) -> threading.Thread:
        """Call what can hang, and wait until it has returned, or this group has to end; return its thread."""
        thread = threading.Thread(target=function, args=args, daemon=True)
        thread.start()
        while thread.is_alive() and not self._has_to_end():
            thread.join(_POLL)
        return thread

    def _launch(
        self, function: Callable[..., Any], args: tuple[Any, ...], name: str, alone: bool
    ) -> tuple[Child, child_side.Call, Connection | None]:
        """Start a process that waits for its call; or leave nothing of it."""
        with contextlib.ExitStack() as undo, contextlib.ExitStack() as handed_over:
            from_child, to_parent = self.context.Pipe(duplex=False)
            undo.enter_context(from_child)
            handed_over.enter_context(to_parent)
            receiver = sender = None
            if self.context.get_start_method() != "fork":
                receiver, sender = self.context.Pipe(duplex=False)
                undo.enter_context(sender)
                handed_over.enter_context(receiver)
            file = tempfile.NamedTemporaryFile(  # noqa: SIM115 - open until the child is gone
                prefix="ipc_helpers-", suffix=".stack", delete=False, buffering=0
            )
            undo.callback(os.unlink, file.name)
            undo.enter_context(file)
            call = child_side.Call(function, args, receiver)
            process = self.context.Process(  # type: ignore[attr-defined]
                target=child_side.run,
                args=(call, to_parent, file.name, self._ends_at, alone),
                name=name,
                daemon=True,
            )
            self._start_process(process, name)
            undo.pop_all()
        child = Child(name, process.pid, process, call, from_child, file, self._ends_at)
        return child, call, sender

    def _start_process(self, process: BaseProcess, name: str) -> None:
        """Start a process, for whose forkserver, where that is not known to answer, one waits in a thread."""
        global _server_that_answered
        failures: list[str] = []

        def start() -> None:
            try:
                with sigint_blocked():
                    process.start()
            except Exception as error:
                # Only the text: the exception's frames would keep the arguments, queues too, alive.
                failures.append(f"{type(error).__name__}: {error}")

        server = None
        if self.context.get_start_method() == "forkserver":
            server = getattr(forkserver._forkserver, "_forkserver_pid", None)
        if server in (None, _server_that_answered):
            start()
        else:
            starting = self._in_a_thread(start)
            starting.join(_GRACE)  # what has come up until then is ended like any other child
            if starting.is_alive():
                os.kill(server, signal.SIGKILL)  # the system answers for it then, and start() fails
                forkserver._forkserver._stop()  # type: ignore[attr-defined] # forgets it, once it is gone
                starting.join(KILLED_WITHIN)
                self._raise_if_late(name)
        if failures:
            raise StartError(f"{name} could not be started: {failures[0]}")
        _server_that_answered = server or _server_that_answered

    def _running(self) -> list[Child]:
        return [child for child in self._children if child.exitcode is None]

    def _seconds_left(self) -> float:
        return (self._ends_at - time.perf_counter_ns()) / 1e9

    def _check_open(self) -> None:
        if self._state != "open":
            raise RuntimeError("workers are started and waited for inside the group's with block")

    def _raise_if_ended(self) -> None:
        if self._interrupted:
            self._interrupted = False
            raise KeyboardInterrupt
        if self._cancelled.is_set():
            raise Cancelled("the processes were cancelled")

    def _has_to_end(self) -> bool:
        return self._interrupted or self._cancelled.is_set() or self._seconds_left() < -_GRACE

    def _raise_if_late(self, starting: str = "") -> None:
        """Raise that the group was ended; or, some time after its deadline, which workers still run."""
        self._raise_if_ended()
        if self._seconds_left() < -_GRACE:
            for child in self._running():
                child._overdue = True
                child._kill()
            self._raise_overdue(starting)

    def _receive(self) -> None:
        """Take what the children have sent: as a whole, for an interrupt would leave half a message."""
        with self._marked():
            for child in self._running():
                child._receive()

    @contextlib.contextmanager
    def _marked(self) -> Iterator[None]:
        """Mark a section that an interrupt must not cut in two: it is noted, and raised afterwards."""
        self._marks += 1
        try:
            yield
        finally:
            self._marks -= 1

    def _raise_failures(self) -> None:
        """Raise how a worker failed by itself; past the deadline, that they were overdue, all at once."""
        if any(child._lost_its_peer for child in self._children):
            self._wait_for_cause()
        overdue = any(child._overdue for child in self._children)
        # One that was killed first: others may have raised because of it.
        for child in sorted(self._children, key=lambda child: child._raised):
            ends_by_deadline = child._lost_its_peer if child._raised else child._overdue
            if not (overdue and ends_by_deadline) and not child._ended_as_told:
                child._raise_failure()
        if overdue and not self._running():
            self._raise_overdue()

    def _wait_for_cause(self) -> None:
        """Wait a moment for the end of a child whose connection another has found closed.

        The system closes what a killed process held before it says that the process has ended.
        """
        ends_at = time.perf_counter() + _CAUSE_WITHIN
        while not any(child.exitcode for child in self._children):
            left = ends_at - time.perf_counter()
            running = [child._process.sentinel for child in self._running()]
            if left <= 0 or not running:
                return
            wait_for(running, left)
            self._receive()

    def _raise_overdue(self, starting: str = "") -> None:
        # Kills and reaps: a stack is whole once its process has ended.
        overdue = [child for child in self._children if child._overdue]
        self._end_all()
        stacks = {child.name: _stack_of(child) for child in overdue}
        if starting:
            stacks[starting] = "no stack: it was still to be started"
        raise DeadlineError(self.deadline, stacks)

    def _end_all(self) -> None:
        """Kill all that live, then join all, then close all, whichever of it fails; give SIGINT back."""
        if self._state == "closed":
            return
        self._state = "closed"
        with self._marked(), contextlib.ExitStack() as ends:
            if self._previous_handler is not None:
                ends.callback(signal.signal, signal.SIGINT, self._previous_handler)
            for child in reversed(self._children):
                ends.callback(child._reap)
            for child in self._children:
                child._kill()
        alive = [child.name for child in self._children if child.exitcode is None]
        if alive:
            raise RuntimeError(f"killed, but not gone after {KILLED_WITHIN:g} s: {', '.join(alive)}")

    def _on_interrupt(self, number: int, frame: FrameType | None) -> None:
        """Note the interrupt; raise it at once but in a marked section, which notices it at its end."""
        self._interrupted = True
        if self._marks:
            return
        try:
            # The block's end would do it; but CPython 3.13 skips that for an interrupt at the end of a
            # loop (its issue 130279).
            self._end_all()
        finally:
            self._previous_handler(number, frame)


def checked_deadline(deadline: float) -> float:
    """Return the deadline in seconds as a float.

    Raises
    ------
    TypeError
        When it is no number.
    ValueError
        When it is not above 0 and at most 86,400.
    """
    if isinstance(deadline, bool) or not isinstance(deadline, (int, float)):
        raise TypeError(f"deadline must be a number of seconds, not {deadline!r}")
    if not 0 < deadline <= _LONGEST_DEADLINE:  # NaN is no such number
        raise ValueError(
            f"deadline must be above 0 and at most {_LONGEST_DEADLINE:,.0f} seconds, not {deadline!r}"
        )
    return float(deadline)


def _stack_of(child: Child) -> str:
    if not child_side.frames_can_be_read():
        return "no stack: this Python is free-threaded, and does not let a thread read where another one is"
    return child._stack or "no stack: it was stopped, or had not reached its worker"
