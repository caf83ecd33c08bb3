"""The figure of a ladder: a bar for each rung, and the limit of the machine as a line."""

from __future__ import annotations

import math
from textwrap import wrap
from typing import TYPE_CHECKING, Any, NamedTuple

from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ipc_helpers.trace import RECEIVE, SEND
from ipc_helpers.ui.drawing import (
    COLOURS,
    HATCHES,
    LETTER,
    LINE,
    Picture,
    Size,
    add_legend,
    as_svg,
    in_drawing_thread,
    new_figure,
    paler,
    style_axes,
)
from ipc_helpers.ui.ladder_parts import (
    LIMIT,
    OWN,
    PEER,
    QUANTITIES,
    Part,
    Quantity,
    about,
    alt_of,
    end_of,
    group_of,
    in_digits,
    kind_of,
    reach_of,
    signs_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ipc_helpers.measuring.ladder import Ladder, Row


# What each kind of rung is drawn in: told apart without the colour, too.
_KINDS = {
    OWN: (COLOURS[SEND], HATCHES[SEND]),
    PEER: (COLOURS[RECEIVE], "..."),
    LIMIT: ("#595959", "|||"),
}
_MOST_WORDS = 0.62  # of the width, for names and numbers; or each name stands above its bar
_LARGEST_LINE = 3.4  # in heights of the text
_AMPLE_LINE = 1.2
_LEAST_LINE = 0.9


def draw_ladder(
    ladder: Ladder, by: str = "rate", beside: Ladder | None = None, size: Size | None = None
) -> Picture:
    """Draw a ladder: a bar for each rung, the best at the top, and the limit of the machine as a line.

    The axis is logarithmic: a step to the right is so many times as much. A bar ends at the median of all
    rounds, and the line through its end goes from the lower quartile to the upper one.

    Parameters
    ----------
    ladder : Ladder
        What :func:`~ipc_helpers.measure` returned.
    by : {"rate", "bandwidth", "latency", "all"}
        Messages a second; gigabytes a second, of which memcpy is the limit; how many microseconds one message
        takes to arrive: half of them took at most as long as the bar says, and 99 of 100 as the diamond. Or
        these three, one below the other.
    beside : Ladder, optional
        Another one to compare with: it is drawn above, on the same axis.
    size : Size or tuple, optional
        Width, height and text in pixels; by default 860 wide, with text 15 pixels high, and as high as it
        needs to be.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        For another ``by``, and for a ladder that holds nothing of it.
    """
    picture: Picture = in_drawing_thread(draw_now, ladder, beside, size, by).result()
    return picture


def draw_now(ladder: Ladder, beside: Ladder | None, size: Size | None, by: str = "all") -> Picture:
    """Draw as :func:`draw_ladder` does, in the thread that draws."""
    if by not in (*QUANTITIES, "all"):
        raise ValueError(f"by must be {', '.join(map(repr, QUANTITIES))} or 'all', not {by!r}")
    ladders = {"": ladder} if beside is None else {"kept: ": beside, "now: ": ladder}
    parts = []
    for name in QUANTITIES if by == "all" else [by]:
        groups = [group_of(who, each, QUANTITIES[name], by == "all") for who, each in ladders.items()]
        if any(group.bars for group in groups):
            parts.append(Part(QUANTITIES[name], groups))
    if not parts:
        raise ValueError(f"{ladder!r} holds nothing to draw by {by!r}")
    title = "\n".join(f"{who}{about(each)}" for who, each in ladders.items())
    layout = _layout(parts, title, size)
    width, height, text = layout.size
    figure = new_figure(layout.size)
    top = height - 0.2 * text
    figure.text(0.4 * text / width, top / height, layout.title, fontsize=text, va="top", linespacing=LINE)
    top -= layout.above
    for part in parts:
        tall = layout.line * _lines(part, layout.names)
        across = width - layout.left - 0.8 * text
        axes = figure.add_axes((layout.left / width, (top - tall) / height, across / width, tall / height))
        _draw_part(axes, part, layout)
        top -= tall + layout.under
    below = 0.4 * text / height
    figure.text(0.5, below, layout.signs, fontsize=text, ha="center", linespacing=LINE)
    _explain_kinds(figure, layout)
    alts = [f"{who.capitalize()}{alt_of(parts, number)}" for number, who in enumerate(ladders)]
    return Picture(title.replace("\n", "; "), " ".join(alts), as_svg(figure), width)


class _Layout(NamedTuple):
    """Where things stand, in pixels."""

    size: Size
    title: str
    above: float  # the height of the title
    left: float
    line: float  # from one bar to the next
    under: float  # the height of an axis' numbers and label
    names: str  # where they stand: "beside" the bars, or "above", or there "with" the limit
    signs: str
    kinds: list[str]  # of rungs, where there are several
    columns: int  # in which they are explained


def _layout(parts: list[Part], title: str, size: Size | None) -> _Layout:
    width, height, text = Size(*(size or ()))
    groups = [group for part in parts for group in part.groups]
    letters = max(len(group.who + row.name) for group in groups for row in group.bars) + 1
    ends = max(
        len(end_of(row, part.quantity)) for part in parts for group in part.groups for row in group.bars
    )
    fit = int(width / text / LETTER) - 1
    title = "\n".join("\n".join(wrap(line, fit)) for line in title.splitlines())
    signs = "\n".join(wrap(signs_of(parts), fit))
    kinds = [kind for kind in _KINDS if any(kind_of(row) == kind for group in groups for row in group.bars)]
    kinds = kinds if len(kinds) > 1 else []
    columns = len(kinds) if sum(map(len, kinds)) + 6 * len(kinds) < fit else 1
    above, below = ((LINE * (words.count("\n") + 1) + 0.3) * text for words in (title, signs))
    below += len(kinds) / max(columns, 1) * LINE * text
    under = (2 * LINE + 0.5) * text
    rest = above + below + len(parts) * under + 0.5 * text
    names = "beside"
    if (letters + ends) * LETTER * text > _MOST_WORDS * width:
        top = (max(part.longest_top for part in parts) + 3) * LETTER * text
        lines = sum(_lines(part, "above") for part in parts)
        is_tight = size is not None and 0 < height - rest < _AMPLE_LINE * text * lines
        names = "with" if is_tight and top < width - 2.4 * text else "above"
    lines = sum(_lines(part, names) for part in parts)
    line = (height - rest) / lines
    if size is None or line < _LEAST_LINE * text:  # so high as it has to be
        line = 1.6 * text
        height = math.ceil(rest + lines * line)
    line = min(line, _LARGEST_LINE * text)
    left = (letters * LETTER + 0.6) * text if names == "beside" else 1.6 * text
    shape = Size(width, height, text)
    return _Layout(shape, title, above, left, line, under, names, signs, kinds, columns)


def _lines(part: Part, names: str) -> int:
    """Return how many lines high an axis is: one for each bar, for each name above, for each limit."""
    bars = sum(len(group.bars) for group in part.groups)
    limits = sum(group.limit is not None for group in part.groups)
    return bars * (1 + (names != "beside")) + limits * (names != "with")


def _explain_kinds(figure: Figure, layout: _Layout) -> None:
    """Say which bars are of which kind, above the other signs."""
    _, height, text = layout.size
    bars = [
        Patch(facecolor=paler(colour), edgecolor=colour, hatch=hatch, label=kind)
        for kind, (colour, hatch) in _KINDS.items()
        if kind in layout.kinds
    ]
    if bars:
        place = 0.5, (LINE * (layout.signs.count("\n") + 1) + 0.2) * text / height
        add_legend(figure, text, handles=bars, ncols=layout.columns, loc="lower center", bbox_to_anchor=place)


def _draw_part(axes: Axes, part: Part, layout: _Layout) -> None:
    """Draw the bars of one quantity, and each group's limit, from the top down."""
    text, quantity = layout.size.text, part.quantity
    style_axes(axes, layout.size)
    low, high, ends = _range(axes, part, text)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    _set_ticks(axes, low, high, text)
    names, places, at = [], [], 0.0
    for group in part.groups:
        begin, taken = at, 0.0
        if layout.names == "with" and group.bars:
            taken = (len(group.name_of(group.bars[0])) + 1) * LETTER * text
        elif group.limit is not None:
            at += 1
        for row in group.bars:
            if layout.names != "beside":
                axes.text(low, at + 0.55, group.name_of(row), **_over_lines(text))
                at += 1
            names.append(group.name_of(row))
            places.append(at + 0.5)
            _draw_bar(axes, quantity, row, at + 0.5, low, text)
            place = ends[group.who, row.name], at + 0.5
            right = 0.5 * text, 0
            axes.annotate(
                end_of(row, quantity), place, right, textcoords="offset points", **_over_lines(text)
            )
            at += 1
        if group.limit is not None:
            words = group.name_of_limit(quantity)
            _draw_limit(axes, words, quantity.of(group.limit).median, (begin, at), taken, text)
    axes.set_ylim(at, 0)
    axes.set_yticks(places, names) if layout.names == "beside" else axes.set_yticks([])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(quantity.label, fontsize=text, labelpad=0.1 * text)


def _draw_bar(axes: Axes, quantity: Quantity, row: Row, at: float, low: float, text: float) -> None:
    spread = quantity.of(row)
    colour, hatch = _KINDS[kind_of(row)]
    axes.barh(
        at,
        spread.median - low,
        left=low,
        height=0.66,
        facecolor=paler(colour),
        edgecolor=colour,
        hatch=hatch,
        linewidth=1.2,
    )
    axes.plot([spread.low, spread.high], [at, at], color="#000000", linewidth=2, solid_capstyle="butt")
    for end in (spread.low, spread.high):
        axes.plot([end, end], [at - 0.2, at + 0.2], color="#000000", linewidth=2, solid_capstyle="butt")
    if quantity.late is not None:
        size = 0.5 * text
        axes.plot(
            quantity.late(row), at, marker="D", markersize=size, color="#000000", markerfacecolor="white"
        )


def _over_lines(text: float) -> dict[str, Any]:
    """Return how words look that a line may pass behind."""
    ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    return {"fontsize": text, "va": "center_baseline", "bbox": ground, "zorder": 2.4}


def _draw_limit(
    axes: Axes, words: str, value: float, rows: tuple[float, float], taken: float, text: float
) -> None:
    """Draw a line as high as the bars it is the limit of, and say above them what it is.

    So many pixels of the line of text are taken, at its left.
    """
    top, bottom = rows
    axes.plot([value, value], [top + 0.9, bottom], color="#000000", linewidth=2.2, linestyle="--")
    half = (len(words) * LETTER + 0.5) * text / 2 / axes.bbox.width
    low, high = axes.get_xlim()
    place = math.log(value / low) / math.log(high / low)
    axes.text(
        min(max(place, taken / axes.bbox.width + half), 1 - half),
        top + 0.5,
        words,
        transform=axes.get_yaxis_transform(),
        fontsize=text,
        ha="center",
        va="center_baseline",
    )


def _range(axes: Axes, part: Part, text: float) -> tuple[float, float, dict[tuple[str, str], float]]:
    """Return where the axis begins, from a power of ten, where it ends, and where each bar's number stands.

    A number stands after the end of its bar, or after the line of the limit where that would go through it.
    """
    numbers = [number for number in part.numbers if number > 0]
    low = 10.0 ** math.floor(math.log10(0.8 * min(numbers)))
    span = 1.03 * math.log(max(numbers) / low)
    width = axes.bbox.width
    ends: dict[tuple[str, str], float] = {}
    for _ in range(2):  # the line may go through more of them once there is room for the longest
        for group in part.groups:
            limit = 0 if group.limit is None else part.quantity.of(group.limit).median
            for row in group.bars:
                share = (len(end_of(row, part.quantity)) * LETTER + 1) * text / width
                reach = reach_of(row, part.quantity)
                if reach < limit and math.log(limit / reach) < share * span:
                    reach = limit
                ends[group.who, row.name] = reach
                span = max(span, math.log(reach / low) / max(0.3, 1 - share))
    return low, low * math.exp(span), ends


def _set_ticks(axes: Axes, low: float, high: float, text: float) -> None:
    """Set ticks at powers of ten, where there is room for the number."""
    powers = range(round(math.log10(low)), math.floor(math.log10(high)) + 1)
    halves = [len(in_digits(10.0**power)) * LETTER * text / 2 for power in powers]
    apart = axes.bbox.width * math.log(10) / math.log(high / low)
    step = math.ceil((2 * max(halves) + text) / apart)
    room = axes.figure.bbox.width
    shown = [
        10.0**power
        for number, (power, half) in enumerate(zip(powers, halves, strict=True))
        if number % step == 0 and half <= axes.bbox.x0 + number * apart <= room - half
    ]
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: in_digits(value)))
    axes.set_axisbelow(True)
    axes.grid(axis="x", color="#cccccc", linewidth=0.8)
