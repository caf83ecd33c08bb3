"""Trials for the exercises on programs of queues and pipes, chapter 05."""

from __future__ import annotations

import math
import sys
import time
from contextlib import suppress
from multiprocessing import active_children

from ipc_helpers.trials import Around, Trial, count_unfinished, get_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from typing import Any

    Worker = Callable[..., Any]

MESSAGES = ("a", "b", "c", "d")
CONSUMERS = 3
NUMBERS = (1, 2, 3, 4, 5, 6)
TASKS = (4, -1, "nine", 9)
WORKERS = 2
PAGE = 100_000  # letters: more than a pipe holds


def send_to_all(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a producer put four messages for three consumers, and get whatever comes."""
    queue = ctx.Queue()
    trial = Trial(ctx, worker, queue, list(MESSAGES), CONSUMERS)
    return {"messages": get_all(queue, trial), "returned": trial.returned}


def keep_even(ctx: Any, predict: Worker, worker: Worker) -> dict[str, Any]:
    """Have two workers of a stage share six numbers, with a sentinel for each of them."""
    inbox, outbox = ctx.Queue(), ctx.Queue()
    for message in (*NUMBERS, *[None] * WORKERS):
        inbox.put(message)
    stage = [Trial(ctx, worker, inbox, outbox) for _ in range(WORKERS)]
    messages = get_all(outbox, *stage)
    inbox.cancel_join_thread()  # nobody may get them
    predicted = Trial(ctx, predict)
    predicted.is_back(None)
    returned = next((trial.returned for trial in stage if trial.returned is not None), None)
    return {"messages": messages, "predicted": predicted.returned, "returned": returned}


def answer(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Give a worker four tasks, two of which raise, and count what is unfinished then."""
    tasks, results = ctx.JoinableQueue(), ctx.Queue()
    for task in (*TASKS, None):
        tasks.put(task)
    trial = Trial(ctx, worker, tasks, results, _CountingRoot(tasks))
    messages = get_all(results, trial)
    pairs = [item for item in messages if isinstance(item, (list, tuple)) and len(item) == 2]
    counts = {str(task): root.unfinished for task, root in pairs if isinstance(root, _Root)}
    unfinished = count_unfinished(tasks)
    return {"results": messages, "counts": counts, "unfinished": unfinished, "returned": trial.returned}


def run_tasks(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have four tasks answered by two workers, the first task last of all."""
    pages = _Pages(ctx)
    trial = Trial(ctx, Around(_with_brief_answers, worker), ctx, pages, list(MESSAGES), WORKERS)
    trial.is_back(None)
    trial.process.join()
    said = []
    while not pages.log.empty():
        said.append(pages.log.get())
    return {
        "answers": trial.returned,
        "alive": trial.children,
        "started": said.count("started"),
        "ended": said.count("ended"),
    }


def finish(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Watch over three workers: one has answered and ended, one answers late, and one dies late."""
    begun, go = ctx.Event(), ctx.Semaphore(0)
    trial = Trial(ctx, Around(_with_crew, worker), ctx, begun, go)
    begun.wait()
    trial.is_back(0.5)  # who takes a worker that is at work for a dead one has asked the spare one by now
    for _ in range(2):
        go.release()
    trial.is_back(None)
    noted = trial.returned if isinstance(trial.returned, tuple) and len(trial.returned) == 2 else (None, [])
    return {"answers": noted[0], "asked": noted[1]}


# What the readers' workers are given.


class _Root(float):
    """An answer, which carries along how many messages were unfinished when it was asked for."""

    unfinished = 0


class _CountingRoot:
    def __init__(self, tasks: Any) -> None:
        self.tasks = tasks

    def __call__(self, task: Any) -> _Root:
        unfinished = count_unfinished(self.tasks)
        for _ in range(unfinished):
            self.tasks._unfinished_tasks.release()
        root = _Root(math.sqrt(task))
        root.unfinished = unfinished
        return root


class _Pages:
    """A worker that answers a letter with a page of it; it says when it starts, and when it got its None."""

    def __init__(self, ctx: Any) -> None:
        self.__name__ = "write_pages"
        self.log = ctx.SimpleQueue()
        self.another = ctx.Semaphore(0)

    def __call__(self, tasks: Any, results: Any) -> None:
        self.log.put("started")
        for task in iter(tasks.get, None):
            if task == MESSAGES[0]:
                self.another.acquire(timeout=5)  # a worker alone would wait for itself
                time.sleep(0.2)  # the other one's feeder thread writes meanwhile
            results.put((task, str(task).upper() * PAGE))
            self.another.release()
        self.log.put("ended")
        time.sleep(0.5)  # who does not join is seen


def answer_and_end(end: Connection[Any, Any], go: Any) -> None:
    """Answer one request, and end."""
    end.send(end.recv().upper())


def answer_late(end: Connection[Any, Any], go: Any) -> None:
    """Answer the first request when the time has come, then wait for more until None comes."""
    with suppress(EOFError, OSError):
        for request in iter(end.recv, None):
            go.acquire()
            end.send(request.upper())
            go.release()


def die_late(end: Connection[Any, Any], go: Any) -> None:
    """Take one request, and end with exit code 3 when the time has come, without an answer."""
    end.recv()
    go.acquire()
    sys.exit(3)


def stand_in(end: Connection[Any, Any], asked: Any) -> None:
    """Note each request and answer it, until None comes."""
    with suppress(EOFError, OSError):
        for request in iter(end.recv, None):
            asked.put(request)
            end.send(str(request).upper())


# What runs around a worker, in its process.


def _with_brief_answers(worker: Worker, *args: Any) -> Any:
    try:
        return _brief(worker(*args))
    except BaseException:
        _end_children()  # or what was raised would be covered up by the wait for them
        raise


def _with_crew(worker: Worker, ctx: Any, begun: Any, go: Any) -> tuple[Any, list[Any]]:
    asked = ctx.SimpleQueue()
    crew, kept = {}, []  # the workers' ends stay open here, as copies do after a fork
    for request, target in (("a", answer_and_end), ("b", answer_late), ("c", die_late)):
        end, workers_end = ctx.Pipe()
        child = ctx.Process(target=target, args=(workers_end, go))
        child.start()
        end.send(request)
        crew[request] = (end, child)
        kept.append(workers_end)
    spare, workers_end = ctx.Pipe()
    kept.append(workers_end)
    ctx.Process(target=stand_in, args=(workers_end, asked), daemon=True).start()
    crew["a"][1].join()
    begun.set()
    try:
        returned = _brief(worker(crew, spare))
    finally:
        _end_children()
    requests = []
    while not asked.empty():
        requests.append(asked.get())
    return returned, requests


def _end_children() -> None:
    for child in active_children():
        child.kill()
        child.join()


def _brief(value: Any) -> Any:
    """Return a value that can be pickled: long texts by their first letters, other objects by their types."""
    if isinstance(value, str):
        return value if len(value) < PAGE else value[0]
    if isinstance(value, (list, tuple)):
        return type(value)(_brief(item) for item in value) if type(value) in (list, tuple) else "…"
    if isinstance(value, dict):
        return {_brief(key): _brief(item) for key, item in value.items()}
    return value if value is None or isinstance(value, (int, float)) else f"<{type(value).__name__}>"
