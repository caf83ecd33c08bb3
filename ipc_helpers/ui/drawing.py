"""What all figures share: a picture with its alt text, the thread that draws, and one style."""

from __future__ import annotations

import base64
import html
import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import thread_time
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from ipc_helpers.trace import RECEIVE, SEND, STOP, WRITE

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from matplotlib.axes import Axes


# Okabe and Ito's colours, told apart with every common colour blindness; each has a second sign beside it.
COLOURS = {SEND: "#0072B2", WRITE: "#CC79A7", RECEIVE: "#D55E00", STOP: "#000000"}
HATCHES = {SEND: "///", WRITE: "xxx", RECEIVE: "\\\\\\", STOP: "..."}
LOST = "xxxx"
PLACE_STYLES = {  # colour and hatch
    "put": (COLOURS[SEND], HATCHES[SEND]),
    "deque": ("#56B4E9", ""),
    "feeder thread": (COLOURS[WRITE], HATCHES[WRITE]),
    "pipe": ("#E69F00", "---"),
    "get": (COLOURS[RECEIVE], HATCHES[RECEIVE]),
    "1": ("#56B4E9", ""),
    "2": ("#CC79A7", "xxx"),
    "3": ("#E69F00", "---"),
    "4": ("#009E73", "..."),
    "5": ("#999999", "|||"),
}
STEPS = (1, 2, 5, 10)  # between ticks, with any power of ten
LINE = 1.3  # from one line of text to the next
LETTER = 0.56  # the width of one, on average and a little more
LABEL = {"facecolor": "white", "edgecolor": "#000000", "boxstyle": "round,pad=0.15", "linewidth": 0.8}


FIGURE_STYLE = " ".join(Path(__file__).with_name("figure.css").read_text(encoding="utf-8").split())


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
            f'<figure style="margin:0"><style>{FIGURE_STYLE}</style><img class="ipc-figure" '
            f'style="width:{self.width}px;max-width:100%" alt="{html.escape(self.alt)}" '
            f'src="data:image/svg+xml;base64,{data}"></figure>'
        )

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return f"<Picture: {self.title}>"


def in_drawing_thread(function: Callable[..., Any], *args: Any) -> Future[Any]:
    """Have the one thread that draws call a function."""
    return _drawing.submit(function, *args)


def draw_soon(draw: Callable[[], Picture], show: Callable[[Picture, float], object]) -> Future[Picture]:
    """Draw without waiting for it.

    Parameters
    ----------
    draw : callable
        Returns the picture; called in the thread that draws, when all that was to be drawn before is drawn.
    show : callable
        Called there with the picture, and the seconds of a processor that it took.

    Returns
    -------
    concurrent.futures.Future
        Of the picture, once it is shown.
    """

    def work() -> Picture:
        begun = thread_time()
        picture = draw()
        show(picture, thread_time() - begun)
        return picture

    return in_drawing_thread(work)


def as_svg(figure: Figure) -> str:
    """Return a figure as an SVG, the same each time; called in the thread that draws."""
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


def paler(colour: str) -> tuple[float, float, float]:
    """Return half of a colour and half white, without alpha: in an SVG that would take the hatch along."""
    red, green, blue = ((part + 1) / 2 for part in to_rgb(colour))
    return red, green, blue


def new_figure(size: Size) -> Figure:
    """Return a figure of some size, without axes."""
    # Not pyplot's, which belongs to the main thread. A pixel is a point.
    return Figure(figsize=(size.width / 72, size.height / 72), dpi=72)


def style_axes(axes: Axes, size: Size) -> None:
    """Give axes the style of all figures."""
    axes.set_autoscale_on(False)  # whoever draws sets the limits
    axes.yaxis.label.set_fontsize(size.text)
    axes.tick_params(labelsize=size.text)
    axes.spines[["top", "right"]].set_visible(False)
    ticks = max(2, int(axes.bbox.width / size.text / 4))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=ticks, steps=STEPS))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.5g}"))


def add_legend(parent: Axes | Figure, text: float, **where: Any) -> None:
    """Explain the labels of what is drawn, in text of some height."""
    parent.legend(
        fontsize=text,
        frameon=False,
        handlelength=1.6,
        handletextpad=0.4,
        columnspacing=0.7,
        borderaxespad=0.1,
        labelspacing=0.2,
        **where,
    )
