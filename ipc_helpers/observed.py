"""What runs in each process of a tree that :func:`~ipc_helpers.diagnosis.diagnose` observes.

The first process runs :func:`observe`. It has every process that it starts, and that those
start, observed as well: how each ends, what each queue holds, which ends of pipes are open, and,
at the deadline, where each one is. Each writes what it sees into a file of its own, a line of JSON
for each event, so that it stays when the process is killed.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import signal
import sys
import threading
import time
from multiprocessing import connection, context, current_process, queues, resource_tracker, util
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from weakref import WeakSet

from ipc_helpers import child, stacks

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _thread
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

LAST_TO_END = -100
"""Priority of a finalizer that runs after a queue has waited for its feeder, which has -5."""

_LOOKS_EVERY = 0.25  # seconds, and later a twentieth of the time that has passed: few looks in a long run
_queues: WeakSet[Any] = WeakSet()
_ends: WeakSet[Any] = WeakSet()
_slots: dict[str, tuple[int, Any]] = {}  # outlives a queue: how many messages were never got
_children: list[tuple[BaseProcess, int]] = []
_polls = threading.RLock()
_folder = ""
_looks_at = 0  # nanoseconds of perf_counter_ns
_ends_at = 0
_installed = False


def observe(
    function: Callable[..., Any], args: tuple[Any, ...], folder: str, looks_at: int, ends_at: int, output: Any
) -> Any:
    """Run a function in this process, and observe it and every process below it.

    Parameters
    ----------
    function : callable
        What to run.
    args : tuple
        Its positional arguments.
    folder : str
        Where each process writes its events.
    looks_at, ends_at : int
        When each process that still runs says where it is, and when it ends at the latest; in
        nanoseconds of ``time.perf_counter_ns``.
    output : Connection
        Takes what the processes print, on POSIX systems. Its other end is at end of file once the
        last of them has ended.

    Returns
    -------
    object
        What the function returned; None when it raised, which is noted.
    """
    global _folder, _looks_at, _ends_at
    _folder, _looks_at, _ends_at = folder, looks_at, ends_at
    with output:
        if os.name == "posix":
            _redirect(output.fileno())
    process = current_process()
    config: dict[str, Any] = process._config  # type: ignore[attr-defined]
    config["daemon"] = False  # a daemon may not start processes; this one's parent kills it anyway
    config["tempdir"] = folder
    # The signal belongs to the program. A process in C code that holds the interpreter is killed by the one
    # that asked.
    child.stop_timer()
    _use_own_helpers()
    install()
    _begin()
    try:
        return _run(functools.partial(function, *args))
    except BaseException:  # noted; raised here, it would end the group before this process's children
        _print_exception()
        return None


def install() -> None:
    """Have ``multiprocessing`` tell of each process, queue and pipe that this process makes."""
    global _installed
    if _installed:  # inherited through fork
        return
    _installed = True
    BaseProcess.start = _starting(BaseProcess.start)  # type: ignore[method-assign]
    for name in ("terminate", "kill"):
        setattr(BaseProcess, name, _ending(getattr(BaseProcess, name)))
    for kind in (queues.Queue, queues.SimpleQueue):
        patched: Any = kind
        patched.__init__ = _making(patched.__init__)
        patched.__reduce__ = _reduce_queue
    queues.is_exiting = _failing(queues.is_exiting)  # type: ignore[attr-defined]
    connection.Pipe = _piping(connection.Pipe)
    for end in {connection.Connection, getattr(connection, "PipeConnection", connection.Connection)}:
        ForkingPickler.register(end, functools.partial(_reduce_end, _reducer(end)))


class ObservedRun:
    """Stands in for ``run`` of a process that an observed process starts.

    Parameters
    ----------
    folder, looks_at, ends_at
        As for :func:`observe`.
    """

    def __init__(self, folder: str, looks_at: int, ends_at: int) -> None:
        self._given = folder, looks_at, ends_at

    def __call__(self) -> None:
        """Observe this process, and run what it was made for."""
        global _folder, _looks_at, _ends_at, _polls
        _folder, _looks_at, _ends_at = self._given
        _polls = threading.RLock()  # a fork may have come while the parent's was held
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        child._to_parent = None  # inherited through fork, and the first process's alone
        _children.clear()
        install()
        stack_path = os.path.join(_folder, f"{os.getpid()}.stack")
        stack_file = os.open(stack_path, os.O_CREAT | os.O_WRONLY)  # open until this process ends
        child.start_thread(child.watch, stack_file, _ends_at)
        _begin()
        process = current_process()
        _run(functools.partial(type(process).run, process))


def log(event: str, **facts: Any) -> None:
    """Write an event into this process's file."""
    line = json.dumps({"event": event, "at": time.perf_counter_ns(), **facts}) + "\n"
    # One write to a file opened for appending: lines of two threads do not mix.
    with open(os.path.join(_folder, f"{os.getpid()}.events"), "ab", buffering=0) as file:
        file.write(line.encode())


