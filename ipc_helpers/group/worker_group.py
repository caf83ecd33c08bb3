"""One way to own child processes: whatever a :class:`ProcessGroup` started is gone when its block ends."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import pickle
import re
import signal
import tempfile
import threading
import time
from dataclasses import dataclass, field
from multiprocessing import connection
from multiprocessing.context import BaseContext
from typing import TYPE_CHECKING, Any

from ipc_helpers.child import entry as child_side
from ipc_helpers.child import recorder as recorder_side

if os.name == "posix":
    from multiprocessing import forkserver, resource_tracker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess
    from types import FrameType, TracebackType

_POLL = 0.05  # seconds between two looks at cancelled, the interrupt and the deadline
_AT_ONCE = 4000  # bytes that fit into any empty pipe
_MOST_WAITED_FOR = 60 if os.name == "nt" else None  # Windows waits for 63 objects at most
_GRACE = 1.0  # seconds a child has after its deadline to write down its stack, before it is killed
_NOTED_WITHIN = 0.2  # seconds in which a thread that was first to see a process's end notes its exit code
_CAUSE_WITHIN = 0.2  # seconds that a killed child may take to be seen, after another found its end closed
_KILLED_WITHIN = 10.0  # seconds until a killed child must have ended
_LONGEST_DEADLINE = 86_400.0  # seconds

# What a worker raises when the process at the other end of its pipe is gone.
PEER_GONE = {error.__name__ for error in (EOFError, BrokenPipeError, ConnectionResetError)}

# Two threads that fork at once pass each other's pipe ends on to their children.
_starting = threading.RLock()
if hasattr(os, "register_at_fork"):  # in a forked child nobody is left who would release it
    os.register_at_fork(after_in_child=_starting._at_fork_reinit)  # type: ignore[attr-defined]
_server_that_answered: int | None = None  # the process id of a forkserver that is known to have come up


class ProcessGroupError(Exception):
    """What a :class:`ProcessGroup` raises when its workers did not all return.

    Attributes
    ----------
    result : Result or None
        What an experiment had measured up to then, for ``draw``; None where none was running.
    """

    result: Any = None


class StartError(ProcessGroupError):
    """A worker could not be started: its function or arguments can't be handed to a child."""


class WorkerError(ProcessGroupError):
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


class DeadlineError(ProcessGroupError, TimeoutError):
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


class Cancelled(ProcessGroupError):
    """The group was cancelled."""


