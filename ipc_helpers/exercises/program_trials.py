"""What the trials of chapter 08 give to the readers' workers, and run around them in their processes."""

from __future__ import annotations

import logging
import time
from multiprocessing import active_children, connection
from threading import Thread

from ipc_helpers.exercises.another_parent import AnotherParent, with_another_parent
from ipc_helpers.exercises.trial_process import Trial, brief, drain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Worker = Callable[..., Any]

SET_IN = 3  # the step in which the event is set
WORKERS = 2
TASKS = ["a", "b", "c", "d"]
PATIENCE = 3  # seconds that the tasks wait for a worker to begin with the first
TEXTS = ["opened", "started"]
WITHIN = 4  # seconds for an answer, and for an end, with room for a busy machine


class Square:
    """Squares a step; sets an event, where there is one, in one of the steps."""

    def __init__(self, ctx: Any, event: Any) -> None:
        self.begun, self._event = ctx.SimpleQueue(), event

    def __call__(self, step: int) -> int:
        """Do one step."""
        self.begun.put(step)
        if self._event and step == SET_IN:
            self._event.set()
        return step * step


class Work:
    """Does tasks until None comes."""

    __name__ = "work"

    def __init__(self, ctx: Any) -> None:
        self.begun, self.done = ctx.Semaphore(0), ctx.SimpleQueue()

    def __call__(self, tasks: Any) -> None:
        """Get tasks from a queue, and note each one that is done, and None at the end."""
        for task in iter(tasks.get, None):
            self.begun.release()
            time.sleep(0.3)
            self.done.put(task)
        self.done.put(None)

    def tasks(self, error: BaseException | None) -> Iterator[str]:
        """Yield the tasks; once a worker is at work, raise the error."""
        yield from TASKS
        self.begun.acquire(timeout=PATIENCE)
        if error:
            raise error


class Asked:
    """A worker that answers tasks, through a pipe that does not end with its parent."""

    def __init__(self, ctx: Any, worker: Worker, parent: AnotherParent, about: str = "") -> None:
        self.end, self.theirs = ctx.Pipe()  # both stay open here
        self.answers: list[Any] = []
        self.trial = Trial(
            ctx, worker, self.theirs, abs, *parent.facts, around=with_another_parent, about=about
        )

    def ask(self, task: int) -> bool:
        """Send a task; say whether there was an answer in time."""
        self.trial.is_back()  # waits until it is up
        self.end.send(task)
        connection.wait([self.end, self.trial.process.sentinel], WITHIN)
        if is_answered := self.end.poll():
            self.answers.append(brief(self.end.recv()))
        return bool(is_answered)

    def has_ended(self) -> bool:
        """Say whether its process ends in time."""
        return bool(connection.wait([self.trial.process.sentinel], WITHIN))


def with_tasks(worker: Worker, ctx: Any, kind: type[BaseException] | None) -> tuple[Any, dict[str, Any]]:
    """Run a worker that feeds others; note what was raised, what they did, and how many are left."""
    work, raised = Work(ctx), ""
    error = kind() if kind else None
    try:
        worker(ctx, work, work.tasks(error), WORKERS)
    except BaseException as caught:
        if caught is not error:
            raise
        raised = type(caught).__name__
    children = active_children()
    for child in children:
        child.kill()
        child.join()
    said = drain(work.done)
    done = sorted(task for task in said if task is not None)
    return None, {"raised": raised, "alive": len(children), "done": done, "left": said.count(None)}


def with_records(worker: Worker, queue: Any) -> tuple[Any, dict[str, Any]]:
    """Run a worker that prepares the logging of its process, and log something; do both twice."""
    returned = worker(queue, logging.INFO)
    logging.getLogger("shop").info("open")
    logging.getLogger("shop.till").debug("count")
    logging.getLogger().warning("low")
    worker(queue, logging.INFO)  # as in a worker's second task
    logging.getLogger("bank").error("not in %s", {"pen": 2}.keys())  # which can't be pickled
    return returned, {}


def with_logbook(make: Worker, ctx: Any) -> tuple[Any, dict[str, Any]]:
    """Run a method of a reader's logbook in a child; note what became of the two logbooks."""
    logbook, log = make(), ctx.SimpleQueue()
    logbook.note(TEXTS[0])
    child = ctx.Process(target=_note, args=(logbook.note, log), name="child")
    refused = later = ""
    there, waits = None, False
    try:
        child.start()
    except TypeError as error:
        if not str(error).startswith("cannot pickle"):
            raise
        refused = _in_words(error)
    else:
        child.join()
        there, waits = (drain(log) or [(None, False)])[0]  # nothing, where the child could not begin
    here = list(logbook.texts)
    try:
        logbook.note("closed")
    except AttributeError as error:
        later = _in_words(error)
    return None, {"refused": refused, "there": there, "waits": waits, "later": later, "here": here}


def _note(note: Worker, log: Any) -> None:
    """Note a text, and tell the texts that there are, and whether the lock is looked at."""
    logbook: Any = note.__self__  # type: ignore[attr-defined]
    try:
        note(TEXTS[1])
        texts = list(logbook.texts)
        waits = _waits_for(logbook.lock, note) if hasattr(logbook, "lock") else True
    except Exception as error:
        log.put((_in_words(error), False))
    else:
        log.put((brief(texts), waits))


def _waits_for(lock: Any, note: Worker) -> bool:
    with lock:
        thread = Thread(target=note, args=("at once",))
        thread.start()
        thread.join(0.3)
        return thread.is_alive()


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__} ({error})"
