"""What wraps a worker in its process: the deadline, the stack, the watch on the parent, the result.

Every child of a :class:`~ipc_helpers.group.worker_group.WorkerGroup` runs :func:`run`. It
imports little, and no dataclasses: what this module loads, every spawned child waits for.
"""

from __future__ import annotations

import _thread
import contextlib
import faulthandler
import os
import pickle
import select
import signal
import sys
import time
from multiprocessing import connection, parent_process
from multiprocessing.reduction import ForkingPickler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from typing import Any

PARENT_GONE = 120
"""Exit code of a child whose parent died."""
OVERDUE = 121
"""Exit code of a child that was still running at its deadline. Its stack file tells it from other ends."""

READY, PART, END = b"r", b"p", b"e"
"""First byte of a message to the parent: the worker is ready, a part of its outcome, the end of that."""

# A pipe takes a write of up to PIPE_BUF bytes whole or not at all (POSIX), 4 of them the length that
# Connection puts first. So the parent never waits for the second half of a message.
_PART_SIZE = getattr(select, "PIPE_BUF", 4096) - 4 - len(PART)

_PARENT_CHECK = 0.5  # seconds
_LOOKS_EVERY = 0.25  # seconds
_TIMER_DELAY = 0.2  # seconds after the deadline
_BEGINS_WITHIN = 1.0  # seconds

_to_parent: Connection | None = None
_look: Callable[[], None] | None = None  # what the thread that watches the parent does beside it


def frames_can_be_read() -> bool:
    """Say whether a thread may see where the others are: not in a free-threaded Python (PEP 703).

    There they run on meanwhile, and reading their frames can crash the process (CPython issue 128400).
    """
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


