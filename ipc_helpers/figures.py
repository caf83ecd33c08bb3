"""The one place that draws: from a :class:`~ipc_helpers.experiments.Result` to a picture with alt text."""

from __future__ import annotations

import base64
import html
import io
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

try:
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
except ImportError as error:
    raise ImportError("figures are drawn with matplotlib: python -m pip install 'matplotlib>=3.8'") from error

from ipc_helpers.experiments import counted
from ipc_helpers.trace import GET, PUT, Event

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ipc_helpers.experiments import Result
    from ipc_helpers.trace import Lane

# Okabe and Ito's colours, told apart with every common colour blindness; each has a second sign beside it.
_COLOURS = {PUT: "#0072B2", GET: "#D55E00"}
_LINES = {PUT: "-", GET: "--"}
_CALLS = {PUT: "put", GET: "get"}
_HATCHES = {PUT: "///", GET: "\\\\\\"}
_DEPTH = "#595959"

_WIDTH = 9.0  # inches, at 100 pixels an inch
_FONT = 13  # points: readable from the last row
_BINS = 600  # points of a curve, and ticks in a lane: no screen shows more
_LONG_CALL = 1 / 100  # of the time shown: a call that took longer is drawn as a bar

# One thread draws everything: matplotlib is not made for two at once, and keeps its font files open for
# each thread that ever drew.
_drawing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="draw")


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
    """Draw messages over time, the depth between put and got, and a lane for each process.

    Parameters
    ----------
    result : Result
        Of any experiment, with at least one message.

    Returns
    -------
    Picture
    """
    return _drawing.submit(_draw, result).result()


def _draw(result: Result) -> Picture:
    flow = _flow(result)
    lanes = len(result.lanes)
    inches = 1.9, 1.1, 0.4 * lanes + 0.2
    figure = Figure(figsize=(_WIDTH, sum(inches) + 1.3), layout="constrained")
    FigureCanvasAgg(figure)  # not pyplot's, which belongs to the main thread
    counts, depth, timeline = figure.subplots(
        3, 1, sharex=True, gridspec_kw={"height_ratios": inches, "hspace": 0.03}
    )
    _draw_counts(counts, flow)
    _draw_depth(depth, flow)
    _draw_timeline(timeline, result, flow)
    figure.suptitle(result.experiment.description, fontsize=_FONT)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return Picture(result.experiment.description, _alt(result, flow), buffer.getvalue())


class _Flow(NamedTuple):
    """Times in milliseconds since the first put."""

    start: int  # nanoseconds of perf_counter_ns
    span: float
    put: NDArray[Any]
    got: NDArray[Any]
    times: NDArray[Any]
    depth: NDArray[Any]


def _flow(result: Result) -> _Flow:
    put = np.concatenate([_events(lane) for lane in result.lanes_of(PUT)])
    got = np.concatenate([_events(lane) for lane in result.lanes_of(GET)])
    start = int(put["started"].min())
    got_at = got["ended"][np.argsort(got["number"])]
    # The clock of a put stops when put() returns, which may be after the message was got.
    put_at = np.minimum(put["ended"][np.argsort(put["number"])], got_at)
    times = np.concatenate([put_at, got_at])
    steps = np.repeat([1, -1], [len(put_at), len(got_at)])
    order = np.argsort(times, kind="stable")
    put_ms, got_ms, times_ms = ((np.sort(ns) - start) / 1e6 for ns in (put_at, got_at, times))
    return _Flow(start, float(got_ms[-1]), put_ms, got_ms, times_ms, np.cumsum(steps[order]))


def _events(lane: Lane) -> NDArray[Any]:
    return np.frombuffer(lane.records, dtype=[(name, np.int64) for name in Event._fields])


def _draw_counts(axes: Axes, flow: _Flow) -> None:
    for operation, times in ((PUT, flow.put), (GET, flow.got)):
        shown = np.unique(np.linspace(0, len(times) - 1, _BINS).astype(int))
        axes.step(
            [0, *times[shown]],
            [0, *(shown + 1)],
            _LINES[operation],
            where="post",
            color=_COLOURS[operation],
            linewidth=2.2,
            label={PUT: "put", GET: "got"}[operation],
        )
    _style(axes, "messages")
    axes.set_ylim(0, None)
    axes.legend(fontsize=_FONT - 1, loc="upper left", frameon=False, handlelength=2.4)


def _draw_depth(axes: Axes, flow: _Flow) -> None:
    bins = np.clip(np.searchsorted(edges := np.linspace(0, flow.span, _BINS), flow.times) - 1, 0, _BINS - 1)
    most = np.zeros(_BINS)
    np.maximum.at(most, bins, flow.depth)
    empty = np.setdiff1d(np.arange(_BINS), bins)  # nothing happened there: the depth before it stays
    last = np.searchsorted(flow.times, edges[empty], side="right") - 1
    most[empty] = np.where(last >= 0, flow.depth[np.maximum(last, 0)], 0)
    axes.fill_between(edges, most, step="post", color=_DEPTH, alpha=0.55, linewidth=0)
    _style(axes, "waiting")
    axes.set_ylim(0, max(1, float(flow.depth.max())) * 1.1)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))


def _draw_timeline(axes: Axes, result: Result, flow: _Flow) -> None:
    for row, lane in enumerate(result.lanes):
        if not len(lane):
            continue
        events = _events(lane)
        operation = int(events["operation"][0])
        started = (events["started"] - flow.start) / 1e6
        ended = (events["ended"] - flow.start) / 1e6
        colour = _COLOURS[operation]
        axes.broken_barh([(started[0], ended[-1] - started[0])], (row - 0.3, 0.6), color=colour, alpha=0.15)
        long = ended - started > flow.span * _LONG_CALL
        axes.broken_barh(
            list(zip(started[long], (ended - started)[long], strict=True)),
            (row - 0.3, 0.6),
            facecolor="white",
            edgecolor=colour,
            hatch=_HATCHES[operation],
            linewidth=0.8,
        )
        ticks = np.unique(np.round(ended * _BINS / flow.span)) * flow.span / _BINS
        axes.vlines(ticks, row - 0.3, row + 0.3, color=colour, linewidth=1.1)
    axes.set_yticks(range(len(result.lanes)), [lane.who for lane in result.lanes])
    axes.set_ylim(len(result.lanes) - 0.5, -0.5)
    _style(axes, "")
    axes.set_xlabel(
        "milliseconds since the first put;  | a message,  hatched: inside one long call", fontsize=_FONT
    )


def _style(axes: Axes, label: str) -> None:
    axes.set_ylabel(label, fontsize=_FONT)
    axes.tick_params(labelsize=_FONT - 1)
    axes.margins(x=0.01)
    axes.spines[["top", "right"]].set_visible(False)
    if label:
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def _alt(result: Result, flow: _Flow) -> str:
    peak = int(flow.depth.max())
    when = float(flow.times[int(flow.depth.argmax())])
    words = [
        f"{result.experiment.description}.",
        f"All were got {flow.span:,.1f} milliseconds after the first put began:",
        f"{result.messages_per_second:,.0f} messages a second.",
        f"At most {peak:,} waited between put and get, at {when:,.1f} milliseconds.",
    ]
    for lane, total in zip(result.lanes, result.totals, strict=True):
        if total.messages:
            call = _CALLS[lane.column("operation")[0]]
            share = total.seconds_in_calls / total.seconds
            messages = counted(total.messages, "message")
            words.append(f"{total.who}: {messages}, {share:.0%} of its time inside {call}.")
        else:
            words.append(f"{total.who}: no message.")
    return " ".join(words)
