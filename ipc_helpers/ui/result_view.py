"""How a result is shown: in a sentence, as a table and as a picture, by its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ipc_helpers.experiments.result import Result
from ipc_helpers.measuring.ladder import Ladder
from ipc_helpers.ui import ladder_figure, result_table, run_figure

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipc_helpers.ui.drawing import Picture, Size


class View(NamedTuple):
    """What shows a result of one kind.

    Attributes
    ----------
    holds : callable
        Says whether a result holds anything to show; of a run that was ended, it may not.
    summary : callable
        Says in a sentence or two what a whole run measured.
    table : callable
        Returns the numbers as an HTML table.
    draw : callable
        Returns the picture of a result, or of one beside another: called in the thread that draws, with both
        and the size.
    """

    holds: Callable[[Any], bool]
    summary: Callable[[Any], str]
    table: Callable[[Any], str]
    draw: Callable[[Any, Any, Size | None], Picture]


_VIEWS: dict[type, View] = {
    Result: View(
        lambda result: bool(result.lanes), result_table.summary_of, result_table.table_of, run_figure.draw_now
    ),
    Ladder: View(
        lambda ladder: ladder.rounds > 0,
        result_table.summary_of_ladder,
        Ladder.narrow_html,
        ladder_figure.draw_now,
    ),
}


def view_of(result: object) -> View:
    """Return what shows a result."""
    return _VIEWS[type(result)]
