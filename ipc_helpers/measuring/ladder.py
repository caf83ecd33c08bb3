"""What was measured of some rungs, round by round: medians, quartiles, and ratios within each round."""

from __future__ import annotations

import math
import os
import platform
import statistics
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import truediv
from typing import TYPE_CHECKING, NamedTuple

from ipc_helpers.group.errors import WorkerGroupError
from ipc_helpers.measuring.tables import as_html, as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

RATE_LIMITS = ("os.pipe", "Pipe, send_bytes")
"""The limit of rate and latency: the first of them that was measured."""
BANDWIDTH_LIMIT = "memcpy"
"""The limit of bandwidth."""

_NOISY = 1.3  # the upper quartile of a limit's own rate by its lower one


class Sample(NamedTuple):
    """What was measured of one rung in one round.

    Attributes
    ----------
    rate : float
        Messages a second.
    p50, p99 : float
        One-way latency of one message, in microseconds: half of the messages took at most p50, 99 of 100 at
        most p99. NaN where no latency was measured.
    """

    rate: float
    p50: float = math.nan
    p99: float = math.nan


class Spread(NamedTuple):
    """The values of all rounds: their median, and their quartiles.

    Attributes
    ----------
    median, low, high : float
        Half of the values lie between ``low`` and ``high``.
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Return the spread of one value or more."""
        some = list(values)
        if any(map(math.isnan, some)):
            return cls(math.nan, math.nan, math.nan)
        low, median, high = statistics.quantiles(some if len(some) > 1 else some * 2, method="inclusive")
        return cls(median, low, high)

    @property
    def is_conclusive(self) -> bool:
        """Of a ratio: whether both quartiles are on one side of 1, so that one is faster in most rounds."""
        return self.low > 1 or self.high < 1

    def __str__(self) -> str:
        return f"{self.median:,.3g} ({self.low:,.3g} to {self.high:,.3g})"


@dataclass(frozen=True)
class Row:
    """What was measured of one rung, in all rounds.

    Attributes
    ----------
    name : str
        The rung.
    is_limit : bool
        Whether it is no way to hand over a message, but a limit of the machine.
    rate : Spread
        Messages a second.
    bandwidth : Spread
        Bytes a second.
    p50, p99 : Spread
        One-way latency of a message, in microseconds; NaN where it was not measured.
    share : Spread or None
        Its rate by that of ``ladder.rate_limit``, formed within each round; None where no limit was measured.
    of_memcpy : Spread or None
        Its bandwidth by that of memcpy, formed within each round; None where memcpy was not measured.
    """

    name: str
    is_limit: bool
    rate: Spread
    bandwidth: Spread
    p50: Spread
    p99: Spread
    share: Spread | None
    of_memcpy: Spread | None


