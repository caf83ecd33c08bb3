"""The parameters of an experiment: what each may be, and which processes they make.

An experiment is a frozen dataclass. The metadata of its fields hold what a
parameter may be; ``__post_init__`` checks against them and a panel makes its
sliders from them, so the two can't disagree.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from ipc_helpers.child import recorder
from ipc_helpers.trace import RECEIVE, SEND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


MIB = 1024 * 1024


@dataclass(frozen=True)
class WholeNumber:
    """What a whole-numbered parameter may be.

    Parameters
    ----------
    low, high : int
        The least and the largest value allowed.
    label : str
        What a reader sees, with the unit.
    scale : {"linear", "log2", "log10"}
        How a slider spreads the values; a logarithmic one may start at 0.
    """

    low: int
    high: int
    label: str
    scale: str = "linear"

    def check(self, name: str, value: object) -> None:
        """Raise TypeError or ValueError, naming the parameter, when the value is not allowed."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(
                f"{name} must be a whole number from {self.low:,} to {self.high:,}, "
                f"not {value!r} of type {type(value).__name__}"
            )
        if not self.low <= value <= self.high:
            raise ValueError(f"{name} must be from {self.low:,} to {self.high:,}, not {value:,}")


@dataclass(frozen=True)
class Choice:
    """What a parameter with a few values may be.

    Parameters
    ----------
    options : tuple
        The values allowed, all of one type.
    label : str
        What a reader sees.
    names : tuple of str, optional
        What a reader sees instead of each value.
    """

    options: tuple[Any, ...]
    label: str
    names: tuple[str, ...] = ()

    def check(self, name: str, value: object) -> None:
        """Raise TypeError or ValueError, naming the parameter, when the value is not allowed."""
        allowed = either(self.options)
        if type(value) is not type(self.options[0]):  # True is no 1 here
            raise TypeError(f"{name} must be {allowed}, not {value!r} of type {type(value).__name__}")
        if value not in self.options:
            raise ValueError(f"{name} must be {allowed}, not {value!r}")


def parameter(default: Any, rule: WholeNumber | Choice) -> Any:
    """Return a dataclass field with a default and the rule for its values."""
    return field(default=default, metadata={"rule": rule})


class Role(NamedTuple):
    """What a worker of an experiment does: the series' own, or the reader's in its place.

    Attributes
    ----------
    worker : callable
        The series' own worker.
    takes : tuple of str
        What it is called with: first what it gets from or puts into, and is recorded at.
    does : str
        What it has to do then, "puts each message" for example.
    record : callable
        What records it: a function of :mod:`ipc_helpers.child.recorder`.
    """

    worker: Callable[..., object]
    takes: tuple[str, ...]
    does: str
    record: Callable[..., Callable[..., object]] = recorder.calls

    def check(self, name: str, worker: object) -> None:
        """Raise TypeError, naming the role, when a worker can't be called with what it takes."""
        takes = ", ".join(self.takes)
        if not callable(worker):
            raise TypeError(f"{name} must be a function: {name}({takes}) {self.does}; not {worker!r}")
        try:
            signature = inspect.signature(worker)
        except (TypeError, ValueError):  # some functions written in C don't tell
            return
        try:
            signature.bind(*self.takes)
        except TypeError:
            given = ", ".join(signature.parameters)
            raise TypeError(
                f"{name} must take ({takes}), not ({given}): {name}({takes}) {self.does}"
            ) from None


class Stop(NamedTuple):
    """How its parent stops a run.

    Attributes
    ----------
    after : float
        How many seconds after all have begun.
    moment : Semaphore
        Which the parent releases then, for who has to tell the others.
    terminates : str
        The role whose processes the parent terminates then; empty where it leaves all to what they agreed on.
    """

    after: float
    moment: Any
    terminates: str = ""


class Participant(NamedTuple):
    """One process of an experiment.

    Attributes
    ----------
    role : str
        Which worker it runs; empty for the parent, of which each start is recorded as sent, and its stop.
    name : str
        What it is called, "producer 1" for example.
    args : tuple
        What its worker is called with.
    records : int or None
        How many messages it has to record; None when that follows from what others do.
    number : int or None
        Which message its own start is; None where all processes begin together, once they are up.
    stop : Stop or None
        Of the parent: how it stops the others; None where it leaves them alone.
    """

    role: str
    name: str
    args: tuple[Any, ...] = ()
    records: int | None = None
    number: int | None = None
    stop: Stop | None = None


class Labels(NamedTuple):
    """What an experiment's messages, and its operations on them, are called.

    Attributes
    ----------
    noun : str
        "message" for example.
    calls : dict of int to str
        For SEND and RECEIVE: the call, "put" and "get" for example.
    done : dict of int to str
        For SEND and RECEIVE: what a message then is, "put" and "got" for example. With WRITE as well, in the
        order of the operations, where the experiment records what a feeder thread writes.
    waiting : str
        What those are that were sent and not received.
    long : str
        What it is when a process is in one call for long.
    """

    noun: str
    calls: dict[int, str]
    done: dict[int, str]
    waiting: str = "waiting"
    long: str = "inside one long call"


