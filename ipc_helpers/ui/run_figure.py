"""The figure of a run: counts over time, what waits, and a lane for each process."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import chain
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from ipc_helpers.experiments.parameters import Choice, plural
from ipc_helpers.trace import RECEIVE, SEND, STOP, WRITE
from ipc_helpers.ui.alt_text import alt_text
from ipc_helpers.ui.curves import Flow, _events, flow_of
from ipc_helpers.ui.drawing import (
    COLOURS,
    HATCHES,
    LABEL,
    LETTER,
    LINE,
    LOST,
    PLACE_STYLES,
    STEPS,
    Picture,
    Size,
    add_legend,
    as_svg,
    in_drawing_thread,
    new_figure,
    paler,
    style_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from ipc_helpers.experiments.parameters import Labels
    from ipc_helpers.experiments.result import Result
    from ipc_helpers.trace import Lane

_LINE_STYLES = {SEND: "-", WRITE: ":", RECEIVE: "--"}
_DEPTH = "#595959"
_BETWEEN = 0.5  # between axes one below the other; this and what follows in heights of the text
BINS = 400  # points of a curve, and ticks in a lane: more are not told apart
_LONG_CALL = 1 / 100  # of the time shown: a call that took longer is drawn as a bar


def draw(result: Result, beside: Result | None = None, size: Size | None = None) -> Picture:
    """Draw messages over time, how many wait between sent and received, and a lane for each process.

    Where the feeder thread of a queue recorded what it wrote, the messages that wait are told apart by
    the place where they are. Of a run that was ended, each lane goes up to where it stopped, and says how its
    process ended or where it still was.

    Parameters
    ----------
    result : Result
        Of any experiment; the ``result`` of a WorkerError, a DeadlineError or Cancelled, too.
    beside : Result, optional
        Of another run of the same kind of experiment, to compare with: it is drawn on the left, with the
        same axes.
    size : Size or tuple, optional
        Width, height and text in pixels; by default 860 × 500, with text 15 pixels high.

    Returns
    -------
    Picture

    Raises
    ------
    TypeError
        When ``beside`` is of another kind of experiment.
    """
    picture: Picture = in_drawing_thread(draw_now, result, beside, size).result()
    return picture


def draw_now(result: Result, beside: Result | None, size: Size | None) -> Picture:
    """Draw as :func:`draw` does, in the thread that draws; a Result may be of a run that goes on."""
    size = Size(*(size or ()))
    results = [result]
    titles = [result.experiment.description]
    if beside is not None:
        if type(beside.experiment) is not type(result.experiment):
            raise TypeError(f"beside must be a result of {type(result.experiment).__name__}, not {beside}")
        results = [beside, result]
        titles = [f"kept: {_differences(beside, result)}", f"now: {_differences(result, beside)}"]
    flows = [flow_of(each) for each in results]
    names = _names(results)
    figure, columns = _empty_figure(size, len(results), len(names), max(map(len, names)))
    words = result.experiment.labels
    span = max(flow.span for flow in flows)
    peak = 1
    for (counts, depth, timeline), each, flow, title in zip(columns, results, flows, titles, strict=True):
        _draw_counts(counts, words, flow, size.text)
        peak = max(peak, (_draw_places if flow.places else _draw_depth)(depth, flow))
        _draw_timeline(timeline, each, flow, names, size.text)
        for axes in (counts, depth, timeline):
            _draw_moment_of_stop(axes, each, flow)
        left = counts.bbox.x0 if beside else 0.4 * size.text
        letters = int((counts.bbox.x1 - left) / LETTER / size.text)
        lines = wrap(title, letters, max_lines=2, placeholder=" …")
        top = size.height - 0.2 * size.text
        figure.text(left / size.width, top / size.height, "\n".join(lines), fontsize=size.text, va="top")
    places = max((axes.get_legend_handles_labels()[0] for _, axes, _ in columns), key=len)
    if places:  # once, over both: a column alone may be too narrow for it
        add_legend(depth, size.text, handles=places, ncols=len(places), loc="upper right", reverse=True)
    counts, depth, timeline = columns[0]
    counts.set_xlim(-0.01 * span, 1.01 * span)
    counts.set_ylim(0, max(1, *(each.sent for each in results)) * 1.05)
    top = peak * (1.6 if places else 1.1)  # room for the legend
    last = max(tick for tick in depth.yaxis.get_major_locator().tick_values(0, top) if tick <= top)
    depth.set_ylim(0, max(top, 1.1 * last))  # so that its label does not touch one of the axes above
    timeline.set_ylim(len(names) - 0.5, -0.5)
    _label(counts, plural(words.noun), size)
    _label(depth, words.waiting, size)
    timeline.set_yticks(range(len(names)), names)
    unit = f"milliseconds since the first {words.calls[SEND]}"
    signs = f"| a {words.noun}; hatched: {words.long}"
    if any(map(_stop_began, results)):
        unit = f"ms since the first {words.calls[SEND]}; dotted: the stop"  # as long as fits at any size
    signs += "; crossed: lost" if any(each.lost for each in results) else ""
    half = max(len(unit), len(signs)) * LETTER * size.text / 2
    middle = min((counts.bbox.x0 + size.width) / 2, size.width - half)
    figure.text(
        middle / size.width,
        0.3 * size.text / size.height,
        f"{unit}\n{signs}",
        fontsize=size.text,
        ha="center",
    )
    alts = [alt_text(each, flow) for each, flow in zip(results, flows, strict=True)]
    alt = alts[0] if beside is None else f"On the left, kept: {alts[0]} On the right, now: {alts[1]}"
    return Picture(result.experiment.description, alt, as_svg(figure), size.width)


def _label(axes: Axes, label: str, size: Size) -> None:
    """Say what an axis counts: beside it, or inside where it is too short for that."""
    fits = len(label) * LETTER * size.text < axes.bbox.height
    axes.set_ylabel(label if fits else "")
    middle = (axes.bbox.y0 + axes.bbox.y1) / 2
    axes.yaxis.set_label_coords(size.text / size.width, middle / size.height, axes.figure.transFigure)
    axes.text(0.01, 0.98, "" if fits else label, fontsize=size.text, va="top", transform=axes.transAxes)


def _names(results: list[Result]) -> list[str]:
    """Return the processes of one or two runs, those of a role side by side."""
    names = list(dict.fromkeys(lane.who for result in results for lane in result.lanes))
    roles = list(dict.fromkeys(name.rstrip("0123456789") for name in names))
    return sorted(names, key=lambda name: (roles.index(name.rstrip("0123456789")), len(name), name))


def _differences(result: Result, other: Result) -> str:
    """Return the parameters of a run that are not those of the other."""
    found = []
    for name, rule in result.experiment.rules().items():
        value, theirs = getattr(result.experiment, name), getattr(other.experiment, name)
        if value != theirs:
            if isinstance(rule, Choice):
                shown = (rule.names or rule.options)[rule.options.index(value)]
            else:
                shown = f"{value:,}"
            found.append(f"{re.sub(r' [(].*', '', rule.label)} {shown}")
    return ", ".join(found) or "the same"


def _empty_figure(size: Size, columns: int, lanes: int, letters: int) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure for some lanes, whose names have so many letters, with axes that hold nothing."""
    figure, parts = _figure(size, columns, lanes, letters)
    drawn = [(*axes.lines, *axes.collections, *axes.texts) for axes in chain.from_iterable(parts)]
    for artist in chain(figure.texts[:], *drawn):
        artist.remove()
    return figure, parts


