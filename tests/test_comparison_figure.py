"""The figure that compares measured curves: what it draws and says, and what it refuses."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pictures import Drawing

from ipc_helpers import draw_comparison
from ipc_helpers.ui.drawing import Size

MEASURED: dict[str, Any] = {
    "title": "A loop and a pool",
    "x": [0.01, 0.1, 12],
    "curves": {"loop": [0.01, 0.1, 12], "pool": (0.2, 0.2504, 6.25)},
    "x_label": "length of a task in ms",
    "y_label": "ms for each task",
}


@pytest.mark.usefixtures("fonts")
def test_curves_are_drawn_and_described() -> None:
    picture = draw_comparison(**MEASURED)
    assert repr(picture) == "<Picture: A loop and a pool>"
    assert picture.alt == (
        "A loop and a pool: ms for each task, over length of a task in ms. "
        "loop: 0.01 at 0.01, 0.1 at 0.1, 12 at 12. "
        "pool: 0.2 at 0.01, 0.25 at 0.1, 6.25 at 12."
    )
    texts = Drawing(picture.svg).texts
    for words in ("title", "x_label", "y_label"):
        assert MEASURED[words] in texts
    assert {"loop", "pool", "0.01", "0.1", "1", "10"} <= {*texts}
    assert draw_comparison(**MEASURED).svg == picture.svg


def test_six_curves_over_many_decades_are_drawn_in_any_size() -> None:
    curves = {f"curve {power}": [10.0**power, 10.0 ** (power + 6)] for power in range(-3, 3)}
    picture = draw_comparison("Many", [1e-6, 1e6], curves, "x", "y", Size(546, 400, 18))
    assert picture.width == 546
    assert "curve -3: 0.001 at 0.000001, 1,000 at 1,000,000." in picture.alt
    assert {*curves} <= {*Drawing(picture.svg).texts}


def test_one_curve_of_one_height_is_drawn() -> None:
    assert draw_comparison("Flat", [1, 2], {"flat": [3, 3]}, "x", "y").alt.endswith("flat: 3 at 1, 3 at 2.")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"x": [1]}, "x must be at least two numbers that rise, not [1]"),
        ({"x": [1, 3, 3]}, "x must be at least two numbers that rise, not [1, 3, 3]"),
        ({"x": [0, 1, 2]}, "x must have finite numbers above 0, not 0"),
        ({"curves": {}}, "curves must be from 1 to 6, not 0"),
        ({"curves": {str(n): [1, 2, 3] for n in range(7)}}, "curves must be from 1 to 6, not 7"),
        ({"curves": {"a": [1, 2]}}, "curve 'a' must have a number for each of the 3 x, not 2"),
        ({"curves": {"a": [1, -2, 3]}}, "curve 'a' must have finite numbers above 0, not -2"),
        ({"curves": {"a": [1, math.nan, 3]}}, "curve 'a' must have finite numbers above 0, not nan"),
        ({"curves": {"a": [1, math.inf, 3]}}, "curve 'a' must have finite numbers above 0, not inf"),
    ],
)
def test_what_has_no_place_in_the_figure_is_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match="must") as caught:
        draw_comparison(**MEASURED | wrong)
    assert str(caught.value) == words