def _begin() -> None:
    log("begun")
    util.Finalize(None, _log_end, exitpriority=LAST_TO_END)
    # No Thread object: multiprocessing would wait for it, and threading.enumerate() would show it.
    child.start_thread(_look, _thread_id(threading.main_thread()))


def _run(function: Callable[[], Any]) -> Any:
    try:
        value = function()
    except SystemExit as error:
        log("returned", code=error.code if isinstance(error.code, int) else int(error.code is not None))
        raise
    except BaseException as error:
        log(
            "raised",
            kind=type(error).__name__,
            message=stacks.shortened(str(error)),
            line=_line_that_raised(error),
            own=_own_lines_that_raised(error),
            left=_left(),
        )
        raise
    log("returned", code=0)
    return value


def _log_end() -> None:
    log("ended", children=_exitcodes(), left=_left())


def _look(main: int, begun: _thread.LockType) -> None:
    """Write down, for as long as this process waits, where it does; and once more when it is time."""
    begun.release()
    looks_since = time.perf_counter_ns()
    look = stacks.Looks(main, lambda: list(_queues), functools.partial(_tell_wait, main))
    while (left := (_looks_at - time.perf_counter_ns()) / 1e9) > 0:
        passed = (time.perf_counter_ns() - looks_since) / 1e9
        time.sleep(min(left, max(_LOOKS_EVERY, passed / 20)))
        look()
    log("running", **_state(main))


def _tell_wait(main: int, since: int) -> None:
    if since:
        log("waiting", since=since, **_state(main))
    else:
        log("moving")


def _state(main: int) -> dict[str, Any]:
    """Return where this process is, and what it holds."""
    threads = stacks.threads()
    return {
        "place": stacks.place_of(threads.pop(main, [])),
        "feeders": [place for stack in threads.values() if (place := stacks.place_of(stack))["feeds"]],
        "children": _exitcodes(),
        "queues": [_queue_state(queue) for queue in list(_queues)],
        "ends": [_end_state(end) for end in list(_ends) if not end.closed],
        "left": _left(),
    }


def _print_exception() -> None:
    import traceback  # only a failing process pays for it

    traceback.print_exc()


def _thread_id(thread: threading.Thread) -> int:
    assert thread.ident is not None
    return thread.ident


# Where an exception came from.


def _line_that_raised(error: BaseException) -> str:
    """Return the innermost line of its own that an exception went through; empty when there is none."""
    line = ""
    trace = error.__traceback__
    while trace is not None:
        if not stacks.is_library(trace.tb_frame):
            # The frame may be in an except clause by now.
            line = stacks.line_of(trace.tb_frame, trace.tb_lineno)
        trace = trace.tb_next
    return line


def _own_lines_that_raised(error: BaseException) -> list[tuple[str, int]]:
    """Return the file and the number of each own line that an exception went through, innermost first."""
    lines: list[tuple[str, int]] = []
    trace = error.__traceback__
    while trace is not None:
        if not stacks.is_library(trace.tb_frame):
            lines.insert(0, (trace.tb_frame.f_code.co_filename, trace.tb_lineno))
        trace = trace.tb_next
    return lines


# What a process holds.


def _exitcodes() -> dict[str, int | None]:
    """Return the exit code of each process that this one started; None for one that runs."""
    codes: dict[str, int | None] = {}
    for process, pid in _children:
        popen = getattr(process, "_popen", None)
        with _polls, contextlib.suppress(ValueError, OSError):  # closed, or waited for by another thread
            # A process can be waited for once: of two threads that do, one gets no exit code.
            polled_elsewhere = getattr(popen, "_observed_polls", 0)
            codes[str(pid)] = popen.returncode if popen and polled_elsewhere else process.exitcode
    return codes


