"""Workers and scripts for the tests: a child, or an interpreter of its own, imports them from here.

The standard library alone, as in ``ipc_helpers.workers``.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import pkgutil
import re
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

from ipc_helpers.child.entry import ready

if TYPE_CHECKING:
    from multiprocessing import Queue
    from multiprocessing.synchronize import Event, Lock
    from typing import Any

    from ipc_helpers import WorkerGroup
    from ipc_helpers.trace import Track

FULL = 1_000_000
"""More bytes than any platform's pipe takes without a reader."""


# Workers that return.


def add(first: int, second: int) -> int:
    return first + second


def put_in_own_queue(queue: Queue[Any]) -> object:
    queue.put("message")
    return queue.get(timeout=30)


def wait_for(event: Event) -> str:
    ready()
    return "went on" if event.wait(30) else "was not told to go on"


def record_and_die(track: Track, count: int) -> None:
    """Record some operations, begin one more, and be killed."""
    from ipc_helpers.trace import SEND

    for number in range(count):
        track.add(0, 0, number, SEND)
    track.cells[SEND] = 77
    kill_itself()


def modules_with_all_workers() -> list[str]:
    """Import the package and each module of workers; return the names of all loaded modules."""
    importlib.import_module("ipc_helpers.child.recorder")
    workers = importlib.import_module("ipc_helpers.workers")
    for module in pkgutil.iter_modules(workers.__path__):
        importlib.import_module(f"{workers.__name__}.{module.name}")
    return sorted(sys.modules)


# Workers that fail.


def fail(message: str) -> None:
    raise ValueError(message)


def fail_with_a_full_queue(queue: Queue[Any]) -> None:
    """Raise, and then be stuck at the process's end, where the queue waits for a reader."""
    queue.put(bytes(FULL))
    raise ValueError("raised with a full queue")


def fail_without_words() -> None:
    raise Wordless


def kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)


def kill_itself_later(go: Event, seconds: float) -> None:
    wait_for(go)
    time.sleep(seconds)
    kill_itself()


def find_the_end_closed(go: Event, error: type[Exception]) -> None:
    """Raise what a worker raises when the process at the other end of its pipe is gone."""
    wait_for(go)
    raise error


def set_alarm() -> None:
    signal.alarm(1)
    time.sleep(300)


def be_overdue_later(go: Event, seconds: float) -> None:
    """End as at the deadline, when something holds the interpreter."""
    wait_for(go)
    time.sleep(seconds)
    signal.raise_signal(signal.SIGALRM)


def wait_then_call(go: Event, function: str) -> Any:
    wait_for(go)
    return add(1, 2) if function == "add" else kill_itself()


def return_lambda() -> object:
    return lambda: None


def return_unreadable() -> object:
    return Unreadable()


class Wordless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Unreadable:
    """Can be pickled, can't be unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return fail, ("unpickled",)


# Workers that get stuck. Each reports that it is up first.


def sleep_long() -> None:
    ready()
    time.sleep(600)


def send_without_reader() -> None:
    ready()
    receiver, sender = multiprocessing.get_context("spawn").Pipe(duplex=False)
    with receiver, sender:
        sender.send_bytes(bytes(FULL))


def wait_for_lock(lock: Lock) -> None:
    ready()
    lock.acquire()


def put_without_reader(queue: Queue[Any]) -> None:
    """Return, and then be stuck at the process's end, where the queue waits for a reader."""
    ready()
    queue.put(bytes(FULL))


def compute() -> None:
    ready()
    while True:
        pass


def hold_the_interpreter() -> None:
    """Spend ages in one C call, in which no other Python thread can run."""
    ready()
    re.fullmatch(r"(a+)+", "a" * 80 + "b")


# Scripts: the body of an interpreter that a test starts.


def run_until_killed(start_method: str, alone: bool = False) -> None:
    """Keep three stuck workers until this process is killed from outside."""
    from ipc_helpers import WorkerGroup

    context = multiprocessing.get_context(start_method)
    queue = context.Queue()
    with WorkerGroup(context, deadline=300) as group:
        group.start(sleep_long, alone=alone)
        group.start(send_without_reader, alone=alone)
        group.start(put_without_reader, queue, alone=alone)
        print_process_ids(group)


def run_measure(start_method: str) -> None:
    """Measure what has a process of its own, and what has shared memory, until something ends it."""
    import leftovers

    from ipc_helpers import measure

    leftovers.name_semaphores()
    print("measuring", flush=True)
    measure(["Manager().Queue", "ring"], rounds=1_000, budget=600.0, start_method=start_method)


