"""Trials for the exercises on what is inside a queue, chapter 04."""

from __future__ import annotations

import contextlib
import pickle
from multiprocessing import connection
from threading import Lock

from ipc_helpers.trials import Around, Trial, count_unfinished, get_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Worker = Callable[..., Any]

BLOCK = bytes(4_000_000)  # far more than a pipe holds: the feeder thread waits with it until somebody gets
TASKS = (4, 9, -1, 16)
REFUSED = -1
ARRIVING = (0, 3, 4, None, 1, 2, 5, None)
"""The numbers of the messages of two producers, in the order in which they are in the pipe."""
VALUES = "abcdef"
PASSED_ON = {0: 0, 3: 1, 4: 1, 1: 1, 2: 2, 5: 5}
"""By a message's number: how many values can have been passed on when it is got."""

_NAMELESS = lambda: None  # noqa: E731
_puts: list[Any] = []
_gets: list[tuple[int, int]] = []


def send_states(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a producer put a list that grows, while its feeder thread is held."""
    queue = ctx.Queue()
    trial = Trial(ctx, Around(_behind_a_block, worker), queue, ["a", "b", "c"])
    connection.wait([queue._reader, trial.process.sentinel])
    trial.is_back(1)  # not for ever: it may wait in join_thread(), until somebody gets
    messages = _get_to_the_end(queue)
    trial.is_back()
    return {"messages": messages, "returned": trial.returned}


def put_or_describe(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a producer put four values, two of which can't be pickled."""
    queue = ctx.Queue()
    trial = Trial(ctx, Around(_with_values, worker), queue)
    return {"messages": get_all(queue, trial), "returned": trial.returned}


def leave(ctx: Any, predict: Worker, worker: Worker) -> dict[str, Any]:
    """Have a producer put behind a large message: one time nobody gets until it has ended."""
    queue = ctx.Queue()
    goes = Trial(ctx, Around(_behind_a_block, worker), queue, False)
    goes.process.join()
    lost = _get_to_the_end(queue)
    queue = ctx.Queue()
    waits = Trial(ctx, Around(_behind_a_block, worker), queue, True)
    waits.is_back(1)  # not for ever: it may wait in join_thread(), until somebody gets
    waits.process.join(timeout=0.3)  # one that does not wait for its feeder thread is gone by now
    kept = _get_to_the_end(queue)
    predicted = Trial(ctx, predict)
    predicted.is_back(None)
    exitcode = goes.process.exitcode
    return {"kept": kept, "lost": lost, "exitcode": exitcode, "predicted": predicted.returned}


def do_tasks(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Give a consumer four tasks, one of which raises, and count what is unfinished then."""
    tasks = ctx.JoinableQueue()
    for task in (*TASKS, None):
        tasks.put(task)
    trial = Trial(ctx, Around(_with_work, worker), tasks)
    trial.is_back(None)
    done, returned = _pair(trial.returned)
    return {"done": done, "unfinished": count_unfinished(tasks), "returned": returned}


def in_order(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Give a worker the numbered messages of two producers, out of order."""
    queue, results = ctx.Queue(), ctx.Queue()
    for number in ARRIVING:
        queue.put(None if number is None else (number, _Value(number)))
    trial = Trial(ctx, Around(_counting_puts, worker), queue, results, 2)
    messages = get_all(results, trial)
    got, returned = _pair(trial.returned)
    return {"results": messages, "got": got, "returned": returned}


# What runs around a worker, in its process.


class Held:
    """A value that holds something which can't be pickled."""

    def __init__(self, name: str, held: Any) -> None:
        self.name, self.held = name, held

    def __repr__(self) -> str:
        return f"<{self.name}>"


def _behind_a_block(worker: Worker, queue: Any, *args: Any) -> Any:
    queue.put(BLOCK)
    try:
        return worker(queue, *args)
    except BaseException:
        queue.cancel_join_thread()  # it ends at once, and what it raised is seen
        raise


def _with_values(worker: Worker, queue: Any) -> Any:
    # pickle raises TypeError for a lock, and PicklingError for a lambda.
    returned = worker(queue, [1, Held("a lock", Lock()), "three", Held("a function", _NAMELESS)])
    queue.close()
    queue.join_thread()  # or its last messages could be dropped in another way, while the process ends
    return returned


def _with_work(worker: Worker, tasks: Any) -> Any:
    done = []

    def work(task: Any) -> None:
        unfinished = count_unfinished(tasks)
        for _ in range(unfinished):
            tasks._unfinished_tasks.release()
        done.append((task, unfinished))
        if task == REFUSED:
            raise ValueError(f"can't do {task}")

    returned = worker(tasks, work)
    return done, _to_pickle(returned)


class _Value:
    """Becomes a letter when it is got; how many values were passed on by then is noted."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrive, (self.number,)


def _arrive(number: int) -> str:
    _gets.append((number, len(_puts)))
    return VALUES[number]


def _counting_puts(worker: Worker, queue: Any, results: Any, producers: int) -> Any:
    put = results.put

    def counting_put(message: Any, *args: Any, **options: Any) -> None:
        put(message, *args, **options)
        _puts.append(message)

    results.put = counting_put
    returned = worker(queue, results, producers)
    return _gets, _to_pickle(returned)


# What the trials have in common.


def _to_pickle(value: Any) -> Any:
    """Return a value, or its repr where it can't be pickled."""
    try:
        pickle.dumps(value)
    except Exception:
        return repr(value)
    return value


def _get_to_the_end(queue: Any) -> list[Any]:
    """Get all but the block until no process is left that could put; a message in part counts as none."""
    queue._writer.close()
    messages = []
    with contextlib.suppress(EOFError, OSError):
        while True:
            messages.append(pickle.loads(queue._reader.recv_bytes()))
    return [message for message in messages if message != BLOCK]


def _pair(value: Any) -> tuple[list[Any], Any]:
    """Return what was noted around a worker, and what it returned itself."""
    return value if isinstance(value, tuple) and len(value) == 2 else ([], value)
