"""Trials for the exercises on processes, chapter 01."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from multiprocessing import connection

from ipc_helpers.trials import Around, Trial

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


def wait_or_end(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker watch a process that returns, one that leaves with exit code 3, and one that stays."""
    trial = Trial(ctx, Around(_with_processes, worker), ctx)
    _wait(trial)
    seen = trial.returned if isinstance(trial.returned, dict) else {}
    return {**seen, "exitcode": trial.process.exitcode}


def try_all(ctx: Any, worker: Worker, attempt: Worker) -> dict[str, Any]:
    """Have a worker run a function in a child for each of three numbers, one of which makes it raise."""
    trial = Trial(ctx, Around(_called_from_here, worker), ctx, Halve(), list(NUMBERS))
    _wait(trial)
    return {"returned": trial.returned, "alive": trial.children, "exitcode": trial.process.exitcode}


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
