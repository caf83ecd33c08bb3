"""Exercises on pools and executors, chapter 07."""

from __future__ import annotations

import math
import os
import time
from concurrent.futures import ProcessPoolExecutor, wait
from multiprocessing import active_children

from ipc_helpers.exercises import (
    Exercise,
    Mistake,
    as_list,
    as_tuple,
    counted,
    expect_list,
    expect_prediction,
    listed,
    short,
)
from ipc_helpers.exercises.trial_process import Trial, all_noted, brief, drain, gather_messages
from ipc_helpers.workers.pool_workers import read_prices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ipc_helpers.exercises import Seen, Worker

WORKERS = 2
PATIENCE = 3  # seconds that a task waits for what a right worker brings about at once
NUMBERS = (4, -1, "nine", 9)
ROOTS = [2.0, "ValueError", "TypeError", 3.0]
PRICES = {"pen": 2, "book": 9, "lamp": 30}
ITEMS = (("pen", "lamp", "pen"), ("book", "pen", "lamp"))
TEXTS = ("3.50", "3,50", "4")
ERROR = {"name": "PriceError", "text": "3,50", "position": 1, "words": "3,50 is no price, see position 1"}
LETTERS = ("a", "b", "c")
CAPITALS = {letter: letter.upper() for letter in LETTERS}
LIMIT = 1.5  # seconds
LASTS = 5  # seconds: a slow task ends meanwhile if each of some has LIMIT
SLOW = ("a", "slow 1", "b", "slow 2", "slow 3", "slow 4", "slow 5")
DEADLY = ("a", "deadly", "b")
KNOWN = {"a": "A", "b": "B"}


