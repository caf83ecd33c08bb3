"""Where the threads of this process are, and whether it waits for other processes, without a limit.

Read from the frames of the threads (``sys._current_frames``) and from what these hold: the queue, the end of
a pipe or the process that a call of the library's is for.
"""

from __future__ import annotations

import _thread
import linecache
import os
import sys
import time
from contextlib import suppress
from multiprocessing import connection, queues
from multiprocessing.process import BaseProcess

from ipc_helpers import child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import FrameType
    from typing import Any

_LIBRARY = os.path.dirname(os.__file__)  # and site-packages is below it
_PACKAGE = os.path.dirname(__file__)
# What runs around a program, or looks at it. The package's other modules are programs, such as workers.
_MACHINERY = {
    os.path.join(_PACKAGE, f"{name}.py") for name in ("child", "observed", "recorder", "stacks", "xray")
}
_LONGEST_TEXT = 300  # characters of a message or of a source line
# Calls that wait for another process, for as long as it takes.
_WAITS = {f"{kind}.{name}" for kind in ("Queue", "JoinableQueue", "SimpleQueue") for name in ("get", "put")}
_WAITS |= {f"Connection.{name}" for name in ("recv", "recv_bytes", "recv_bytes_into", "poll")}
_WAITS |= {"Connection.send", "Connection.send_bytes", "Process.join", "JoinableQueue.join"}
_WAITS |= {"Queue.join_thread", "JoinableQueue.join_thread", "Event.wait", "Condition.wait", "wait"}


class Looks:
    """Notes, look by look, since when this process waits for other processes, and can't go on without them.

    Parameters
    ----------
    main : int
        The identifier of the main thread.
    queues : callable
        Returns the queues whose feeder threads may have something to write.
    tell : callable
        Is called with the moment from which on all looks have found the process in the same wait, in
        nanoseconds of ``time.perf_counter_ns``; and with 0 when it has moved since.
    """

    def __init__(self, main: int, queues: Callable[[], Iterable[Any]], tell: Callable[[int], object]) -> None:
        self._main = main
        self._queues = queues
        self._tell = tell
        self._before: list[tuple[FrameType, object]] = []
        self._since = 0

    def __call__(self) -> None:
        """Look once."""
        now = []
        with suppress(OSError, ValueError, AttributeError):  # its end was closed: it moves
            now = waits_now(self._main, self._queues())
        if not now:
            if self._before:
                self._tell(0)
            self._before = []
        # A frame that is kept is not used again, so the same frame says: no call has returned since.
        elif len(now) == len(self._before) and all(
            frame is old and rest == old_rest
            for (frame, rest), (old, old_rest) in zip(now, self._before, strict=True)
        ):
            self._tell(self._since)
        else:
            self._before, self._since = now, time.perf_counter_ns()


def threads() -> dict[int, list[FrameType]]:
    """Return the frames of each thread but those of this package, from the innermost one on."""
    # A frame of this thread's would hold itself, and all frames with their locals, until the next collection.
    own = _thread.get_ident()
    stacks = {
        thread: list(outwards(frame)) for thread, frame in sys._current_frames().items() if thread != own
    }
    return {
        thread: stack
        for thread, stack in stacks.items()
        if not any(frame.f_code is child.watch.__code__ for frame in stack)
    }


def waits_now(main: int, queues: Iterable[Any]) -> list[tuple[FrameType, object]]:
    """Return where each thread is if all wait for other processes; nothing if one may go on.

    That is its innermost frame and, inside of a message, how many bytes are still to be moved.
    """
    stacks = threads()
    stack = stacks.pop(main, [])
    if not stack or not _waits(stack):
        return []
    feeders = list(stacks.values())
    if not all("_feed" in [frame.f_code.co_name for frame in feeder] for feeder in feeders):
        return []  # a thread of the program's own may be at work
    writes = any("_send" in [frame.f_code.co_name for frame in feeder] for feeder in feeders)
    if not writes and any(map(_is_about_to_write, queues)):
        return []
    return [(frames[0], local(frames[0], "remaining")) for frames in (stack, *feeders)]


def whereabouts(thread: int) -> tuple[str, str]:
    """Return where a thread is: the line of its own, and the library's function that this calls."""
    place = place_of(threads().get(thread, []))
    feeder = not {"_finalize_join", "join_thread"}.isdisjoint(place["names"])
    return place["line"], "the feeder's join" if feeder else place["call"]


def _is_about_to_write(queue: Any) -> bool:
    """Say whether a queue's feeder has something to write, and no other process holds the lock for it."""
    lock = getattr(getattr(queue, "_wlock", None), "_semlock", None)
    held_elsewhere = lock is not None and lock._is_zero() and lock._count() == 0
    return bool(getattr(queue, "_buffer", ())) and not held_elsewhere