class Call:
    """A worker and its arguments, sent apart from the process object that is to run them.

    So the child unpickles them in :func:`run`, where a worker that can't be imported is reported like any
    other exception. And the parent can give up sending: to the process object, which ``Process.start()``
    sends, it would wait without a limit for as long as a child that hangs does not read. Under fork nothing
    is pickled or sent.

    Parameters
    ----------
    function : callable or None
        The worker; None in a child that is to receive it.
    args : tuple
        Its positional arguments.
    receiver : Connection or None
        Where the child receives the call; None under fork.

    Attributes
    ----------
    data : bytes
        What the parent has to send once the child is started; empty under fork.
    """

    def __init__(
        self, function: Callable[..., Any] | None, args: tuple[Any, ...], receiver: Connection | None
    ) -> None:
        self._function = function
        self._args = args
        self._receiver: Any = receiver
        self.data = b""

    def __reduce__(self) -> tuple[Any, ...]:
        # Runs while the child is started, when queues, connections and locks allow to be pickled.
        self.data = bytes(ForkingPickler.dumps((self._function, self._args)))
        return Call, (None, (), self._receiver)

    def load(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Return the worker and its arguments, which a child receives unless it was forked off."""
        if self._function is not None:
            return self._function, self._args
        with self._receiver:
            function, args = pickle.loads(self._receiver.recv_bytes())
        return function, args


def run(call: Call, to_parent: Connection, stack_path: str, deadline: int, alone: bool = False) -> None:
    """Run a worker in this child process and send its outcome to the parent.

    Parameters
    ----------
    call : Call
        The worker and its arguments.
    to_parent : Connection
        Where the outcome goes.
    stack_path : str
        A file of the parent's, for the stacks of all threads should the deadline pass.
    deadline : int
        When this process ends itself, in nanoseconds of ``time.perf_counter_ns``, which agrees
        across processes on Linux, macOS and Windows.
    alone : bool
        Whether the worker runs without another thread of ours where the system can watch the parent.
    """
    global _to_parent
    # An interrupt goes to the whole process group; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGALRM})
    stack_file = open(stack_path, "ab", buffering=0)  # noqa: SIM115 - stays open until the process ends
    with contextlib.suppress(OSError):  # Windows keeps the name until the parent closes the file
        os.unlink(stack_path)
    left = (deadline - time.perf_counter_ns()) / 1e9
    alone = alone and _ends_by_signal()
    # The Python thread below writes whole stacks, but needs the interpreter; this, in C, does not.
    _set_timer(max(left, 0) + (0.001 if alone else _TIMER_DELAY), stack_file)  # 0 would set none
    if not alone:
        start_thread(watch, stack_file.fileno(), deadline)
    _to_parent = to_parent
    _send_outcome(to_parent, _outcome(call))


def _send_outcome(to_parent: Connection, outcome: bytes) -> None:
    for start in range(0, len(outcome), _PART_SIZE):
        to_parent.send_bytes(PART + outcome[start : start + _PART_SIZE])
    to_parent.send_bytes(END)


def _set_timer(seconds: float, stack_file: Any) -> None:
    """Have this process write its stacks into a file and end, also if something holds the interpreter."""
    if hasattr(signal, "setitimer"):
        # Not faulthandler's own timer, in which a forked child hangs when its parent has set it.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        faulthandler.register(signal.SIGALRM, stack_file, chain=True)  # then the default, which ends it
        signal.setitimer(signal.ITIMER_REAL, seconds)
    else:
        faulthandler.dump_traceback_later(seconds, exit=True, file=stack_file)


def stop_timer() -> None:
    """Have a process that something holds at its deadline no longer end itself."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.unregister(signal.SIGALRM)
    else:
        faulthandler.cancel_dump_traceback_later()


def look_with(look: Callable[[], None]) -> None:
    """Have a function called again and again, in another thread, while the worker of this process runs.

    Where threads can't read each other's frames, it is not called.
    """
    global _look
    if frames_can_be_read():
        _look = look


def ready() -> None:
    """Tell the parent that the worker is ready; in a process that no group started, do nothing."""
    if _to_parent is not None:
        _to_parent.send_bytes(READY)


def end_with(error: Exception) -> None:
    """End this process, whose worker is stuck, from another thread, as if the worker had raised an error."""
    if _to_parent is not None:
        kind = type(error)
        outcome = "error", f"{kind.__module__}.{kind.__qualname__}", str(error), ""
        _send_outcome(_to_parent, pickle.dumps(outcome, pickle.HIGHEST_PROTOCOL))
    os._exit(1)


def _outcome(call: Call) -> bytes:
    """Return ("result", value) or ("error", type, message, traceback), pickled."""
    trouble = ""
    try:
        function, args = call.load()
        result = function(*args)
        trouble = "its result can't be pickled: "
        return pickle.dumps(("result", result), pickle.HIGHEST_PROTOCOL)
    except BaseException as error:  # SystemExit too: a worker that leaves has not returned
        import traceback  # only a failing child pays for it

        kind = type(error)
        home = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
        frames = error.__traceback__.tb_next if error.__traceback__ else None  # without this function's own
        text = "".join(traceback.format_exception(kind, error, frames))
        try:
            message = f"{trouble}{error}"
        except Exception:
            message = "<its message can't be shown>"
        return pickle.dumps(("error", home + kind.__qualname__, message, text), pickle.HIGHEST_PROTOCOL)


def start_thread(function: Callable[..., None], *args: object) -> None:
    """Start a thread that ends with the process, and wait until it runs.

    Without a Thread object, which would add a tenth to the start of a child that is forked off. CPython
    3.11.2, for one, crashes now and then when the interpreter ends before a thread has begun.

    Parameters
    ----------
    function : callable
        What it runs. Its last argument is a lock, which it releases first.
    *args
        Its other arguments.
    """
    begun = _thread.allocate_lock()
    begun.acquire()
    _thread.start_new_thread(function, (*args, begun))
    begun.acquire(timeout=_BEGINS_WITHIN)


def _ends_by_signal() -> bool:
    """Have the system end this process when its parent does; return whether it can.

    Linux sends SIGIO, which ends a process, once nobody holds the other end of a pipe any more (fcntl(2),
    O_ASYNC); elsewhere SIGIO does nothing. A sibling that was forked off may hold that end, too: then this
    process ends after that one.
    """
    if sys.platform != "linux":
        return False
    import fcntl

    sentinel = parent_process().sentinel  # type: ignore[union-attr]
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGIO})
    try:
        fcntl.fcntl(sentinel, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(sentinel, fcntl.F_SETFL, fcntl.fcntl(sentinel, fcntl.F_GETFL) | os.O_ASYNC)
    except OSError:  # a sandbox may have no such signals
        return False
    if connection.wait([sentinel], 0):
        os._exit(PARENT_GONE)  # it was gone before
    return True


def end_with_parent() -> None:
    """Have this process, which no group started, end when its parent does."""
    start_thread(_watch_parent)


def _watch_parent(begun: _thread.LockType) -> None:
    begun.release()
    parent = parent_process()
    assert parent is not None
    forked_by = os.getppid()
    while not connection.wait([parent.sentinel], _PARENT_CHECK) and os.getppid() == forked_by:
        pass
    os._exit(PARENT_GONE)


def watch(stack_file: int, deadline: int, begun: _thread.LockType) -> None:
    """End this process when its parent dies, or at the deadline with the stacks written down.

    Runs in a thread of its own.

    Parameters
    ----------
    stack_file : int
        Descriptor of the file for the stacks.
    deadline : int
        In nanoseconds of ``time.perf_counter_ns``.
    begun : lock
        See :func:`start_thread`.
    """
    begun.release()
    parent = parent_process()
    assert parent is not None
    # A forked sibling may hold the other end of the sentinel, so ask for the parent's pid too. Under
    # forkserver the parent is another process than the one that forked, and the sentinel alone tells.
    forked_by = os.getppid()
    while (left := (deadline - time.perf_counter_ns()) / 1e9) > 0:
        pause = min(left, _LOOKS_EVERY if _look else _PARENT_CHECK)
        if connection.wait([parent.sentinel], pause) or os.getppid() != forked_by:
            os._exit(PARENT_GONE)
        if _look is not None:
            with contextlib.suppress(Exception):  # this thread goes on, whatever a look finds
                _look()
    if frames_can_be_read():
        faulthandler.dump_traceback(stack_file, all_threads=True)
    else:
        os.write(stack_file, b"overdue")
    os._exit(OVERDUE)