def run_all(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Give a worker an executor and four tasks: two raise, and the first waits until another is done."""
    trial = Trial(ctx, worker, ctx, around=_with_roots)
    trial.wait()
    return trial.noted


@Exercise(
    "07.1",
    run_all,
    ValueError="the exception of a task is raised where its result is asked for, and you never see the "
    "results after it. Catch it for each task, or ask its future for the exception",
    TypeError="the function may raise anything: take the name of the type of whatever it raised",
)
def _judge_run_all(seen: Seen, returned: Any, alone: int) -> str:
    answers = expect_list(returned, "return a list, with one item for each task")
    if answers and all(answer == "RuntimeError" for answer in answers):
        what = "the function was called in the process that has the executor"
        raise Mistake(what, "hand the function itself to the executor, and the task beside it", "submit")
    if alone:
        what = "the first task ran alone: no other task was done while it was at work"
        hint = "submit all tasks first, and keep their futures; then ask one after the other"
        raise Mistake(what, hint, "result", "exception")
    if answers != ROOTS and sorted(map(repr, answers)) == sorted(map(repr, ROOTS)):
        what = f"the answers came in the order in which they were ready: {listed(answers)}"
        raise Mistake(what, "ask the futures in the order of the tasks", "as_completed", "result")
    if any(isinstance(answer, str) and answer.startswith("<") for answer in answers):
        what = f"for 4, -1, 'nine' and 9 came {listed(answers)}"
        hint = "return what a task returned, or the name of its exception's type: no future, and no exception"
        raise Mistake(what, hint, "exception", "submit")
    if answers != ROOTS:
        what = f"for 4, -1, 'nine' and 9 came {listed(answers)}"
        hint = "for each task return what the function returned, or the name of the type of what it raised"
        raise Mistake(what, hint, "append", "result")
    return "4 answers came in the order of the tasks, 2 of them the name of an exception"


def look_up(ctx: Any, prepare: Worker, worker: Worker) -> dict[str, Any]:
    """Have two processes prepare themselves once, as a pool's workers do, and look up three items each."""
    load, done = _Load(ctx), ctx.Queue()
    trials = [Trial(ctx, worker, prepare, load, done, items, around=_as_in_a_pool) for items in ITEMS]
    messages = gather_messages(done, *trials)
    if not all_noted(*trials):
        return {}
    answers = [trial.noted["answers"] for trial in trials]
    return {"answers": answers, "loads": len(drain(load.log)), "messages": messages}


@Exercise(
    "07.2",
    look_up,
    NameError="what prepare() makes is lost when it returns. Say global for the names that look_up() uses",
    UnboundLocalError="what is assigned in a function is its own, unless the function says global",
    TypeError="is it still None? What prepare() assigns is its own, unless it says global",
    AttributeError="is it still None? What prepare() assigns is its own, unless it says global",
)
def _judge_look_up(seen: Seen, answers: list[Any], loads: int, messages: list[Any]) -> str:
    expected = [[PRICES[item] for item in items] for items in ITEMS]
    items = sorted(item for three in ITEMS for item in three)
    if not loads:
        what = "load() was never called"
        raise Mistake(what, "call it in prepare(), and keep what it returns in a global name")
    if loads > WORKERS:
        what = f"load() was called {loads} times, by {WORKERS} workers for {len(items)} items"
        hint = "prepare() is called once in each worker: load there, and keep the prices in a global name"
        raise Mistake(what, hint, "load")
    if answers != expected:
        found = [pair for pair in zip(ITEMS, answers, expected, strict=True) if pair[1] != pair[2]]
        what = f"for {listed(found[0][0])}, look_up() returned {listed(found[0][1])}"
        raise Mistake(what, "return the price of the item")
    if not messages:
        what = "out of the queue came nothing"
        raise Mistake(what, "put each item into the queue that prepare() was given, once it is looked up")
    if sorted(map(str, messages)) != items:
        what = f"out of the queue came {listed(sorted(map(str, messages)))}"
        raise Mistake(what, "put each item itself, once, in a message of its own", "put")
    return f"{WORKERS} workers called load() once each, and looked up {len(items)} items"


def read_price(ctx: Any, predict: Worker, worker: Worker) -> dict[str, Any]:
    """Have an executor's worker read three texts, one of which is no price; run the wrong program, too."""
    trial, program = Trial(ctx, worker, ctx, around=_with_texts), Trial(ctx, read_prices, ctx, TEXTS)
    predicted = Trial(ctx, predict)
    trial.wait()
    seen = {"predicted": predicted.wait(), "program": program.wait()}
    return {**seen, **trial.noted} if trial.noted else {}


@Exercise("07.3", read_price)
def _judge_read_price(seen: Seen, came: list[Any], predicted: Any, program: list[Any]) -> str:
    price, error, last = came
    if not isinstance(error, dict):
        what = f"for '3,50' came no exception, but {short(error)}"
        raise Mistake(what, "read_price() was right: leave it as it was")
    if error["name"] == "BrokenProcessPool":
        what = "for '3,50' came BrokenProcessPool: the worker sent an exception that could not be rebuilt"
        hint = "an exception is rebuilt by a call of its class, with its args or what __reduce__() says. "
        hint += "Does that fit its __init__()?"
        raise Mistake(what, hint, "__reduce__", "__init__")
    if error["name"] == "NotImplementedError":
        what = "for '3,50' came NotImplementedError"
        raise Mistake(what, "one part of the cell is still to be written", "__reduce__")
    if error["name"] != "PriceError":
        what = f"for '3,50' came {error['name']} ({error['words']})"
        hint = "a PriceError with its text and its position has to reach the one who asks for the result"
        raise Mistake(what, hint, "__reduce__", "PriceError")
    if error != ERROR:
        what = f"for '3,50' came a PriceError with the text {short(error['text'])}, "
        what += f"the position {short(error['position'])} and the words {short(error['words'])}"
        hint = f"before its way through the pipe they were {', '.join(map(repr, list(ERROR.values())[1:]))}"
        raise Mistake(what, hint, "__reduce__", "__init__")
    if [price, last] != [3.5, 4.0]:
        what = f"for '3.50' and '4' came {listed([price, last])}"
        raise Mistake(what, "read_price() was right: leave it as it was")
    hint = "a broken executor has no more answers to give; those that came before are kept"
    expect_prediction(predicted, tuple(program), f"the program returned {short(program)}", hint)
    return "a PriceError came for '3,50', and both prices; the program had returned what you predicted"


def collect(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Give a worker a pool and three tasks, the first of which waits until two answers are reported."""
    trial = Trial(ctx, worker, ctx, around=_with_reports)
    trial.wait()
    return trial.noted


@Exercise(
    "07.4",
    collect,
    next="a pool's workers end with its block, and no answer comes after that. Get all answers inside it",
    get="a pool's workers end with its block, and no answer comes after that. Get all answers inside it",
    TypeError="report() takes two numbers: how many answers there are by now, and how many there will be",
    ValueError="a pool is closed before it is joined; or what else does the exception say",
)
def _judge_collect(seen: Seen, returned: Any, reports: list[Any], late: int) -> str:
    numbers = [(done + 1, len(LETTERS)) for done in range(len(LETTERS))]
    reports = [as_tuple(report) for report in reports]
    if not reports:
        raise Mistake("report() was never called", "call it after each answer")
    if late:
        what = "the answers for 'b' and 'c' were ready, and no report came while the task 'a' was at work"
        hint = "map() and imap() keep the order, and a chunk comes as a whole. Which method hands on "
        hint += "each answer when it comes?"
        raise Mistake(what, hint, "map", "starmap", "imap", "imap_unordered", "get", "report")
    if reports != numbers:
        what = f"report() was called with {listed(reports)}"
        raise Mistake(what, f"after each answer say how many there are: {listed(numbers)}", "report")
    if as_list(returned) == CAPITALS:
        return "each answer was reported when it came, those that were ready before the first task's"
    what = f"the worker returned {short(returned)}"
    raise Mistake(what, "return a dictionary, from each task to its answer")


def known_in_time(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Give a worker an executor with tasks that last too long, and one with a task that kills its worker."""
    slow = Trial(ctx, worker, ctx, SLOW, LIMIT, around=_with_limit, about=", with slow tasks,")
    deadly = Trial(
        ctx, worker, ctx, DEADLY, 20, around=_with_limit, about=", with a task that kills its worker,"
    )
    return {"slow": slow.noted, "deadly": deadly.noted} if all_noted(slow, deadly) else {}


@Exercise(
    "07.5",
    known_in_time,
    TimeoutError="the time is over: end the workers, and return what you have",
    BrokenProcessPool="a worker died, and each future without an answer raises this. Keep what other "
    "futures know",
    AttributeError="an executor has a method for this only since Python 3.14. In all versions, "
    "multiprocessing.active_children() returns its workers",
)
def _judge_known_in_time(seen: Seen, slow: dict[str, Any], deadly: dict[str, Any]) -> str:
    waits = ("shutdown", "with executor", "result", "exception", "wait", "as_completed", "map")
    if slow["late"]:
        what = f"with {LIMIT} seconds for all tasks, a task came to its end that lasts {LASTS}"
        hint = "give all tasks one limit together; and end the workers before anything waits for them, "
        hint += "as shutdown() and the end of a with block do"
        raise Mistake(what, hint, *waits)
    for trial, tasks in ((slow, "the slow tasks"), (deadly, "the task that kills its worker")):
        if not isinstance(trial["returned"], dict):
            what = f"with {tasks}, the worker returned {short(trial['returned'])}"
            raise Mistake(what, "return a dictionary, from each task that was answered to its answer")
        if missing := [task for task in trial["answered"] if trial["returned"].get(task) != KNOWN[task]]:
            what = f"with {tasks} among them, {listed(missing)} had been answered, and the worker returned "
            what += short(trial["returned"])
            hint = "a task may be done although another before it is not: ask each future whether it is"
            raise Mistake(what, hint, "map", "result", "wait")
        if not trial["returned"].items() <= KNOWN.items():
            what = f"with {tasks}, the worker returned {short(trial['returned'])}"
            raise Mistake(what, "leave out the tasks that have no answer")
        if trial["alive"]:
            what = f"{counted(trial['alive'], 'worker')} still ran when the function returned"
            raise Mistake(what, "end the workers, and wait for the executor's shutdown()", "shutdown")
    return "what was known came back in time, and no worker was left; so it did when a worker had died"


# What the readers' workers are given: the functions of the tasks, and what they keep in a pool's worker.

_kept: tuple[Any, ...] = ()


def _keep(*kept: Any) -> None:
    """Keep semaphores and logs in this worker: they can't be sent with a task."""
    global _kept
    _kept = kept


def _meet(_: object = None) -> None:
    """Wait until each worker has such a task, so that all are up."""
    _kept[0].wait()


def find_root(number: Any) -> float:
    """Return the root; that of the first number when another one is found, or nobody looks for one."""
    if not _kept:
        raise RuntimeError("it is for the executor's workers to call the function")
    _, another, alone = _kept
    try:
        if number == NUMBERS[0]:
            if not another.acquire(timeout=PATIENCE):
                alone.put(number)
            time.sleep(0.2)  # the other one's answer is on its way
        return math.sqrt(number)
    finally:
        another.release()


class _Load:
    """Load the prices; it logs each call."""

    def __init__(self, ctx: Any) -> None:
        self.log = ctx.SimpleQueue()

    def __call__(self) -> dict[str, int]:
        self.log.put("loaded")
        return dict(PRICES)


def capitalize(letter: str) -> tuple[str, str]:
    """Return a letter and its capital; for the first letter when two answers are reported, or none comes."""
    _, reported, late = _kept
    if letter == LETTERS[0]:
        for _ in LETTERS[1:]:
            if not reported.acquire(timeout=PATIENCE):
                late.put(letter)
                break
    return letter, letter.upper()


def answer_or_not(task: str) -> str:
    """Return the capital of a letter; last long, or kill the process once both letters are answered."""
    _, over, done, late, answered = _kept
    if task == "deadly":
        for _ in KNOWN:
            done.acquire()
        time.sleep(1.5)  # the answers are on their way
        os._exit(3)
    if task in SLOW and task not in KNOWN:
        if not over.acquire(timeout=LASTS):
            late.put(task)
        over.release()
    answered.put((task, time.monotonic()))
    done.release()
    return task.upper()


# What runs around a worker, in its process.


def _executor(ctx: Any, *kept: Any) -> ProcessPoolExecutor:
    """Return an executor all workers of which are up, and keep things."""
    executor = ProcessPoolExecutor(WORKERS, ctx, _keep, (ctx.Barrier(WORKERS), *kept))
    wait([executor.submit(_meet) for _ in range(WORKERS)])
    return executor


def _end(executor: ProcessPoolExecutor) -> None:
    """Wait until an executor has ended, even if somebody has shut it down without waiting.

    Otherwise this process would close the executor's queue as it exits, maybe before the sentinels are in it.
    """
    executor.shutdown()
    for child in active_children():
        child.join()


def _with_roots(worker: Worker, ctx: Any) -> tuple[Any, dict[str, Any]]:
    alone = ctx.SimpleQueue()
    executor = _executor(ctx, ctx.Semaphore(0), alone)
    returned = brief(worker(executor, find_root, list(NUMBERS)))
    _end(executor)
    return None, {"returned": returned, "alone": len(drain(alone))}


def _as_in_a_pool(
    worker: Worker, prepare: Worker, load: Any, done: Any, items: tuple[str, ...]
) -> tuple[Any, dict[str, Any]]:
    prepare(load, done)
    return None, {"answers": [worker(item) for item in items]}


def _with_texts(worker: Worker, ctx: Any) -> tuple[Any, dict[str, Any]]:
    came: list[Any] = []
    with ProcessPoolExecutor(1, ctx) as executor:
        for future in [executor.submit(worker, text) for text in TEXTS]:
            error = future.exception()
            came.append(_in_words(error) if error else future.result())
    return None, {"came": came}


def _in_words(error: Any) -> dict[str, Any]:
    text, position = getattr(error, "text", None), getattr(error, "position", None)
    return {"name": type(error).__name__, "text": text, "position": position, "words": str(error)}


def _with_reports(worker: Worker, ctx: Any) -> tuple[Any, dict[str, Any]]:
    reported, late, reports = ctx.Semaphore(0), ctx.SimpleQueue(), []

    def report(done: Any, total: Any) -> None:
        reports.append((done, total))
        reported.release()

    with ctx.Pool(WORKERS, _keep, (ctx.Barrier(WORKERS), reported, late)) as pool:
        pool.map(_meet, range(WORKERS), chunksize=1)
        returned = brief(worker(pool, capitalize, list(LETTERS), report))
    return None, {"returned": returned, "reports": reports, "late": len(drain(late))}


def _with_limit(
    worker: Worker, ctx: Any, tasks: tuple[str, ...], seconds: float
) -> tuple[Any, dict[str, Any]]:
    over, done, late, answered = ctx.Semaphore(0), ctx.Semaphore(0), ctx.SimpleQueue(), ctx.SimpleQueue()
    executor = _executor(ctx, over, done, late, answered)
    early = time.monotonic() + seconds / 2  # on a busy machine, an answer takes time to come back
    returned = brief(worker(executor, answer_or_not, list(tasks), seconds))
    for child in active_children():
        child.join(timeout=0.5)  # one that was killed may take a moment to go
    alive = len(active_children())
    ended = len(drain(late))
    early_ones = [task for task, at in drain(answered) if at < early]
    over.release()  # whatever still runs has not to wait any more
    _end(executor)
    return None, {"returned": returned, "alive": alive, "late": ended, "answered": early_ones}