@dataclass(frozen=True, repr=False)
class Ladder(Mapping[str, Row]):
    """What :func:`~ipc_helpers.measure` returns: a row for each rung, by its name.

    Parameters
    ----------
    samples : sequence of mapping of str to Sample
        For each round, what was measured of each rung: the same rungs in each, in the order of the table.
    size : int
        Bytes in a message.
    batch : int or None
        Messages in a batch, of rungs that send batches.
    content : {"bytes", "array"}
        What a message is: bytes, or a NumPy array of bytes.
    limits : tuple of str
        Which of the rungs are limits.
    missing : dict of str to str
        Why a rung that was asked for could not be measured here, by its name.
    machine : str
        Which machine this is, in one line; by default this one.
    start_method : str
        How the processes were started.
    together : bool or None
        Whether both processes ran on one core, or each on its own; None where the system decided.
    seed : int or None
        What the order and the contents came from.

    Examples
    --------
    >>> one_round = {"Queue": Sample(250e3, 30.0, 60.0), "os.pipe": Sample(2.5e6, 18.0, 25.0)}
    >>> ladder = Ladder([one_round] * 3, size=64)
    >>> ladder["Queue"].share.median
    0.1
    """

    samples: Sequence[Mapping[str, Sample]]
    size: int = 64
    batch: int | None = None
    content: str = "bytes"
    limits: tuple[str, ...] = ("os.pipe", "socketpair", BANDWIDTH_LIMIT)
    missing: Mapping[str, str] = field(default_factory=dict)
    machine: str = field(default_factory=lambda: this_machine())
    start_method: str = "spawn"
    together: bool | None = None
    seed: int | None = None

    __hash__ = None  # type: ignore[assignment]

    @property
    def rounds(self) -> int:
        """How many rounds there were."""
        return len(self.samples)

    @property
    def rate_limit(self) -> str | None:
        """The name of the limit of rate and latency: os.pipe, or where that is missing "Pipe, send_bytes"."""
        return next((name for name in RATE_LIMITS if name in self), None)

    @property
    def rows(self) -> list[Row]:
        """The rows, in the order of the table."""
        return list(self.values())

    def __getitem__(self, name: str) -> Row:
        if name not in self:
            why = f": {self.missing[name]}" if name in self.missing else f"; measured: {', '.join(self)}"
            raise KeyError(f"{name!r} was not measured{why}")
        rates = self._rates(name)
        limit = self.rate_limit
        return Row(
            name,
            name in self.limits,
            Spread.of(rates),
            Spread.of(rate * self.size for rate in rates),
            Spread.of(sample[name].p50 for sample in self.samples),
            Spread.of(sample[name].p99 for sample in self.samples),
            None if limit is None else self.ratio(name, limit),
            self.ratio(name, BANDWIDTH_LIMIT) if BANDWIDTH_LIMIT in self else None,
        )

    def __contains__(self, name: object) -> bool:
        return bool(self.samples) and name in self.samples[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self.samples[0] if self.samples else ())

    def __len__(self) -> int:
        return len(self.samples[0]) if self.samples else 0

    def ratio(self, name: str, other: str) -> Spread:
        """Return how many times the rate of another rung one has, formed within each round.

        Parameters
        ----------
        name, other : str
            Two rungs that were measured.

        Returns
        -------
        Spread
            Its ``is_conclusive`` says whether one is faster in most rounds.

        Raises
        ------
        KeyError
            When one of them was not measured.
        """
        for each in (name, other):
            if each not in self:
                self[each]  # says why
        return Spread.of(map(truediv, self._rates(name), self._rates(other)))

    @property
    def noise(self) -> str | None:
        """None; or that the machine was too noisy to conclude, from what the limits did between rounds."""
        for name in (self.rate_limit, BANDWIDTH_LIMIT):
            if name is None or name not in self:
                continue
            spread = self[name].rate
            factor = spread.high / spread.low
            if factor > _NOISY:
                return (
                    f"The machine was too noisy to conclude: {name} itself ran from {spread.low:,.0f} to "
                    f"{spread.high:,.0f} messages a second in the middle half of {self.rounds} rounds. "
                    f"Differences below {factor:.1f} times may be noise: measure again when the machine does "
                    "less."
                )
        return None

    def _rates(self, name: str) -> list[float]:
        return [sample[name].rate for sample in self.samples]

    @property
    def where(self) -> str:
        """Which cores the processes ran on, in words that follow a comma; none where the system decided."""
        return {None: "", True: ", both processes on one core", False: ", a core for each process"}[
            self.together
        ]

    @property
    def _title(self) -> str:
        things = "NumPy arrays" if self.content == "array" else "Messages"
        batch = f", batches of {self.batch:,}" if self.batch else ""
        return f"{things} of {self.size:,} bytes{batch}{self.where}"

    def _cells(self, row: Row) -> tuple[str, ...]:
        shares = [f"{each.median:.2f}" for each in (row.share, row.of_memcpy) if each is not None]
        quartiles = f"{row.rate.low:,.0f} to {row.rate.high:,.0f}"
        latencies = [_microseconds(each.median) for each in (row.p50, row.p99)]
        name = f"{row.name} (limit)" if row.is_limit else row.name
        bandwidth = _bandwidth(row.bandwidth.median)
        return (name, f"{row.rate.median:,.0f}", quartiles, bandwidth, *latencies, *shares)

    @property
    def _notes(self) -> list[str]:
        many = "1 round" if self.rounds == 1 else f"{self.rounds} rounds"
        notes = [f"Medians of {many}, {self.start_method}; {self.machine}"]
        notes += [f"{name} is missing: {why}" for name, why in self.missing.items()]
        return notes + ([self.noise] if self.noise else [])

    def __repr__(self) -> str:
        return f"<Ladder of {len(self)} rungs, {self.rounds} rounds: {self._title}>"

    @property
    def _table(self) -> list[Sequence[str]]:
        shares = [f"of {name}" for name in (self.rate_limit, BANDWIDTH_LIMIT) if name in self]
        head = ("", "messages/s", "quartiles", "bandwidth", "p50", "p99", *shares)
        return [head, *map(self._cells, self.rows)]

    def __str__(self) -> str:
        return "\n".join([self._title, *as_text(self._table, "right"), *self._notes])

    def _repr_html_(self) -> str:
        return as_html(self._table, "right", self._title, self._notes)

    def narrow_html(self) -> str:
        """Return the table with a column for each rung, as HTML: for a few rungs, in a narrow place."""
        return as_html(list(zip(*self._table, strict=True)), "right", self._title, self._notes)


class MeasureError(WorkerGroupError, RuntimeError):
    """A rung could not be measured: it lost, repeated, reordered or tore a message, failed, or took too long.

    Attributes
    ----------
    rung : str or None
        The name of the rung; None where the budget was too small for all of them.
    result : Ladder or None
        What had been measured in whole rounds up to then; None where there was none.
    """

    def __init__(self, rung: str | None, words: str) -> None:
        super().__init__(f"{rung}: {words}" if rung else words)
        self.rung = rung


def this_machine() -> str:
    """Return which machine this is, in one line: its cores, its system, its Python."""
    cores = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    some = "1 core" if cores == 1 else f"{cores} cores"
    if usable < cores:
        some = f"{usable} of {some}"
    threads = "" if getattr(sys, "_is_gil_enabled", lambda: True)() else ", free-threaded"
    python = f"{platform.python_implementation()} {platform.python_version()}{threads}"
    return f"{some} ({platform.machine()}), {platform.system()} {platform.release()}, {python}"


def _microseconds(number: float) -> str:
    return "–" if math.isnan(number) else f"{number:,.1f} µs"  # noqa: RUF001


def _bandwidth(number: float) -> str:
    for unit, factor in (("GB/s", 1e9), ("MB/s", 1e6)):
        if number >= factor:
            return f"{number / factor:,.2f} {unit}"
    return f"{number / 1e3:,.2f} kB/s"
