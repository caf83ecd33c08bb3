"""The one place that draws: from a :class:`~ipc_helpers.Result` to a picture with alt text."""

from __future__ import annotations

import base64
import html
import io
import os
import re
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import chain, pairwise
from textwrap import wrap
from time import thread_time
from typing import TYPE_CHECKING, Any, NamedTuple

try:
    import matplotlib
    import numpy as np
    from matplotlib.colors import to_rgba
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter
except ImportError as error:
    from ipc_helpers.ui.check_machine import what_to_install

    raise ImportError(what_to_install("figures")) from error

from ipc_helpers.experiments.experiment import Choice, plural
from ipc_helpers.trace import PLACES, RECEIVE, SEND, WRITE, Event

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ipc_helpers.experiments.experiment import Result, Words
    from ipc_helpers.trace import Lane, Step

# Okabe and Ito's colours, told apart with every common colour blindness; each has a second sign beside it.
_COLOURS = {SEND: "#0072B2", WRITE: "#CC79A7", RECEIVE: "#D55E00"}
_LINES = {SEND: "-", WRITE: ":", RECEIVE: "--"}
_HATCHES = {SEND: "///", WRITE: "xxx", RECEIVE: "\\\\\\"}
_DEPTH = "#595959"
_PLACES = {  # colour and hatch
    "put": (_COLOURS[SEND], _HATCHES[SEND]),
    "deque": ("#56B4E9", ""),
    "feeder thread": (_COLOURS[WRITE], _HATCHES[WRITE]),
    "pipe": ("#E69F00", "---"),
    "get": (_COLOURS[RECEIVE], _HATCHES[RECEIVE]),
}

_STEPS = (1, 2, 5, 10)  # between ticks, with any power of ten
_BETWEEN = 0.5  # between axes one below the other; this and what follows in heights of the text
_LINE = 1.3  # from one line of text to the next
_LETTER = 0.56  # the width of one, on average and a little more
_LABEL = {"facecolor": "white", "edgecolor": "#000000", "boxstyle": "round,pad=0.15", "linewidth": 0.8}
_BINS = 400  # points of a curve, and ticks in a lane: more are not told apart
_LONG_CALL = 1 / 100  # of the time shown: a call that took longer is drawn as a bar
# JupyterLab's dark theme turns white and black around, and leaves each colour its hue.
_DARK = '[data-jp-theme-light="false"] .ipc-figure{filter:invert(.87) hue-rotate(180deg)}'


class Size(NamedTuple):
    """How large a picture is to be, in pixels.

    Attributes
    ----------
    width, height : int
        Of the picture.
    text : float
        The height of its text: no letter is smaller.
    """

    width: int = 860
    height: int = 500
    text: float = 15.0


# One thread draws everything: matplotlib is not made for two at once, and keeps its font files open for
# each thread that ever drew.
_drawing: ThreadPoolExecutor


def _renew_thread() -> None:
    global _drawing
    _drawing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="draw")


_renew_thread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_thread)  # fork copies the executor without its thread


class Picture:
    """A drawn figure: shown by a notebook as an image with alt text.

    Attributes
    ----------
    title : str
        What was drawn.
    alt : str
        What the figure shows, in words and numbers.
    svg : str
        The image.
    width : int
        How wide it is meant to be shown, in pixels.
    """

    def __init__(self, title: str, alt: str, svg: str, width: int) -> None:
        self.title = title
        self.alt = alt
        self.svg = svg
        self.width = width

    @property
    def html(self) -> str:
        """The image as an HTML figure."""
        data = base64.b64encode(self.svg.encode()).decode()
        return (
            f'<figure style="margin:0"><style>{_DARK}</style><img class="ipc-figure" '
            f'style="width:{self.width}px;max-width:100%" alt="{html.escape(self.alt)}" '
            f'src="data:image/svg+xml;base64,{data}"></figure>'
        )

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return f"<Picture: {self.title}>"


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
    return draw_soon(lambda: (result, beside, size), lambda *_: None).result()


def draw_soon(
    what: Callable[[], tuple[Result, Result | None, Size | None]], show: Callable[[Picture, float], object]
) -> Future[Picture]:
    """Draw as :func:`draw` does, without waiting for it.

    Parameters
    ----------
    what : callable
        Returns the parameters of :func:`draw`; called when all that was to be drawn before is drawn. A
        Result may be of a run that goes on.
    show : callable
        Called with the picture, and the seconds of a processor that it took, in the thread that draws.

    Returns
    -------
    concurrent.futures.Future
        Of the picture, once it is shown.
    """

    def work() -> Picture:
        begun = thread_time()
        picture = _draw(*what())
        show(picture, thread_time() - begun)
        return picture

    return _drawing.submit(work)


