"""What runs in each process of a tree that :func:`~ipc_helpers.diagnosis.diagnose` observes.

The first process runs :func:`observe`. It has every process that it starts, and that those
start, observed as well: how each ends, what each queue holds, which ends of pipes are open, and,
at the deadline, where each one is. Each writes what it sees into a file of its own, a line of JSON
for each event, so that it stays when the process is killed.
"""

from __future__ import annotations

import _thread
import contextlib
import functools
import json
import linecache
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

from ipc_helpers import child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import Any

LAST_TO_END = -100
"""Priority of a finalizer that runs after a queue has waited for its feeder, which has -5."""

_LIBRARY = os.path.dirname(os.__file__)  # and site-packages is below it
_MACHINERY = (child.__file__, __file__)
_LONGEST_TEXT = 300  # characters of a message or of a source line
_LOOKS_EVERY = 0.25  # seconds, and later a twentieth of the time that has passed: few looks in a long run
# Calls that wait for another process, for as long as it takes.
_WAITS = {f"{kind}.{name}" for kind in ("Queue", "JoinableQueue", "SimpleQueue") for name in ("get", "put")}
_WAITS |= {f"Connection.{name}" for name in ("recv", "recv_bytes", "recv_bytes_into", "poll")}
_WAITS |= {"Connection.send", "Connection.send_bytes", "Process.join", "JoinableQueue.join"}
_WAITS |= {"Queue.join_thread", "JoinableQueue.join_thread", "Event.wait", "Condition.wait", "wait"}

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
            message=_shortened(str(error)),
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
    before: list[tuple[FrameType, object]] = []
    since = 0
    while (left := (_looks_at - time.perf_counter_ns()) / 1e9) > 0:
        passed = (time.perf_counter_ns() - looks_since) / 1e9
        time.sleep(min(left, max(_LOOKS_EVERY, passed / 20)))
        now = []
        with contextlib.suppress(OSError, ValueError, AttributeError):  # its end was closed: it moves
            now = _waits_now(main)
        if not now:
            if before:
                log("moving")
            before = []
        # A frame that is kept is not used again, so the same frame says: no call has returned since.
        elif len(now) == len(before) and all(
            frame is old and rest == old_rest
            for (frame, rest), (old, old_rest) in zip(now, before, strict=True)
        ):
            log("waiting", since=since, **_state(main))
        else:
            before, since = now, time.perf_counter_ns()
    log("running", **_state(main))


def _state(main: int) -> dict[str, Any]:
    """Return where this process is, and what it holds."""
    threads = _threads()
    return {
        "place": _place(threads.pop(main, [])),
        "feeders": [place for stack in threads.values() if (place := _place(stack))["feeds"]],
        "children": _exitcodes(),
        "queues": [_queue_state(queue) for queue in list(_queues)],
        "ends": [_end_state(end) for end in list(_ends) if not end.closed],
        "left": _left(),
    }


def _threads() -> dict[int, list[FrameType]]:
    """Return the frames of each thread but those of this package, from the innermost one on."""
    # A frame of this thread's would hold itself, and all frames with their locals, until the next collection.
    own = _thread.get_ident()
    stacks = {
        thread: list(_outwards(frame)) for thread, frame in sys._current_frames().items() if thread != own
    }
    return {
        thread: stack
        for thread, stack in stacks.items()
        if not any(frame.f_code is child.watch.__code__ for frame in stack)
    }


def _waits_now(main: int) -> list[tuple[FrameType, object]]:
    """Return where each thread is if all wait for other processes; nothing if one may go on.

    That is its innermost frame and, inside of a message, how many bytes are still to be moved.
    """
    threads = _threads()
    stack = threads.pop(main, [])
    if not stack or not _waits(stack):
        return []
    feeders = list(threads.values())
    if not all("_feed" in [frame.f_code.co_name for frame in feeder] for feeder in feeders):
        return []  # a thread of the program's own may be at work
    writes = any("_send" in [frame.f_code.co_name for frame in feeder] for feeder in feeders)
    if not writes and any(map(_is_about_to_write, list(_queues))):
        return []
    return [(frames[0], _local(frames[0], "remaining")) for frames in (stack, *feeders)]


