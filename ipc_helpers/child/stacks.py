"""Where the threads of this process are, and whether it waits for other processes, without a limit.

Read from the frames of the threads (``sys._current_frames``) and from what these hold: the queue, the end of
a pipe or the process that a call of the library's is for.
"""

from __future__ import annotations

import _thread
import linecache
import os
import re
import sys
import time
from collections import namedtuple
from contextlib import suppress
from itertools import takewhile
from multiprocessing import connection, queues
from multiprocessing.process import BaseProcess

from ipc_helpers.child import entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import FrameType
    from typing import Any

_LIBRARY = os.path.dirname(os.__file__)  # and site-packages is below it
_HERE = os.path.dirname(__file__)
_PACKAGE = os.path.dirname(_HERE)
# What runs around a program, or looks at it. The package's other modules are programs, such as workers.
_MACHINERY = {
    os.path.join(_HERE, f"{name}.py") for name in ("entry", "diagnosis_probe", "recorder", "stacks", "xray")
}
_LONGEST_TEXT = 300  # characters of a message or of a source line

FEEDERS_JOIN = "the feeder's join"
"""What stands for the call of a thread that waits until a feeder thread has written all messages."""

_QUEUES = ("Queue", "JoinableQueue", "SimpleQueue")
WAITS = {
    **{f"{kind}.{name}": name for kind in _QUEUES for name in ("get", "put")},
    **{f"Connection.{name}": "receive" for name in ("recv", "recv_bytes", "recv_bytes_into", "poll")},
    **{f"Connection.{name}": "send" for name in ("send", "send_bytes")},
    **{FEEDERS_JOIN: "feeder", "Process.join": "process", "JoinableQueue.join": "tasks"},
    **dict.fromkeys(("Event.wait", "Condition.wait", "wait"), "others"),
    # Of a pool that has ended: the threads of one that has not may still bring the result.
    **{f"{kind}.next": "result" for kind in ("IMapIterator", "IMapUnorderedIterator")},
    **{f"{kind}.get": "result" for kind in ("ApplyResult", "MapResult")},
}
"""The calls that wait for another process, for as long as it takes; and a word for what each waits for."""


class CallSite(namedtuple("CallSite", "line own_lines call kind key names within_message")):
    """Where a thread is: its own line, the library's function that this calls, and what for.

    Attributes
    ----------
    line : str
        The innermost line of the program's own; empty in a thread that is in none.
    own_lines : sequence of (str, int)
        The file and the number of each line of the program's own, innermost first.
    call : str
        What that line called: "Queue.get" for example; :data:`FEEDERS_JOIN`; empty for code of its own.
    kind : {"process", "queue", "end", ""}
        What the call is for.
    key : object
        What tells it from others of its kind.
    names : sequence of str
        The library's functions that this line is in, innermost first.
    within_message : bool
        Whether the length of a message was read, and its body was not.
    """

    @property
    def is_feeder(self) -> bool:
        """Whether it is in the feeder thread of a queue."""
        return "_feed" in self.names

    @property
    def is_writing(self) -> bool:
        """Whether it is inside a write into a pipe."""
        return not {"_send", "_send_bytes"}.isdisjoint(self.names)

    @property
    def is_at_lock(self) -> bool:
        """Whether a ``get`` waits for the lock of the readers."""
        return self.names[0] in ("get", "__enter__")

    @property
    def is_exiting(self) -> bool:
        """Whether the process is past its function."""
        return not self.own_lines and "_exit_function" in self.names

    @property
    def serves(self) -> bool:
        """Whether waiting is what the process is for: in a pool's or an executor's worker, or a manager's."""
        return not self.own_lines and not {"worker", "_process_worker", "serve_forever"}.isdisjoint(
            self.names
        )


class WaitDetector:
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
        # A frame that is kept is not used again, so the same frame says: no call has returned since.
        if now and now == self._before:
            self._tell(self._since)
            return
        if self._before and not now:
            self._tell(0)
        self._before, self._since = now, time.perf_counter_ns()


def have_waited(waits: list[tuple[int, int] | None], changed: int, seconds: float) -> bool:
    """Say whether processes have waited for each other, all of them, throughout some time.

    Then none can go on. One that computes, sleeps, or waits with a limit of its own does not wait here.

    Parameters
    ----------
    waits : list of tuple or None
        Of each process that lives: since when it waits, and when that was seen last, in nanoseconds of
        ``time.perf_counter_ns``; None where it does not.
    changed : int
        When one ended last, in the same time: who waits for it may not have seen it yet.
    seconds : float
        How long they have to have waited together.
    """
    known = [wait for wait in waits if wait]
    if not known or len(known) < len(waits):
        return False
    since = max(changed, *(begun for begun, _ in known))
    return min(seen for _, seen in known) - since >= seconds * 1e9


def threads() -> dict[int, list[FrameType]]:
    """Return the frames of each thread but those of this package, from the innermost one on."""
    frames = sys._current_frames()
    # A frame of this thread's would hold itself, and all frames with their locals, until the next collection.
    del frames[_thread.get_ident()]
    stacks = {thread: list(outwards(frame)) for thread, frame in frames.items()}
    watch = entry.watch.__code__
    return {
        thread: stack for thread, stack in stacks.items() if watch not in [frame.f_code for frame in stack]
    }


