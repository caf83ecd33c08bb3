"""Exercises on programs of queues and pipes, chapter 05."""

from __future__ import annotations

import math
import sys
import time
from contextlib import suppress

from ipc_helpers.exercises import (
    Exercise,
    Mistake,
    as_tuple,
    counted,
    expect_done,
    expect_list,
    expect_messages,
    expect_prediction,
    listed,
    short,
)
from ipc_helpers.exercises.trial_process import Trial, count_unfinished, drain, gather_messages, noting_work

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection
    from typing import Any

    from ipc_helpers.exercises import Seen, Worker

MESSAGES = ["a", "b", "c", "d"]
CONSUMERS = 3
NUMBERS = (1, 2, 3, 4, 5, 6)
TASKS = (4, -1, "nine", 9)
ANSWERS = [(4, 2.0), (-1, "ValueError"), ("nine", "TypeError"), (9, 3.0)]
WORKERS = 2
PAGE = 100_000  # letters: more than a pipe holds


def send_to_all(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a producer put four messages for three consumers, and get whatever comes."""
    queue = ctx.Queue()
    trial = Trial(ctx, worker, queue, MESSAGES, CONSUMERS)
    return {"messages": gather_messages(queue, trial), "returned": trial.returned}


@Exercise("05.1", send_to_all, TypeError="consumers is a number, and messages is a list")
def _judge_send_to_all(seen: Seen, messages: list[Any], returned: Any) -> str:
    expect_messages(messages, returned)
    if any(isinstance(message, (list, tuple)) for message in messages):
        raise Mistake("a list came in one message", "call put() once for each message", "put", last=True)
    sentinels = messages.count(None)
    if [message for message in messages if message is not None] != MESSAGES:
        what = f"out of the queue came {listed(messages)}"
        raise Mistake(what, f"put {listed(MESSAGES)}, each once, and then the sentinels", "put")
    if None in messages[: len(MESSAGES)]:
        what = "a sentinel came before the last message, and a consumer may stop at it"
        hint = "put all messages first, then the sentinels, in a loop of their own"
        raise Mistake(what, hint, "put", last=True)
    if sentinels != CONSUMERS:
        what = f"{counted(sentinels, 'sentinel')} came for {CONSUMERS} consumers"
        hint = "put None once for each consumer: it takes one out, and waits forever where there is none"
        raise Mistake(what, hint, "put", last=True)
    return f"{len(MESSAGES)} messages came in order, and then a sentinel for each of {CONSUMERS} consumers"


def keep_even(ctx: Any, predict: Worker, worker: Worker) -> dict[str, Any]:
    """Have two workers of a stage share six numbers, with a sentinel for each of them."""
    inbox, outbox = ctx.Queue(), ctx.Queue()
    for message in (*NUMBERS, *[None] * WORKERS):
        inbox.put(message)
    stage = [Trial(ctx, worker, inbox, outbox) for _ in range(WORKERS)]
    messages = gather_messages(outbox, *stage)
    inbox.cancel_join_thread()  # nobody may get them
    predicted = Trial(ctx, predict).wait()
    return {"messages": messages, "predicted": predicted, "returned": stage[0].returned}


@Exercise(
    "05.2",
    keep_even,
    get="after None, no message comes for this worker: hand it on, and return",
)
def _judge_keep_even(seen: Seen, messages: list[Any], predicted: Any, returned: Any) -> str:
    numbers = [message for message in messages if message is not None]
    sentinels = len(messages) - len(numbers)
    expect_messages(messages, returned)
    if sorted(map(repr, numbers)) != ["2", "4", "6"]:
        what = f"of the numbers 1 to 6, {listed(sorted(numbers, key=repr))} came out of the stage"
        raise Mistake(what, "hand on the even ones, each once, in a message of its own", "put")
    if sentinels != WORKERS:
        what = f"{counted(sentinels, 'sentinel')} came out of a stage of {WORKERS} workers"
        hint = "each worker hands on the one None that it got, before it returns: the next stage waits for it"
        raise Mistake(what, hint, "put", last=True)
    hint = "count what each of the two workers hands on, its sentinel too"
    expect_prediction(predicted, (5, 2), "5 messages came, 2 of them None", hint)
    return "3 even numbers and 2 sentinels came out, as you had predicted: the next stage has to count those"


def answer(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Give a worker four tasks, two of which raise, and count what is unfinished then."""
    tasks, results = ctx.JoinableQueue(), ctx.Queue()
    for task in (*TASKS, None):
        tasks.put(task)
    trial = Trial(ctx, worker, tasks, results, math.sqrt, around=noting_work)
    messages, unfinished = gather_messages(results, trial), count_unfinished(tasks)
    return {"results": messages, "unfinished": unfinished, "returned": trial.returned, **trial.noted}


@Exercise(
    "05.3",
    answer,
    join="you are the one who calls task_done(): you would wait for yourself",
    TypeError="the function may raise anything: catch Exception, and put the name of its type",
    ValueError="did the function raise it, or task_done() that was called once too often?",
)
def _judge_answer(
    seen: Seen, results: list[Any], unfinished: int, returned: Any, done: Sequence[tuple[Any, int]] = ()
) -> str:
    results = list(map(as_tuple, results))
    expect_messages(results, returned)
    if results != ANSWERS:
        what = f"out of the results came {listed(results)}"
        hint = "for each task put a pair: the task, and its answer or the name of the exception"
        raise Mistake(what, hint, "put")
    expect_done(done, unfinished, len(TASKS) + 1)
    return "all 4 tasks came back, 2 of them with the name of an exception, and nothing is left unfinished"


def run_tasks(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have four tasks answered by two workers, the first task last of all."""
    pages = _Pages(ctx)
    trial = Trial(ctx, worker, ctx, pages, MESSAGES, WORKERS)
    trial.join()
    return {"answers": trial.returned, "alive": trial.children, "said": drain(pages.log)}


@Exercise(
    "05.4",
    run_tasks,
    get="one result comes for each task, and no sentinel after them: count",
    join="a worker ends when it got a None of its own, and when all its results are got. Which of the two "
    "is missing?",
    KeyError="an answer is missing. Get one result for each task; an empty queue does not say that no more "
    "will come",
)
def _judge_run_tasks(seen: Seen, answers: Any, alive: int, said: list[str]) -> str:
    expected = [message.upper() for message in MESSAGES]
    started, ended = said.count("started"), said.count("ended")
    answers = expect_list(answers, "return a list: look up the answer of each task, in the order of todo")
    if any(isinstance(item, (list, tuple)) for item in answers):
        raise Mistake("pairs came back", "return the answers without their tasks")
    if answers != expected and sorted(map(str, answers)) == expected:
        what = f"the answers came in the order in which they were ready: {', '.join(answers)}"
        hint = "each result names its task: keep them in a dictionary, and look up one task after the other"
        raise Mistake(what, hint, "get")
    if answers != expected:
        hint = "get as many results as there are tasks, and return one answer for each task"
        raise Mistake(f"for the tasks a, b, c and d, {listed(answers)} came back", hint, "empty", "get")
    if started != WORKERS:
        what = f"{WORKERS} workers were to be started, and {started} did"
        raise Mistake(what, "start as many as the last argument says", "start")
    if ended != WORKERS:
        what = f"{counted(WORKERS - ended, 'worker')} did not get a sentinel"
        raise Mistake(what, "put one None for each of them, and let them end by it", "put", last=True)
    if alive:
        what = f"{counted(alive, 'worker')} still ran when the function returned"
        raise Mistake(what, "join each of them, once all results are got", "start")
    return "the answers came back in the order of the tasks, and by then both workers had ended"


def finish(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Watch over three workers: one has answered and ended, one answers late, and one dies late."""
    begun, go = ctx.Event(), ctx.Semaphore(0)
    trial = Trial(ctx, worker, ctx, begun, go, around=_with_crew)
    begun.wait()
    trial.is_back(0.5)  # who takes a worker that is at work for a dead one has asked the spare one by now
    for _ in range(2):
        go.release()
    trial.wait()
    return {"answers": None, "asked": [], **trial.noted}


@Exercise(
    "05.5",
    finish,
    recv="nothing comes from a worker that died, nor from one that was not asked; and no EOFError, since its "
    "end is open here. Wait for the pipe and the sentinel before you receive",
    poll="one worker answers and lives on, another dies and says nothing. What do you have to wait for, to "
    "learn of either?",
    join="a worker that has answered waits for its next request, and lives on",
)
def _judge_finish(seen: Seen, answers: Any, asked: list[Any]) -> str:
    if "a" in asked:
        what = "the worker of 'a' had answered and ended, and spare was asked for 'a' again"
        raise Mistake(what, "an answer stays in the pipe when its worker ends: look there first", "send")
    if "b" in asked:
        what = "the worker of 'b' was alive and at work, and spare was asked for 'b' as well"
        raise Mistake(what, "no answer yet is not a death: wait for the pipe and the sentinel", "send")
    if asked and asked != ["c"]:
        what = f"spare was asked for {listed(asked)}, and one worker had died, that of 'c'"
        raise Mistake(what, "send spare what the dead worker had, once", "send")
    if answers != {"a": "A", "b": "B", "c": "C"}:
        hint = "return a dictionary, from each request to its answer; that of a dead worker comes from spare"
        raise Mistake(f"the worker returned {short(answers)}", hint)
    return "'a' and 'b' were done once, and 'c', whose worker had died, was done by the spare one"


# What the readers' workers are given.


class _Page:
    """An answer that is large in the pipe, and a letter when it is got."""

    def __init__(self, letter: str) -> None:
        self.letter = letter

    def __reduce__(self) -> tuple[Any, ...]:
        return _first_letter, (self.letter * PAGE,)


def _first_letter(page: str) -> str:
    return page[0]


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
            results.put((task, _Page(str(task).upper())))
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


def _with_crew(worker: Worker, ctx: Any, begun: Any, go: Any) -> tuple[Any, dict[str, Any]]:
    asked = ctx.SimpleQueue()
    # The workers' ends stay open here, as copies do after a fork.
    *pipes, (spare, spares_end) = [ctx.Pipe() for _ in range(4)]
    crew, targets = {}, (answer_and_end, answer_late, die_late)
    for request, target, (end, workers_end) in zip("abc", targets, pipes, strict=True):
        child = ctx.Process(target=target, args=(workers_end, go), daemon=True)
        child.start()
        end.send(request)
        crew[request] = (end, child)
    ctx.Process(target=stand_in, args=(spares_end, asked), daemon=True).start()
    crew["a"][1].join()
    begun.set()
    answers = worker(crew, spare)
    return None, {"answers": answers, "asked": drain(asked)}
