"""What a panel is made of: numbers with a slider, buttons, and a picture that says how large it is shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import ipywidgets as widgets
import traitlets

from ipc_helpers.ui.drawing import FIGURE_STYLE, Size

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipc_helpers.experiments.parameters import WholeNumber


_HERE = Path(__file__).parent


class Number(anywidget.AnyWidget):
    """A label, a number box and a slider: ipywidgets' own slider has no name for a screen reader."""

    _esm = _HERE / "number.js"
    label = traitlets.Unicode().tag(sync=True)
    stops = traitlets.List(traitlets.Int()).tag(sync=True)  # round numbers, where the slider stops
    value = traitlets.Int().tag(sync=True)
    released = traitlets.Int().tag(sync=True)  # how often the slider was let go of
    entered = traitlets.Int().tag(sync=True)  # how often Enter was pressed in the box


class PictureView(anywidget.AnyWidget):
    """The panel's picture; it says how large it is shown, and brings the style of the whole panel."""

    _esm = _HERE / "picture.js"
    _css = (_HERE / "panel.css").read_text(encoding="utf-8") + FIGURE_STYLE
    svg = traitlets.Unicode().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    width, height, text = (traitlets.Float(number).tag(sync=True) for number in Size())


def button(label: str, clicked: Callable[[Any], None], **options: Any) -> Any:
    """Return a button, and have a function called when it is clicked."""
    button = widgets.Button(description=label, **options)
    button.on_click(clicked)
    return button


def stops(rule: WholeNumber) -> list[int]:
    """Return the values that a slider for a whole number stops at: round ones, and both ends.

    Parameters
    ----------
    rule : WholeNumber
        The range and the scale: every number ("linear"), the powers of two ("log2"),
        or 1, 2 and 5 with each power of ten ("log10").
    """
    if rule.scale == "linear":
        return list(range(rule.low, rule.high + 1))
    base, factors = {"log2": (2, (1,)), "log10": (10, (1, 2, 5))}[rule.scale]
    powers = [base**exponent for exponent in range(rule.high.bit_length())]
    between = {factor * power for power in powers for factor in factors}
    return sorted({rule.low, rule.high} | {number for number in between if rule.low < number < rule.high})
