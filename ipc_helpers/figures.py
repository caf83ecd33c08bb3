"""The one place that draws: from a :class:`~ipc_helpers.experiments.Result` to a picture with alt text."""

from __future__ import annotations

import base64
import html
import io
import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import chain, pairwise
from time import thread_time
from typing import TYPE_CHECKING, Any, NamedTuple

try:
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import to_rgba
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
except ImportError as error:
    from ipc_helpers.environment import what_to_install

    raise ImportError(what_to_install("figures")) from error

from ipc_helpers.experiments import plural
from ipc_helpers.trace import PLACES, RECEIVE, SEND, WRITE, Event

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ipc_helpers.experiments import Result
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

_WIDTH = 9.0  # inches, at 100 pixels an inch
_LEFT, _RIGHT, _ABOVE, _BELOW, _BETWEEN = 1.2, 0.25, 0.4, 0.65, 0.12  # inches beside and between the axes
_STEPS = (1, 2, 5, 10)  # between ticks, with any power of ten
_FONT = 13  # points: readable from the last row
_WORDS = {"facecolor": "white", "edgecolor": "#000000", "boxstyle": "round,pad=0.2", "linewidth": 0.8}
_BINS = 600  # points of a curve, and ticks in a lane: no screen shows more
_LONGEST_LINE = 40  # characters of a line of code
_LONG_CALL = 1 / 100  # of the time shown: a call that took longer is drawn as a bar

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
    png : bytes
        The image.
    """

    def __init__(self, title: str, alt: str, png: bytes) -> None:
        self.title = title
        self.alt = alt
        self.png = png

    @property
    def html(self) -> str:
        """The image as an HTML figure."""
        data = base64.b64encode(self.png).decode()
        return (
            f'<figure style="margin:0"><img style="max-width:100%" alt="{html.escape(self.alt)}" '
            f'src="data:image/png;base64,{data}"></figure>'
        )

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return f"<Picture: {self.title}>"


def draw(result: Result) -> Picture:
    """Draw messages over time, how many wait between sent and received, and a lane for each process.

    Where the feeder thread of a queue recorded what it wrote, the messages that wait are told apart by
    the place where they are. Of a run that was ended, each lane goes up to where it stopped, and says how its
    process ended or where it still was.

    Parameters
    ----------
    result : Result
        Of any experiment; the ``result`` of a WorkerError, a DeadlineError or Cancelled, too.

    Returns
    -------
    Picture
    """
    return _drawing.submit(_draw, result).result()


def draw_soon(result: Result, show: Callable[[Picture, float], object]) -> None:
    """Draw as :func:`draw` does, without waiting for it.

    Parameters
    ----------
    result : Result
        As for :func:`draw`; of a run that goes on, too.
    show : callable
        Called with the picture, and the seconds of a processor that it took, in the thread that draws.
    """

    def work() -> None:
        begun = thread_time()
        picture = _draw(result)
        show(picture, thread_time() - begun)

    _drawing.submit(work)


def _draw(result: Result) -> Picture:
    flow = _flow(result)
    figure, (counts, depth, timeline) = _empty_figure(len(result.lanes), bool(flow.places))
    _draw_counts(counts, result, flow)
    if flow.places:
        _draw_places(depth, flow)
    else:
        _draw_depth(depth, result, flow)
    _draw_timeline(timeline, result, flow)
    for axes in (counts, depth, timeline):
        axes.set_xlim(-0.01 * flow.span, 1.01 * flow.span)
    title = result.experiment.description
    counts.set_title(title, fontsize=_FONT, y=1.0)  # a y spares matplotlib the search
    return Picture(title, _alt(result, flow), _png(figure))


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", pil_kwargs={"compress_level": 3})  # a tenth larger, much sooner
    return buffer.getvalue()


def _empty_figure(lanes: int, with_places: bool) -> tuple[Figure, list[Axes]]:
    """Return a figure for some lanes, with three axes that hold nothing."""
    figure, parts = _figure(lanes, with_places)
    for axes in parts:
        for artist in (*axes.lines, *axes.collections, *axes.texts):
            artist.remove()
    return figure, parts


@lru_cache(maxsize=1)  # to make axes and their ticks anew takes as long as all the rest of a drawing
def _figure(lanes: int, with_places: bool) -> tuple[Figure, list[Axes]]:
    heights = (1.6, 1.9, 0.6 * lanes + 0.2) if with_places else (1.9, 1.1, 0.4 * lanes + 0.2)
    height = sum(heights) + _ABOVE + _BELOW + 2 * _BETWEEN
    figure = Figure(figsize=(_WIDTH, height))
    FigureCanvasAgg(figure)  # not pyplot's, which belongs to the main thread
    # Fixed margins: to have matplotlib find them takes half as long again as the drawing.
    parts = figure.subplots(
        3,
        1,
        sharex=True,
        gridspec_kw={
            "height_ratios": heights,
            "hspace": _BETWEEN / (sum(heights) / len(heights)),
            "left": _LEFT / _WIDTH,
            "right": 1 - _RIGHT / _WIDTH,
            "top": 1 - _ABOVE / height,
            "bottom": _BELOW / height,
        },
    )
    counts, depth, timeline = parts
    counts.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, steps=_STEPS))
    depth.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, steps=_STEPS))
    timeline.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=_STEPS))
    return figure, [counts, depth, timeline]


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
    times = np.concatenate([gate(sent_at), gate(received_at)])
    steps = np.repeat([1, -1], [np.isfinite(sent_at).sum(), np.isfinite(received_at).sum()])
    order = np.argsort(times, kind="stable")
    done = {SEND: gate(sent_at), RECEIVE: gate(received_at)}
    places = {}
    if WRITE in result.experiment.words.done:
        # A call may return after the message has gone on: the message was there for no time, then.
        written_at = np.minimum(by_number(WRITE, "ended"), received_at)
        taken_at = np.minimum(by_number(WRITE, "started"), written_at)
        gates = [gate(times) for times in (np.minimum(sent_at, taken_at), taken_at, written_at, received_at)]
        done = {SEND: done[SEND], WRITE: gates[2], RECEIVE: done[RECEIVE]}
        places = dict(zip(("deque", "feeder thread", "pipe"), pairwise(gates), strict=True))
    return _Flow(start, (end - start) / 1e6, done, times[order], np.cumsum(steps[order]), places)


def _events(lane: Lane) -> NDArray[Any]:
    return np.frombuffer(lane.records, dtype=[(name, np.int64) for name in Event._fields])


def _draw_counts(axes: Axes, result: Result, flow: _Flow) -> None:
    words = result.experiment.words
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
    _style(axes, plural(words.noun))
    axes.set_ylim(0, max(1, result.sent) * 1.05)
    axes.legend(fontsize=_FONT - 1, loc="best", frameon=False, handlelength=2.4)


def _draw_depth(axes: Axes, result: Result, flow: _Flow) -> None:
    bins = np.clip(np.searchsorted(edges := np.linspace(0, flow.span, _BINS), flow.times) - 1, 0, _BINS - 1)
    most = np.zeros(_BINS)
    np.maximum.at(most, bins, flow.depth)
    empty = np.setdiff1d(np.arange(_BINS), bins)  # nothing happened there: the depth before it stays
    most[empty] = np.append(0, flow.depth)[np.searchsorted(flow.times, edges[empty], side="right")]
    axes.fill_between(edges, most, step="post", color=_DEPTH, alpha=0.55, linewidth=0)
    _style(axes, result.experiment.words.waiting)
    axes.set_ylim(0, max(1, flow.depth.max(initial=0)) * 1.1)


def _draw_places(axes: Axes, flow: _Flow) -> None:
    """Draw how many messages are where, at some moments; the last place at the bottom."""
    moments = np.linspace(0, flow.span, _BINS)
    below = np.zeros(_BINS)
    bands = {}
    for place, (come, gone) in reversed(flow.places.items()):
        colour, hatch = _PLACES[place]
        inside = np.searchsorted(come, moments, "right") - np.searchsorted(gone, moments, "right")
        some = inside > 0
        bands[place] = axes.fill_between(
            moments,
            below,
            below + inside,
            where=some | np.roll(some, 1),  # up to the moment at which the last one goes
            step="post",
            facecolor=to_rgba(colour, 0.55),
            edgecolor=colour,  # a line at least, where one message of hundreds would be too thin to see
            hatch=hatch,
            linewidth=1.2,
        )
        below = below + inside
    _style(axes, "waiting in")
    axes.set_ylim(0, max(1, flow.depth.max(initial=0)) * 1.4)  # room for the legend
    axes.legend(
        [bands[place] for place in flow.places],
        list(flow.places),
        ncols=len(flow.places),
        fontsize=_FONT - 1,
        loc="upper right",
        frameon=False,
    )


def _draw_timeline(axes: Axes, result: Result, flow: _Flow) -> None:
    words = result.experiment.words
    for row, lane in enumerate(result.lanes):
        both = [
            operation for operation in flow.done if len(lane.only(operation)) or operation in lane.unfinished
        ]
        for index, operation in enumerate(both):  # who does both has sends in the upper half, the other below
            height = 0.6 / len(both)
            _draw_lane(axes, lane, operation, flow, row - 0.3 + height * index, height)
        if result.stopped and not result.is_running and lane.ending != "returned":
            end = f"{lane.ending}, in the line  {_cut(lane.where)} " if lane.where else f"{lane.ending} "
            axes.text(flow.span, row, end, ha="right", va="center", fontsize=_FONT - 2, bbox=_WORDS)
    axes.set_yticks(range(len(result.lanes)), [lane.who for lane in result.lanes])
    axes.set_ylim(len(result.lanes) - 0.5, -0.5)
    _style(axes, "")
    signs = f"| a {words.noun},  hatched: {words.long}"
    axes.set_xlabel(f"milliseconds since the first {words.calls[SEND]};  {signs}", fontsize=_FONT)


def _cut(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 1]}…"


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


def _style(axes: Axes, label: str) -> None:
    axes.set_ylabel(label, fontsize=_FONT)
    axes.yaxis.set_label_coords(-0.1, 0.5)
    axes.tick_params(labelsize=_FONT - 1)
    axes.spines[["top", "right"]].set_visible(False)
    if label:
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


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
    feeders = {lane.who: len(lane) for lane in result.lanes_of(WRITE)}
    for lane, total in zip(result.lanes, result.totals, strict=True):
        end = f"; it {lane.ending}" if result.stopped and lane.ending and not result.is_running else ""
        end += f", in the line  {lane.where}" if end and lane.where else ""
        counts = {SEND: total.sent, RECEIVE: total.received}
        done = [f"{count:,} {words.done[operation]}" for operation, count in counts.items() if count]
        calls = [words.calls[operation] for operation, count in counts.items() if count]
        if done:
            share = total.seconds_in_calls / total.seconds
            inside = (
                f", {share:.0%} of its time inside {' or '.join(calls)}" if sum(counts.values()) > 1 else ""
            )
            wrote = f"; its feeder thread wrote {count:,}" if (count := feeders.get(total.who, 0)) else ""
            sentences.append(f"{total.who}: {' and '.join(done)}{inside}{wrote}{end}.")
        else:
            sentences.append(f"{total.who}: no {words.noun}{end}.")
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
    figure = Figure(figsize=(_WIDTH, 0.7 * len(rows) + _ABOVE + _BELOW))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.16, 0.17, 0.82, 0.74))
    for stay in stays:
        row = rows.index(stay.place)
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
        left = stay.start < span / 2  # above the bar, on from its start or up to its end: there is room
        axes.text(
            stay.start if left else stay.end,
            row - 0.2,
            f"{stay.end - stay.start:,.0f} µs, {stay.who}\n{', '.join(stay.steps)}",
            ha="left" if left else "right",
            va="bottom",
            fontsize=_FONT - 2,
        )
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.7, -0.8)
    axes.set_xlim(-0.01 * span, 1.01 * span)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=_STEPS))
    axes.tick_params(labelsize=_FONT - 1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("microseconds since put was called", fontsize=_FONT)
    title = "The way of one message"
    axes.set_title(title, fontsize=_FONT)
    sentences = [f"{title}: {span:,.0f} microseconds from the call of put to the return of get."]
    for stay in stays:
        sentences.append(
            f"{stay.place}: {stay.end - stay.start:,.0f} microseconds, {stay.who}: {', '.join(stay.steps)}."
        )
    return Picture(title, " ".join(sentences), _png(figure))


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
