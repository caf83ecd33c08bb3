"""Exercises on processes, chapter 01."""

from __future__ import annotations

import os
import sys
import time
from multiprocessing import connection

from ipc_helpers.exercises import (
    Exercise,
    Mistake,
    as_tuple,
    counted,
    expect_list,
    expect_prediction,
    is_something,
    listed,
    short,
)
from ipc_helpers.exercises.trial_process import Nothing, Trial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ipc_helpers.exercises import Seen, Worker

TEXT = "to be, or\n  not to be"
TEXTS = ("so far so good", "well done", "all in all")
NUMBERS = (8, 3, 0)
NOT_A_TEXT = 100
"""How a child of exercise 3 leaves that was not given one of the texts: this, and the number of arguments."""


def count_words(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker count the words of a text, and those of an empty one."""
    trials = [Trial(ctx, worker, text) for text in (TEXT, "")]
    return {"codes": [trial.join() for trial in trials], "returned": trials[0].returned}


@Exercise("01.1", count_words, TypeError="the text is a str; sys.exit() takes one number")
def _judge_count_words(seen: Seen, codes: list[int], returned: Any) -> str:
    count, code = len(TEXT.split()), codes[0]
    leaves = ("exit", "_exit", "SystemExit")
    if codes == [count, 0]:
        return f"for a text of {count} words, the exit code was {count}; for an empty one, 0"
    if code == 0 and is_something(returned):
        what = f"the worker returned {short(returned)}, and the exit code was 0"
        raise Mistake(what, "a process throws away what its worker returns; sys.exit() sets the exit code")
    if code == 0 and seen.calls("print"):
        what = "the worker printed something, and the exit code was 0"
        hint = "the parent does not get what a child prints; sys.exit() sets the exit code"
        raise Mistake(what, hint, "print")
    if code == 0:
        what = f"for a text of {count} words, the exit code was 0"
        raise Mistake(what, "give sys.exit() the number of words", *leaves)
    if codes == [1, 1]:
        what = "the exit code was 1 for each text"
        raise Mistake(what, "sys.exit() takes a number; anything else makes the exit code 1", *leaves)
    if code == count:
        what = f"for an empty text, the exit code was {codes[1]}"
        raise Mistake(what, "split() without an argument finds no word in an empty text", *leaves)
    what = f"for a text of {count} words, the exit code was {code}"
    raise Mistake(what, "words are what split() finds between blanks and ends of lines", *leaves)


def prove(ctx: Any, predict: Worker, worker: Worker) -> dict[str, Any]:
    """Have a worker hand a list to a child and append to it, once with three numbers and once with five."""
    predicted = Trial(ctx, predict)
    three, five = Trial(ctx, worker, ctx, [1, 2, 3]), Trial(ctx, worker, ctx, [1, 2, 3, 4, 5])
    return {"predicted": predicted.wait(), "three": three.wait(), "five": five.wait()}


@Exercise(
    "01.2",
    prove,
    join="the child is started, and ends by itself",
    TypeError="args takes a tuple of arguments: the list is one argument",
)
def _judge_prove(seen: Seen, predicted: Any, three: Any, five: Any) -> str:
    predicted, three, five = as_tuple(predicted), as_tuple(three), as_tuple(five)
    if isinstance(three, Nothing):
        what = f"prove() returned {three}: append_one ran in your own process"
        hint = "target takes the function itself, without parentheses, and start() starts the child"
        raise Mistake(what, hint, "append_one", "run")
    if not isinstance(three, tuple) or len(three) != 2:
        raise Mistake(f"prove() returned {short(three)}", "return two numbers")
    if three[0] is None:
        hint = "a child has an exit code once it has ended: join it, then read exitcode"
        raise Mistake("prove() returned None for the exit code", hint, "start")
    if three == (4, 4):
        what = "the child's exit code was 4: it got its copy of the list before you had appended"
        raise Mistake(what, "make the process, append, and only then start it", "start")
    if three == (4, 3):
        what = "prove() returned (4, 3): nothing was appended to the list here"
        raise Mistake(what, "append a number between making the process and starting it", "start")
    if three != (5, 4):
        what = f"for a list of three numbers, prove() returned {short(three)}"
        raise Mistake(what, "return the child's exit code, then the length of your list", "start")
    if five != (7, 6):
        what = f"for a list of five numbers, prove() returned {short(five)}"
        raise Mistake(what, "return what the child left and how long the list is, whatever the list")
    hint = "follow your list, and the child's copy of it, through the three steps"
    if predicted == (4, 4):
        hint = "the child got a copy. Was it made with the process, or at its start?"
    elif predicted == (5, 5):
        hint = "the child appends to a copy of the list, in its own memory"
    expect_prediction(predicted, (5, 4), "it was (5, 4)", hint)
    return "the child got its copy at the start, and counted to 5; the list here had 4, as predicted"


def count_all(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker start a child for each of three texts; each child waits until all have begun."""
    counts = CountWords(ctx, TEXTS)  # its events are there for as long as this one refers to them
    trial = Trial(ctx, worker, ctx, counts, list(TEXTS), around=_called_from_here)
    return {"returned": trial.wait(), "begun": counts.begun(), "alive": trial.children}


_ALL_FIRST = "these children wait for each other: start all of them before you wait for the first"


@Exercise(
    "01.3",
    count_all,
    join=_ALL_FIRST,
    running=_ALL_FIRST,
    RuntimeError="target takes the function itself, without parentheses, and start() has the child call it",
    TypeError="args takes a tuple of arguments, also for a single one",
    WorkerError="a WorkerGroup takes it for a failure that a worker leaves: use ctx.Process",
)
def _judge_count_all(seen: Seen, returned: Any, begun: int, alive: int) -> str:
    codes = expect_list(returned, "it is the children that leave: return a list of their exit codes")
    expected = [len(text.split()) for text in TEXTS]
    if codes == expected and begun != len(expected):
        what = f"count_all() returned the right numbers, and {begun} children had counted"
        raise Mistake(what, "start a child for each text, and ask it for its exit code")
    if codes == expected:
        return "three children ran side by side, and their exit codes came in the order of the texts"
    for code in codes:
        if isinstance(code, int) and code >= NOT_A_TEXT:
            what = f"a child was called with {counted(code - NOT_A_TEXT, 'argument')}, and not with one text"
            hint = "args is a tuple of what the worker is called with: (text,), with its comma"
            raise Mistake(what, hint, "Process")
    if not codes:
        hint = "what a child changes changes in its own memory alone; ask each process for its exit code"
        raise Mistake("count_all() returned an empty list", hint)
    what = f"count_all() returned {listed(codes)}"
    if None in codes and alive:
        hint = "wait for each child before you read its exit code"
        raise Mistake(f"{what} while children still ran", hint, "start")
    if None in codes:
        hint = "join() returns None in any case; the exit code is an attribute of the process"
        raise Mistake(what, hint, "join")
    if len(codes) == len(expected) and sorted(codes, key=repr) == sorted(expected, key=repr):
        what = f"the exit codes came in another order than the texts: {listed(codes)}"
        raise Mistake(what, "go through the children in the order in which you made them")
    hint = "return the exitcode of each child, once it has ended"
    raise Mistake(f"the children left {listed(expected)}, and {what}", hint)


def wait_or_end(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker watch a process that returns, one that leaves with exit code 3, and one that stays."""
    trial = Trial(ctx, worker, ctx, around=_with_processes)
    return {"watched": trial.wait()}


@Exercise(
    "01.4",
    wait_or_end,
    join="this process does not end by itself: give join() the seconds",
    running="with a timeout, join() returns as soon as the process has ended, or the time is over",
    TypeError="an exit code is None as long as the process has not ended",
)
def _judge_wait_or_end(seen: Seen, watched: Any) -> str:
    returns, leaves, stays = expect_list(watched, "return True or False")
    for said in (item["said"] for item in watched):
        if said not in (True, False):
            raise Mistake(f"wait_or_end() returned {short(said)}", "return True or False in each case")
    if not returns["said"] and returns["code"] != 0:
        what = "a process that ends after a moment had 60 seconds, and was not given them"
        raise Mistake(what, "wait for it first, up to so many seconds", "terminate", "kill")
    if not returns["said"] and leaves["said"]:
        what = "a process ended by itself with exit code 0, and wait_or_end() returned False"
        raise Mistake(what, "0 counts as false, and None as well: ask whether the exit code is None", "join")
    if not returns["said"]:
        what = "a process ended by itself, in time, and wait_or_end() returned False"
        hint = "join() returns None in any case: look at the exit code, or at is_alive(), afterwards"
        raise Mistake(what, hint, "join")
    if not leaves["said"]:
        what = "a process left by itself with exit code 3, and wait_or_end() returned False"
        raise Mistake(what, "any number says that it has ended; None says that it has not")
    gone = stays["seen"] or (stays["ended"] and seen.calls("wait"))  # for the sentinel of the process
    if not gone and not seen.calls("terminate", "kill"):
        what = "a process that does not end by itself still ran when wait_or_end() returned"
        raise Mistake(what, "when the time is over, end it", "join")
    if not gone:
        what = "wait_or_end() ended a process, and did not wait until it had ended"
        hint = "terminate() returns at once: join the process once more after it"
        raise Mistake(what, hint, "terminate", "kill")
    if stays["said"]:
        what = "a process had to be ended, and wait_or_end() returned True"
        raise Mistake(what, "True is for one that ended by itself", "terminate", "kill")
    return "two processes ended by themselves, with exit codes 0 and 3; one had to be ended, and is gone"


def try_all(ctx: Any, worker: Worker, attempt: Worker) -> dict[str, Any]:
    """Have a worker run a function in a child for each of three numbers, one of which makes it raise."""
    trial = Trial(ctx, worker, ctx, Halve(), list(NUMBERS), around=_called_from_here)
    return {"returned": trial.wait(), "alive": trial.children}


@Exercise(
    "01.5",
    try_all,
    WorkerError="an exception that leaves the function in a child ends the whole group: catch it in attempt, "
    "which runs in the child",
    RuntimeError="a result is there once the block of the group has ended",
    StartError="a child finds a function by its name: it has to stand at the top of the cell",
    DeadlineError="a child takes a while to start: give the group a longer deadline",
    TypeError="a WorkerGroup takes the context and a deadline; start() takes attempt, and after it the "
    "arguments of attempt",
)
def _judge_try_all(seen: Seen, returned: Any, alive: int) -> str:
    text, hint = repr(ValueError("3 is odd")), "return one thing for each argument, whichever of them fail"
    found = expect_list(returned, hint)
    if "<Child>" in found:
        what = "try_all() returned the children, and not what ran in them returned"
        raise Mistake(what, "each child has a result")
    if len(found) != len(NUMBERS):
        raise Mistake(f"for three numbers, try_all() returned {short(returned)}", hint)
    if any("was called in the parent" in repr(item) for item in found):
        hint = "give start() the function attempt, and after it what attempt takes"
        raise Mistake("the function ran in the parent", hint, "start")
    if found[1] != text:
        what = f"for 3, which raises {text}, came {short(found[1])}"
        hint = "return the repr() of the exception: it names the kind, says what is wrong, and can be sent"
        if "WorkerError" in repr(found[1]):
            hint = "catch it in attempt, in the child: a WorkerError is what the parent gets"
        raise Mistake(what, hint, "str", "attempt")
    if found != [4, text, 0]:
        what = f"for 8, 3 and 0 came {listed(found)}"
        raise Mistake(what, "return what the function returns, whatever it is", "attempt")
    if alive:
        raise Mistake("a child still ran when try_all() returned", "wait for each child", "start")
    return f"for 8, 3 and 0 came 4, {text} and 0, and no child was left"


# What the children of exercises 3 and 5 run. Both know the process that may not call them.


class CountWords:
    """Leaves with the number of words in a text; the child with the last text is the first to end.

    Parameters
    ----------
    ctx : multiprocessing.context.BaseContext
        Of the processes that it runs in.
    texts : tuple of str
        One for each of these processes.
    """

    __name__ = "count_words"

    def __init__(self, ctx: Any, texts: tuple[str, ...]) -> None:
        self.parent = 0
        self._texts = texts
        self._begun = [ctx.Event() for _ in texts]
        self._counted = [ctx.Event() for _ in texts]

    def __call__(self, *given: Any, **named: Any) -> None:
        """Count, once all children have begun, and those with a later text have counted."""
        given += tuple(named.values())
        _refuse(self.parent, self.__name__)
        if len(given) != 1 or given[0] not in self._texts:
            sys.exit(NOT_A_TEXT + len(given))
        number = self._texts.index(given[0])
        self._begun[number].set()
        for event in (*self._begun, *self._counted[number + 1 :]):
            event.wait()
        time.sleep(0.1)  # who does not wait for this child sees that it still runs
        self._counted[number].set()
        sys.exit(len(self._texts[number].split()))

    def begun(self) -> int:
        """Return how many of the texts were given to a child."""
        return sum(event.is_set() for event in self._begun)


class Halve:
    """Returns the half of a number, and raises for an odd one."""

    __name__ = "halve"
    parent = 0

    def __call__(self, number: Any) -> Any:
        """Halve."""
        _refuse(self.parent, self.__name__)
        if number % 2:
            raise ValueError(f"{number} is odd")
        return number // 2


def _refuse(parent: int, name: str) -> None:
    if os.getpid() == parent:
        raise RuntimeError(f"{name} was called in the parent")


# What runs around a worker, in its process.


def _called_from_here(worker: Worker, ctx: Any, function: Any, values: Any) -> tuple[Any, dict[str, Any]]:
    function.parent = os.getpid()
    return worker(ctx, function, values), {}


def _with_processes(worker: Worker, ctx: Any) -> tuple[Any, dict[str, Any]]:
    never = ctx.Event()
    processes = [
        ctx.Process(target=time.sleep, args=(0.3,), name="returns"),
        ctx.Process(target=sys.exit, args=(3,), name="leaves"),
        ctx.Process(target=never.wait, name="stays", daemon=True),  # ends with this process
    ]
    for process in processes:
        process.start()
    seconds = (60, 60, 0.2)
    return [_watched(worker, *pair) for pair in zip(processes, seconds, strict=True)], {}


def _watched(worker: Worker, process: Any, seconds: float) -> dict[str, Any]:
    """Return what the worker said of a process, and whether the worker has seen its end."""
    sentinel = process.sentinel
    said = worker(process, seconds)
    ended = bool(connection.wait([sentinel], 0)) if process._popen is not None else True  # None: closed
    # The code that is there without a look of our own: who ended a process, and did not wait, has none.
    code = process._popen.returncode if process._popen is not None else 0
    return {"said": said, "seen": code is not None, "ended": ended, "code": code}