def _draw(result: Result, beside: Result | None, size: Size | None) -> Picture:
    size = Size(*(size or ()))
    results = [result]
    titles = [result.experiment.description]
    if beside is not None:
        if type(beside.experiment) is not type(result.experiment):
            raise TypeError(f"beside must be a result of {type(result.experiment).__name__}, not {beside}")
        results = [beside, result]
        titles = [f"kept: {_differences(beside, result)}", f"now: {_differences(result, beside)}"]
    flows = [_flow(each) for each in results]
    names = _names(results)
    figure, columns = _empty_figure(size, len(results), len(names), max(map(len, names)))
    words = result.experiment.words
    span = max(flow.span for flow in flows)
    peak = max(1, *(flow.depth.max(initial=0) for flow in flows))
    for (counts, depth, timeline), each, flow, title in zip(columns, results, flows, titles, strict=True):
        _draw_counts(counts, words, flow, size.text)
        (_draw_places if flow.places else _draw_depth)(depth, flow)
        _draw_timeline(timeline, each, flow, names, size.text)
        left = counts.bbox.x0 if beside else 0.4 * size.text
        letters = int((counts.bbox.x1 - left) / _LETTER / size.text)
        lines = wrap(title, letters, max_lines=2, placeholder=" …")
        top = size.height - 0.2 * size.text
        figure.text(left / size.width, top / size.height, "\n".join(lines), fontsize=size.text, va="top")
    if flows[0].places:  # once, over both: a column alone may be too narrow for it
        _legend(depth, size.text, ncols=len(flows[0].places), loc="upper right", reverse=True)
    counts, depth, timeline = columns[0]
    counts.set_xlim(-0.01 * span, 1.01 * span)
    counts.set_ylim(0, max(1, *(each.sent for each in results)) * 1.05)
    depth.set_ylim(0, peak * (1.6 if flows[0].places else 1.1))  # room for the legend
    timeline.set_ylim(len(names) - 0.5, -0.5)
    _label(counts, plural(words.noun), size)
    _label(depth, "waiting in" if flows[0].places else words.waiting, size)
    timeline.set_yticks(range(len(names)), names)
    signs = f"| a {words.noun}; hatched: {words.long}"
    half = len(signs) * _LETTER * size.text / 2
    middle = min((counts.bbox.x0 + size.width) / 2, size.width - half)
    figure.text(
        middle / size.width,
        0.3 * size.text / size.height,
        f"milliseconds since the first {words.calls[SEND]}\n{signs}",
        fontsize=size.text,
        ha="center",
    )
    alts = [_alt(each, flow) for each, flow in zip(results, flows, strict=True)]
    alt = alts[0] if beside is None else f"On the left, kept: {alts[0]} On the right, now: {alts[1]}"
    return Picture(result.experiment.description, alt, _svg(figure), size.width)


def _label(axes: Axes, label: str, size: Size) -> None:
    """Say what an axis counts: beside it, or inside where it is too short for that."""
    fits = len(label) * _LETTER * size.text < axes.bbox.height
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


def _svg(figure: Figure) -> str:
    # Text stays text, and the same drawing the same file. Not rc_context: it would take back what a cell of
    # the reader's sets in the meantime.
    ours: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "ipc_helpers"}
    theirs = {name: matplotlib.rcParams[name] for name in ours}
    matplotlib.rcParams.update(ours)
    try:
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    finally:
        matplotlib.rcParams.update(theirs)
    return buffer.getvalue()


def _new_figure(size: Size) -> Figure:
    # Not pyplot's, which belongs to the main thread. A pixel is a point.
    return Figure(figsize=(size.width / 72, size.height / 72), dpi=72)


def _style(axes: Axes, size: Size) -> None:
    axes.set_autoscale_on(False)  # whoever draws sets the limits
    axes.yaxis.label.set_fontsize(size.text)
    axes.tick_params(labelsize=size.text)
    axes.spines[["top", "right"]].set_visible(False)
    ticks = max(2, int(axes.bbox.width / size.text / 4))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=ticks, steps=_STEPS))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.5g}"))


