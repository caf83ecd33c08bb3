"""Exercises on processes, chapter 01."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from multiprocessing import connection

from ipc_helpers.exercises import (
    NOTHING,
    Around,
    Exercise,
    Mistake,
    Seen,
    Trial,
    listed,
    short,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Worker = Callable[..., Any]


TEXT = "to be, or\n  not to be"


TEXTS = ("so far so good", "well done", "all in all")


NUMBERS = (8, 3, 0)


# How a child of exercise 3 leaves that was not given one of the texts.
NOT_A_TEXT, NO_TEXT, LETTERS = 97, 98, 99


def count_words(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker count the words of a text, and those of an empty one."""
    trials = [Trial(ctx, worker, text) for text in (TEXT, "")]
    for trial in trials:
        _wait(trial)
    return {
        "codes": [trial.process.exitcode for trial in trials],
        "returned": [trial.returned for trial in trials],
    }


def _judge_count_words(seen: Seen) -> str | Mistake:
    codes, value = seen.facts["codes"], seen.facts["returned"][0]
    count, code = len(TEXT.split()), codes[0]
    leaves = seen.line_of("exit", "_exit", "SystemExit", "count_words")
    if codes == [count, 0]:
        return f"for a text of {count} words, the exit code was {count}; for an empty one, 0"
    if code == 0 and value not in (None, NOTHING):
        what = f"the worker returned {short(value)}, and the exit code was 0"
        hint = "a process throws away what its worker returns; sys.exit() sets the exit code"
        return Mistake(what, hint, seen.line_of("count_words"))
    if code == 0 and seen.line_of("print"):
        what = "the worker printed something, and the exit code was 0"
        hint = "the parent does not get what a child prints; sys.exit() sets the exit code"
        return Mistake(what, hint, seen.line_of("print"))
    if code == 0:
        what = f"for a text of {count} words, the exit code was 0"
        return Mistake(what, "give sys.exit() the number of words", leaves)
    if codes == [1, 1]:
        what = "the exit code was 1 for each text"
        return Mistake(what, "sys.exit() takes a number; anything else makes the exit code 1", leaves)
    if code == count:
        what = f"for an empty text, the exit code was {codes[1]}"
        return Mistake(what, "split() without an argument finds no word in an empty text", leaves)
    what = f"for a text of {count} words, the exit code was {code}"
    return Mistake(what, "words are what split() finds between blanks and ends of lines", leaves)


def prove(ctx: Any, predict: Worker, worker: Worker) -> dict[str, Any]:
    """Have a worker hand a list to a child and append to it, once with three numbers and once with five."""
    predicted = Trial(ctx, predict)
    three, five = Trial(ctx, worker, ctx, [1, 2, 3]), Trial(ctx, worker, ctx, [1, 2, 3, 4, 5])
    for trial in (predicted, three, five):
        _wait(trial)
    return {
        "predicted": predicted.returned,
        "three": three.returned,
        "five": five.returned,
        "exitcode": three.process.exitcode,
    }


def _judge_prove(seen: Seen) -> str | Mistake:
    three, predicted = _tuple(seen.facts.get("three")), _tuple(seen.facts.get("predicted"))
    starts = seen.line_of("start", "prove")
    if three == NOTHING:
        what = f"prove() left with exit code {seen.facts.get('exitcode')}: append_one ran in your own process"
        hint = "target takes the function itself, without parentheses, and start() starts the child"
        return Mistake(what, hint, seen.line_of("append_one", "run", "prove"))
    if not isinstance(three, tuple) or len(three) != 2:
        what = f"prove() returned {short(three)}"
        return Mistake(what, "return two numbers", seen.line_of("prove"))
    if three[0] is None:
        what = "prove() returned None for the exit code"
        hint = "a child has an exit code once it has ended: join it, then read exitcode"
        return Mistake(what, hint, starts)
    if three == (4, 4):
        what = "the child's exit code was 4: it got its copy of the list before you had appended"
        return Mistake(what, "make the process, append, and only then start it", starts)
    if three == (4, 3):
        what = "prove() returned (4, 3): nothing was appended to the list here"
        return Mistake(what, "append a number between making the process and starting it", starts)
    if three != (5, 4):
        what = f"for a list of three numbers, prove() returned {short(three)}"
        return Mistake(what, "return the child's exit code, then the length of your list", starts)
    if _tuple(seen.facts.get("five")) != (7, 6):
        what = f"for a list of five numbers, prove() returned {short(_tuple(seen.facts.get('five')))}"
        hint = "return what the child left and how long the list is, whatever the list"
        return Mistake(what, hint, seen.line_of("prove"))
    if predicted == (5, 4):
        return "the child got its copy at the start, and counted to 5; the list here had 4, as predicted"
    hint = "follow your list, and the child's copy of it, through the three steps"
    if predicted == (4, 4):
        hint = "the child got a copy. Was it made with the process, or at its start?"
    elif predicted == (5, 5):
        hint = "the child appends to a copy of the list, in its own memory"
    what = f"your prediction was {short(predicted)}, and it was (5, 4)"
    return Mistake(what, hint, seen.line_of("predict"))