def _left() -> dict[str, int]:
    """Return how many messages each queue made here still has: put, and not got."""
    left = {}
    for key, (maxsize, slots) in list(_slots.items()):
        with contextlib.suppress(NotImplementedError, OSError):  # macOS has no such count
            left[key] = maxsize - slots._semlock._get_value()
    return left


def _queue_state(queue: Any) -> dict[str, Any]:
    read_lock, write_lock = queue._rlock._semlock, getattr(queue._wlock, "_semlock", None)
    state: dict[str, Any] = {"key": getattr(queue, "_observed_key", None)}
    with contextlib.suppress(OSError, ValueError):  # closed
        state["in_pipe"] = stacks.is_ready(queue._reader)
    state["in_deque"] = len(getattr(queue, "_buffer", ()))
    state["read_lock"] = {"taken": read_lock._is_zero(), "here": read_lock._count() > 0}
    if write_lock is not None:
        state["write_lock"] = {"taken": write_lock._is_zero(), "here": write_lock._count() > 0}
    unfinished = getattr(queue, "_unfinished_tasks", None)
    if unfinished is not None:
        with contextlib.suppress(NotImplementedError):
            state["unfinished"] = unfinished._semlock._get_value()
    if hasattr(queue, "_sem"):
        state["full"] = queue._sem._semlock._is_zero()
    return state


def _end_state(end: Any) -> dict[str, Any]:
    pipe, side = end._observed_key
    state = {"pipe": pipe, "side": side, "readable": end.readable, "writable": end.writable}
    if end.readable:
        with contextlib.suppress(OSError):
            state["ready"] = stacks.is_ready(end)
    return state


# What is put around the library's functions.


