"""Run somebody's function, which may start processes of its own, and say in words what became of them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import shutil
import signal
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipc_helpers.child import diagnosis_probe
from ipc_helpers.child.entry import frames_can_be_read
from ipc_helpers.diagnosis.causes import conclusion
from ipc_helpers.diagnosis.observed_processes import MAIN, ObservedProcess, Tree, messages
from ipc_helpers.group.errors import Cancelled, DeadlineError, WorkerError
from ipc_helpers.group.starting import start_methods
from ipc_helpers.group.worker_group import WorkerGroup, checked_deadline

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

_STUCK_FOR = 0.5  # seconds in which no process of the tree moved
_POLLS_EVERY = 0.1  # seconds, and later a twentieth of the time that has passed
_ANSWERS_WITHIN = 1.0  # seconds that a process may take to say where it is
_ENDS_WITHIN = 1.0  # seconds after that: then each process ends itself
_GONE_WITHIN = 5.0  # seconds until the last process of the tree must have ended
_OUTPUT = 100_000  # bytes of what the processes print are kept
# The resource tracker says that it cleans up after processes that were ended, as it should.
_TRACKER = re.compile(r"^.*resource_tracker\.py:\d+: UserWarning.*\n(?:  .*\n)?", re.MULTILINE)


@dataclass(frozen=True)
class Diagnosis:
    """What became of a function and of all processes below it.

    Attributes
    ----------
    healthy : bool
        Whether every process ended by itself, without an exception, and no message was left.
    cause : str
        What went wrong, in a sentence; for healthy code, that nothing did.
    remedy : str
        What to do about it; empty where there is nothing to say.
    returned : object
        What the function returned; None when it did not.
    processes : tuple of ObservedProcess
        The main process first, then in the order of their start.
    left : dict of str to int
        For each queue: how many messages were put and never got. Without those that the system
        does not count (macOS).
    output : str
        What the processes printed, on POSIX systems; the first 100,000 bytes of it.
    """

    healthy: bool
    cause: str
    remedy: str
    returned: Any
    processes: tuple[ObservedProcess, ...]
    left: dict[str, int]
    output: str = field(repr=False)

    @property
    def stuck(self) -> dict[str, str]:
        """Where each process was that had to be ended, by name."""
        return {process.name: process.words for process in self.processes if process.state == "stuck"}

    @property
    def exitcodes(self) -> dict[str, int | None]:
        """The exit code of each process that ended by itself, by name."""
        return {process.name: process.exitcode for process in self.processes if process.exitcode is not None}

    def __str__(self) -> str:
        lines = [f"{process.name}: {process.words}" for process in self.processes]
        lines += [
            f"{queue}: {messages(count)} put and never got" for queue, count in self.left.items() if count
        ]
        lines.append(f"{'Healthy' if self.healthy else 'Cause'}: {self.cause}.")
        if self.remedy:
            lines.append(f"Remedy: {self.remedy}.")
        return "\n".join(lines)


def diagnose(
    function: Callable[..., Any], /, *args: Any, deadline: float = 5.0, start_method: str = "spawn"
) -> Diagnosis:
    """Run a function in a child process, and say in words what became of it and of all that it started.

    The function may start processes, queues and pipes of its own, with ``multiprocessing``. Whatever
    still runs at the deadline says where it is, and is ended; so nothing is left, whatever the function does.

    Parameters
    ----------
    function : callable
        What to run. Under spawn and forkserver the child imports it by its module and name, so it has to
        live in a module.
    *args
        Its arguments.
    deadline : float
        Seconds until the processes that still run are taken to be stuck; above 0, at most 86,400. Once
        all wait for each other, so that nothing can move any more, they are ended sooner: within about a
        second, later within a tenth of the time that has passed.
    start_method : str
        How the child that runs the function is started: "spawn", and "fork" or "forkserver" where the
        platform has them. The function chooses for its own processes.

    Returns
    -------
    Diagnosis
        Print it: a line for each process, and the cause in a sentence.

    Raises
    ------
    TypeError, ValueError
        For a parameter of the wrong type or out of its range, before anything starts.
    RuntimeError
        In a free-threaded Python (PEP 703), where no thread can read the frames of another that runs.
    StartError
        When the function or its arguments can't be handed to a child.
    KeyboardInterrupt
        When an interrupt arrived; all processes are ended first.

    Notes
    -----
    What is seen: processes, queues and pipes of ``multiprocessing``, and what is built on them
    (``concurrent.futures``), not what ``subprocess`` starts. The causes are told from where each process is
    stuck (``sys._current_frames``), from the locks and counts of each queue, and from who holds which end
    of a pipe.
    """
    if not callable(function):
        raise TypeError(f"function must be callable, not {function!r}")
    seconds = checked_deadline(deadline)
    if start_method not in start_methods():
        allowed = " or ".join(map(repr, start_methods()))
        raise ValueError(f"start_method must be {allowed}, not {start_method!r}")
    if not frames_can_be_read():
        raise RuntimeError(
            "diagnose reads the frames of running threads, and a free-threaded Python does not let it: "
            "take the usual build of Python"
        )
    context: Any = multiprocessing.get_context(start_method)
    main: dict[str, Any] = {}
    folder = Path(tempfile.mkdtemp(prefix="ipc_helpers-"))
    try:
        reader, writer = context.Pipe(duplex=False)
        printed = bytearray()
        reading = threading.Thread(target=_read, args=(reader, printed), daemon=True)
        reading.start()
        try:
            main = _run(context, function, args, folder, seconds, writer)
        finally:
            writer.close()
            tree = _end(reading, folder, main)
    finally:
        _remove(folder)
    tree.output = output = _TRACKER.sub("", printed.decode(errors="replace"))
    cause, remedy, healthy = conclusion(tree)
    left = tree.messages_left()
    return Diagnosis(healthy, cause, remedy, main.get("returned"), tree.endings(), left, output)


def _run(
    context: Any,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    folder: Path,
    seconds: float,
    writer: Connection,
) -> dict[str, Any]:
    """Run the function in a child of its own; return how that child ended."""
    looks_at = time.perf_counter_ns() + int(seconds * 1e9)
    ends_at = looks_at + int((_ANSWERS_WITHIN + _ENDS_WITHIN) * 1e9)
    group = WorkerGroup(context, deadline=seconds + _ANSWERS_WITHIN + _ENDS_WITHIN)

    begun = time.monotonic()
    polls_at = begun + _STUCK_FOR

    def is_over() -> bool:
        nonlocal polls_at
        if (late := (time.perf_counter_ns() - looks_at) / 1e9) > _ANSWERS_WITHIN:
            return True
        if (now := time.monotonic()) < polls_at:
            return False
        polls_at = now + max(_POLLS_EVERY, (now - begun) / 20)
        tree = Tree(folder, {})
        if late < 0 and tree.is_stuck(_STUCK_FOR):
            main["ended_at"] = time.perf_counter_ns()
            return True
        return late > 0 and tree.is_complete

    main: dict[str, Any] = {}
    try:
        with group:
            child = group.start(
                diagnosis_probe.observe, function, args, str(folder), looks_at, ends_at, writer, name=MAIN
            )
            main["pid"] = child.pid
            writer.close()
            with contextlib.suppress(RuntimeError):  # the child has returned meanwhile
                group.wait(until=lambda: child.exitcode is not None or is_over())
            if child.exitcode is None:
                raise Cancelled  # which ends it
        main.update(exitcode=0, returned=child.result)
    except (Cancelled, DeadlineError):
        pass
    except WorkerError as error:
        main.update(exitcode=error.exitcode, kind=error.kind, message=error.message)
    return main


def _read(reader: Connection, printed: bytearray) -> None:
    """Read what a tree of processes prints, until the last of them has ended; on Windows, nothing."""
    with reader:
        while os.name == "posix" and (data := os.read(reader.fileno(), 65_536)):
            printed += data[: max(_OUTPUT - len(printed), 0)]


def _end(reading: threading.Thread, folder: Path, main: dict[str, Any]) -> Tree:
    """See to it that the whole tree has ended; return what was seen of it."""
    reading.join(_ENDS_WITHIN)
    if reading.is_alive():
        for pid in Tree(folder, main).processes:  # stopped, or in C code that holds the interpreter
            with contextlib.suppress(OSError):
                os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        reading.join(_GONE_WITHIN)
    return Tree(folder, main, main.get("ended_at"))


def _remove(folder: Path) -> None:
    """Remove the folder; on Windows, which removes no file that a process has open, once all have ended."""
    ends_at = time.monotonic() + _GONE_WITHIN
    shutil.rmtree(folder, ignore_errors=True)
    while folder.is_dir() and time.monotonic() < ends_at:
        time.sleep(0.02)
        shutil.rmtree(folder, ignore_errors=True)