@lru_cache(maxsize=1)  # to make axes and their ticks again takes as long as all the rest of a drawing
def _figure(size: Size, columns: int, lanes: int, letters: int) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure, and for each column its three axes, one below the other; each row has one scale."""
    figure = new_figure(size)
    text = size.text
    # On the right, half of a number of milliseconds may stand beyond the end of the axis.
    left, right = max(5.4, letters * 0.6 + 0.9) * text, size.width - 1.8 * text
    above, below, gap = (2 * LINE + 0.5) * text, (3 * LINE + 0.6) * text, _BETWEEN * text
    room = size.height - above - below - 2 * gap
    timeline = min(max(0.4 * room, 1.2 * text * lanes), 2.6 * text * lanes, 0.75 * room)
    width = (right - left - (columns - 1) * text) / columns
    parts = figure.subplots(
        3,
        columns,
        squeeze=False,
        sharex=True,
        sharey="row",
        gridspec_kw={
            "left": left / size.width,
            "right": right / size.width,
            "top": 1 - above / size.height,
            "bottom": below / size.height,
            "height_ratios": [0.58 * (room - timeline), 0.42 * (room - timeline), timeline],
            "hspace": 3 * gap / room,  # of the average height, and width
            "wspace": text / width,
        },
    )
    for axes in parts.flat:
        style_axes(axes, size)
    for axes in parts[:2, 0]:
        ticks = max(2, min(5, int(axes.bbox.height / text / 1.6)))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=ticks, integer=True, steps=STEPS))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    return figure, parts.T.tolist()


def _draw_counts(axes: Axes, words: Labels, flow: Flow, text: float) -> None:
    for operation, times in flow.done.items():
        shown = np.unique(np.linspace(0, len(times) - 1, min(BINS, len(times))).astype(int))
        axes.step(
            [0, *times[shown], flow.span],
            [0, *(np.add(shown, 1)), len(times)],
            _LINE_STYLES[operation],
            where="post",
            color=COLOURS[operation],
            linewidth=2.2,
            label=words.done[operation],
        )
    rows_fit = axes.bbox.height > 5 * text
    add_legend(axes, text, loc="best", ncols=1 if rows_fit else len(flow.done))


def _draw_depth(axes: Axes, flow: Flow) -> int:
    """Draw how many messages wait; return how many at most."""
    bins = np.clip(np.searchsorted(edges := np.linspace(0, flow.span, BINS), flow.times) - 1, 0, BINS - 1)
    most = np.zeros(BINS)
    first_of_bin = np.flatnonzero(np.diff(bins, prepend=-1))
    most[bins[first_of_bin]] = np.maximum.reduceat(flow.depth, first_of_bin)
    empty = np.setdiff1d(np.arange(BINS), bins)  # nothing happened there: the depth before it stays
    most[empty] = np.append(0, flow.depth)[np.searchsorted(flow.times, edges[empty], side="right")]
    axes.fill_between(edges, most, step="post", color=_DEPTH, alpha=0.55, linewidth=0)
    return int(most.max())


def _draw_places(axes: Axes, flow: Flow) -> int:
    """Draw how many messages are where, the last place at the bottom; return how many at most.

    On average of each bin, or a message that passes a place would be seen in one bin by chance, and as long.
    """
    edges = np.linspace(0, flow.span, BINS + 1)
    below = np.zeros(BINS + 1)
    for place, (come, gone) in reversed(flow.places.items()):
        colour, hatch = PLACE_STYLES[place.name]
        stays = np.diff(_until(come, edges) - _until(gone, edges)) * BINS / flow.span
        inside = np.append(stays.round(6), 0)  # without what is left of the sums
        some = inside > 0
        axes.fill_between(
            edges,
            below,
            below + inside,
            where=some | np.roll(some, 1),  # up to the moment at which the last one goes
            step="post",
            facecolor=paler(colour),
            edgecolor=colour,  # a line at least, where one message of hundreds would be too thin to see
            hatch=hatch,
            linewidth=1.2,
            label=place.name,
        )
        below = below + inside
    return int(below.max().round())


def _stop_began(result: Result) -> int | None:
    """Return when the parent told its processes to stop, in nanoseconds; None where it has not."""
    goes_on = (lane.unfinished[STOP] for lane in result.lanes if STOP in lane.unfinished)
    return result.stop.started if result.stop else next(goes_on, None)


def _draw_moment_of_stop(axes: Axes, result: Result, flow: Flow) -> None:
    if (began := _stop_began(result)) is not None:
        axes.axvline((began - flow.start) / 1e6, color=COLOURS[STOP], linestyle=":", linewidth=1.6)


def _until(times: NDArray[Any], moments: NDArray[Any]) -> NDArray[Any]:
    """Return how long it is from each of some sorted times to a moment after it, all added up."""
    before = np.searchsorted(times, moments)
    added: NDArray[Any] = before * moments - np.append(0, np.cumsum(times))[before]
    return added


def _draw_timeline(axes: Axes, result: Result, flow: Flow, names: list[str], text: float) -> None:
    for lane in result.lanes:
        row = names.index(lane.who)
        both = [
            operation
            for operation in (*flow.done, STOP)
            if len(lane.only(operation)) or operation in lane.unfinished
        ]
        for index, operation in enumerate(both):  # who does both has sends in the upper half, the other below
            height = 0.6 / len(both)
            _draw_lane(axes, lane, operation, flow, row - 0.3 + height * index, height, bool(result.stop))
        is_over = (result.stopped or result.stop) and not result.is_running
        if is_over and lane.ending not in ("", "returned"):
            end = f"{lane.ending}:  {lane.where}" if lane.where else lane.ending
            letters = int(axes.bbox.width / text / LETTER) - 1
            end = end if len(end) <= letters else f"{end[: letters - 1]}…"
            edge = 0.4 * text / axes.bbox.width
            axes.text(
                edge if result.stop else 1 - edge,  # what a stop has cut off is to be seen
                row,
                end,
                transform=axes.get_yaxis_transform(),
                ha="left" if result.stop else "right",
                va="center",
                fontsize=text,
                bbox=LABEL,
            )


def _draw_lane(
    axes: Axes, lane: Lane, operation: int, flow: Flow, top: float, height: float, was_stopped: bool
) -> None:
    events = _events(lane.only(operation))
    goes_on = [lane.unfinished[operation]] if operation in lane.unfinished else []
    started = (np.append(events["started"], goes_on) - flow.start) / 1e6
    ended = np.append((events["ended"] - flow.start) / 1e6, [flow.span] * len(goes_on))
    colour = COLOURS[operation]
    axes.broken_barh([(started[0], ended[-1] - started[0])], (top, height), color=colour, alpha=0.15)
    long = ended - started > flow.span * _LONG_CALL
    is_lost = np.arange(len(started)) >= len(events) if was_stopped else np.zeros(len(started), bool)
    for shown, hatch in ((long & ~is_lost, HATCHES[operation]), (is_lost, LOST)):
        axes.broken_barh(
            list(zip(started[shown], (ended - started)[shown], strict=True)),
            (top, height),
            facecolor="white",
            edgecolor=colour,
            hatch=hatch,
            linewidth=0.8,
        )
    ticks = np.unique(np.round(ended[: len(events)] * BINS / flow.span)) * flow.span / BINS
    # One line with gaps: as a collection, each tick would be a path of its own.
    ends = np.tile([top, top + height, np.nan], len(ticks))
    axes.plot(np.repeat(ticks, 3), ends, color=colour, linewidth=1.1, solid_capstyle="butt")