@dataclass(eq=False)
class Child:
    """One worker in one child process, as :meth:`ProcessGroup.start` returns it.

    Attributes
    ----------
    name : str
        The worker's name within its group.
    pid : int
        The process id.
    is_ready : bool
        Whether the worker has said so, with :func:`ipc_helpers.child.entry.ready`.
    exitcode : int or None
        The exit code: 0 after a normal end, negative for the number of the signal that killed it;
        None while the process runs. Where another part of the program has taken it, as ``os.wait()``
        does: 0 when the worker returned, else 255, as of a forkserver's child whose server is gone.
    """

    name: str
    pid: int
    _process: BaseProcess
    # A queue that nobody else refers to: its semaphores must be there when the child opens them.
    _call: child_side.Call | None
    _from_child: Connection
    _stack_file: Any
    _ends_at: int
    is_ready: bool = False
    exitcode: int | None = None
    _stack: str = ""
    _parts: list[bytes] = field(default_factory=list)
    _outcome: tuple[Any, ...] = ()
    _overdue: bool = False
    _was_killed: bool = False

    @property
    def result(self) -> Any:
        """What the worker returned.

        Raises
        ------
        WorkerError
            When it did not return.
        RuntimeError
            While it runs: the result is there once the group's block, or its ``wait()``, has ended.
        """
        self._raise_failure()
        if not self._outcome or self.exitcode is None:
            raise RuntimeError(f"{self.name} has not ended: leave the block, or call wait(), first")
        return self._outcome[1]

    @property
    def has_returned(self) -> bool:
        """Whether the worker has returned; its process may still be at its end, and deliver messages."""
        return bool(self._outcome) and not self._raised

    @property
    def ending(self) -> str:
        """How the worker ended by itself, "raised ValueError" for example; or that it was still running."""
        if self._raised:
            return f"raised {self._outcome[1]}"
        if self.exitcode is None or self._was_killed or self._overdue:
            return "returned, and was still delivering" if self.has_returned else "was still running"
        return _ending(self.exitcode) if self.exitcode else "returned"

    @property
    def traceback(self) -> str:
        """The traceback in the child; empty where the worker has not raised."""
        return str(self._outcome[3]) if self._raised else ""

    def __repr__(self) -> str:
        state = "running" if self.exitcode is None else f"ended with exit code {self.exitcode}"
        return f"<Child {self.name!r}, {state}>"

    @property
    def _popen(self) -> Any:
        return self._process._popen  # type: ignore[attr-defined]

    @property
    def _raised(self) -> bool:
        return self._outcome[:1] == ("error",)

    @property
    def _lost_its_peer(self) -> bool:
        return self._raised and self._outcome[1] in PEER_GONE

    def _raise_failure(self) -> None:
        """Raise how the worker failed, if it did: an exception at once, else once its process has ended."""
        # No variable holds the error: its traceback holds this frame, and the two would keep each other.
        if self._raised:
            _, kind, message, traceback = self._outcome
            raise WorkerError(self.name, kind, message, traceback, None)
        if self.exitcode is not None and (self.exitcode != 0 or not self._outcome):
            when = "after" if self._outcome else "before"
            message = f"{_ending(self.exitcode)} {when} its worker returned"
            raise WorkerError(self.name, None, message, "", self.exitcode)

    def _receive(self) -> None:
        """Take what the child has sent; note its exit code once it has ended and all is read."""
        ended = self._has_ended()  # asked first: what it sent before it ended is there by now
        with contextlib.suppress(EOFError, OSError):  # Windows has OSErrors of its own for a broken pipe
            while self._from_child.poll():
                self._take(self._from_child.recv_bytes())
        if ended:
            if self._process.exitcode in (None, 255):  # unknown; the second is multiprocessing's word for it
                self._popen.returncode = 0 if self._outcome else 255
            self.exitcode = self._process.exitcode
            # A worker's own alarm, which ends it before, writes a stack as well.
            is_late = time.perf_counter_ns() >= self._ends_at
            self._overdue = is_late and os.fstat(self._stack_file.fileno()).st_size > 0

    def _has_ended(self) -> bool:
        if self._process.exitcode is not None:
            return True
        if not _was_reaped(self._popen):
            return False
        # Another thread may have been first, and be about to note the exit code.
        tries_until = time.perf_counter() + _NOTED_WITHIN
        while self._process.exitcode is None and time.perf_counter() < tries_until:
            time.sleep(0.001)
        return True

    def _take(self, message: bytes) -> None:
        kind = message[:1]
        if kind == child_side.READY:
            self.is_ready = True
        elif kind == child_side.PART:
            self._parts.append(message[1:])
        else:
            try:
                self._outcome = pickle.loads(b"".join(self._parts))
            except Exception as error:
                text = f"its result can't be unpickled in the parent: {error}"
                self._outcome = ("error", type(error).__name__, text, "")
            self._parts.clear()

    def _waits_on(self) -> list[Any]:
        return [self._process.sentinel, *([] if self._outcome else [self._from_child])]

    def _kill(self) -> None:
        self._was_killed |= self._process.exitcode is None
        self._process.kill()

    def _reap(self) -> None:
        """Wait for the killed process, let go of all it holds."""
        try:
            self._process.join(_KILLED_WITHIN)
            self._receive()
            self._process.join(0)  # multiprocessing lets go of it, now that its exit code is known
        finally:
            # Not closed: another thread may be asking all processes how they are, and would then read from
            # whatever is opened next under the same number. Whoever lets go of it last closes it.
            del self._process
            self._from_child.close()
            self._call = None
            with self._stack_file as file:
                file.seek(0)
                self._stack = _readable(file.read().decode(errors="replace"))
            with contextlib.suppress(OSError):  # gone already, but where the child never came to it
                os.unlink(file.name)