def waits_now(main: int, queues: Iterable[Any]) -> list[tuple[FrameType, object]]:
    """Return where each thread is if all wait for other processes; nothing if one may go on.

    That is its innermost frame and, inside a message, how many bytes are still to be moved.
    """
    stacks = threads()
    stack = stacks.pop(main, [])
    if not stack or not _waits(stack):
        return []
    feeders = [call_site(feeder) for feeder in stacks.values()]
    if not all(feeder.is_feeder for feeder in feeders):
        return []  # a thread of the program's own may be at work
    if not any("_send" in feeder.names for feeder in feeders) and any(map(_is_about_to_write, queues)):
        return []
    return [(frames[0], local(frames[0], "remaining")) for frames in (stack, *stacks.values())]


def whereabouts(thread: int) -> tuple[str, str]:
    """Return where a thread is: the line of its own, and the library's function that this calls."""
    site = call_site(threads().get(thread, []))
    return site.line, site.call


def holder(lock: Any) -> str:
    """Say who holds a lock: this process ("here"), or another one ("elsewhere"); empty for nobody."""
    if lock is None or not lock._semlock._is_zero():  # on Windows, no lock is needed to write
        return ""
    return "here" if lock._semlock._count() else "elsewhere"


def _is_about_to_write(queue: Any) -> bool:
    """Say whether a queue's feeder has something to write, and no other process holds the lock for it."""
    return bool(getattr(queue, "_buffer", ())) and holder(queue._wlock) != "elsewhere"


def _waits(stack: list[FrameType]) -> bool:
    """Say whether a thread waits for another process, without a limit, and nothing is there for it."""
    site = call_site(stack)
    if site.is_exiting:
        return site.call == FEEDERS_JOIN or "join" in site.names
    if site.serves:
        return True
    if site.call not in WAITS:
        return False
    if site.within_message:  # which no timeout covers
        return True
    called = _library_frames(stack)[-1]
    if local(called, "timeout") is not None or not local(called, "block", True):
        return False
    if site.call == "wait":
        waited_for: Any = local(called, "object_list")
        if not hasattr(waited_for, "__len__"):  # another function of this name, or an iterator
            return False
        return os.name != "posix" or not connection.wait(waited_for, 0)
    subject: Any = local(called, "self")
    if site.kind == "queue" and WAITS[site.call] == "get":
        return site.is_at_lock or not is_ready(subject._reader)
    if site.kind == "end" and WAITS[site.call] == "receive":
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
    if name.startswith(_PACKAGE + os.sep):  # which may be installed below the library
        return name in _MACHINERY
    # "<string>" is the command line of a spawned child.
    return name.startswith((_LIBRARY, "<frozen")) or name == "<string>"


def line_of(frame: FrameType, number: int | None = None) -> str:
    """Return the source of the line that a frame is in, or of another line."""
    text = linecache.getline(frame.f_code.co_filename, number or frame.f_lineno, frame.f_globals).strip()
    return shortened(text or f"{frame.f_code.co_name}()")


def call_site(frames: list[FrameType]) -> CallSite:
    """Return where a thread with these frames is."""
    own = [frame for frame in frames if not is_library(frame)]
    library = _library_frames(frames)
    names = [frame.f_code.co_name for frame in library]
    # What the own line called; in a process that is past its function, the innermost with an object.
    with_object = (frame for frame in library if _subject(frame)[0])
    called = library[-1] if own and library else next(with_object, None)
    kind, key, owner = _subject(called) if called else ("", None, "")
    call = f"{owner}.{called.f_code.co_name}" if called and owner else names[-1] if names else ""
    return CallSite(
        line_of(own[0]) if own else "",
        [(frame.f_code.co_filename, frame.f_lineno) for frame in own],
        call if {"_finalize_join", "join_thread"}.isdisjoint(names) else FEEDERS_JOIN,
        kind,
        key,
        names,
        any(frame.f_code.co_name == "_recv_bytes" and local(frame, "size") is not None for frame in library),
    )


def _library_frames(frames: list[FrameType]) -> list[FrameType]:
    """Return the frames that the innermost one of the program's own called, without what looks at it."""
    inside = takewhile(is_library, frames)
    return [frame for frame in inside if frame.f_code.co_filename not in _MACHINERY]


def _subject(frame: FrameType) -> tuple[str, Any, str]:
    """Return what a library function works on: its kind, what tells it from others, and its class."""
    subject = local(frame, "self")
    if frame.f_code.co_name == "_exit_function":
        subject = local(frame, "p")  # the child that it joins
    if isinstance(subject, BaseProcess):
        return "process", getattr(getattr(subject, "_popen", None), "pid", None), "Process"
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


def readable(dump: str) -> str:
    """Return a faulthandler dump without thread ids, and without frames that start or record the worker."""
    # faulthandler writes ASCII, so another character of the folder's name is a backslash and its number.
    here = re.escape(_HERE.encode("ascii", "backslashreplace").decode()) + re.escape(os.sep)
    watch = re.compile(rf'File "{here}entry.py", line \d+ in watch\b')
    outer = re.compile(rf'File "{here}entry.py", line \d+ in (?:run|_outcome|load)$|in _bootstrap$')
    records = re.compile(rf'File "{here}recorder.py", line ')
    threads_shown = []
    for block in re.split(r"^(?:Timeout .*|(?:Current )?[Tt]hread 0x.*)\n", dump, flags=re.MULTILINE):
        frames = block.splitlines()
        if frames and not watch.search(block):
            inner = takewhile(lambda frame: not outer.search(frame), frames)
            shown = [frame for frame in inner if not records.search(frame)]
            threads_shown.append("\n".join(shown) or "  in the worker itself, which is no Python function")
    if not threads_shown:
        return ""
    # faulthandler lists the newest thread first, the main thread last.
    *others, main = (f"thread, innermost frame first:\n{stack}" for stack in threads_shown)
    return "\n".join([f"main {main}", *(f"another {other}" for other in others)])