def _empty_figure(size: Size, columns: int, lanes: int, letters: int) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure for some lanes, whose names have so many letters, with axes that hold nothing."""
    figure, parts = _figure(size, columns, lanes, letters)
    drawn = [(*axes.lines, *axes.collections, *axes.texts) for axes in chain.from_iterable(parts)]
    for artist in chain(figure.texts[:], *drawn):
        artist.remove()
    return figure, parts


@lru_cache(maxsize=1)  # to make axes and their ticks anew takes as long as all the rest of a drawing
def _figure(size: Size, columns: int, lanes: int, letters: int) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure, and for each column its three axes, one below the other; each row has one scale."""
    figure = _new_figure(size)
    text = size.text
    left, right = max(5.4, letters * 0.6 + 0.9) * text, size.width - text
    above, below, gap = (2 * _LINE + 0.5) * text, (3 * _LINE + 0.6) * text, _BETWEEN * text
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
        _style(axes, size)
    for axes in parts[:2, 0]:
        ticks = max(2, min(5, int(axes.bbox.height / text / 1.6)))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=ticks, integer=True, steps=_STEPS))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    return figure, parts.T.tolist()


class _Flow(NamedTuple):
    """Times in milliseconds since the first send began."""

    start: int  # nanoseconds of perf_counter_ns
    span: float
    done: dict[int, NDArray[Any]]
    times: NDArray[Any]
    depth: NDArray[Any]
    places: dict[str, tuple[NDArray[Any], NDArray[Any]]]  # when messages come there, and when they go


def _flow(result: Result) -> _Flow:
    def by_number(operation: int, column: str) -> NDArray[Any]:
        """Return when each message was there, in nanoseconds; infinity where it was not."""
        times = np.full(result.experiment.steps, np.inf)
        for lane in result.lanes_of(operation):
            events = _events(lane)
            events = events[(events["number"] >= 0) & (events["number"] < len(times))]
            times[events["number"]] = events[column]
        return times

    def gate(times: NDArray[Any]) -> NDArray[Any]:
        return (np.sort(times[np.isfinite(times)], kind="stable") - start) / 1e6  # soon done: they are runs

    received_at = by_number(RECEIVE, "ended")
    # The clock of a send stops when its call returns, which may be after the message was received.
    sent_at = np.minimum(by_number(SEND, "ended"), received_at)
    begun = [int(lane.column("started")[0]) for lane in result.lanes_of(SEND)]
    begun += [lane.unfinished[SEND] for lane in result.lanes if SEND in lane.unfinished]
    end = result.stopped or int(received_at.max())
    goes_on = chain.from_iterable(lane.unfinished.values() for lane in result.lanes)
    start = min(begun or goes_on, default=end - 1)
    done_at = {SEND: sent_at, RECEIVE: received_at}
    places = {}
    if WRITE in result.experiment.words.done:
        # A call may return after the message has gone on: the message was there for no time, then.
        done_at[WRITE] = written_at = np.minimum(by_number(WRITE, "ended"), received_at)
        taken_at = np.minimum(by_number(WRITE, "started"), written_at)
        gates = [gate(times) for times in (np.minimum(sent_at, taken_at), taken_at, written_at, received_at)]
        places = dict(zip(("deque", "feeder thread", "pipe"), pairwise(gates), strict=True))
    done = {operation: gate(done_at[operation]) for operation in result.experiment.words.done}
    times = np.concatenate([done[SEND], done[RECEIVE]])
    steps = np.repeat([1, -1], [len(done[SEND]), len(done[RECEIVE])])
    order = np.argsort(times, kind="stable")
    return _Flow(start, (end - start) / 1e6, done, times[order], np.cumsum(steps[order]), places)


def _events(lane: Lane) -> NDArray[Any]:
    return np.frombuffer(lane.records, dtype=[(name, np.int64) for name in Event._fields])


def _draw_counts(axes: Axes, words: Words, flow: _Flow, text: float) -> None:
    for operation, times in flow.done.items():
        shown = np.unique(np.linspace(0, len(times) - 1, min(_BINS, len(times))).astype(int))
        axes.step(
            [0, *times[shown], flow.span],
            [0, *(np.add(shown, 1)), len(times)],
            _LINES[operation],
            where="post",
            color=_COLOURS[operation],
            linewidth=2.2,
            label=words.done[operation],
        )
    rows_fit = axes.bbox.height > 5 * text
    _legend(axes, text, loc="best", ncols=1 if rows_fit else len(flow.done))


def _legend(axes: Axes, text: float, **where: Any) -> None:
    axes.legend(
        fontsize=text,
        frameon=False,
        handlelength=1.6,
        handletextpad=0.4,
        columnspacing=0.7,
        borderaxespad=0.1,
        labelspacing=0.2,
        **where,
    )


