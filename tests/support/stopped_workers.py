"""Workers as a reader would write them for a program that is stopped: right and wrong ones."""

from __future__ import annotations

import queue as queues
import signal
import sys
import time
from typing import TYPE_CHECKING

import reader_workers

from ipc_helpers.workers import program_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


def work_and_look_again(queue: Any, stopping: Any) -> None:
    """Wait for a task with a limit, and do all in one loop."""
    task: Any = ()
    while task is not None and not stopping.is_set():
        try:
            task = queue.get(timeout=0.01)
        except queues.Empty:
            continue
        time.sleep(task[1] if task else 0)


def work_once(queue: Any, _: object) -> None:
    reader_workers.take_one_task(queue)


def finish_when_terminated(queue: Any, _: object) -> None:
    ends: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ends.append(number))
    while not ends:
        time.sleep(queue.get()[1])


def leave_when_terminated(queue: Any, _: object) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    while True:
        time.sleep(queue.get()[1])


def put_and_leave(queue: Any, tasks: Sequence[Any], *_: object) -> None:
    reader_workers.put_each(queue, tasks)


def put_and_stop_at_once(queue: Any, tasks: Sequence[Any], _: object, stop: Callable[[], None]) -> None:
    reader_workers.put_each(queue, tasks)
    stop()


class Interrupted:
    """A lock that is interrupted, as by Ctrl-C, whenever this process has just taken it."""

    def __init__(self, lock: Any, taken: Any) -> None:
        self.lock, self.taken = lock, taken

    def __enter__(self) -> None:
        self.lock.acquire()
        if self.taken:
            self.taken.release()
            self.taken = None
        signal.raise_signal(signal.SIGINT)

    def __exit__(self, *_: object) -> None:
        self.lock.release()


def search_and_be_interrupted(stop: Any, taken: Any) -> None:
    """Search where nothing is found, and be interrupted whenever the event's lock is taken."""
    stop._cond._lock = Interrupted(stop._cond._lock, taken)
    program_workers.search(0, stop, None)