def run_in_a_thread_and_leave(start_method: str) -> None:
    """Keep a sleeping worker in a thread, as a panel does; return once there is something to read."""
    from ipc_helpers import WorkerError, WorkerGroup

    def run() -> None:
        # multiprocessing terminates the worker at the exit, when what a thread prints can crash the process.
        with (
            contextlib.suppress(WorkerError),
            WorkerGroup(multiprocessing.get_context(start_method), deadline=300) as group,
        ):
            group.start(sleep_long)
            print_process_ids(group)

    threading.Thread(target=run, daemon=True).start()
    os.read(sys.stdin.fileno(), 1)  # sys.stdin.read() holds a lock, and a forked child needs it


def run_group(start_method: str, place: str) -> None:
    """Say when the workers are up, then stay in the group's body, in one of its waits or in an experiment."""
    from ipc_helpers import QueueFlow, WorkerGroup

    if place == "experiment":
        flow = QueueFlow(messages=100_000, maxsize=1, start_method=start_method)
        flow.run(progress=lambda done: say_up() if done else None, deadline=300)
        return
    with WorkerGroup(multiprocessing.get_context(start_method), deadline=300) as group:
        group.start(sleep_long)
        group.start(compute)
        wait_until_up(group)
        say_up()
        while place == "body":
            pass
        if place == "until":
            group.wait(until=lambda: time.sleep(300) is not None)


def wait_until_up(group: WorkerGroup) -> None:
    """Wait until each worker has reported for the first time."""
    group.wait(until=lambda: all(child.is_ready for child in group.children))


def print_process_ids(group: WorkerGroup) -> None:
    wait_until_up(group)
    print(*(child.pid for child in group.children), flush=True)


def say_up() -> None:
    print("up", flush=True)


def run_until_interrupted(start_method: str, place: str) -> None:
    """Keep a group until an interrupt comes; say what was left."""
    import leftovers

    leftovers.name_semaphores()
    leftovers.start_library_processes(start_method)
    before = leftovers.held()
    try:
        run_group(start_method, place)
    except KeyboardInterrupt:
        print("interrupted, left:", sorted(leftovers.left_since(before)), flush=True)


def start_one_that_hangs(start_method: str, ended_by: str) -> None:
    """Give a large argument to a child that hangs as it comes up; print how that ended; start another.

    Its interpreter hangs where a ``sitecustomize`` looks at the variable.
    """
    from multiprocessing import resource_tracker

    from ipc_helpers import WorkerGroup

    os.environ["IPC_HANGS"] = "1"
    context = multiprocessing.get_context(start_method)
    cancelled = threading.Event()
    ends = {"cancel": cancelled.set, "interrupt": lambda: os.kill(os.getpid(), signal.SIGINT)}
    if ended_by in ends:
        threading.Timer(1, ends[ended_by]).start()
    begun = time.monotonic()
    try:
        with WorkerGroup(
            context, deadline=1 if ended_by == "deadline" else 100, cancelled=cancelled
        ) as group:
            group.start(len, bytes(1_000_000))
    except BaseException as error:
        print(type(error).__name__, time.monotonic() - begun < 20, *getattr(error, "stacks", ()), flush=True)
    print("left:", multiprocessing.active_children(), flush=True)
    del os.environ["IPC_HANGS"]
    with WorkerGroup(context, deadline=60) as group:
        child = group.start(len, bytes(1_000_000))
    print("another:", child.result, flush=True)
    # The resource tracker hangs, too, and an interpreter that exits waits for it.
    os.kill(resource_tracker._resource_tracker._pid, signal.SIGKILL)  # type: ignore[attr-defined]
    os._exit(0)


def print_stack_of_a_sleeper(deadline: float) -> None:
    """Print where a worker is that sleeps at the deadline."""
    from ipc_helpers import DeadlineError, WorkerGroup

    try:
        with WorkerGroup(multiprocessing.get_context("spawn"), deadline=deadline) as group:
            group.start(sleep_long)
    except DeadlineError as error:
        print(error.stacks["sleep_long"])


def run_modules_of_a_child(start_method: str) -> None:
    """Print which modules are loaded in a child that imported all workers."""
    from ipc_helpers import WorkerGroup

    with WorkerGroup(multiprocessing.get_context(start_method), deadline=60) as group:
        child = group.start(modules_with_all_workers)
    print(*child.result)


def run_without_widgets_and_plots() -> None:
    """Run an experiment, and print what the missing parts say, as if they were not installed."""
    for name in ("ipywidgets", "matplotlib", "numpy", "IPython"):
        sys.modules[name] = None  # type: ignore[assignment]
    import ipc_helpers

    result = ipc_helpers.QueueFlow(messages=10).run(deadline=60)
    print(result.received)
    for name in ("draw", "Panel"):
        try:
            getattr(ipc_helpers, name)
        except ImportError as error:
            print(f"{name}: {error}")
