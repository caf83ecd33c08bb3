"""The exercises: a module per chapter, with the trial of each exercise and directly after it its judge.

A trial is the function that :func:`~ipc_helpers.diagnose` runs. It takes a context and the
reader's functions, starts these in processes of their own, and returns what it saw as a dictionary. Where
it waits, it waits without a limit, so that a tree in which nothing can move is told from one that is slow.

A judge turns these facts into words. It starts nothing: it takes :class:`Seen`, and the facts as its other
parameters, and returns what was seen of a right worker, a sentence without its full stop, or raises a
:class:`Mistake`. It accepts every correct way to write the worker.
"""

from __future__ import annotations

from ipc_helpers.exercises.trial_process import Nothing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    Worker = Callable[..., Any]

EXERCISES: dict[str, Exercise] = {}
"""By their keys: those of the chapters whose modules are imported."""


class Exercise:
    """One exercise: what its cell has to define, how that is tried, and what to say of it.

    It decorates its judge, which declares it.

    Parameters
    ----------
    key : str
        The chapter's number and its own: "02.1".
    trial : callable
        Takes a context and the functions that the reader writes, and returns facts as a dictionary. It has
        the worker's name; its parameters have those of the functions, but for the one called worker.
    deadline : float
        Seconds for its trial, with room for a class on one server. A stuck one is ended long before.
    **hints : str
        Those that fit this exercise better than the general ones: by the method that a stuck process was in
        ("get"; "running" for code of its own), and by the type of an exception.
    """

    judge: Callable[..., str]

    def __init__(
        self, key: str, trial: Callable[..., dict[str, Any]], deadline: float = 20.0, **hints: str
    ) -> None:
        self.key, self.trial, self.worker = key, trial, trial.__name__
        code = trial.__code__
        taken = code.co_varnames[1 : code.co_argcount]
        self.defines = tuple(self.worker if name == "worker" else name for name in taken)
        self.deadline, self.hints = deadline, hints

    def __call__(self, judge: Callable[..., str]) -> Callable[..., str]:
        """Take the judge, and return it."""
        self.judge = judge
        EXERCISES[self.key] = self
        return judge


class Seen:
    """What a judge is told beside the facts.

    Parameters
    ----------
    source : str
        The worker's cell.
    cause : str
        What the diagnosis says.
    """

    def __init__(self, source: str, cause: str = "") -> None:
        self.source, self.cause = source, cause

    def calls(self, *names: str) -> bool:
        """Say whether the cell calls one of these functions or methods."""
        return line_of(self.source, *names) is not None


class Mistake(Exception):
    """What is wrong with a worker.

    Parameters
    ----------
    what : str
        A sentence without its full stop.
    hint : str
        What to think about, in the same form.
    *at : str
        The functions or methods whose first call or definition in the cell it is about, in the order of
        preference; without any in the cell, it is about the worker's definition.
    last : bool
        Whether it is about the last call instead.
    """

    def __init__(self, what: str, hint: str, *at: str, last: bool = False) -> None:
        super().__init__(what)
        self.what, self.hint, self.at, self.last = what, hint, at, last


def line_of(source: str, *names: str, last: bool = False) -> int | None:
    """Return the line of a cell that calls one of these functions or methods, or defines one.

    Parameters
    ----------
    source : str
        The cell, without ``%%worker``.
    *names : str
        In the order of preference. "put" stands for put_nowait, too, and "get" for get_nowait; "with pool"
        for a block of this, and ".value" for an attribute that is assigned.
    last : bool
        Whether the last such line is meant, and not the first.

    Returns
    -------
    int or None
        As JupyterLab counts: ``%%worker`` is line 1. None when there is none.
    """
    import ast  # the parent alone needs it

    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            function = node.func
            called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            found.append((called.removesuffix("_nowait"), node.lineno + 1))
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.append((node.name, node.lineno + 1))
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.append((f".{node.attr}", node.lineno + 1))
        elif isinstance(node, ast.With):
            found += [(f"with {ast.unparse(item.context_expr)}", node.lineno + 1) for item in node.items]
    for name in names:
        if lines := [line for known, line in found if known == name]:
            return max(lines) if last else min(lines)
    return None


# What judges say in more than one exercise.


def expect_messages(
    messages: list[Any],
    returned: Any,
    hint: str = "nobody sees what a process returns; put it into the queue",
) -> None:
    """Raise where a worker put nothing, and returned something instead."""
    if not messages and is_something(returned):
        raise Mistake(f"the worker returned {short(returned)}, and put nothing", hint)


def expect_list(returned: Any, hint: str) -> list[Any]:
    """Return as a list what a worker returned; raise where it is neither a list nor a tuple."""
    if not isinstance(returned, (list, tuple)):
        raise Mistake(f"the worker returned {short(returned)}", hint)
    return list(returned)


def expect_prediction(predicted: Any, right: tuple[Any, ...], seen: str, hint: str) -> None:
    """Raise where a reader's prediction was another one; say what was seen."""
    if as_list(predicted) != list(right):
        raise Mistake(f"your prediction was {short(predicted)}, and {seen}", hint, "predict")


def expect_done(done: Sequence[tuple[Any, int]], unfinished: int, put: int) -> None:
    """Raise where a worker did not call task_done() once for each message, when its work was done.

    Parameters
    ----------
    done : sequence of pairs
        Each task whose work was begun, and how many messages were unfinished then.
    unfinished : int
        How many were in the end.
    put : int
        How many there were, the sentinel with them.
    """
    if unfinished == put:
        what = f"task_done() was never called: a join() would wait for {put} messages"
        raise Mistake(what, "call it once for each message that you got", "task_done")
    for number, (task, count) in enumerate(done):
        if count < put - number:
            what = f"task_done() was called for the task {task} before its work was done"
            raise Mistake(what, "a join() returns too early then: do the work first", "task_done")
        if count > put - number:
            what = f"task_done() was not called for the task {done[number - 1][0]}"
            hint = "call it for a task that raised, too; finally is the place for it"
            raise Mistake(what, hint, "task_done")
    if unfinished == 1:
        what = "one message is unfinished when the worker has returned: the sentinel"
        hint = "None was put as well, and a join() waits for it; a finally block also runs at a return"
        raise Mistake(what, hint, "task_done")
    if unfinished:
        what = f"{unfinished} messages are unfinished when the worker has returned"
        raise Mistake(what, "call task_done() for each task, and for None", "task_done")


def is_something(returned: Any) -> bool:
    """Say whether a worker returned something."""
    return not (returned is None or isinstance(returned, Nothing))


def as_list(value: Any) -> Any:
    """Return a list for a tuple, which is as right, and another value as it is."""
    return list(value) if isinstance(value, tuple) else value


def as_tuple(value: Any) -> Any:
    """Return a tuple for a list, which is as right, and another value as it is."""
    return tuple(value) if isinstance(value, list) else value


def counted(count: int, word: str) -> str:
    """Return "no task", "1 task" or "2 tasks"."""
    return f"{count or 'no'} {word}{'' if count < 2 else 's'}"


def short(value: object) -> str:
    """Return the ``repr`` of what a worker made, cut where it is long."""
    text = repr(value)
    return text if len(text) < 80 else text[:60] + " …"


def listed(values: object) -> str:
    """Return "1, 2, None" for a list or a tuple, "nothing" for an empty one, and another value alone."""
    return ", ".join(map(short, values if isinstance(values, (list, tuple)) else [values])) or "nothing"