def count_all(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker start a child for each of three texts; each child waits until all have begun."""
    counts = CountWords(ctx, TEXTS)  # its events are there for as long as this one refers to them
    trial = Trial(ctx, Around(_called_from_here, worker), ctx, counts, list(TEXTS))
    _wait(trial)
    return {
        "returned": trial.returned,
        "begun": counts.begun(),
        "alive": trial.children,
        "exitcode": trial.process.exitcode,
    }


def _judge_count_all(seen: Seen) -> str | Mistake:
    codes = seen.facts.get("returned")
    expected = [len(text.split()) for text in TEXTS]
    line, made = seen.line_of("count_all"), seen.line_of("Process", "count_all")
    if codes == NOTHING:
        what = f"count_all() left with exit code {seen.facts.get('exitcode')}, and returned nothing"
        return Mistake(
            what, "it is the children that leave; return a list", seen.line_of("exit", "count_all")
        )
    if isinstance(codes, str) and "Process" in codes:
        what = "count_all() returned the processes"
        return Mistake(what, "each process that has ended has its exitcode", line)
    if not isinstance(codes, (list, tuple)):
        return Mistake(f"count_all() returned {short(codes)}", "return a list of exit codes", line)
    codes = list(codes)
    if codes == expected and seen.facts.get("begun") != len(expected):
        what = f"count_all() returned the right numbers, and {seen.facts.get('begun')} children had counted"
        return Mistake(what, "start a child for each text, and ask it for its exit code", line)
    if codes == expected:
        return "three children ran side by side, and their exit codes came in the order of the texts"
    if LETTERS in codes:
        what = "each child was given the letters of a text, one by one"
        return Mistake(what, "args is a tuple of arguments; one with a single argument has a comma", made)
    if NO_TEXT in codes:
        return Mistake("the children were given no text", "args says what the worker is called with", made)
    if NOT_A_TEXT in codes:
        what = "a child was given something else than a text"
        return Mistake(what, "give each child one of the texts", made)
    if not codes:
        hint = "what a child changes changes in its own memory alone; ask each process for its exit code"
        return Mistake("count_all() returned an empty list", hint, line)
    if None in codes and seen.facts.get("alive"):
        what = f"count_all() returned {listed(codes)} while children still ran"
        return Mistake(what, "wait for each child before you read its exit code", seen.line_of("start"))
    if None in codes:
        what = f"count_all() returned {listed(codes)}"
        hint = "join() returns None in any case; the exit code is an attribute of the process"
        return Mistake(what, hint, seen.line_of("join", "count_all"))
    if len(codes) == len(expected) and sorted(codes, key=repr) == sorted(expected, key=repr):
        what = f"the exit codes came in another order than the texts: {listed(codes)}"
        return Mistake(what, "go through the children in the order in which you made them", line)
    what = f"the children left {listed(expected)}, and count_all() returned {listed(codes)}"
    return Mistake(what, "return the exit code of each child", line)


def wait_or_end(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker watch a process that returns, one that leaves with exit code 3, and one that stays."""
    trial = Trial(ctx, Around(_with_processes, worker), ctx)
    _wait(trial)
    seen = trial.returned if isinstance(trial.returned, dict) else {}
    return {**seen, "exitcode": trial.process.exitcode}


def _judge_wait_or_end(seen: Seen) -> str | Mistake:
    found: list[Any] = [seen.facts.get(name) for name in ("returns", "leaves", "stays")]
    returns, leaves, stays = found
    line, ends = seen.line_of("wait_or_end"), seen.line_of("terminate", "kill", "wait_or_end")
    if not all(isinstance(item, dict) for item in found):
        what = f"wait_or_end() left with exit code {seen.facts.get('exitcode')}, and returned nothing"
        return Mistake(what, "return True or False", seen.line_of("exit", "wait_or_end"))
    others = [item["said"] for item in found if item["said"] not in (True, False)]
    if others:
        what = f"wait_or_end() returned {short(others[0])}"
        return Mistake(what, "return True or False in each case", line)
    if not returns["said"] and returns["code"] != 0:
        what = "a process that ends after a moment had 60 seconds, and was not given them"
        return Mistake(what, "wait for it first, up to so many seconds", ends)
    if not returns["said"] and leaves["said"]:
        what = "a process ended by itself with exit code 0, and wait_or_end() returned False"
        hint = "0 counts as false, and None as well: ask whether the exit code is None"
        return Mistake(what, hint, seen.line_of("join", "wait_or_end"))
    if not returns["said"]:
        what = "a process ended by itself, in time, and wait_or_end() returned False"
        hint = "join() returns None in any case: look at the exit code, or at is_alive(), afterwards"
        return Mistake(what, hint, seen.line_of("join", "wait_or_end"))
    if not leaves["said"]:
        what = "a process left by itself with exit code 3, and wait_or_end() returned False"
        return Mistake(what, "any number says that it has ended; None says that it has not", line)
    gone = stays["seen"] or (stays["ended"] and seen.line_of("wait"))  # for the sentinel of the process
    if not gone and not seen.line_of("terminate", "kill"):
        what = "a process that does not end by itself still ran when wait_or_end() returned"
        return Mistake(what, "when the time is over, end it", seen.line_of("join", "wait_or_end"))
    if not gone:
        what = "wait_or_end() ended a process, and did not wait until it had ended"
        return Mistake(what, "terminate() returns at once: join the process once more after it", ends)
    if stays["said"]:
        what = "a process had to be ended, and wait_or_end() returned True"
        return Mistake(what, "True is for one that ended by itself", ends)
    return "two processes ended by themselves, with exit codes 0 and 3; one had to be ended, and is gone"


def try_all(ctx: Any, worker: Worker, attempt: Worker) -> dict[str, Any]:
    """Have a worker run a function in a child for each of three numbers, one of which makes it raise."""
    trial = Trial(ctx, Around(_called_from_here, worker), ctx, Halve(), list(NUMBERS))
    _wait(trial)
    return {"returned": trial.returned, "alive": trial.children, "exitcode": trial.process.exitcode}


def _judge_try_all(seen: Seen) -> str | Mistake:
    found, line = seen.facts.get("returned"), seen.line_of("try_all")
    text = repr(ValueError("3 is odd"))
    if found == NOTHING:
        what = f"try_all() left with exit code {seen.facts.get('exitcode')}, and returned nothing"
        return Mistake(what, "return a list", seen.line_of("exit", "try_all"))
    if isinstance(found, str) and "<Child" in found:
        what = "try_all() returned the children, and not what ran in them returned"
        return Mistake(what, "each child has a result", line)
    if not isinstance(found, (list, tuple)) or len(found) != len(NUMBERS):
        what = f"for three numbers, try_all() returned {short(found)}"
        return Mistake(what, "return a list with one thing for each argument, whichever of them fail", line)
    if any("was called in the parent" in repr(item) for item in found):
        what = "the function ran in the parent"
        hint = "give start() the function attempt, and after it what attempt takes"
        return Mistake(what, hint, seen.line_of("start", "try_all"))
    if isinstance(found[1], BaseException):
        what = "for 3 came the exception itself"
        hint = "return its repr(): not every exception can be sent, a text can"
        return Mistake(what, hint, seen.line_of("attempt"))
    if found[1] != text:
        what = f"for 3, which raises {text}, came {short(found[1])}"
        hint = "return the repr() of the exception: it names the kind, and what is wrong"
        if "WorkerError" in repr(found[1]):
            hint = "catch it in attempt, in the child: a WorkerError is what the parent gets"
        return Mistake(what, hint, seen.line_of("str", "attempt"))
    if list(found) != [4, text, 0]:
        what = f"for 8, 3 and 0 came {listed(found)}"
        return Mistake(what, "return what the function returns, whatever it is", seen.line_of("attempt"))
    if seen.facts.get("alive"):
        what = "a child still ran when try_all() returned"
        return Mistake(what, "wait for each child", seen.line_of("start", "try_all"))
    return f"for 8, 3 and 0 came 4, {text} and 0, and no child was left"


def _wait(trial: Trial) -> None:
    """Wait until a worker has returned, and its process has ended."""
    trial.is_back(None)
    trial.process.join()


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
            sys.exit(NO_TEXT if not given else LETTERS if len(given) > 1 else NOT_A_TEXT)
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


def _called_from_here(worker: Worker, ctx: Any, function: Any, values: list[Any]) -> Any:
    function.parent = os.getpid()
    return worker(ctx, function, values)


def _with_processes(worker: Worker, ctx: Any) -> dict[str, Any]:
    never = ctx.Event()
    processes = {
        "returns": ctx.Process(target=time.sleep, args=(0.3,), name="returns"),
        "leaves": ctx.Process(target=sys.exit, args=(3,), name="leaves"),
        "stays": ctx.Process(target=_stay, args=(never,), name="stays"),
    }
    for process in processes.values():
        process.start()
    try:
        return {
            name: _watched(worker, process, 0.2 if name == "stays" else 60)
            for name, process in processes.items()
        }
    finally:
        for process in processes.values():
            with contextlib.suppress(ValueError):  # closed
                process.kill()
                process.join()


def _stay(never: Any) -> None:
    never.wait()


def _watched(worker: Worker, process: Any, seconds: float) -> dict[str, Any]:
    """Return what the worker said of a process, and whether the worker has seen its end."""
    sentinel = process.sentinel
    said = worker(process, seconds)
    ended = bool(connection.wait([sentinel], 0)) if process._popen is not None else True  # None: closed
    # The code that is there without a look of our own: who ended a process, and did not wait, has none.
    code = process._popen.returncode if process._popen is not None else 0
    plain = said is None or isinstance(said, (bool, int, str))
    return {"said": said if plain else repr(said), "seen": code is not None, "ended": ended, "code": code}


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


_PARENT = "target takes the function itself, without parentheses, and start() has the child call it"


EXERCISES = {
    exercise.key: exercise
    for exercise in (
        Exercise(
            "01.1",
            ("count_words",),
            count_words,
            _judge_count_words,
            raised={"TypeError": "the text is a str; sys.exit() takes one number"},
        ),
        Exercise(
            "01.2",
            ("predict", "prove"),
            prove,
            _judge_prove,
            stuck={"join": "the child is started, and ends by itself"},
            raised={
                "AssertionError": "a process is made, then started, and joined after that",
                "TypeError": "args takes a tuple of arguments: the list is one argument",
            },
        ),
        Exercise(
            "01.3",
            ("count_all",),
            count_all,
            _judge_count_all,
            stuck={
                "join": "these children wait for each other: start all of them before you wait for the first",
                "": "these children wait for each other: start all of them before you wait for the first",
            },
            raised={
                "AssertionError": "a process is made, then started once, and joined after that",
                "RuntimeError": _PARENT,
                "TypeError": "args takes a tuple of arguments, also for a single one",
                "WorkerError": "a ProcessGroup takes it for a failure that a worker leaves: use ctx.Process",
            },
        ),
        Exercise(
            "01.4",
            ("wait_or_end",),
            wait_or_end,
            _judge_wait_or_end,
            stuck={
                "join": "this process does not end by itself: give join() the seconds",
                "": "with a timeout, join() returns as soon as the process has ended, or the time is over",
            },
            raised={
                "AssertionError": "the process is started already",
                "TypeError": "an exit code is None as long as the process has not ended",
            },
        ),
        Exercise(
            "01.5",
            ("try_all", "attempt"),
            try_all,
            _judge_try_all,
            raised={
                "WorkerError": "an exception that leaves the function in a child ends the whole group: catch "
                "it in attempt, which runs in the child",
                "RuntimeError": "a result is there once the block of the group has ended",
                "StartError": "a child finds a function by its name: it has to stand at the top of the cell",
                "DeadlineError": "a child takes a while to start: give the group a longer deadline",
                "TypeError": "a ProcessGroup takes the context and a deadline; start() takes attempt, and "
                "after it the arguments of attempt",
            },
        ),
    )
}
