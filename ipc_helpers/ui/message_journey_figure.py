"""The figure of one message's way through a queue."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from ipc_helpers.trace import PLACES
from ipc_helpers.ui.drawing import (
    PLACE_STYLES,
    Picture,
    Size,
    as_svg,
    in_drawing_thread,
    new_figure,
    paler,
    style_axes,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipc_helpers.trace import Step


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
    picture: Picture = in_drawing_thread(_draw_journey, sorted(steps)).result()
    return picture


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
    figure = new_figure(size)
    left, below = 8.5 * text / size.width, 3.2 * text / size.height
    axes = figure.add_axes((left, below, 1 - left - text / size.width, 1 - below - 2 * text / size.height))
    style_axes(axes, size)
    title = "The way of one message"
    sentences = [f"{title}: {span:,.0f} microseconds from the call of put to the return of get."]
    for stay in stays:
        row = rows.index(stay.place)
        took, happened = f"{stay.end - stay.start:,.0f}", ", ".join(stay.steps)
        sentences.append(f"{stay.place}: {took} microseconds, {stay.who}: {happened}.")
        colour, hatch = PLACE_STYLES[stay.place]
        axes.barh(
            row,
            stay.end - stay.start,
            left=stay.start,
            height=0.32,
            facecolor=paler(colour),
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
    return Picture(title, " ".join(sentences), as_svg(figure), size.width)


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
