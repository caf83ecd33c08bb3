"""Exercises on programs that start and stop, chapter 08."""

from __future__ import annotations

import logging
import time

from ipc_helpers.exercises import (
    Exercise,
    Mistake,
    counted,
    expect_list,
    expect_prediction,
    is_something,
    listed,
    short,
)
from ipc_helpers.exercises.another_parent import AnotherParent
from ipc_helpers.exercises.program_trials import (
    SET_IN,
    TASKS,
    TEXTS,
    WITHIN,
    WORKERS,
    Asked,
    Square,
    with_logbook,
    with_records,
    with_tasks,
)
from ipc_helpers.exercises.trial_process import Trial, all_noted, brief, drain, gather_messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ipc_helpers.exercises import Seen, Worker

STEPS = (1, 2, 3, 4, 5, 6)
SQUARES = [1, 4, 9, 16, 25, 36]
OPEN, LOW = ("shop", "INFO", "open"), ("root", "WARNING", "low")
ODD = ("bank", "ERROR", "not in dict_keys(['pen'])")
NUMBERS = (-1, -2, -3)
IDLE = 1.2  # seconds without a task


def work_until(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker do steps, with an event that is set in one of them, before the first, and never."""
    stop, never, before = ctx.Event(), ctx.Event(), ctx.Event()
    before.set()
    square, all_squares, no_square = (Square(ctx, event) for event in (stop, None, None))
    trials = [
        Trial(ctx, worker, stop, square, list(STEPS)),
        Trial(ctx, worker, never, all_squares, list(STEPS), about=", with an event that is never set,"),
        Trial(ctx, worker, before, no_square, list(STEPS), about=", with an event that is set,"),
    ]
    stopped, whole, early = [trial.wait() for trial in trials]
    begun, begun_early = (len(drain(function.begun)) for function in (square, no_square))
    seen = {"stopped": stopped, "whole": whole, "early": early, "still_set": stop.is_set()}
    return {**seen, "begun": begun, "begun_early": begun_early}


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
    trials = [Trial(ctx, worker, ctx, error, around=with_tasks, about=labels[error]) for error in labels]
    if not all_noted(*trials):
        return {}
    return dict(zip(("interrupted", "failed", "whole"), (trial.noted for trial in trials), strict=True))


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
        if trial["alive"]:
            what = f"{counted(trial['alive'], 'worker')} still ran when {ends}"
            hint = "after the sentinels, wait for each worker's end"
            if seen.calls("join"):
                hint = "put the sentinels and join in a finally block, which runs whatever is raised"
            raise Mistake(what, hint, "put", last=True)
        if trial["done"] != TASKS:
            what = f"the tasks {listed(TASKS)} came, and when {ends}, {listed(trial['done'])} had been done"
            hint = "start the workers first, and put each task once, as soon as it comes"
            if seen.calls("terminate", "kill"):
                hint = "a worker that is terminated leaves its task half done: let None end it"
            raise Mistake(what, hint, "terminate", "kill", "put")
        if trial["raised"] != error:
            what = f"{error} did not reach the caller of feed()"
            hint = "a finally block lets it go on, unless it has a return; after an except, say raise"
            raise Mistake(what, hint)
        if trial["left"] != WORKERS:
            what = f"{trial['left']} of {WORKERS} workers had got None when {ends}"
            hint = "put None for each worker, and let it end by that"
            raise Mistake(what, hint, "terminate", "kill", "put")
    return f"all tasks were done and {WORKERS} workers ended: also after an interrupt, and after an exception"


def log_to(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker prepare the logging of a process twice, and see which records come from there."""
    queue = ctx.Queue()
    trial = Trial(ctx, worker, queue, around=with_records)
    messages = gather_messages(queue, trial, most=20)
    records = [
        (message.name, message.levelname, message.getMessage())
        if isinstance(message, logging.LogRecord)
        else short(brief(message))
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
    if ODD[:2] not in came:
        what = "a record with an argument that can't be pickled did not come"
        hint = "a QueueHandler makes a text of the arguments before it puts the record"
        raise Mistake(what, hint, "put", "prepare", "addHandler", "basicConfig")
    if changed := [pair for pair in zip(records, (OPEN, LOW, ODD), strict=False) if pair[0] != pair[1]]:
        (*_, text), (*_, logged) = changed[0]
        what = f"the text {short(logged)} was logged, and {short(text)} came"
        hint = "basicConfig() gives a handler a format; with format='%(message)s' the text stays as it is"
        raise Mistake(what, hint, "basicConfig", "setFormatter", "addHandler")
    return "each record from INFO on came once, from three loggers, although log_to() was called twice"


def predict(ctx: Any, worker: Worker, SentLogbook: Worker) -> dict[str, Any]:
    """Have a method of a logbook run in a child, and look at the logbook there and here."""
    predicted, trial = Trial(ctx, worker), Trial(ctx, SentLogbook, ctx, around=with_logbook)
    trial.wait()
    return {"predicted": predicted.wait(), **trial.noted} if trial.noted else {}


@Exercise("08.4", predict)
def _judge_predict(
    seen: Seen, predicted: Any, refused: str, there: Any, waits: bool, later: str, here: list[Any]
) -> str:
    if refused:
        what = f"start() raised {refused}"
        hint = "with a method, its whole object is pickled: leave the lock out of what __getstate__() returns"
        raise Mistake(what, hint, "__getstate__", "SentLogbook")
    if there is None:
        what = "the child failed before note() was called, as its logbook was made"
        hint = "look at what __setstate__() does with the state: the lock is not in it"
        raise Mistake(what, hint, "__setstate__", "SentLogbook")
    if isinstance(there, str):
        what = f"in the child, note() raised {there}"
        hint = "no __init__() runs there: __setstate__() has to give the new logbook all that it needs"
        raise Mistake(what, hint, "__setstate__", "SentLogbook")
    if later:
        what = f"after the start of the child, note() raised {later} here"
        hint = "this logbook still needs its lock: __getstate__() takes it out of a copy of the dictionary"
        raise Mistake(what, hint, "__getstate__", "SentLogbook")
    if there != TEXTS:
        what = f"the logbook in the child had {listed(there)}, and not {listed(TEXTS)}"
        hint = "all but the lock belongs to the state, and __setstate__() takes it from there"
        raise Mistake(what, hint, "__setstate__", "SentLogbook")
    if not waits:
        what = "in the child, note() did not wait while another thread held the lock"
        raise Mistake(what, "make a lock there, with threading.Lock()", "__setstate__", "SentLogbook")
    hint = "the child got a copy of the logbook, and note() ran there"
    expect_prediction(predicted, tuple(here), f"the logbook here has {listed(here)}", hint)
    return f"the logbook in the child has {listed(there)}; the one here has {listed(here)}, as predicted"


def serve(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Give a worker tasks, with a pause, and None; have the parent of another one killed."""
    parent = AnotherParent(ctx)
    asked, orphan = Asked(ctx, worker, parent), Asked(ctx, worker, parent, ", whose parent was killed,")
    idle = left = ended = False
    if asked.ask(NUMBERS[0]) and orphan.ask(NUMBERS[0]):
        time.sleep(IDLE)
        idle = asked.trial.process.is_alive()
        if all(asked.ask(number) for number in NUMBERS[1:]):
            asked.end.send(None)
            left = asked.has_ended()
            parent.kill()
            ended = orphan.has_ended()
    for killed in (asked.trial.process, orphan.trial.process, parent):
        killed.kill()
    return {"answers": asked.answers, "idle": idle, "left": left, "ended": ended}


@Exercise(
    "08.5",
    serve,
    TypeError="None says that no task comes any more: look for it first; and wait() takes a list of all that "
    "it waits for",
    AttributeError="call parent_process() in the function: while its module is imported, it returns None",
)
def _judge_serve(seen: Seen, answers: list[Any], idle: bool, left: bool, ended: bool) -> str:
    if not answers:
        what = f"the task {NUMBERS[0]} had no answer after {WITHIN} seconds"
        hint = "wait for the connection and for the parent; receive a task, and send the function's answer"
        raise Mistake(what, hint, "send", "wait", "poll", "recv")
    if not idle:
        what = f"for {IDLE} seconds no task came, and the worker ended while its parent lived"
        raise Mistake(what, "a pause is no end: go on as long as the parent lives", "poll", "wait")
    if answers != [abs(number) for number in NUMBERS]:
        what = f"for {listed(NUMBERS)} came {listed(answers)}"
        raise Mistake(what, "send what the function returns for each task", "send")
    if not left:
        what = f"{WITHIN} seconds after None, the worker was still running"
        hint = "no task comes after None: return, and leave no thread behind that keeps the process alive"
        raise Mistake(what, hint, "recv", "wait")
    if ended:
        return "3 tasks were answered, one after a pause; a worker whose parent was killed ended by itself"
    hint = "nobody sends, and no end of file comes: wait for the parent's sentinel beside the connection"
    if seen.calls("getppid"):
        hint = "ask parent_process(), which works on all systems: on Windows, getppid() does not change"
    elif seen.calls("wait"):
        hint = "receive only if the connection is among those that wait() returned"
    what = f"{WITHIN} seconds after its parent was killed, the worker was still running"
    raise Mistake(what, hint, "recv", "wait", "poll")