def _starting(start: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(start)
    def observed_start(process: BaseProcess) -> None:
        target = getattr(process, "_target", None)
        stem, _, number = process.name.rpartition("-")
        name = process.name
        if number == ":".join(map(str, process._identity)):  # by the library
            name = stem if stem.endswith("Manager") else getattr(target, "__name__", type(process).__name__)
        if "run" not in vars(process):
            process.run = ObservedRun(_folder, _looks_at, _ends_at)  # type: ignore[method-assign]
        start(process)
        assert process.pid is not None
        kind = type(process._popen)  # type: ignore[attr-defined]
        if not hasattr(kind.poll, "__wrapped__"):
            kind.poll = _polling(kind.poll)
        _children.append((process, process.pid))
        log("child", pid=process.pid, name=name, daemon=process.daemon, pool=stem.endswith("PoolWorker"))

    return observed_start


def _ending(end: Callable[..., None]) -> Callable[..., None]:
    """Note which process the program ends, and where: the library ends daemons without this method."""

    @functools.wraps(end)
    def observed_end(process: BaseProcess) -> None:
        caller = sys._getframe(1)
        if not stacks.is_library(caller):  # not a pool, which ends its workers
            log("ends", pid=process.pid, line=stacks.line_of(caller))
        end(process)

    return observed_end


def _polling(poll: Callable[..., int | None]) -> Callable[..., int | None]:
    """Have the program's own calls known, so that a look does not get in their way."""

    @functools.wraps(poll)
    def observed_poll(popen: Any, *args: Any, **kwargs: Any) -> int | None:
        with _polls:
            popen._observed_polls = getattr(popen, "_observed_polls", 0) + 1
        try:
            return poll(popen, *args, **kwargs)
        finally:
            with _polls:
                popen._observed_polls -= 1

    return observed_poll


def _making(init: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(init)
    def observed_init(queue: Any, *args: Any, **kwargs: Any) -> None:
        init(queue, *args, **kwargs)
        own = stacks.own_frame(list(stacks.outwards(sys._getframe(1))))
        if own is None or _made_by_library(sys._getframe(1)):  # a pool's own queue, for example
            return
        _note_queue(queue, f"{os.getpid()}-{time.perf_counter_ns()}")
        bound = args[0] if args else kwargs.get("maxsize", 0)
        log(
            "queue",
            key=queue._observed_key,
            line=stacks.line_of(own),
            names=_assigned(own),
            place=[own.f_code.co_filename, own.f_lineno, own.f_lasti],
            bound=max(bound, 0),
        )

    return observed_init


def _reduce_queue(queue: Any) -> tuple[Any, ...]:
    return _rebuild_queue, (type(queue), queue.__getstate__(), getattr(queue, "_observed_key", None))


def _rebuild_queue(kind: Any, state: tuple[Any, ...], key: str | None) -> Any:
    queue: Any = kind.__new__(kind)
    queue.__setstate__(state)
    if key is not None:
        _note_queue(queue, key)
    return queue


def _note_queue(queue: Any, key: str) -> None:
    queue._observed_key = key
    _queues.add(queue)
    if hasattr(queue, "_sem"):
        _slots[key] = queue._maxsize, queue._sem


def _failing(is_exiting: Callable[[], bool]) -> Callable[[], bool]:
    """Note why a feeder thread drops a message: it asks this while it handles the exception."""

    @functools.wraps(is_exiting)
    def observed_is_exiting() -> bool:
        error = sys.exc_info()[1]
        frame = sys._getframe(1)
        if error is not None and not isinstance(error, OSError):
            buffer = stacks.local(frame, "buffer")
            key = next(
                (
                    queue._observed_key
                    for queue in list(_queues)
                    if buffer is not None and getattr(queue, "_buffer", None) is buffer
                ),
                None,
            )
            log("dropped", key=key)
            if is_exiting():  # then the library says nothing
                _print_exception()
        return is_exiting()

    return observed_is_exiting


def _piping(pipe: Callable[..., tuple[Any, Any]]) -> Callable[..., tuple[Any, Any]]:
    @functools.wraps(pipe)
    def observed_pipe(duplex: bool = True) -> tuple[Any, Any]:
        ends = pipe(duplex)
        caller = sys._getframe(1)
        own = stacks.own_frame(list(stacks.outwards(caller)))
        if own is not None and not _made_by_library(caller):
            name = f"{os.getpid()}-{time.perf_counter_ns()}"
            for side, end in enumerate(ends):
                end._observed_key = name, side
                _ends.add(end)
            log("pipe", key=name, line=stacks.line_of(own), names=_assigned(own), duplex=bool(duplex))
        return ends

    return observed_pipe


def _made_by_library(caller: FrameType) -> bool:
    """Say whether a queue or a pipe is a part of something else in the library."""
    while caller.f_code.co_filename == context.__file__ or (
        isinstance(stacks.local(caller, "self"), queues.JoinableQueue)
        and caller.f_code.co_filename == queues.__file__
    ):
        assert caller.f_back is not None
        caller = caller.f_back
    return stacks.is_library(caller)


def _reducer(end: type) -> Callable[[Any], tuple[Any, ...]]:
    reduce: Callable[[Any], tuple[Any, ...]] = ForkingPickler._extra_reducers[end]  # type: ignore[attr-defined]
    return reduce


def _reduce_end(reduce: Callable[[Any], tuple[Any, ...]], end: Any) -> tuple[Any, ...]:
    return _rebuild_end, (*reduce(end), getattr(end, "_observed_key", None))


def _rebuild_end(rebuild: Callable[..., Any], args: tuple[Any, ...], key: tuple[str, int] | None) -> Any:
    end = rebuild(*args)
    if key is not None:
        end._observed_key = key
        _ends.add(end)
    return end


# Words.


def _assigned(frame: FrameType) -> list[str]:
    """Return the names that the line of a frame assigns to: what a reader calls the things made there."""
    match = re.match(r"([\w.]+(?:\s*,\s*[\w.]+)*)\s*=(?!=)", stacks.line_of(frame))
    return re.split(r"\s*,\s*", match.group(1)) if match else []


# What keeps the observed processes apart from the one that asked.


def _redirect(file: int) -> None:
    """Have this process, and all below it, print into a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    for standard in (1, 2):
        os.dup2(file, standard)
    sys.stdout = open(1, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115


def _use_own_helpers() -> None:
    """Forget the standard library's helper processes of the one that asked.

    A resource tracker of their own ends with the last observed process, and takes the semaphores of
    killed ones along; the other lives as long as the kernel.
    """
    if os.name != "posix":
        return
    from multiprocessing import forkserver

    tracker: Any = resource_tracker._resource_tracker
    tracker._fd = tracker._pid = None
    server: Any = forkserver._forkserver
    server._forkserver_address = server._forkserver_alive_fd = server._forkserver_pid = None
    server._inherited_fds = None
