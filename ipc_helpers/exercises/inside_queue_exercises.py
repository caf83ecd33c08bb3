"""Exercises on what is inside a queue, chapter 04."""

from __future__ import annotations

import contextlib
import pickle
from multiprocessing import connection
from threading import Lock

from ipc_helpers.exercises import (
    Exercise,
    Mistake,
    as_list,
    counted,
    expect_done,
    expect_messages,
    expect_prediction,
    listed,
)
from ipc_helpers.exercises.trial_process import Trial, count_unfinished, gather_messages, noting_work

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ipc_helpers.exercises import Seen, Worker

BLOCK = bytes(4_000_000)  # far more than a pipe holds: the feeder thread waits with it until somebody gets
TASKS = [4, 9, -1, 16]
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
    trial = Trial(ctx, worker, queue, ["a", "b", "c"], around=_behind_a_block)
    connection.wait([queue._reader, trial.process.sentinel])
    trial.is_back(1)  # not forever: it may wait in join_thread(), until somebody gets
    messages = _get_to_the_end(queue)
    trial.is_back()
    return {"messages": messages, "returned": trial.returned}


@Exercise("04.1", send_states)
def _judge_send_states(seen: Seen, messages: list[Any], returned: Any) -> str:
    messages = list(map(as_list, messages))
    if messages == [["a"], ["a", "b"], ["a", "b", "c"]]:
        return "the list came as it was at each put: with one letter, with two and with three"
    expect_messages(messages, returned, "put the list after each letter")
    if messages == [["a", "b", "c"]] * 3:
        what = "three messages came, and each was ['a', 'b', 'c'], the list as it was at the end"
        hint = "the deque holds the list itself, and it is pickled later. What can you put instead of it?"
        raise Mistake(what, hint, "put")
    if messages == ["a", "b", "c"]:
        raise Mistake("each message was a letter alone", "put the list of all letters up to this one", "put")
    if messages[:1] == [[]]:
        raise Mistake("the first message was an empty list", "add the letter before you put", "put")
    if len(messages) == 1:
        what = f"one message came, {messages[0]!r}"
        raise Mistake(what, "put after each letter, inside the loop", "put")
    hint = "for the letters a, b and c, put ['a'], then ['a', 'b'], then ['a', 'b', 'c']"
    raise Mistake(f"out of the queue came {listed(messages)}", hint, "put")


