"""What runs in each process of a tree that :func:`~ipc_helpers.diagnose` observes.

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
import traceback
from multiprocessing import connection, context, current_process, queues, resource_tracker, util
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from weakref import WeakSet

from ipc_helpers.child import entry, stacks

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _thread
    from collections.abc import Callable
    from types import FrameType
    from typing import Any, Literal, Unpack

    from ipc_helpers.child.diagnosis_events import Event, Kind, QueueState

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
    with output:
        if os.name == "posix":
            _redirect(output.fileno())
    process = current_process()
    config: dict[str, Any] = process._config  # type: ignore[attr-defined]
    config["daemon"] = False  # a daemon may not start processes; this one's parent kills it anyway
    config["tempdir"] = folder
    # The signal belongs to the program. A process in C code that holds the interpreter is killed by the one
    # that asked.
    entry.stop_timer()
    _use_own_helpers()
    _begin(folder, looks_at, ends_at)
    try:
        return _run(functools.partial(function, *args))
    except BaseException:  # noted; raised here, it would end the group before this process's children
        traceback.print_exc()
        return None


@functools.cache  # a forked child inherits it
def install() -> None:
    """Have ``multiprocessing`` tell of each process, queue and pipe that this process makes."""
    # Each calls the library's function, which it gets first.
    for owner, name, around in (
        (BaseProcess, "start", _start),
        (BaseProcess, "terminate", _end),
        (BaseProcess, "kill", _end),
        (queues.Queue, "__init__", _make_queue),
        (queues.SimpleQueue, "__init__", _make_queue),
        (queues, "is_exiting", _is_exiting),
        (connection, "Pipe", _make_pipe),
    ):
        _put_around(owner, name, around)
    for kind in (queues.Queue, queues.SimpleQueue):
        kind.__reduce__ = _reduce_queue  # type: ignore[method-assign, assignment]
    reducers: Any = ForkingPickler._extra_reducers  # type: ignore[attr-defined]
    for end in {connection.Connection, getattr(connection, "PipeConnection", connection.Connection)}:
        reducers[end] = functools.partial(_reduce_end, reducers[end])


def _put_around(owner: Any, name: str, around: Callable[..., Any]) -> None:
    """Put a function around one of the library's, which it gets as its first argument."""
    function = getattr(owner, name)

    @functools.wraps(function)
    def observed(*args: Any, **kwargs: Any) -> Any:
        return around(function, *args, **kwargs)

    setattr(owner, name, observed)


def _run_observed(folder: str, looks_at: int, ends_at: int) -> None:
    """Observe a process that an observed one has started, and run what it was made for."""
    global _polls
    _polls = threading.RLock()  # a fork may have come while the parent's was held
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    entry._to_parent = None  # inherited through fork, and the first process's alone
    _children.clear()
    _begin(folder, looks_at, ends_at)
    stack_file = os.open(os.devnull, os.O_WRONLY)
    entry.start_thread(entry.watch, stack_file, ends_at)
    process = current_process()
    _run(functools.partial(type(process).run, process))


def log(event: Kind, /, **facts: Unpack[Event]) -> None:
    """Write an event into this process's file."""
    line = json.dumps({"event": event, "at": time.perf_counter_ns(), **facts}) + "\n"
    # One write to a file opened for appending: lines of two threads do not mix.
    with open(os.path.join(_folder, f"{os.getpid()}.events"), "ab", buffering=0) as file:
        file.write(line.encode())


def _begin(folder: str, looks_at: int, ends_at: int) -> None:
    global _folder, _looks_at, _ends_at
    _folder, _looks_at, _ends_at = folder, looks_at, ends_at
    install()
    log("begun")
    util.Finalize(None, lambda: log("ended", children=_exitcodes(), left=_left()), exitpriority=LAST_TO_END)
    # No Thread object: multiprocessing would wait for it, and threading.enumerate() would show it.
    entry.start_thread(_look, threading.get_ident())


def _run(function: Callable[[], Any]) -> Any:
    try:
        value = function()
    except SystemExit:
        log("returned")
        raise
    except BaseException as error:
        trace = traceback.walk_tb(error.__traceback__)
        own = [(frame, number) for frame, number in trace if not stacks.is_library(frame)]
        log(
            "raised",
            kind=type(error).__name__,
            message=stacks.shortened(str(error)),
            line=stacks.line_of(*own[-1]) if own else "",  # the frame may be in an except clause by now
            own_lines=[(frame.f_code.co_filename, number) for frame, number in reversed(own)],
        )
        raise
    log("returned")
    return value


def _look(main: int, begun: _thread.LockType) -> None:
    """Write down, for as long as this process waits, where it does; and once more when it is time."""
    begun.release()
    looks_since = time.perf_counter_ns()
    look = stacks.WaitDetector(main, lambda: list(_queues), functools.partial(_tell_wait, main))
    while (left := (_looks_at - time.perf_counter_ns()) / 1e9) > 0:
        passed = (time.perf_counter_ns() - looks_since) / 1e9
        time.sleep(min(left, max(_LOOKS_EVERY, passed / 20)))
        look()
    log("running", **_state(main))


def _tell_wait(main: int, since: int) -> None:
    if since:
        state = _state(main)
        state["since"] = since
        log("waiting", **state)
    else:
        log("moving")


def _state(main: int) -> Event:
    """Return where this process is, and what it holds."""
    threads = stacks.threads()
    sites = [stacks.call_site(threads.pop(main, [])), *map(stacks.call_site, threads.values())]
    return {
        "site": sites[0],
        "feeders": [site for site in sites[1:] if site.is_feeder],
        "children": _exitcodes(),
        "queues": [_queue_state(queue) for queue in list(_queues)],
        "ends": [end._observed_key for end in list(_ends) if not end.closed and end.writable],
        "left": _left(),
    }


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


