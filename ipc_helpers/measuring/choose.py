"""Says which rung to take on this machine, for so many messages a second of such a size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ipc_helpers.measuring.ladder import BANDWIDTH_LIMIT, Ladder, MeasureError
from ipc_helpers.measuring.measure import measure
from ipc_helpers.measuring.tables import as_html, as_text

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

_KIB, _MIB = 2**10, 2**20

SIMPLEST_FIRST = (
    "Queue",
    "Pipe, send",
    "Pipe, send, duplex",
    "Queue, batches",
    "pickle 5, out of band",
    "Pipe, send_bytes",
    "Pipe, send_bytes, duplex",
    "Pipe, send_bytes, batches",
    "ring",
    "ring, batches",
)
"""The rungs to choose from, in the order in which a program should try them.

A Queue takes any object, from any number of processes, has a bound of its own where it is given one, and
its put does not wait for the pipe. A Pipe takes any object, too, but has one process at each end; whether
it is duplex is one word. Batches leave the Queue as it is, but somebody has to collect messages, and the
first of a batch waits for the last. Pickle 5 out of band is some lines at both ends, and takes objects
still. What sends bytes leaves it to you to make bytes of your objects, and batches of bytes to take them
apart. The ring is a class of your own, between two processes, for messages of one greatest size.

