"""The figure of several measured curves over one x, with logarithmic axes."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from ipc_helpers.trace import RECEIVE, SEND, WRITE
from ipc_helpers.ui.drawing import (
    COLOURS,
    PLACE_STYLES,
    Picture,
    Size,
    add_legend,
    as_svg,
    in_drawing_thread,
    new_figure,
    style_axes,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Colour, line and marker of each curve: told apart without the colour, too.
_STYLES = [
    (colour, line, marker)
    for colour, line, marker in zip(
        (
            *map(COLOURS.get, (SEND, WRITE, RECEIVE)),
            PLACE_STYLES["deque"][0],
            PLACE_STYLES["pipe"][0],
            "#000000",
        ),
        ("-", ":", "--", "-.", (0, (1, 3)), (0, (8, 2))),
        "osD^vX",
        strict=True,
    )
]
_DIGITS = 3  # of a number in the alt text: more is no more than noise


def draw_comparison(
    title: str,
    x: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    x_label: str,
    y_label: str,
    size: Size | None = None,
) -> Picture:
    """Draw measured curves over one x, both axes logarithmic, to see which is lower from where on.

    Parameters
    ----------
    title : str
        What is compared.
    x : sequence of float
        Where was measured: at least two numbers above 0, each larger than the one before.
    curves : mapping of str to sequence of float
        One to six curves by their names; a number above 0 for each x.
    x_label, y_label : str
        What the axes show, with the unit.
    size : Size or tuple, optional
        Width, height and text in pixels; by default 860 × 500, with text 15 pixels high.

    Returns
    -------
    Picture
        Its alt text has each number.

    Raises
    ------
    ValueError
        When there are too few or too many numbers or curves, or one that has no logarithm.
    """
    _check("x", x, len(x))
    if len(x) < 2 or any(later <= earlier for earlier, later in pairwise(x)):
        raise ValueError(f"x must be at least two numbers that rise, not {list(x)!r}")
    if not 1 <= len(curves) <= len(_STYLES):
        raise ValueError(f"curves must be from 1 to {len(_STYLES)}, not {len(curves)}")
    for name, values in curves.items():
        _check(f"curve {name!r}", values, len(x))
    values_of = {name: [*values] for name, values in curves.items()}
    picture: Picture = in_drawing_thread(
        _draw_comparison, title, [*x], values_of, x_label, y_label, Size(*(size or ()))
    ).result()
    return picture


def _check(what: str, values: Sequence[float], count: int) -> None:
    if len(values) != count:
        raise ValueError(f"{what} must have a number for each of the {count} x, not {len(values)}")
    for value in values:
        if not 0 < value < math.inf:  # NaN is no such number
            raise ValueError(f"{what} must have finite numbers above 0, not {value!r}")


def _draw_comparison(
    title: str, x: list[float], curves: dict[str, list[float]], x_label: str, y_label: str, size: Size
) -> Picture:
    text = size.text
    figure = new_figure(size)
    left, below, above = 6 * text / size.width, 3.6 * text / size.height, 2 * text / size.height
    axes = figure.add_axes((left, below, 1 - left - text / size.width, 1 - below - above))
    style_axes(axes, size)
    for (name, values), (colour, line, marker) in zip(curves.items(), _STYLES, strict=False):
        axes.plot(x, values, color=colour, linestyle=line, marker=marker, linewidth=2, label=name)
    for scale, axis, numbers in (
        (axes.set_xscale, axes.xaxis, x),
        (axes.set_yscale, axes.yaxis, [value for values in curves.values() for value in values]),
    ):
        scale("log")
        axis.set_major_locator(LogLocator(numticks=12))
        axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axis.set_minor_formatter(NullFormatter())
        axis.set_view_interval(0.7 * min(numbers), max(numbers) / 0.7, ignore=True)
    axes.set_xlabel(x_label, fontsize=text)
    axes.set_ylabel(y_label, fontsize=text)
    axes.set_title(title, fontsize=text)
    add_legend(axes, text, loc="best")
    return Picture(title, _alt(title, x, curves, x_label, y_label), as_svg(figure), size.width)


def _alt(title: str, x: list[float], curves: dict[str, list[float]], x_label: str, y_label: str) -> str:
    sentences = [f"{title}: {y_label}, over {x_label}."]
    for name, values in curves.items():
        points = ", ".join(
            f"{_short(value)} at {_short(place)}" for place, value in zip(x, values, strict=True)
        )
        sentences.append(f"{name}: {points}.")
    return " ".join(sentences)


def _short(number: float) -> str:
    """Return a number with few digits, never in the scientific notation, which is read out badly."""
    places = max(0, _DIGITS - 1 - math.floor(math.log10(number)))
    text = f"{number:,.{places}f}"
    return text.rstrip("0").rstrip(".") if places else text