def put_or_describe(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a producer put four values, two of which can't be pickled."""
    queue = ctx.Queue()
    trial = Trial(ctx, worker, queue, around=_with_values)
    return {"messages": gather_messages(queue, trial), "returned": trial.returned}


_MORE_THAN_ONE = "pickle raises more than one type of exception. Catch this one, too"


@Exercise(
    "04.2",
    put_or_describe,
    TypeError=_MORE_THAN_ONE,
    PicklingError=_MORE_THAN_ONE,
    AttributeError=_MORE_THAN_ONE,
)
def _judge_put_or_describe(seen: Seen, messages: list[Any], returned: Any) -> str:
    if messages == [1, "<a lock>", "three", "<a function>"]:
        return "1 and 'three' came as they are, and a description for each of the two that pickle refuses"
    if "can't be pickled" in seen.cause:
        what = "put() took a value that can't be pickled, and the feeder thread dropped it"
        hint = "put() raises nothing then. Find out whether pickle takes the value before you put it"
        raise Mistake(what, hint, "put")
    expect_messages(messages, returned, "put one for each value")
    if messages == [1, "three"]:
        what = "the two values that can't be pickled were left out"
        raise Mistake(what, "put their repr instead: whoever counts the messages waits for them", "put")
    if any(isinstance(message, bytes) for message in messages):
        hint = "pickle the value to try it, and put the value: the queue pickles again"
        raise Mistake("the consumer got bytes", hint, "put")
    hint = "put one message for each value, in their order: itself where pickle takes it, else its repr"
    raise Mistake(f"out of the queue came {listed(messages)}", hint, "put")


def leave(ctx: Any, predict: Worker, worker: Worker) -> dict[str, Any]:
    """Have a producer put behind a large message: one time nobody gets until it has ended."""
    queue = ctx.Queue()
    goes = Trial(ctx, worker, queue, False, around=_behind_a_block)
    goes.process.join()
    lost = _get_to_the_end(queue)
    queue = ctx.Queue()
    waits = Trial(ctx, worker, queue, True, around=_behind_a_block)
    waits.is_back(1)  # not forever: it may wait in join_thread(), until somebody gets
    waits.process.join(timeout=0.3)  # one that does not wait for its feeder thread is gone by now
    kept = _get_to_the_end(queue)
    predicted = Trial(ctx, predict).wait()
    return {"kept": kept, "lost": lost, "exitcode": goes.process.exitcode, "predicted": predicted}


@Exercise(
    "04.3",
    leave,
    join="with waits=False the process is to end although nobody gets. Which method cancels its wait for the "
    "feeder thread?",
    AssertionError="join_thread() is allowed after close() only; do you need it?",
)
def _judge_leave(seen: Seen, kept: list[Any], lost: list[Any], exitcode: int, predicted: Any) -> str:
    if kept != [1, 2, 3] and set(map(repr, kept)) < {"1", "2", "3"}:
        what = f"with waits=True, {len(kept)} of the messages 1, 2 and 3 came"
        hint = "there the process has to wait for its feeder thread"
        raise Mistake(what, hint, "cancel_join_thread", "put")
    if kept != [1, 2, 3]:
        what = f"with waits=True, {listed(kept)} came out of the queue"
        raise Mistake(what, "put 1, 2 and 3, each once", "put")
    came = (len(kept), len(lost))
    hint = "the deque and the feeder thread are parts of the process: what happens to them as it ends?"
    expect_prediction(predicted, came, f"{came} came", hint)
    return (
        "all 3 messages came from the process that waited, and none from the other one, "
        f"which ended with exit code {exitcode}"
    )


def do_tasks(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Give a consumer four tasks, one of which raises, and count what is unfinished then."""
    tasks = ctx.JoinableQueue()
    for task in (*TASKS, None):
        tasks.put(task)
    trial = Trial(ctx, worker, tasks, _refuse_one, around=noting_work)
    return {"returned": trial.wait(), "unfinished": count_unfinished(tasks), **trial.noted}


@Exercise(
    "04.4",
    do_tasks,
    join="you are the one who calls task_done(): you would wait for yourself",
    ValueError="work() raises it for a task that it can't do: catch it. And task_done() raises it when it is "
    "called once too often",
)
def _judge_do_tasks(seen: Seen, returned: Any, unfinished: int, done: Sequence[tuple[Any, int]] = ()) -> str:
    tasks = [task for task, _ in done]
    if tasks != TASKS:
        what = f"work() was called for {listed(tasks)}, and the tasks were {listed(TASKS)}"
        raise Mistake(what, "call it once for each task", "work")
    expect_done(done, unfinished, len(TASKS) + 1)
    if as_list(returned) != [REFUSED]:
        what = f"the worker returned {returned!r}, and the task that raised was {REFUSED}"
        raise Mistake(what, "return a list of the tasks that raised")
    return "4 tasks and the sentinel are done, the one that raised too, so that a join() returns"


def in_order(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Give a worker the numbered messages of two producers, out of order."""
    queue, results = ctx.Queue(), ctx.Queue()
    for number in ARRIVING:
        queue.put(None if number is None else (number, _Value(number)))
    trial = Trial(ctx, worker, queue, results, 2, around=_counting_puts)
    return {"results": gather_messages(results, trial), "returned": trial.returned, **trial.noted}


@Exercise("04.5", in_order, get="each producer ends with None: stop when all of them have")
def _judge_in_order(
    seen: Seen, results: list[Any], returned: Any, got: Sequence[tuple[int, int]] = ()
) -> str:
    values = [value for value in results if value is not None]
    expect_messages(results, returned, "put the values into the queue for the results")
    if len(got) < len(VALUES):
        what = f"the worker got {len(got)} of {len(VALUES)} messages, and stopped"
        hint = "get until as many sentinels have come as there are producers: each says that one is done"
        raise Mistake(what, hint, "get")
    if values == [VALUES[number] for number in ARRIVING if number is not None]:
        what = f"the values came in the order in which they had arrived: {', '.join(values)}"
        hint = "keep a value whose turn has not come, until those before it are passed on"
        raise Mistake(what, hint, "put")
    if values != list(VALUES):
        what = f"out of the queue for the results came {listed(results)}"
        raise Mistake(what, "put a, b, c, d, e, f, each alone and without its number, and then None", "put")
    for number, count in got:
        due = PASSED_ON[number]
        if count < due:
            what = (
                f"when message {number} was got, {count} values had been passed on, and {due} could have been"
            )
            raise Mistake(what, "after each get(), pass on all values whose turn has come", "put")
    if results != [*values, None]:
        what = f"the values came, and {counted(results.count(None), 'sentinel')}"
        raise Mistake(what, "put None once, after the last value", "put")
    return "a to f came in order, each as soon as all before it were there, and then the sentinel"


def _get_to_the_end(queue: Any) -> list[Any]:
    """Get all but the block until no process is left that could put; a message in part counts as none."""
    queue._writer.close()
    messages = []
    with contextlib.suppress(EOFError, OSError):
        while True:
            messages.append(pickle.loads(queue._reader.recv_bytes()))
    return [message for message in messages if message != BLOCK]


# What runs around a worker, in its process.


class Held:
    """A value that holds something which can't be pickled."""

    def __init__(self, name: str, held: Any) -> None:
        self.name, self.held = name, held

    def __repr__(self) -> str:
        return f"<{self.name}>"


def _behind_a_block(worker: Worker, queue: Any, *args: Any) -> tuple[Any, dict[str, Any]]:
    queue.put(BLOCK)
    try:
        return worker(queue, *args), {}
    except BaseException:
        queue.cancel_join_thread()  # it ends at once, and what it raised is seen
        raise


def _with_values(worker: Worker, queue: Any) -> tuple[Any, dict[str, Any]]:
    # pickle raises TypeError for a lock, and PicklingError for a lambda.
    returned = worker(queue, [1, Held("a lock", Lock()), "three", Held("a function", _NAMELESS)])
    queue.close()
    queue.join_thread()  # or its last messages could be dropped in another way, while the process ends
    return returned, {}


def _refuse_one(task: int) -> None:
    if task == REFUSED:
        raise ValueError(f"can't do {task}")


class _Value:
    """Becomes a letter when it is got; how many values were passed on by then is noted."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrive, (self.number,)


def _arrive(number: int) -> str:
    _gets.append((number, len(_puts)))
    return VALUES[number]


def _counting_puts(worker: Worker, queue: Any, results: Any, producers: int) -> tuple[Any, dict[str, Any]]:
    put = results.put

    def counting_put(message: Any, *args: Any, **options: Any) -> None:
        put(message, *args, **options)
        _puts.append(message)

    results.put = counting_put
    return worker(queue, results, producers), {"got": _gets}