def _queue_state(queue: Any) -> QueueState:
    state: QueueState = {
        "key": queue._observed_key,
        "locks": {"read": stacks.holder(queue._rlock), "write": stacks.holder(queue._wlock)},
    }
    if hasattr(queue, "_unfinished_tasks"):
        with contextlib.suppress(NotImplementedError):  # macOS
            state["unfinished"] = queue._unfinished_tasks._semlock._get_value()
    return state


# What is put around the library's functions.


def _start(start: Callable[..., None], process: BaseProcess) -> None:
    stem, _, number = process.name.rpartition("-")
    name = process.name
    if number == ":".join(map(str, process._identity)):  # by the library
        target = getattr(process, "_target", None)
        name = stem if stem.endswith("Manager") else getattr(target, "__name__", type(process).__name__)
    if "run" not in vars(process):
        process.run = functools.partial(_run_observed, _folder, _looks_at, _ends_at)  # type: ignore[method-assign]
    start(process)
    assert process.pid is not None
    kind = type(process._popen)  # type: ignore[attr-defined]
    if not hasattr(kind.poll, "__wrapped__"):
        _put_around(kind, "poll", _poll)
    _children.append((process, process.pid))
    log("child", pid=process.pid, name=name, daemon=process.daemon, pool=stem.endswith("PoolWorker"))


def _end(end: Callable[..., None], process: BaseProcess) -> None:
    """Note which process the program ends, and where: the library ends daemons without this method."""
    caller = sys._getframe(2)
    if not stacks.is_library(caller):  # not a pool, which ends its workers
        log("terminates", pid=process.pid or 0, line=stacks.line_of(caller))
    end(process)


def _poll(poll: Callable[..., int | None], popen: Any, *args: Any, **kwargs: Any) -> int | None:
    """Have the program's own calls known, so that a look does not get in their way."""
    with _polls:
        popen._observed_polls = getattr(popen, "_observed_polls", 0) + 1
    try:
        return poll(popen, *args, **kwargs)
    finally:
        with _polls:
            popen._observed_polls -= 1


def _is_exiting(is_exiting: Callable[[], bool]) -> bool:
    """Note why a feeder thread drops a message: it asks this while it handles the exception."""
    if not isinstance(sys.exc_info()[1], OSError):
        buffer = stacks.local(sys._getframe(2), "buffer")
        keys = (queue._observed_key for queue in list(_queues) if getattr(queue, "_buffer", None) is buffer)
        log("dropped", key=next(keys, None))
        if is_exiting():  # then the library says nothing
            traceback.print_exc()
    return is_exiting()


def _make_queue(init: Callable[..., None], queue: Any, *args: Any, **kwargs: Any) -> None:
    init(queue, *args, **kwargs)
    _note(queue, _log_made("queue", sys._getframe(2)), _queues)


def _make_pipe(pipe: Callable[..., tuple[Any, Any]], *args: Any, **kwargs: Any) -> tuple[Any, Any]:
    ends = pipe(*args, **kwargs)
    key = _log_made("pipe", sys._getframe(2))
    for side, end in enumerate(ends):
        _note(end, key and (key, side), _ends)
    return ends


def _log_made(kind: Literal["queue", "pipe"], caller: FrameType) -> str | None:
    """Write down where the program made a queue or a pipe, and return what tells it from others.

    None for one that is a part of something else in the library: a pool's own queue, for example.
    """
    while caller.f_code.co_filename == context.__file__ or (
        isinstance(stacks.local(caller, "self"), queues.JoinableQueue)
        and caller.f_code.co_filename == queues.__file__
    ):
        assert caller.f_back is not None
        caller = caller.f_back
    if stacks.is_library(caller):
        return None
    key = f"{os.getpid()}-{time.perf_counter_ns()}"
    line = stacks.line_of(caller)
    # What a reader calls the things made there.
    match = re.match(r"([\w.]+(?:\s*,\s*[\w.]+)*)\s*=(?!=)", line)
    names = re.split(r"\s*,\s*", match.group(1)) if match else []
    made_at = caller.f_code.co_filename, caller.f_lineno, caller.f_lasti
    log(kind, key=key, line=line, names=names, made_at=made_at)
    return key


def _note(made: Any, key: Any, among: WeakSet[Any]) -> Any:
    """Keep an eye on a queue, or on an end of a pipe, if it has a key; return it."""
    if key is not None:
        made._observed_key = key
        among.add(made)
        if hasattr(made, "_sem"):
            _slots[key] = made._maxsize, made._sem
    return made


def _reduce_queue(queue: Any) -> tuple[Any, ...]:
    return _rebuild_queue, (type(queue), queue.__getstate__(), getattr(queue, "_observed_key", None))


def _rebuild_queue(kind: Any, state: tuple[Any, ...], key: str | None) -> Any:
    queue: Any = kind.__new__(kind)
    queue.__setstate__(state)
    return _note(queue, key, _queues)


def _reduce_end(reduce: Callable[[Any], tuple[Any, ...]], end: Any) -> tuple[Any, ...]:
    return _rebuild_end, (*reduce(end), getattr(end, "_observed_key", None))


def _rebuild_end(rebuild: Callable[..., Any], args: tuple[Any, ...], key: tuple[str, int] | None) -> Any:
    return _note(rebuild(*args), key, _ends)


# What keeps the observed processes apart from the one that asked.


def _redirect(file: int) -> None:
    """Have this process, and all below it, print into a file."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        getattr(sys, name).flush()
        os.dup2(file, number)
        stream = open(number, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)


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
