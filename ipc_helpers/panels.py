"""A panel for any experiment: a slider and a number box for each parameter, Run, Cancel, what came out.

A click on Run starts a thread that runs the experiment, so that the kernel stays
free to take the click on Cancel. That thread sets widget traits and nothing else.
"""

from __future__ import annotations

import html
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

try:
    import ipywidgets as widgets
except ImportError as error:
    raise ImportError("panels are made of ipywidgets: python -m pip install 'ipywidgets>=8.1'") from error

from ipc_helpers import figures
from ipc_helpers.experiments import Choice, Experiment, WholeNumber
from ipc_helpers.processes import Cancelled, ProcessGroupError

if TYPE_CHECKING:
    from ipc_helpers.experiments import Result

_LABEL = "12em"
_CELL = "text-align:right;padding:0.2em 0.8em"
_ERROR = "border-left:4px solid #D55E00;padding-left:0.6em"


class Panel:
    """Sliders for an experiment's parameters, a Run and a Cancel button, and what the last run measured.

    Show it by making it the last expression of a cell. A kernel runs one experiment at a time:
    Run in one panel, and making a new one, cancels what another panel runs. So nothing goes on unseen
    when a cell is run again.

    Parameters
    ----------
    experiment : Experiment
        An experiment with the values that the controls have at first.

    Attributes
    ----------
    boxes : dict of str to ipywidgets.IntText
        For each whole-numbered parameter: the number box, which holds its value.
    sliders : dict of str to ipywidgets.SelectionSlider
        For each whole-numbered parameter: the slider, at the round number nearest to the box.
    choices : dict of str to ipywidgets.Dropdown
        For each parameter with named values: the list.
    run, cancel : ipywidgets.Button
        ``run.click()`` starts a run, ``cancel.click()`` ends it.
    status, progress, figure, table : ipywidgets.HTML
        What is going on, how far it is, and what came out.
    result : Result or None
        What the last finished run measured.

    Raises
    ------
    TypeError
        When ``experiment`` is no experiment.
    """

    _latest = threading.Event()  # cancels the run that any panel of this kernel started last

    def __init__(self, experiment: Experiment) -> None:
        if not isinstance(experiment, Experiment):
            raise TypeError(f"experiment must be an experiment such as QueueFlow(), not {experiment!r}")
        Panel._latest.set()
        self.result: Result | None = None
        self.boxes: dict[str, Any] = {}
        self.sliders: dict[str, Any] = {}
        self.choices: dict[str, Any] = {}
        self._kind = type(experiment)
        self._cancelled = threading.Event()
        self._thread: threading.Thread | None = None
        rows = [
            self._control(name, rule, getattr(experiment, name)) for name, rule in experiment.rules().items()
        ]
        self.run = widgets.Button(description="Run", button_style="primary")
        self.cancel = widgets.Button(description="Cancel", disabled=True)
        self.status, self.progress, self.figure, self.table = (widgets.HTML() for _ in range(4))
        self.run.on_click(self._on_run)
        self.cancel.on_click(self._on_cancel)
        buttons = widgets.HBox([self.run, self.cancel, self.progress])
        self.widget = widgets.VBox([*rows, buttons, self.status, self.figure, self.table])
        self._on_change()

    @property
    def experiment(self) -> Experiment:
        """The experiment with the values that the controls have now.

        Raises
        ------
        TypeError, ValueError
            For a value that is not allowed; the message names the parameter.
        """
        controls = self.boxes | self.choices
        return self._kind(**{name: controls[name].value for name in self._kind.rules()})

    def wait(self, timeout: float) -> bool:
        """Wait for a run to end.

        Parameters
        ----------
        timeout : float
            The most seconds to wait.

        Returns
        -------
        bool
            True when no run is going on.
        """
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
        return thread is None or not thread.is_alive()

    def _control(self, name: str, rule: WholeNumber | Choice, value: Any) -> Any:
        """Make the control of one parameter; a slider and its box follow each other."""
        style = {"description_width": _LABEL}
        if isinstance(rule, Choice):
            choice = widgets.Dropdown(
                options=rule.options,
                value=value,
                description=rule.label,
                style=style,
                layout={"width": "20em"},
            )
            choice.observe(self._on_change, "value")
            self.choices[name] = choice
            return choice
        marks = stops(rule)
        box = widgets.IntText(value=value, description=rule.label, style=style, layout={"width": "20em"})
        slider = widgets.SelectionSlider(
            options=marks, value=nearest(marks, value), readout=False, layout={"width": "20em"}
        )
        box.observe(partial(self._box_moved, slider, marks), "value")
        slider.observe(partial(self._slider_moved, box, marks), "value")
        self.boxes[name], self.sliders[name] = box, slider
        return widgets.HBox([box, slider])

    def _box_moved(self, slider: Any, marks: list[int], change: Any) -> None:
        slider.value = nearest(marks, change["new"])
        self._on_change()

    def _slider_moved(self, box: Any, marks: list[int], change: Any) -> None:
        # A number typed into the box stays as it is; the slider stands beside it.
        if nearest(marks, box.value) != change["new"]:
            box.value = change["new"]

    def _on_change(self, _: Any = None) -> None:
        """Say what Run would do, or why it can't."""
        if self.run.disabled:  # a run is going on
            return
        try:
            self._say(f"Run starts {self.experiment.description}.")
        except (TypeError, ValueError) as error:
            self._say_error(str(error))

    def _on_run(self, _: Any) -> None:
        if self.run.disabled:  # a second click, on its way while the first started the run
            return
        try:
            experiment = self.experiment
        except (TypeError, ValueError) as error:
            self._say_error(str(error))
            return
        Panel._latest.set()
        Panel._latest = self._cancelled = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(experiment, self._cancelled), daemon=True)
        self.run.disabled, self.cancel.disabled = True, False
        self._say(f"Running {experiment.description}.")
        self._thread.start()

    def _on_cancel(self, _: Any) -> None:
        self._cancelled.set()
        self.cancel.disabled = True

    def _run(self, experiment: Experiment, cancelled: threading.Event) -> None:
        """Run an experiment, in a thread, and show what came out."""
        show = partial(self._show_progress, experiment.steps)
        try:
            show(0)
            result = experiment.run(progress=show, cancelled=cancelled)
            picture = figures.draw(result)
            self.result, self.figure.value, self.table.value = result, picture.html, _table(result)
            self._say(f"Done: {result.sent:,} sent, {result.received:,} received.")
        except Cancelled:
            self._say("Cancelled. Its processes are gone.")
        except ProcessGroupError as error:
            summary, _, details = str(error).partition("\n")
            self._say_error(f"{summary}. Its processes are gone.", details.strip())
        except Exception as error:  # whatever it is, the reader sees it and the panel stays usable
            self._say_error(f"{type(error).__name__}: {error}")
        finally:
            self.progress.value = ""
            self.cancel.disabled, self.run.disabled = True, False

    def _show_progress(self, steps: int, done: int) -> None:
        self.progress.value = (
            f'<progress aria-label="Progress" max="{steps}" value="{done}"></progress> {done:,} of {steps:,}'
        )

    def _say(self, words: str) -> None:
        self.status.value = f'<div role="status">{html.escape(words)}</div>'

    def _say_error(self, words: str, details: str = "") -> None:
        more = (
            f"<details><summary>Details</summary><pre>{html.escape(details)}</pre></details>"
            if details
            else ""
        )
        self.status.value = f'<div role="alert" style="{_ERROR}">{html.escape(words)}{more}</div>'

    def __repr__(self) -> str:
        return f"<Panel for {self._kind.__name__}: {', '.join(self._kind.rules())}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """Show the widget; where no kernel runs, say in words what would be there."""
        labels = ", ".join(html.escape(rule.label) for rule in self._kind.rules().values())
        words = f"<p><em>Run this cell, and a panel stands here: {labels}; Run and Cancel.</em></p>"
        bundle: dict[str, Any] = self.widget._repr_mimebundle_()
        return bundle | {"text/plain": repr(self), "text/html": words}


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


def nearest(marks: list[int], value: int) -> int:
    """Return the mark that is nearest to a value by ratio, as a logarithmic scale shows it."""
    return min(marks, key=lambda mark: (max(mark, value) + 1) / (max(min(mark, value), 0) + 1))


def _table(result: Result) -> str:
    """Return the counts and rates of a run, and each process's share, as an HTML table."""
    head = ("process", "messages", "bytes", "seconds", "messages a second", "time inside calls")
    rows = [
        (
            total.who,
            f"{total.messages:,}",
            f"{total.payload_bytes:,}",
            f"{total.seconds:.3f}",
            f"{total.messages / total.seconds:,.0f}" if total.seconds else "",
            f"{total.seconds_in_calls / total.seconds:.0%}" if total.seconds else "",
        )
        for total in result.totals
    ]
    whole = (
        "all, first send to last receive",
        f"{result.received:,}",
        f"{result.bytes_per_second * result.seconds:,.0f}",
        f"{result.seconds:.3f}",
        f"{result.messages_per_second:,.0f}",
        "",
    )
    cells = "".join(f'<th scope="col" style="{_CELL}">{name}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row" style="{_CELL}">{row[0]}</th>'
        + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in row[1:])
        + "</tr>"
        for row in (*rows, whole)
    )
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"
