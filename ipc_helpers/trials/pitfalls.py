"""Trials for the exercises on pitfalls, chapter 06."""

from __future__ import annotations

import contextlib
import sys
import time
from multiprocessing import connection

from ipc_helpers.trials import Around, Trial
from ipc_helpers.workers.endings import get_word, put_function, put_price, put_word
from ipc_helpers.workers.pitfalls import get_messages, wait_until_inside_get

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Worker = Callable[..., Any]

DEFAULT = "no news"
TEXTS = ("3.5", "3,50", "4")
AFTER = "5"  # comes after the sentinel
BLOB = bytes(100_000)  # more than a pipe holds
BLOBS = 4
GOOD_RUN = 2


def get_or(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker get from a queue that stays empty, and from one into which 0 is put late."""
    empty, late = ctx.Queue(), ctx.Queue()
    alone = Trial(ctx, worker, empty, 0.2, DEFAULT)
    served = Trial(ctx, Around(_plainly, worker, about=", with a late message,"), late, 60, DEFAULT)
    served.wait_until_up()
    early = served.is_back(0.5)  # a worker that does not wait is back by now
    late.put(0)
    alone.is_back(None)
    served.is_back(None)
    return {"alone": alone.returned, "served": served.returned, "early": early}


def dismiss(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker end a consumer that waits inside of get, and see whether its queue still works."""
    trial = Trial(ctx, Around(_with_consumer, worker), ctx)
    trial.is_back(None)
    return trial.returned if isinstance(trial.returned, dict) else {}


def exit_codes(ctx: Any, predict: Worker, worker: Worker) -> dict[str, Any]:
    """Have a worker tell the exit codes of four processes, one of which never ends, and of a slow one."""
    predicted = Trial(ctx, predict)
    trial = Trial(ctx, Around(_with_processes, worker), ctx)
    trial.is_back(None)
    predicted.is_back(None)
    seen = trial.returned if isinstance(trial.returned, dict) else {}
    return {**seen, "predicted": predicted.returned} if seen else {}


def serve(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Give one worker three tasks, one of which raises, and a sentinel; give another one task alone."""
    tasks, results, few, few_results = (ctx.Queue() for _ in range(4))
    for queue, text in ((tasks, TEXTS[0]), (few, "1")):
        queue.put(text)
        connection.wait([queue._reader])  # the first task is there before the worker looks for it
    busy = Trial(ctx, worker, tasks, results, float, 10)
    left = Trial(ctx, Around(_plainly, worker, about=", left without tasks,"), few, few_results, float, 0.3)
    connection.wait([results._reader, busy.process.sentinel], 2)
    time.sleep(0.5)  # a worker that does not wait as long as it may is back by now
    for task in (*TEXTS[1:], None, AFTER):
        tasks.put(task)
    found = _get_until_ended(results, busy, len(TEXTS))
    few_found = _get_until_ended(few_results, left, 1)
    return {"results": found, "few": few_found, "returned": busy.returned}


def supervise(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker supervise a producer that fails twice, and one that always fails."""
    recovers, fails = Producer(ctx, GOOD_RUN), Producer(ctx, None)
    failing = Around(_plainly, worker, about=", of a producer that fails,")
    first, second = Trial(ctx, worker, ctx, recovers, 4), Trial(ctx, failing, ctx, fails, 2)
    for trial in (first, second):
        trial.is_back(None)
        trial.process.join()
    return {
        "recovered": first.returned,
        "failed": second.returned,
        "runs": recovers.begun(),
        "failed_runs": fails.begun(),
        "alive": first.children + second.children,
    }


# The producer of exercise 5.


class Producer:
    """Sends a part and fails in its run 0, ends with exit code 3 in others, and sends all in a good one.

    Parameters
    ----------
    ctx : multiprocessing.context.BaseContext
        Of the processes that it runs in.
    good_run : int or None
        The number of the run that ends well; None for none.
    """

    __name__ = "produce"

    def __init__(self, ctx: Any, good_run: int | None) -> None:
        self._runs, self._good_run = ctx.SimpleQueue(), good_run

    def __call__(self, sender: Any, run: Any) -> None:
        """Produce, as one run of several."""
        self._runs.put(run)
        if run == self._good_run:
            for number in range(BLOBS):
                sender.send((number, BLOB))
            sender.close()
            time.sleep(0.5)  # the end of the pipe comes before that of the process, and its exit code
            return
        if run == 0:
            sender.send("a part")
        sys.exit(3)

    def begun(self) -> list[Any]:
        """Return the number of each run that has begun, once all have ended."""
        runs = []
        while not self._runs.empty():
            runs.append(self._runs.get())
        return runs


# What runs around a worker, in its process.


def _get_until_ended(queue: Any, trial: Trial, most: int) -> list[Any]:
    """Get messages until the worker's process has ended; end it when it has put more than it should."""
    messages: list[Any] = []
    while len(messages) <= most:
        connection.wait([queue._reader, trial.process.sentinel])
        alive = trial.process.is_alive()
        if queue._reader.poll():
            messages.append(queue.get(timeout=60))
        elif not alive:
            break
    else:
        trial.process.terminate()
    trial.is_back()
    return messages


def _plainly(worker: Worker, *args: Any) -> Any:
    return worker(*args)


def _with_consumer(worker: Worker, ctx: Any) -> dict[str, Any]:
    messages = ctx.Queue()
    consumer = ctx.Process(target=get_messages, args=(messages,), name="consumer")
    consumer.start()
    wait_until_inside_get(messages)
    try:
        returned = _plain(worker(messages, consumer))
        alive, exitcode = _state(consumer)
        free = messages._rlock.acquire(block=False)
        return {"returned": returned, "alive": alive, "exitcode": exitcode, "free": free}
    finally:
        _end(consumer)  # or the end of this process would wait for it


def _with_processes(worker: Worker, ctx: Any) -> dict[str, Any]:
    queues = [ctx.Queue() for _ in range(4)]
    processes = [
        ctx.Process(target=_ending_as_it_does, args=(function, queue), name=function.__name__)
        for function, queue in zip((put_word, get_word, put_function, put_price), queues, strict=True)
    ]
    begun = ctx.Event()
    slow = ctx.Process(target=_end_late, args=(begun,), name="slow")
    for process in processes:
        process.start()
    try:
        for process in processes:
            if process.name != "get_word":
                process.join()  # so that they have ended, however slow this machine is
        codes = _plain(worker(list(processes), 0.2))
        alive = [process.name for process in processes if _state(process)[0]]
        slow.start()
        begun.wait()
        slow_codes = _plain(worker([slow], 5))
    finally:
        for process in processes:
            _end(process)
    return {"codes": codes, "alive": alive, "slow": slow_codes}


def _ending_as_it_does(function: Worker, queue: Any) -> None:
    """Run a function that may raise: the exit code is the same, and the exception is not the reader's."""
    try:
        function(queue)
    except Exception:
        sys.exit(1)


def _end_late(begun: Any) -> None:
    begun.set()
    time.sleep(0.4)


def _end(process: Any) -> None:
    if _state(process)[0]:
        process.terminate()


def _plain(value: Any) -> Any:
    """Return exit codes as they are, and the repr of anything else: it may be something pickle refuses."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, int) else repr(value)


def _state(process: Any) -> tuple[bool, int | None]:
    """Return whether a process is alive, and its exit code; the reader may have closed it."""
    with contextlib.suppress(ValueError):
        return process.is_alive(), process.exitcode
    return False, None