A SimpleQueue is not among them: its rate is nearly a Queue's, and its get has no timeout.
"""

_BATCHED = ("Queue", "Pipe, send", "Queue, batches", "Pipe, send_bytes, batches", "ring, batches")
_ONE_AT_A_TIME = ("Queue", "Pipe, send", "Pipe, send_bytes", "ring")
_MIDDLE = ("Queue", "Pipe, send", "Pipe, send, duplex", "Pipe, send_bytes, duplex", "ring")
_LARGE = ("Queue", "Pipe, send, duplex", "Pipe, send_bytes, duplex", "ring")
_HUGE = ("Queue", "Pipe, send, duplex", "pickle 5, out of band", "ring")
_ARRAYS_FROM = 16 * _MIB
_CANDIDATES: tuple[tuple[int, tuple[str, ...]], ...] = (
    (4 * _KIB, _BATCHED),
    (_MIB - 1, _MIDDLE),
    (_ARRAYS_FROM - 1, _LARGE),
    (64 * _MIB, _HUGE),
)
"""Those that can be the right ones for messages of at most so many bytes: there is time for no more."""

SIZES = (64, 4 * _KIB, 64 * _KIB, _MIB, 16 * _MIB)
RATES = (10, 1_000, 100_000, 1_000_000)
_ROUNDS = 3
_MOST_MESSAGES, _MOST_BYTES = 20_000, 96 * _MIB  # in a run


@dataclass(frozen=True)
class Choice:
    """What to take for one rate and one size.

    Attributes
    ----------
    rung : str or None
        The name of the simplest rung that is fast enough; None where none of those that were measured is.
    rate : float
        How many messages a second it moved here; where there is none, how many the fastest did.
    """

    rung: str | None
    rate: float

    def __str__(self) -> str:
        return self.rung or "nothing here"


def choose(rates: Mapping[str, float], wanted: float, margin: float = 2.0) -> Choice:
    """Return the simplest rung that moves so many messages a second, and has a margin.

    Parameters
    ----------
    rates : mapping of str to float
        How many messages a second each rung moves. Rungs that are not in ``SIMPLEST_FIRST`` are passed over.
    wanted : float
        How many messages a second it has to move.
    margin : float
        How many times as many it has to be able to.

    Returns
    -------
    Choice
    """
    known = [(name, rates[name]) for name in SIMPLEST_FIRST if name in rates]
    for name, rate in known:
        if rate >= margin * wanted:
            return Choice(name, rate)
    return Choice(None, max((rate for _, rate in known), default=0.0))


@dataclass(frozen=True, repr=False)
class Choices(Mapping[tuple[int, int], Choice]):
    """What :func:`choose_rungs` returns: a Choice for each size in bytes and each rate.

    Parameters
    ----------
    ladders : mapping of int to Ladder
        What was measured, by the size of a message.
    rates : sequence of int
        The wanted rates, in messages a second.
    margin : float
        How many times as fast a rung has to be.
    left_out : sequence of int
        Sizes for which no time was left.

    Examples
    --------
    >>> choices = choose_rungs()
    >>> choices[64, 100_000].rung
    'Queue, batches'
    """

    ladders: Mapping[int, Ladder]
    rates: Sequence[int] = RATES
    margin: float = 2.0
    left_out: Sequence[int] = ()

    __hash__ = None  # type: ignore[assignment]

    def __getitem__(self, key: tuple[int, int]) -> Choice:
        if key not in self:
            sizes, rates = (", ".join(map(str, each)) for each in (self.ladders, self.rates))
            raise KeyError(f"no choice for {key!r}: a size in bytes, of {sizes}; and a rate, of {rates}")
        size, wanted = key
        ladder = self.ladders[size]
        return choose({name: row.rate.median for name, row in ladder.items()}, wanted, self.margin)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, tuple) and len(key) == 2 and key[0] in self.ladders and key[1] in self.rates

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return ((size, wanted) for size in self.ladders for wanted in self.rates)

    def __len__(self) -> int:
        return len(self.ladders) * len(self.rates)

    def _cells(self, size: int) -> list[str]:
        kind = "array, " if self.ladders[size].content == "array" else ""
        return [f"{kind}{_in_words(size)}", *(str(self[size, wanted]) for wanted in self.rates)]

    @property
    def _notes(self) -> list[str]:
        batches = sorted({ladder.batch for ladder in self.ladders.values() if ladder.batch})
        notes = [f"The simplest that was at least {self.margin:g} times as fast."]
        if batches:
            notes[0] += f" Batches are of {' or '.join(map(str, batches))}."
        notes += [
            f"{_in_words(size)}: to copy a message within one process is possible "
            f"{ladder[BANDWIDTH_LIMIT].rate.median:,.0f} times a second."
            for size, ladder in self.ladders.items()
            if BANDWIDTH_LIMIT in ladder and any(self[size, wanted].rung is None for wanted in self.rates)
        ]
        if self.left_out:
            sizes = ", ".join(map(_in_words, self.left_out))
            notes.append(f"No time was left for {sizes}: give a larger budget, or try when less runs here.")
        missing = [item for ladder in self.ladders.values() for item in ladder.missing.items()]
        notes += dict.fromkeys(f"{name} is missing: {why}" for name, why in missing)
        noisy = [_in_words(size) for size, ladder in self.ladders.items() if ladder.noise]
        if noisy:
            notes.append(
                f"The machine did other things as well, so doubt what is said of {', '.join(noisy)}."
            )
        machines = dict.fromkeys(ladder.machine for ladder in self.ladders.values())
        return [*notes, *machines]

    def __repr__(self) -> str:
        return f"<Choices for {len(self.ladders)} sizes and {len(self.rates)} rates>"

    @property
    def _table(self) -> list[list[str]]:
        head = ["", *(f"{wanted:,} a second" for wanted in self.rates)]
        return [head, *map(self._cells, self.ladders)]

    def __str__(self) -> str:
        return "\n".join([*as_text(self._table, "left"), *self._notes])

    def _repr_html_(self) -> str:
        caption = "What to take, for so many messages of such a size"
        return as_html(self._table, "left", caption, self._notes)


def choose_rungs(
    budget: float = 50.0,
    *,
    sizes: Sequence[int] = SIZES,
    rates: Sequence[int] = RATES,
    margin: float = 2.0,
    batches: bool = True,
    start_method: str = "spawn",
    progress: Callable[[int, int], object] | None = None,
    cancelled: threading.Event | None = None,
    seed: int | None = None,
) -> Choices:
    """Measure on this machine which rung to take, for so many messages a second of such a size.

    A size of 16 MiB or more is measured with NumPy arrays, where NumPy is installed.

    Parameters
    ----------
    budget : float
        Seconds for all of it. Sizes for which no time is left are left out, and the table says so.
    sizes : sequence of int
        Bytes in a message, each 16 to 64 MiB.
    rates : sequence of int
        How many messages a second are wanted, each 1 or more.
    margin : float
        How many times as many the rung has to move, 1 to 100.
    batches : bool
        Whether messages may wait for each other, to be sent in batches of 100. False where each has to go at
        once.
    start_method : str
        "spawn", and "fork" or "forkserver" where the platform has them.
    progress : callable, optional
        Called with how much is done, and how much there is.
    cancelled : threading.Event, optional
        Set it from another thread to end all of it.
    seed : int, optional
        What the order and the contents come from; by default a new one.

    Returns
    -------
    Choices

    Raises
    ------
    TypeError, ValueError
        For a parameter that is not allowed, before anything starts; the message names it.
    MeasureError
        When a rung failed, or the budget was over before one size was measured.
    Cancelled
        When it was cancelled.
    """
    _check_numbers("sizes", sizes, 16, 64 * _MIB)
    _check_numbers("rates", rates, 1, 10**12)
    if isinstance(margin, bool) or not isinstance(margin, (int, float)):
        raise TypeError(f"margin must be a number, not {margin!r}")
    if not 1 <= margin <= 100:
        raise ValueError(f"margin must be from 1 to 100, not {margin!r}")
    if not isinstance(batches, bool):
        raise TypeError(f"batches must be True or False, not {batches!r}")
    began = perf_counter()
    ladders: dict[int, Ladder] = {}
    left_out: list[int] = []
    too_small: MeasureError | None = None
    for place, size in enumerate(sizes):
        left = budget - (perf_counter() - began) if place else budget
        if place and left <= 0:
            left_out.append(size)
            continue
        try:
            ladders[size] = _measure_size(
                size,
                batches,
                budget=left,
                start_method=start_method,
                progress=_part(progress, place, len(sizes)),
                cancelled=cancelled,
                seed=seed,
            )
        except MeasureError as error:
            if error.rung is not None:
                raise
            too_small = error
            left_out.append(size)
    if too_small is not None and not ladders:
        raise too_small
    return Choices(ladders, tuple(rates), float(margin), tuple(left_out))


def _measure_size(size: int, batches: bool, **how: Any) -> Ladder:
    """Measure those rungs that can be the right ones for messages of one size; measure gets the rest."""
    is_huge = size >= _ARRAYS_FROM
    names = next(names for most, names in _CANDIDATES if size <= most)
    if names is _BATCHED and not batches:
        names = _ONE_AT_A_TIME
    return measure(
        names,
        size=size,
        content="array" if is_huge and find_spec("numpy") else "bytes",
        messages=max(6, min(_MOST_MESSAGES, _MOST_BYTES // size)),
        latencies=0,
        rounds=_ROUNDS,
        **how,
    )


def _part(
    progress: Callable[[int, int], object] | None, place: int, of: int
) -> Callable[[int, int], object] | None:
    """Return what calls progress with hundredths of all parts, for one of them."""
    if progress is None:
        return None
    return lambda done, whole: progress(100 * place + 100 * done // whole, 100 * of)


def _check_numbers(name: str, values: Sequence[int], low: int, high: int) -> None:
    """Raise TypeError or ValueError, naming the parameter, unless these are different numbers in range."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Sequence):
        raise TypeError(f"{name} must be a list of whole numbers, not {values!r}")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} must be whole numbers, not {value!r} of type {type(value).__name__}")
        if not low <= value <= high:
            raise ValueError(f"{name} must be from {low:,} to {high:,}, not {value:,}")
    if not values or len(set(values)) < len(values):
        raise ValueError(f"{name} must be one or more different numbers, not {list(values)}")


def _in_words(size: int) -> str:
    for unit, factor in (("MiB", _MIB), ("KiB", _KIB)):
        if size >= factor and size % factor == 0:
            return f"{size // factor:,} {unit}"
    return f"{size:,} B"
