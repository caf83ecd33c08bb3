"""What the figure of a ladder shows: which quantity of which rungs, and the same in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from ipc_helpers.experiments.parameters import bytes_in_words, counted
from ipc_helpers.measuring.ladder import BANDWIDTH_LIMIT, Ladder, Row, Spread

if TYPE_CHECKING:
    from collections.abc import Callable

OWN, PEER, LIMIT = "Python and this series", "another package", "the system alone"
"""What kinds of rungs there are."""

_PEERS = {"pyzmq", "faster-fifo", "iceoryx2"}  # with or without batches
_DIGITS = 3  # of a number: more is no more than noise


class Quantity(NamedTuple):
    """What bars show.

    Attributes
    ----------
    label : str
        Of the axis, with the unit.
    of : callable
        Returns the spread of a row, in that unit.
    limit : callable
        Returns the name of the row that is the limit, or None.
    share : callable, optional
        Returns the spread of a row's share of that limit, or None.
    late : callable, optional
        Returns what is marked beside the bar of a row, in that unit: it is a time, and less is better.
    """

    label: str
    of: Callable[[Row], Spread]
    limit: Callable[[Ladder], str | None]
    share: Callable[[Row], Spread | None] = lambda _: None
    late: Callable[[Row], float] | None = None


QUANTITIES = {
    "rate": Quantity(
        "messages a second", lambda row: row.rate, lambda ladder: ladder.rate_limit, lambda row: row.share
    ),
    "bandwidth": Quantity(
        "gigabytes a second",
        lambda row: Spread(*(value / 1e9 for value in row.bandwidth)),
        lambda ladder: BANDWIDTH_LIMIT if BANDWIDTH_LIMIT in ladder else None,
        lambda row: row.of_memcpy,
    ),
    "latency": Quantity(
        "microseconds to arrive",
        lambda row: row.p50,
        lambda ladder: ladder.rate_limit,
        late=lambda row: row.p99.median,
    ),
}


class Group(NamedTuple):
    """What one axis shows of one ladder."""

    who: str  # which ladder, where there are two
    ladder: Ladder
    bars: list[Row]
    limit: Row | None

    def name_of(self, row: Row) -> str:
        """Return what a bar is called."""
        return f"{self.who}{row.name}"

    def name_of_limit(self, quantity: Quantity) -> str:
        """Return what stands above the line; empty where there is none."""
        if self.limit is None:
            return ""
        return f"{self.limit.name}: {in_digits(quantity.of(self.limit).median)}"


class Part(NamedTuple):
    """One axis, with the bars of one ladder, or of one above another."""

    quantity: Quantity
    groups: list[Group]

    @property
    def longest_top(self) -> int:
        """Return how many letters stand above a first bar, where its name and that of the limit do."""
        return max(
            len(group.name_of(row)) + len(group.name_of_limit(self.quantity))
            for group in self.groups
            for row in group.bars[:1]
        )

    @property
    def numbers(self) -> list[float]:
        """All that is drawn."""
        numbers: list[float] = []
        for group in self.groups:
            for row in (*group.bars, *filter(None, [group.limit])):
                numbers += self.quantity.of(row)
            if self.quantity.late is not None:
                numbers += map(self.quantity.late, group.bars)
        return numbers


def group_of(who: str, ladder: Ladder, quantity: Quantity, without_limits: bool) -> Group:
    """Return what gets a bar, the best first, and the limit, which is a line; memcpy hands nothing over."""
    name = quantity.limit(ladder)
    limit = None if name is None or math.isnan(quantity.of(ladder[name]).median) else ladder[name]
    bars = [
        row
        for row in ladder.values()
        if not (row.is_limit and (without_limits or row.name in (name, BANDWIDTH_LIMIT)))
        and not math.isnan(quantity.of(row).median)
    ]
    bars.sort(key=lambda row: quantity.of(row).median, reverse=quantity.late is None)
    return Group(who, ladder, bars, limit if bars else None)


def kind_of(row: Row) -> str:
    """Return of which kind a rung is."""
    if row.is_limit:
        return LIMIT
    return PEER if row.name.partition(",")[0] in _PEERS else OWN


def reach_of(row: Row, quantity: Quantity) -> float:
    """Return where what is drawn of a row ends."""
    late = 0 if quantity.late is None else quantity.late(row)
    return max(*quantity.of(row), late)


def end_of(row: Row, quantity: Quantity) -> str:
    """Return the number that stands after a bar."""
    late = "" if quantity.late is None else f", p99 {in_digits(quantity.late(row))}"
    return f"{in_digits(quantity.of(row).median)}{late}"


def in_digits(number: float) -> str:
    """Return a number with few digits, never in the scientific notation, which is read out badly."""
    number = float(f"{number:.{_DIGITS}g}")
    places = max(0, _DIGITS - 1 - math.floor(math.log10(number)))
    text = f"{number:,.{places}f}"
    return text.rstrip("0").rstrip(".") if places else text


def about(ladder: Ladder) -> str:
    """Say what was measured: what two ladders may differ in."""
    words = f"{'NumPy arrays' if ladder.content == 'array' else 'Messages'} of {bytes_in_words(ladder.size)}"
    if ladder.batch is not None:
        words += f", in batches of {ladder.batch:,}"
    return f"{words}{ladder.where}, {ladder.start_method}"


def _rounds(ladder: Ladder) -> str:
    return counted(ladder.rounds, "round")


def signs_of(parts: list[Part]) -> str:
    """Explain what is drawn."""
    groups = parts[0].groups
    many = " and ".join(dict.fromkeys(_rounds(group.ladder) for group in groups))
    words = f"Bar: median of {many}, and quartiles"
    if any(group.limit is not None for part in parts for group in part.groups):
        words += "; dashed: the limit"
    if any(part.quantity.late is not None for part in parts):
        words += "; diamond: p99"
    noisy = any(group.ladder.noise for group in groups)
    return f"{words}. The machine was too noisy to conclude." if noisy else f"{words}."


def alt_of(parts: list[Part], number: int) -> str:
    """Say in words and numbers what the figure shows of one of its ladders."""
    ladder = parts[0].groups[number].ladder
    sentences = [f"{about(ladder)}, medians of {_rounds(ladder)}, and quartiles."]
    for part in parts:
        group, quantity = part.groups[number], part.quantity
        bars = [f"{_words_for(row, quantity)}{_share_of(row, group, quantity)}" for row in group.bars]
        if group.limit is not None:
            bars.append(f"the limit, {_words_for(group.limit, quantity)}")
        label = quantity.label
        sentences.append(f"{label[0].upper()}{label[1:]}: {'; '.join(bars)}.")
    if ladder.noise:
        sentences.append(ladder.noise)
    return " ".join(sentences)


def _share_of(row: Row, group: Group, quantity: Quantity) -> str:
    share = quantity.share(row)
    if share is None or group.limit is None:
        return ""
    return f", {in_digits(share.median)} of {group.limit.name}"


def _words_for(row: Row, quantity: Quantity) -> str:
    spread = quantity.of(row)
    name = f"{row.name}, {kind_of(row)}," if kind_of(row) == PEER else row.name
    words = f"{name} {in_digits(spread.median)} ({in_digits(spread.low)} to {in_digits(spread.high)})"
    return f"{words}, p99 {in_digits(quantity.late(row))}" if quantity.late is not None else words