def _is_about_to_write(queue: Any) -> bool:
    """Say whether a queue's feeder has something to write, and no other process holds the lock for it."""
    lock = getattr(getattr(queue, "_wlock", None), "_semlock", None)
    held_elsewhere = lock is not None and lock._is_zero() and lock._count() == 0
    return bool(getattr(queue, "_buffer", ())) and not held_elsewhere


def _waits(stack: list[FrameType]) -> bool:
    """Say whether a thread waits for another process, without a limit, and nothing is there for it."""
    place = _place(stack)
    if place["exiting"]:
        return not {"_finalize_join", "join"}.isdisjoint(place["names"])
    if place["serves"]:
        return True
    own = _own_frame(stack)
    inside = [frame for frame in (stack[: stack.index(own)] if own else stack) if _is_called(frame)]
    if not inside or place["call"] not in _WAITS:
        return False
    called = inside[-1]
    if place["within_message"]:  # which no timeout covers
        return True
    if _local(called, "timeout") is not None or not _local(called, "block", True):
        return False
    if place["call"] == "wait":
        waited_for: Any = _local(called, "object_list")
        if called.f_code.co_filename != connection.__file__ or not hasattr(waited_for, "__len__"):
            return False
        return os.name != "posix" or not connection.wait(waited_for, 0)
    subject: Any = _local(called, "self")
    if place["kind"] == "queue" and called.f_code.co_name == "get":
        return place["names"][0] in ("get", "__enter__") or not _is_ready(subject._reader)
    if place["kind"] == "end" and called.f_code.co_name in ("recv", "recv_bytes", "recv_bytes_into", "poll"):
        return not _is_ready(subject)
    return True


def _print_exception() -> None:
    import traceback  # only a failing process pays for it

    traceback.print_exc()


def _thread_id(thread: threading.Thread) -> int:
    assert thread.ident is not None
    return thread.ident


# Where a thread is.


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield frames from the innermost one on, without those that a forked child has of its parent."""
    while frame is not None and frame.f_code.co_name != "_bootstrap" and not _has_forked(frame):
        yield frame
        frame = frame.f_back


def _has_forked(frame: FrameType) -> bool:
    """Say whether this process began in a frame: since CPython 3.13, a forked child ends in it, too."""
    return frame.f_code.co_name == "_launch" and getattr(_local(frame, "self"), "pid", None) == 0


def _local(frame: FrameType, name: str, default: Any = None) -> Any:
    """Return a variable of a frame of the library's, and the default for one of the program's own.

    Up to CPython 3.12, a look at a frame's variables fills a dictionary that lives as long as the frame: it
    keeps what the program deletes meanwhile, and is what an earlier ``locals()`` returned (PEP 667).
    """
    return frame.f_locals.get(name, default) if _is_library(frame) else default


def _line_that_raised(error: BaseException) -> str:
    """Return the innermost line of its own that an exception went through; empty when there is none."""
    line = ""
    trace = error.__traceback__
    while trace is not None:
        if not _is_library(trace.tb_frame):
            line = _line(trace.tb_frame, trace.tb_lineno)  # the frame may be in an except clause by now
        trace = trace.tb_next
    return line


def _own_lines_that_raised(error: BaseException) -> list[tuple[str, int]]:
    """Return the file and the number of each own line that an exception went through, innermost first."""
    lines: list[tuple[str, int]] = []
    trace = error.__traceback__
    while trace is not None:
        if not _is_library(trace.tb_frame):
            lines.insert(0, (trace.tb_frame.f_code.co_filename, trace.tb_lineno))
        trace = trace.tb_next
    return lines


def _is_library(frame: FrameType) -> bool:
    name = frame.f_code.co_filename
    # "<string>" is the command line of a spawned child.
    return name.startswith((_LIBRARY, "<frozen")) or name in ("<string>", *_MACHINERY)


def _own_frame(frames: list[FrameType]) -> FrameType | None:
    return next((frame for frame in frames if not _is_library(frame)), None)


def _line(frame: FrameType, number: int | None = None) -> str:
    """Return the source of the line that a frame is in, or of another line."""
    text = linecache.getline(frame.f_code.co_filename, number or frame.f_lineno, frame.f_globals).strip()
    return _shortened(text or f"{frame.f_code.co_name}()")


def _place(frames: list[FrameType]) -> dict[str, Any]:
    """Return where a thread is: its own line, the library's function that this calls, and what for."""
    own = _own_frame(frames)
    inside = frames[: frames.index(own)] if own else frames
    library = [frame for frame in inside if _is_called(frame)]
    names = [frame.f_code.co_name for frame in library]
    # What the own line called; in a process that is past its function, the innermost with an object.
    held = [frame for frame in library if _subject(frame)[0]]
    called = library[-1] if own and library else held[0] if held else None
    kind, key, owner = _subject(called) if called else ("", None, "")
    return {
        "line": _line(own) if own else "",
        "function": own.f_code.co_name if own else "",
        "own": [(frame.f_code.co_filename, frame.f_lineno) for frame in frames if not _is_library(frame)],
        "call": f"{owner}.{called.f_code.co_name}" if called and owner else names[-1] if names else "",
        "names": names,
        "kind": kind,
        "key": key,
        # Between the length of a message, which was read, and its body, which was not.
        "within_message": any(
            frame.f_code.co_name == "_recv_bytes" and _local(frame, "size") is not None for frame in library
        ),
        "feeds": "_feed" in names,
        "exiting": own is None and "_exit_function" in names,
        # In a worker of a pool or an executor, or the process of a manager: waiting is what it is for.
        "serves": own is None and not {"worker", "_process_worker", "serve_forever"}.isdisjoint(names),
    }