class Place(NamedTuple):
    """Where a message is for a while, on its way from who sends it to who receives it.

    Attributes
    ----------
    name : str
        What it is called; empty where it is not shown.
    where : str
        The same in a sentence, "in the pipe" for example.
    operation : int
        What takes the message away from there: SEND, RECEIVE or WRITE.
    who : str
        Which process does that, where it is neither the first of the way nor the last.
    field : str
        Which end of the operation is meant: a field of :class:`~ipc_helpers.trace.Event`.
    most : int
        How many messages may be there; 0 for no bound.
    """

    name: str
    where: str
    operation: int
    who: str = ""
    field: str = "ended"
    most: int = 0


@dataclass(frozen=True)
class Parameters(ABC):
    """A checked set of parameters: each field of a subclass has a rule, given with :func:`parameter`.

    Raises
    ------
    TypeError, ValueError
        For a parameter of the wrong type or out of its range; the message names it.
    """

    def __post_init__(self) -> None:
        for name, rule in self.rules().items():
            rule.check(name, getattr(self, name))

    @classmethod
    def rules(cls) -> dict[str, WholeNumber | Choice]:
        """Return what each parameter may be, by its name."""
        return {item.name: item.metadata["rule"] for item in fields(cls)}

    @property
    @abstractmethod
    def steps(self) -> int:
        """How many steps its progress has."""

    @property
    @abstractmethod
    def description(self) -> str:
        """What it does, in words and with its numbers."""


@dataclass(frozen=True)
class ExperimentParameters(Parameters):
    """Parameters, and which processes they make: what an experiment is without its run.

    ``start_method`` is one of the fields, and the plural of its messages' noun another: "messages" for
    example. A subclass says in ``roles`` which workers it has, and in ``participants`` which processes.
    """

    labels: ClassVar[Labels] = Labels(
        "message", {SEND: "send", RECEIVE: "recv"}, {SEND: "sent", RECEIVE: "received"}
    )
    roles: ClassVar[dict[str, Role]] = {}

    @property
    @abstractmethod
    def start_method(self) -> str:
        """How its processes are started."""

    @property
    def steps(self) -> int:
        """How many messages go through it, which are the steps of its progress."""
        steps: int = getattr(self, plural(self.labels.noun))
        return steps

    @property
    def roles_here(self) -> tuple[str, ...]:
        """Which of its roles there are with these parameters."""
        return tuple(self.roles)

    @property
    def bytes_each(self) -> int:
        """How many bytes of payload a message has."""
        return 0

    @property
    def places(self) -> tuple[Place, ...]:
        """Where a message is between sent and received, one place after the other; empty for one alone."""
        return ()

    @property
    def leaves_some(self) -> bool:
        """Whether messages may be left that nobody received, or received in full."""
        return False

    @abstractmethod
    def participants(self, context: Any) -> Iterator[Participant]:
        """Make what its processes share, and yield each process, those that send first.

        A segment of shared memory among the arguments is removed once all processes have ended.
        """


def either(values: Iterable[object]) -> str:
    """Return "'a' or 'b'"."""
    return " or ".join(map(repr, values))


def counted(number: int, noun: str) -> str:
    """Return "1 message", "2,000 messages", "3 processes"."""
    return f"{number:,} {noun if number == 1 else plural(noun)}"


def bytes_in_words(number: int) -> str:
    """Return "64 bytes", "4 KiB", "1 MiB": the largest unit that it is a whole number of."""
    for unit, size in (("MiB", MIB), ("KiB", 1024)):
        if number and number % size == 0:
            return f"{number // size:,} {unit}"
    return counted(number, "byte")


def plural(noun: str) -> str:
    """Return "messages", "processes"."""
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"


def check_product(limit: int, unit: str, parts: int, part: str, **parameters: int) -> None:
    """Raise ValueError when a count, times what each takes, is over a limit.

    Parameters
    ----------
    limit : int
        The most allowed, in the unit.
    unit, part : str
        What the limit is in, and what each takes: "seconds" and "ms" for example.
    parts : int
        How many of the one make the other.
    **parameters
        The count, and how many parts each takes, by the names of the two parameters.
    """
    (many, count), (each, size) = parameters.items()
    total = count * size / parts
    if total > limit:
        shown = total if total < 1000 else round(total)
        raise ValueError(
            f"{many} × {each} must be at most {limit} {unit}, not {count:,} × {size:,} {part} "
            f"= {shown:,.6g} {unit}: lower {many} or {each}"
        )