def _draw_depth(axes: Axes, flow: _Flow) -> None:
    bins = np.clip(np.searchsorted(edges := np.linspace(0, flow.span, _BINS), flow.times) - 1, 0, _BINS - 1)
    most = np.zeros(_BINS)
    first_of_bin = np.flatnonzero(np.diff(bins, prepend=-1))
    most[bins[first_of_bin]] = np.maximum.reduceat(flow.depth, first_of_bin)
    empty = np.setdiff1d(np.arange(_BINS), bins)  # nothing happened there: the depth before it stays
    most[empty] = np.append(0, flow.depth)[np.searchsorted(flow.times, edges[empty], side="right")]
    axes.fill_between(edges, most, step="post", color=_DEPTH, alpha=0.55, linewidth=0)


def _draw_places(axes: Axes, flow: _Flow) -> None:
    """Draw how many messages are where, at some moments, the last place at the bottom."""
    moments = np.linspace(0, flow.span, _BINS)
    below = np.zeros(_BINS)
    for place, (come, gone) in reversed(flow.places.items()):
        colour, hatch = _PLACES[place]
        inside = np.searchsorted(come, moments, "right") - np.searchsorted(gone, moments, "right")
        some = inside > 0
        axes.fill_between(
            moments,
            below,
            below + inside,
            where=some | np.roll(some, 1),  # up to the moment at which the last one goes
            step="post",
            facecolor=to_rgba(colour, 0.55),
            edgecolor=colour,  # a line at least, where one message of hundreds would be too thin to see
            hatch=hatch,
            linewidth=1.2,
            label=place,
        )
        below = below + inside


def _draw_timeline(axes: Axes, result: Result, flow: _Flow, names: list[str], text: float) -> None:
    for lane in result.lanes:
        row = names.index(lane.who)
        both = [
            operation for operation in flow.done if len(lane.only(operation)) or operation in lane.unfinished
        ]
        for index, operation in enumerate(both):  # who does both has sends in the upper half, the other below
            height = 0.6 / len(both)
            _draw_lane(axes, lane, operation, flow, row - 0.3 + height * index, height)
        if result.stopped and not result.is_running and lane.ending != "returned":
            end = f"{lane.ending}:  {lane.where}" if lane.where else lane.ending
            letters = int(axes.bbox.width / text / _LETTER) - 1
            end = end if len(end) <= letters else f"{end[: letters - 1]}…"
            axes.text(
                1 - 0.4 * text / axes.bbox.width,
                row,
                end,
                transform=axes.get_yaxis_transform(),
                ha="right",
                va="center",
                fontsize=text,
                bbox=_LABEL,
            )


def _draw_lane(axes: Axes, lane: Lane, operation: int, flow: _Flow, top: float, height: float) -> None:
    events = _events(lane.only(operation))
    goes_on = [lane.unfinished[operation]] if operation in lane.unfinished else []
    started = (np.append(events["started"], goes_on) - flow.start) / 1e6
    ended = np.append((events["ended"] - flow.start) / 1e6, [flow.span] * len(goes_on))
    colour = _COLOURS[operation]
    axes.broken_barh([(started[0], ended[-1] - started[0])], (top, height), color=colour, alpha=0.15)
    long = ended - started > flow.span * _LONG_CALL
    axes.broken_barh(
        list(zip(started[long], (ended - started)[long], strict=True)),
        (top, height),
        facecolor="white",
        edgecolor=colour,
        hatch=_HATCHES[operation],
        linewidth=0.8,
    )
    ticks = np.unique(np.round(ended[: len(events)] * _BINS / flow.span)) * flow.span / _BINS
    # One line with gaps: as a collection, each tick would be a path of its own.
    ends = np.tile([top, top + height, np.nan], len(ticks))
    axes.plot(np.repeat(ticks, 3), ends, color=colour, linewidth=1.1, solid_capstyle="butt")