class ProcessGroup:
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
    >>> with ProcessGroup(multiprocessing.get_context("spawn"), deadline=10) as group:
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

    def __enter__(self) -> ProcessGroup:
        if self._state != "new":
            raise RuntimeError("a ProcessGroup is used once: make a new one")
        self._state = "open"
        self._ends_at = time.perf_counter_ns() + int(self.deadline * 1e9)
        handler = signal.getsignal(signal.SIGINT)
        # Python runs handlers in the main thread alone, and one that is not callable was set on purpose.
        if threading.current_thread() is threading.main_thread() and callable(handler):
            self._previous_handler = handler
            signal.signal(signal.SIGINT, self._on_interrupt)
        return self

    def start(self, function: Callable[..., Any], /, *args: Any, name: str | None = None) -> Child:
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
            child = self._start(function, args, name or self._name_for(function))
        self._raise_if_ended()
        return child

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
            _wait_for(objects, min(_POLL, max(self._seconds_left() + _GRACE, 0) + 0.001))
        if until is not None:
            raise RuntimeError("all workers have returned, and what wait() was to wait for has not happened")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None and self._state == "open":  # closed: the body caught what wait() raised
                self.wait()
            elif isinstance(error, Exception) and not isinstance(error, ProcessGroupError):
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

    def _start(self, function: Callable[..., Any], args: tuple[Any, ...], name: str) -> Child:
        """Start a child and send it its call; what can take long ends with the group's deadline."""
        _start_helpers(self.context)
        while not _starting.acquire(timeout=_POLL):
            self._raise_if_late(name)
        try:
            child, call, sender = self._launch(function, args, name)
            self._children.append(child)
        finally:
            _starting.release()
        if sender is not None:
            data, call.data = call.data, b""
            if len(data) <= _AT_ONCE:  # no thread: each costs milliseconds on a busy machine
                _send_and_close(sender, data)
            # As Process.start() would, wait until the child has read it; but no longer than there is time.
            elif self._in_a_thread(_send_and_close, sender, data).is_alive():
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
        self, function: Callable[..., Any], args: tuple[Any, ...], name: str
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
                args=(call, to_parent, file.name, self._ends_at),
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
                with _sigint_blocked():
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
                starting.join(_KILLED_WITHIN)
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
            raise RuntimeError("workers are started and waited for inside of the group's with block")

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
            if not (overdue and ends_by_deadline):
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
            _wait_for(running, left)
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
            raise RuntimeError(f"killed, but not gone after {_KILLED_WITHIN:g} s: {', '.join(alive)}")

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


def _was_reaped(popen: Any) -> bool:
    """Say whether something else than this object has waited for the process, and taken its exit code."""
    if os.name != "posix" or popen.method == "forkserver":  # whose children are not this process's own
        return False
    try:
        os.kill(popen.pid, 0)
    except ProcessLookupError:
        return True
    return False


def _ending(exitcode: int) -> str:
    if exitcode >= 0:
        return f"exited with code {exitcode}"
    try:
        return f"was killed by {signal.Signals(-exitcode).name}"
    except ValueError:
        return f"was killed by signal {-exitcode}"


def _readable(dump: str) -> str:
    """Return a faulthandler dump without thread ids, and without frames that start or record the worker."""
    # faulthandler writes ASCII, so another character of the folder's name is a backslash and its number.
    own, recorder = (
        re.escape(str(module.__file__).encode("ascii", "backslashreplace").decode())
        for module in (child_side, recorder_side)
    )
    watch = re.compile(rf'File "{own}", line \d+ in watch\b')
    outer = re.compile(rf'File "{own}", line \d+ in (?:run|_outcome|load)$|in _bootstrap$')
    records = re.compile(rf'File "{recorder}", line ')
    stacks = []
    for block in re.split(r"^(?:Timeout .*|(?:Current )?[Tt]hread 0x.*)\n", dump, flags=re.MULTILINE):
        frames = block.splitlines()
        if frames and not watch.search(block):
            inner = itertools.takewhile(lambda frame: not outer.search(frame), frames)
            shown = [frame for frame in inner if not records.search(frame)]
            stacks.append("\n".join(shown) or "  in the worker itself, which is no Python function")
    if not stacks:
        return ""
    # faulthandler lists the newest thread first, the main thread last.
    *others, main = (f"thread, innermost frame first:\n{stack}" for stack in stacks)
    return "\n".join([f"main {main}", *(f"another {other}" for other in others)])


def _start_helpers(context: BaseContext) -> None:
    """Start the standard library's helper processes: while SIGINT is blocked they would inherit the block."""
    method = context.get_start_method()
    if os.name == "posix" and method != "fork":
        resource_tracker.ensure_running()
        if method == "forkserver":
            # Once for all children, unless somebody has asked for other modules or started the server before.
            if getattr(forkserver._forkserver, "_preload_modules", None) == ["__main__"]:
                forkserver.set_forkserver_preload(["__main__", child_side.__name__])
            forkserver.ensure_running()


def _send_and_close(sender: Connection, data: bytes) -> None:
    with sender, contextlib.suppress(OSError):  # the child was killed: its end says so
        sender.send_bytes(data)


def _wait_for(objects: list[Any], seconds: float) -> None:
    connection.wait(objects[:_MOST_WAITED_FOR], seconds)


@contextlib.contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Keep an interrupt from a child that is starting and does not ignore it yet."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_methods() -> tuple[str, ...]:
    """Return the start methods that this platform has, "spawn" first."""
    return tuple(sorted(multiprocessing.get_all_start_methods(), key=lambda method: method != "spawn"))