def _is_called(frame: FrameType) -> bool:
    return frame.f_code.co_filename not in _MACHINERY


def _subject(frame: FrameType) -> tuple[str, Any, str]:
    """Return what a library function works on: its kind, what tells it from others, and its class."""
    subject = _local(frame, "self")
    if frame.f_code.co_name == "_exit_function":
        subject = _local(frame, "p")  # the child that it joins
    if isinstance(subject, BaseProcess):
        popen = getattr(subject, "_popen", None)
        return "process", getattr(popen, "pid", None), "Process"
    if isinstance(subject, (queues.Queue, queues.SimpleQueue)):
        return "queue", getattr(subject, "_observed_key", None), type(subject).__name__
    if isinstance(subject, connection._ConnectionBase):
        return "end", getattr(subject, "_observed_key", None), "Connection"
    return "", None, type(subject).__name__ if subject is not None else ""


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
        state["in_pipe"] = _is_ready(queue._reader)
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
            state["ready"] = _is_ready(end)
    return state


def _is_ready(end: Any) -> bool:
    """Say whether a read from an end of a pipe would return at once; another thread may be in one."""
    if sys.platform == "win32":  # where poll() would take an empty message from that thread
        import _winapi

        return bool(_winapi.PeekNamedPipe(end.fileno())[0])
    return bool(end.poll())


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
        if not _is_library(caller):  # not a pool, which ends its workers
            log("ends", pid=process.pid, line=_line(caller))
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
        own = _own_frame(list(_outwards(sys._getframe(1))))
        if own is None or _made_by_library(sys._getframe(1)):  # a pool's own queue, for example
            return
        _note_queue(queue, f"{os.getpid()}-{time.perf_counter_ns()}")
        bound = args[0] if args else kwargs.get("maxsize", 0)
        log(
            "queue",
            key=queue._observed_key,
            line=_line(own),
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
            buffer = _local(frame, "buffer")
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
        own = _own_frame(list(_outwards(caller)))
        if own is not None and not _made_by_library(caller):
            name = f"{os.getpid()}-{time.perf_counter_ns()}"
            for side, end in enumerate(ends):
                end._observed_key = name, side
                _ends.add(end)
            log("pipe", key=name, line=_line(own), names=_assigned(own), duplex=bool(duplex))
        return ends

    return observed_pipe


def _made_by_library(caller: FrameType) -> bool:
    """Say whether a queue or a pipe is a part of something else in the library."""
    while caller.f_code.co_filename == context.__file__ or (
        isinstance(_local(caller, "self"), queues.JoinableQueue)
        and caller.f_code.co_filename == queues.__file__
    ):
        assert caller.f_back is not None
        caller = caller.f_back
    return _is_library(caller)


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
    match = re.match(r"([\w.]+(?:\s*,\s*[\w.]+)*)\s*=(?!=)", _line(frame))
    return re.split(r"\s*,\s*", match.group(1)) if match else []


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"


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
