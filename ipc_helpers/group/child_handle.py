"""One child of a group, as its parent sees it: what it sent, how it ended, where it was stuck."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ipc_helpers.child import entry as child_side
from ipc_helpers.child.stacks import readable
from ipc_helpers.group.errors import WorkerError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

_NOTED_WITHIN = 0.2  # seconds in which a thread that was first to see a process's end notes its exit code
KILLED_WITHIN = 10.0  # seconds until a killed child must have ended


# What a worker raises when the process at the other end of its pipe is gone.
PEER_GONE = {error.__name__ for error in (EOFError, BrokenPipeError, ConnectionResetError)}


@dataclass(eq=False)
class Child:
    """One worker in one child process, as :meth:`WorkerGroup.start` returns it.

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
    _was_terminated: bool = False

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
        if self._ended_as_told:
            return "returned" if self.has_returned else "was terminated"
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

    @property
    def _ended_as_told(self) -> bool:
        """Whether its end, where it has ended, is what its parent wanted."""
        left = self._raised and self._outcome[1] == SystemExit.__name__  # as a handler of SIGTERM does
        return self._was_terminated and (left or not self._raised)

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

    def _terminate(self) -> None:
        self._was_terminated |= self.exitcode is None
        self._process.terminate()

    def _kill(self) -> None:
        self._was_killed |= self._process.exitcode is None
        self._process.kill()

    def _reap(self) -> None:
        """Wait for the killed process, let go of all it holds."""
        try:
            self._process.join(KILLED_WITHIN)
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
                self._stack = readable(file.read().decode(errors="replace"))
            with contextlib.suppress(OSError):  # gone already, but where the child never came to it
                os.unlink(file.name)


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
