"""Exercises on programs that start and stop, chapter 08."""

from __future__ import annotations

import logging
import os
import time
from multiprocessing import active_children, connection, process
from threading import Thread

from ipc_helpers.exercises import Exercise, Mistake, counted, expect_list, is_something, listed, short
from ipc_helpers.exercises.trial_process import Trial, brief, drain, gather_messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from typing import Any

    from ipc_helpers.exercises import Seen, Worker

STEPS = (1, 2, 3, 4, 5, 6)
SQUARES = [1, 4, 9, 16, 25, 36]
SET_IN = 3  # the step in which the event is set
WORKERS = 2
TASKS = ["a", "b", "c", "d"]
PATIENCE = 3  # seconds that the tasks wait for a worker to begin with the first
OPEN, LOW, NO_KEY = ("shop", "INFO", "open"), ("root", "WARNING", "low"), ("bank", "ERROR", "no key")
RECORDS = [OPEN, LOW, NO_KEY]
START = 10
NUMBERS = (1, 2, 3)
NUMBERS_ASKED = (-1, -2, -3)
IDLE = 1.2  # seconds without a task
WITHIN = 4  # seconds for an answer, and for an end, with room for a busy machine


def work_until(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker do steps, with an event that is set in one of them, before the first, and never."""
    stop, never, before = ctx.Event(), ctx.Event(), ctx.Event()
    before.set()
    square, all_squares, no_square = (_Square(ctx, event) for event in (stop, None, None))
    trials = [
        Trial(ctx, worker, stop, square, list(STEPS)),
        Trial(ctx, worker, never, all_squares, list(STEPS), about=", with an event that is never set,"),
        Trial(ctx, worker, before, no_square, list(STEPS), about=", with an event that is set,"),
    ]
    stopped, whole, early = [trial.wait() for trial in trials]
    seen = {"stopped": stopped, "whole": whole, "early": early}
    begun = [len(drain(function.begun)) for function in (square, no_square)]
    return {**seen, "begun": begun[0], "begun_early": begun[1], "still_set": stop.is_set()}


@Exercise(
    "08.1",
    work_until,
    poll="nobody may ever set the event: ask is_set(), which does not wait",
    TypeError="an event has the method is_set(), and function takes one step",
)
def _judge_work_until(
    seen: Seen, stopped: Any, whole: Any, early: Any, begun: int, begun_early: int, still_set: bool
) -> str:
    hint = "return a list of what the function returned, also when the event is set"
    whole, stopped, early = (expect_list(returned, hint) for returned in (whole, stopped, early))
    if whole == stopped == []:
        what = "the event was not set, and no step was done"
        raise Mistake(what, "an event counts as true whether it is set or not. What does is_set() return?")
    if begun > SET_IN:
        what = f"the event was set during step {SET_IN}, and {counted(begun - SET_IN, 'more step')} began"
        raise Mistake(what, "ask the event before each step", "is_set", "function")
    if begun_early:
        what = f"the event was set before the first step, and {counted(begun_early, 'step')} began"
        raise Mistake(what, "ask the event before a step, and not only after it", "is_set")
    if stopped == SQUARES[: SET_IN - 1]:
        what = f"the event was set during step {SET_IN}, and what this step returned is missing"
        raise Mistake(what, "a step that has begun is finished: keep what it returned", "append")
    for found, expected, when in (
        (whole, SQUARES, "without the event, "),
        (stopped, SQUARES[:SET_IN], f"with the event set during step {SET_IN}, "),
        (early, [], "with the event set before the first step, "),
    ):
        if found != expected:
            what = f"{when}the worker returned {listed(found)}"
            raise Mistake(what, "return what the function returned for each step that was done", "append")
    if not still_set:
        what = "the event was no longer set when the worker had returned"
        raise Mistake(what, "other workers look at it, too: leave it as it is", "clear")
    return f"no step began once the event was set; without the event, all {len(STEPS)} steps were done"


def feed(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker feed workers with tasks that end in an interrupt, in an exception, and by themselves."""
    labels = {KeyboardInterrupt: ", interrupted,", ArithmeticError: ", with tasks that fail,", None: ""}
    trials = [Trial(ctx, worker, ctx, error, around=_with_tasks, about=labels[error]) for error in labels]
    for trial in trials:
        trial.wait()
    if not all(trial.noted for trial in trials):
        return {}
    interrupted, failed, whole = (trial.noted for trial in trials)
    return {"interrupted": interrupted, "failed": failed, "whole": whole}


@Exercise(
    "08.2",
    feed,
    deadline=30.0,  # nine processes
    join="a worker ends when it gets None, and each None goes to one worker: put one for each, then join",
    get="it is the workers who get; you put",
    TypeError="args takes a tuple: the queue is one argument, (queue,)",
)
def _judge_feed(
    seen: Seen, interrupted: dict[str, Any], failed: dict[str, Any], whole: dict[str, Any]
) -> str:
    for trial, error, when in (
        (interrupted, "KeyboardInterrupt", "feed() ended with KeyboardInterrupt"),
        (failed, "ArithmeticError", "feed() ended with the exception of the tasks"),
        (whole, "", "feed() returned"),
    ):
        ends = when if trial["raised"] == error else "feed() returned"
        if trial["alive"] and seen.calls("join"):
            what = f"{counted(trial['alive'], 'worker')} still ran when {ends}"
            hint = "put the sentinels and join in a finally block, which runs whatever is raised"
            raise Mistake(what, hint, "put", last=True)
        if trial["alive"]:
            what = f"{counted(trial['alive'], 'worker')} still ran when {ends}"
            raise Mistake(what, "after the sentinels, wait for each worker's end", "put", last=True)
        if trial["done"] != TASKS and seen.calls("terminate", "kill"):
            what = f"of {len(TASKS)} tasks, {len(trial['done'])} had been done when {ends}"
            hint = "a worker that is terminated leaves its task half done: let None end it"
            raise Mistake(what, hint, "terminate", "kill")
        if trial["done"] != TASKS:
            what = f"the tasks {listed(TASKS)} came, and when {ends}, {listed(trial['done'])} had been done"
            hint = "start the workers first, and put each task once, as soon as it comes"
            raise Mistake(what, hint, "put")
        if trial["raised"] != error:
            what = f"{error} did not reach the caller of feed()"
            hint = "a finally block lets it go on, unless it has a return; after an except, say raise"
            raise Mistake(what, hint)
        if trial["left"] != WORKERS:
            what = f"{trial['left']} of {WORKERS} workers had got None when {ends}"
            raise Mistake(
                what, "put None for each worker, and let it end by that", "terminate", "kill", "put"
            )
    return f"all tasks were done and {WORKERS} workers ended: after an interrupt, after an exception, and after neither"


def log_to(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker prepare the logging of a process twice, and see which records come from there."""
    queue = ctx.Queue()
    trial = Trial(ctx, worker, queue, around=_with_records)
    messages = gather_messages(queue, trial, most=20)
    records = [
        (message.name, message.levelname, message.getMessage())
        if isinstance(message, logging.LogRecord)
        else f"{short(brief(message))}"
        for message in messages
    ]
    return {"records": records, "returned": trial.returned}


@Exercise(
    "08.3",
    log_to,
    TypeError="a QueueHandler takes a queue; basicConfig() takes handlers, a list",
    AttributeError="the handler lives in logging.handlers, a module to import by its whole name",
)
def _judge_log_to(seen: Seen, records: list[Any], returned: Any) -> str:
    if not records and is_something(returned):
        what = f"log_to() returned {short(returned)}, and no record came"
        raise Mistake(what, "add a QueueHandler to the root logger; nobody looks at what is returned")
    if not records:
        hint = "the child needs a QueueHandler at its root logger; a QueueListener is for the parent"
        raise Mistake("no record came", hint, "QueueListener", "QueueHandler", "basicConfig")
    if texts := [record for record in records if isinstance(record, str)]:
        what = f"out of the queue came {texts[0]}, which is no record"
        raise Mistake(what, "a QueueHandler puts the whole record, and the parent chooses its form", "put")
    if any(level == "DEBUG" for _, level, _ in records):
        what = "a DEBUG record came, and the level was INFO"
        raise Mistake(what, "set the level that was given", "setLevel", "basicConfig")
    if len(records) > len(set(records)):
        count = max(map(records.count, records))
        what = f"after the second call, one record came {count} times"
        hint = "a logger keeps the handlers that it has: look for yours, or remove it, before you add one"
        raise Mistake(what, hint, "addHandler", "basicConfig")
    came = {record[:2] for record in records}
    if LOW[:2] not in came and came:
        what = "a record of the root logger did not come"
        hint = "records go up to the root logger's handlers, from all loggers: add the handler there"
        raise Mistake(what, hint, "addHandler", "getLogger")
    if OPEN[:2] not in came:
        what = "an INFO record did not come, and the level was INFO"
        hint = "in a spawned child, the root logger passes on WARNING and above until you set its level"
        raise Mistake(what, hint, "setLevel", "basicConfig", "addHandler")
    if NO_KEY[:2] not in came:
        what = "a record with an argument that can't be pickled did not come"
        hint = "a QueueHandler makes a text of the arguments before it puts the record"
        raise Mistake(what, hint, "put", "prepare", "addHandler", "basicConfig")
    if changed := [pair for pair in zip(records, RECORDS, strict=False) if pair[0] != pair[1]]:
        (*_, text), (*_, logged) = changed[0]
        what = f"the text {short(logged)} was logged, and {short(text)} came"
        hint = (
            "basicConfig() gives a handler a format; format='%(message)s' leaves the text as it is, and the "
        )
        hint += "parent's handler can add the rest"
        raise Mistake(what, hint, "basicConfig", "setFormatter", "addHandler")
    if len(records) > len(RECORDS):
        what = f"{len(records)} records came, and {len(RECORDS)} were logged from INFO on"
        raise Mistake(what, "log_to() itself logs nothing", "info", "warning", "log_to")
    return "each record from INFO on came once, from three loggers, although log_to() was called twice"


def add_in_child(ctx: Any, worker: Worker, Counter: Worker) -> dict[str, Any]:
    """Have a worker run a method of a counter in a child; use the counter before and after that."""
    trial = Trial(ctx, worker, Counter, ctx, around=_with_counter)
    trial.wait()
    return trial.noted


@Exercise(
    "08.4",
    add_in_child,
    get="the child ended without a total. What did it raise, or what was it started with",
    join="the child sends its total to nobody. Get it first, then join",
    TypeError="with a method, its whole object is sent to the child, and a lock can't be: leave it out of "
    "what __getstate__() returns",
    AttributeError="where is the lock? __getstate__() leaves it out of a copy of the dictionary, and "
    "__setstate__() makes another one in the child",
    RuntimeError="target takes the method itself, without parentheses, and start() has the child call it",
)
def _judge_add_in_child(seen: Seen, total: Any, both: Any) -> str:
    before, after = START + 1, START + 1 + sum(NUMBERS)
    if total == before:
        what = f"the child had to add {listed(NUMBERS)} to {before}, and counter.total is still {before} here"
        hint = "the child has a copy of the counter: get its total from the queue, and keep it here"
        raise Mistake(what, hint, "get", "start", "add_in_child")
    if total != after:
        what = f"the child had to add {listed(NUMBERS)} to {before}, and counter.total is {short(total)} here"
        raise Mistake(what, "the total that the child puts is the new one, with the old one in it", "get")
    if both != 2:
        what = f"two threads added 1 each at the same time, and the total rose by {short(both)}"
        raise Mistake(what, "one thread has to wait for the other: leave the lock in add()", "add")
    return f"the child counted from {before} to {after}, the counter here knows it, and its lock still works"


def serve(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Give a worker tasks, with a pause, and None; have the parent of another one killed."""
    gone, held = ctx.Pipe(duplex=False)
    never = ctx.Event()  # there for as long as this name refers to it
    parent = ctx.Process(target=_hold, args=(held, never), name="parent", daemon=True)
    parent.start()
    held.close()
    labels = "", ", whose parent was killed,"
    asked, orphan = (_Asked(ctx, worker, gone, parent.pid, about) for about in labels)
    idle = left = ended = False
    if asked.ask(NUMBERS_ASKED[0]) and orphan.ask(NUMBERS_ASKED[0]):
        time.sleep(IDLE)
        idle = asked.trial.process.is_alive()
        if all(asked.ask(number) for number in NUMBERS_ASKED[1:]):
            asked.end.send(None)
            left = asked.has_ended()
            parent.kill()
            parent.join()
            ended = orphan.has_ended()
    for child in (asked.trial.process, orphan.trial.process, parent):
        child.kill()
    return {"answers": asked.answers, "idle": idle, "left": left, "ended": ended}


@Exercise(
    "08.5",
    serve,
    TypeError="None says that no task comes any more: look for it first; and wait() takes a list of all that "
    "it waits for",
    AttributeError="call parent_process() in the function: while its module is imported, it returns None",
)
def _judge_serve(seen: Seen, answers: list[Any], idle: bool, left: bool, ended: bool) -> str:
    expected = [abs(number) for number in NUMBERS_ASKED]
    if not answers:
        what = f"the task {NUMBERS_ASKED[0]} had no answer after {WITHIN} seconds"
        hint = (
            "wait for the connection and for the parent, receive a task, and send what the function returns"
        )
        raise Mistake(what, hint, "send", "wait", "poll", "recv")
    if not idle:
        what = f"for {IDLE} seconds no task came, and the worker ended while its parent lived"
        raise Mistake(what, "a pause is no end: go on as long as the parent lives", "poll", "wait")
    if answers != expected:
        what = f"for {listed(NUMBERS_ASKED)} came {listed(answers)}"
        raise Mistake(what, "send what the function returns for each task", "send")
    if not left:
        what = f"{WITHIN} seconds after None, the worker was still running"
        hint = "no task comes after None: return, and leave no thread behind that keeps the process alive"
        raise Mistake(what, hint, "recv", "wait")
    if ended:
        return (
            "3 tasks were answered, one after a pause; and a worker whose parent was killed ended by itself"
        )
    what = f"{WITHIN} seconds after its parent was killed, the worker was still running"
    hint = "nobody sends, and no end of file comes: wait for the parent's sentinel beside the connection"
    if seen.calls("getppid"):
        hint = "ask parent_process(), which works on all systems: on Windows, getppid() does not change"
    elif seen.calls("wait"):
        hint = "receive only if the connection is among those that wait() returned"
    raise Mistake(what, hint, "recv", "wait", "poll")


# What the readers' workers are given.


class _Square:
    """Squares a step; sets an event, where there is one, in one of the steps."""

    def __init__(self, ctx: Any, event: Any) -> None:
        self.begun, self._event = ctx.SimpleQueue(), event

    def __call__(self, step: int) -> int:
        self.begun.put(step)
        if self._event and step == SET_IN:
            self._event.set()
        return step * step


class _Work:
    """Does tasks until None comes."""

    __name__ = "work"

    def __init__(self, ctx: Any) -> None:
        self.begun, self.done = ctx.Semaphore(0), ctx.SimpleQueue()

    def __call__(self, tasks: Any) -> None:
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


class _Unsendable:
    """Has a text, and can't be pickled."""

    def __str__(self) -> str:
        return "key"

    def __reduce__(self) -> str:
        raise TypeError("cannot pickle a key")


class _Number(int):
    """Refuses to be added in one process: in the parent of the one that is meant to."""

    refuses = 0

    def __radd__(self, other: int) -> int:
        if os.getpid() == self.refuses:
            raise RuntimeError("the method was called in the parent")
        return other + int(self)


class _Slow(int):
    """Takes long to be added."""

    def __radd__(self, other: int) -> int:
        time.sleep(0.3)
        return other + int(self)


def _hold(end: Connection, never: Any) -> None:
    """Stay, with an end of a pipe, until this process is killed."""
    never.wait()


class _Asked:
    """A worker that answers tasks.

    Both ends of its pipe stay open here, as in a program whose other workers have copies of the parent's
    end: so the worker sees no end of file.
    """

    def __init__(self, ctx: Any, worker: Worker, gone: Connection, pid: int, about: str) -> None:
        self.end, self.theirs = ctx.Pipe()
        self.answers: list[Any] = []
        self.trial = Trial(ctx, worker, self.theirs, abs, gone, pid, around=_with_another_parent, about=about)

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


# What runs around a worker, in its process.


def _with_tasks(worker: Worker, ctx: Any, kind: type[BaseException] | None) -> tuple[Any, dict[str, Any]]:
    work, raised = _Work(ctx), ""
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


def _with_records(worker: Worker, queue: Any) -> tuple[Any, dict[str, Any]]:
    returned = worker(queue, logging.INFO)
    logging.getLogger("shop").info("open")
    logging.getLogger("shop.till").debug("count")
    logging.getLogger().warning("low")
    worker(queue, logging.INFO)  # as in a worker's second task
    logging.getLogger("bank").error("no %s", _Unsendable())
    return returned, {}


def _with_counter(worker: Worker, make: Worker, ctx: Any) -> tuple[Any, dict[str, Any]]:
    counter, numbers = make(START), [_Number(number) for number in NUMBERS]
    for number in numbers:
        number.refuses = os.getpid()
    counter.add(1)
    worker(ctx, counter, numbers)
    total = counter.total
    counter.add(1)
    before = counter.total
    threads = [Thread(target=counter.add, args=(_Slow(1),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return None, {"total": total, "both": counter.total - before}


def _with_another_parent(
    worker: Worker, end: Connection, function: Worker, gone: Connection, pid: int
) -> tuple[Any, dict[str, Any]]:
    """Have another process taken for the parent: the real one has to see what its death brings about."""
    time.sleep(0.1)  # what watches the real parent in this process knows it by now
    # As multiprocessing has it: a pipe, the other end of which is the parent's alone.
    sentinel: Any = gone.fileno() if os.name == "posix" else gone
    process._parent_process = process._ParentProcess("parent", pid, sentinel)  # type: ignore[attr-defined]
    return worker(end, function), {}