def _alt(result: Result, flow: _Flow) -> str:
    words = result.experiment.words
    sent, received = words.done[SEND], words.done[RECEIVE]
    sentences = [f"{result.experiment.description}."]
    if result.stopped:
        sentences += [
            f"It {'goes on' if result.is_running else 'was ended'} after {flow.span:,.1f} milliseconds:",
            f"{result.sent:,} {plural(words.noun)} were {sent}, {result.received:,} {received}.",
        ]
    else:
        sentences += [
            f"All were {received} {flow.span:,.1f} milliseconds after the first {words.calls[SEND]} began:",
            f"{result.messages_per_second:,.0f} {plural(words.noun)} a second.",
        ]
    if len(flow.depth):
        peak, when = flow.depth.max(), flow.times[flow.depth.argmax()]
        sentences.append(
            f"At most {peak:,} waited between {sent} and {received}, at {when:,.1f} milliseconds."
        )
    if flow.places:
        deque, feeder, pipe = (f"{_peak(*gates):,}" for gates in flow.places.values())
        sentences.append(
            f"At most {deque} in the deque, {feeder} with the feeder thread, {pipe} in the pipe."
        )
    if result.is_running:  # the next picture comes in a moment, and what each did takes long to count
        return " ".join(sentences)
    feeders = {lane.who: len(lane) for lane in result.lanes_of(WRITE)}
    for lane, total in zip(result.lanes, result.totals, strict=True):
        counts = {SEND: total.sent, RECEIVE: total.received}
        calls = [words.calls[operation] for operation, count in counts.items() if count]
        done = " and ".join(
            f"{count:,} {words.done[operation]}" for operation, count in counts.items() if count
        )
        if total.sent + total.received > 1:
            share = total.seconds_in_calls / total.seconds
            done += f", {share:.0%} of its time inside {' or '.join(calls)}"
        if done and total.who in feeders:
            done += f"; its feeder thread wrote {feeders[total.who]:,}"
        end = f"; it {lane.ending}" if result.stopped and lane.ending else ""
        end += f", in the line  {lane.where}" if end and lane.where else ""
        sentences.append(f"{total.who}: {done or f'no {words.noun}'}{end}.")
    return " ".join(sentences)


def _peak(come: NDArray[Any], gone: NDArray[Any]) -> int:
    """Return how many messages were at a place at most, from when they came and when they went."""
    inside = np.searchsorted(come, come, "right") - np.searchsorted(gone, come, "right")
    return int(max(len(come) > 0, inside.max(initial=0)))  # one that went as it came was there, too


def draw_journey(steps: Sequence[Step]) -> Picture:
    """Draw where one message was on its way through a Queue, from put to get.

    Parameters
    ----------
    steps : sequence of Step
        From any processes, in any order; one moves the message to "put", one to "got".

    Returns
    -------
    Picture
    """
    return _drawing.submit(_draw_journey, sorted(steps)).result()


class _Stay(NamedTuple):
    """How long a message was at a place, in microseconds since its put was called, and what happened."""

    place: str
    start: float
    end: float
    who: str
    steps: list[str]


def _draw_journey(steps: list[Step]) -> Picture:
    stays = _stays(steps)
    span = stays[-1].end
    rows = PLACES[:-1]
    size = Size()
    text = size.text
    figure = _new_figure(size)
    left, below = 8.5 * text / size.width, 3.2 * text / size.height
    axes = figure.add_axes((left, below, 1 - left - text / size.width, 1 - below - 2 * text / size.height))
    _style(axes, size)
    title = "The way of one message"
    sentences = [f"{title}: {span:,.0f} microseconds from the call of put to the return of get."]
    for stay in stays:
        row = rows.index(stay.place)
        took, happened = f"{stay.end - stay.start:,.0f}", ", ".join(stay.steps)
        sentences.append(f"{stay.place}: {took} microseconds, {stay.who}: {happened}.")
        colour, hatch = _PLACES[stay.place]
        axes.barh(
            row,
            stay.end - stay.start,
            left=stay.start,
            height=0.32,
            facecolor=to_rgba(colour, 0.45),
            edgecolor=colour,
            hatch=hatch,
        )
        at_left = stay.start < span / 2  # above the bar, on from its start or up to its end: there is room
        axes.text(
            stay.start if at_left else stay.end,
            row - 0.2,
            f"{took} µs, {stay.who}\n{happened}",
            ha="left" if at_left else "right",
            va="bottom",
            fontsize=text,
        )
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.7, -0.8)
    axes.set_xlim(-0.01 * span, 1.01 * span)
    axes.set_xlabel("microseconds since put was called", fontsize=text)
    axes.set_title(title, fontsize=text)
    return Picture(title, " ".join(sentences), _svg(figure), size.width)


def _stays(steps: list[Step]) -> list[_Stay]:
    """Return where the message was, one place after the other.

    A call may return, and its step be noted, after the message has gone on: that moves it no more.
    """
    start = next(step.time for step in steps if step.place == PLACES[0])
    moves: list[Step] = []
    for step in steps:
        if step.place in PLACES[len(moves) and PLACES.index(moves[-1].place) + 1 :]:
            moves.append(step)
    stays = []
    for move, following in pairwise(moves):
        happened = [step.what for step in steps if step.place == move.place]
        begin, end = ((step.time - start) / 1e3 for step in (move, following))
        stays.append(_Stay(move.place, begin, end, f"{move.process}, {move.thread}", happened))
    return stays