def _waits(stack: list[FrameType]) -> bool:
    """Say whether a thread waits for another process, without a limit, and nothing is there for it."""
    place = place_of(stack)
    if place["exiting"]:
        return not {"_finalize_join", "join"}.isdisjoint(place["names"])
    if place["serves"]:
        return True
    own = own_frame(stack)
    inside = [frame for frame in (stack[: stack.index(own)] if own else stack) if _is_called(frame)]
    if not inside or place["call"] not in _WAITS:
        return False
    called = inside[-1]
    if place["within_message"]:  # which no timeout covers
        return True
    if local(called, "timeout") is not None or not local(called, "block", True):
        return False
    if place["call"] == "wait":
        waited_for: Any = local(called, "object_list")
        if called.f_code.co_filename != connection.__file__ or not hasattr(waited_for, "__len__"):
            return False
        return os.name != "posix" or not connection.wait(waited_for, 0)
    subject: Any = local(called, "self")
    if place["kind"] == "queue" and called.f_code.co_name == "get":
        return place["names"][0] in ("get", "__enter__") or not is_ready(subject._reader)
    if place["kind"] == "end" and called.f_code.co_name in ("recv", "recv_bytes", "recv_bytes_into", "poll"):
        return not is_ready(subject)
    return True


def outwards(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield frames from the innermost one on, without those that a forked child has of its parent."""
    while frame is not None and frame.f_code.co_name != "_bootstrap" and not _has_forked(frame):
        yield frame
        frame = frame.f_back


def _has_forked(frame: FrameType) -> bool:
    """Say whether this process began in a frame: since CPython 3.13, a forked child ends in it, too."""
    return frame.f_code.co_name == "_launch" and getattr(local(frame, "self"), "pid", None) == 0


def local(frame: FrameType, name: str, default: Any = None) -> Any:
    """Return a variable of a frame of the library's, and the default for one of the program's own.

    Up to CPython 3.12, a look at a frame's variables fills a dictionary that lives as long as the frame: it
    keeps what the program deletes meanwhile, and is what an earlier ``locals()`` returned (PEP 667).
    """
    return frame.f_locals.get(name, default) if is_library(frame) else default


def is_library(frame: FrameType) -> bool:
    """Say whether a frame is none of the program's own."""
    return is_library_file(frame.f_code.co_filename)


def is_library_file(name: str) -> bool:
    """Say whether a file, by the name that tracebacks have, is none of the program's own."""
    if os.path.dirname(name) == _PACKAGE:  # which may be installed below the library
        return name in _MACHINERY
    # "<string>" is the command line of a spawned child.
    return (name.startswith((_LIBRARY, "<frozen")) and not name.startswith(_PACKAGE)) or name == "<string>"


def own_frame(frames: list[FrameType]) -> FrameType | None:
    """Return the innermost frame of the program's own."""
    return next((frame for frame in frames if not is_library(frame)), None)


def line_of(frame: FrameType, number: int | None = None) -> str:
    """Return the source of the line that a frame is in, or of another line."""
    text = linecache.getline(frame.f_code.co_filename, number or frame.f_lineno, frame.f_globals).strip()
    return shortened(text or f"{frame.f_code.co_name}()")


def place_of(frames: list[FrameType]) -> dict[str, Any]:
    """Return where a thread is: its own line, the library's function that this calls, and what for."""
    own = own_frame(frames)
    inside = frames[: frames.index(own)] if own else frames
    library = [frame for frame in inside if _is_called(frame)]
    names = [frame.f_code.co_name for frame in library]
    # What the own line called; in a process that is past its function, the innermost with an object.
    held = [frame for frame in library if _subject(frame)[0]]
    called = library[-1] if own and library else held[0] if held else None
    kind, key, owner = _subject(called) if called else ("", None, "")
    return {
        "line": line_of(own) if own else "",
        "function": own.f_code.co_name if own else "",
        "own": [(frame.f_code.co_filename, frame.f_lineno) for frame in frames if not is_library(frame)],
        "call": f"{owner}.{called.f_code.co_name}" if called and owner else names[-1] if names else "",
        "names": names,
        "kind": kind,
        "key": key,
        # Between the length of a message, which was read, and its body, which was not.
        "within_message": any(
            frame.f_code.co_name == "_recv_bytes" and local(frame, "size") is not None for frame in library
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
    subject = local(frame, "self")
    if frame.f_code.co_name == "_exit_function":
        subject = local(frame, "p")  # the child that it joins
    if isinstance(subject, BaseProcess):
        popen = getattr(subject, "_popen", None)
        return "process", getattr(popen, "pid", None), "Process"
    if isinstance(subject, (queues.Queue, queues.SimpleQueue)):
        return "queue", getattr(subject, "_observed_key", None), type(subject).__name__
    if isinstance(subject, connection._ConnectionBase):
        return "end", getattr(subject, "_observed_key", None), "Connection"
    return "", None, type(subject).__name__ if subject is not None else ""


def is_ready(end: Any) -> bool:
    """Say whether a read from an end of a pipe would return at once; another thread may be in one."""
    if sys.platform == "win32":  # where poll() would take an empty message from that thread
        import _winapi

        return bool(_winapi.PeekNamedPipe(end.fileno())[0])
    return bool(end.poll())


def shortened(text: str) -> str:
    """Return a text, cut where it is very long."""
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
