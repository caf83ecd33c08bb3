"""A panel for any experiment: a slider and a number box for each parameter, Run, Cancel, and the picture.

A click on Run starts a thread that runs the experiment, so that the kernel stays
free to take the click on Cancel. That thread sets widget traits and nothing else.
"""

from __future__ import annotations

import html
import math
import os
import threading
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import ipywidgets as widgets
import traitlets
from IPython import get_ipython

from ipc_helpers.experiments.parameters import Choice, WholeNumber
from ipc_helpers.experiments.runnable import Runnable
from ipc_helpers.group.errors import Cancelled, WorkerError, WorkerGroupError
from ipc_helpers.ui import worker_cells
from ipc_helpers.ui.controls import Number, PictureView, button, stops
from ipc_helpers.ui.drawing import Picture, Size, draw_soon
from ipc_helpers.ui.result_view import view_of
from ipc_helpers.ui.worker_cells import latest, line_that_raised

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_LOOKS_EVERY = 0.6  # seconds between two pictures of a run that goes on
_MOST_DRAWING = 0.1  # of one processor
_ERROR = "border-left:4px solid #D55E00;padding-left:0.6em"


class Panel(widgets.VBox):  # type: ignore[misc] # ipywidgets has no type hints
    """Controls for an experiment's parameters, a picture of the run, and what it measured.

    Show it by making it the last expression of a cell, or put it into a box, as any other widget. A kernel
    runs one experiment at a time: Run in one panel, and making a new one, cancels what another panel runs. So
    nothing goes on unseen when a cell is run again, and the panels that the cell made before are closed.

    Parameters
    ----------
    experiment : Runnable
        An experiment, ``QueueFlow()`` for example, with the values that the controls have at first.
    controls : sequence of str, optional
        The parameters that get a control; the others keep the experiment's values. By default all.
    run_on_release : bool
        Whether letting go of a slider starts a run; a box in the panel switches it.
    **workers
        Workers of your own, by their role, as the experiment's ``run`` takes them. When the cell of one
        was run again, the next run takes the new one.

    Attributes
    ----------
    controls : dict of str to widget
        For each parameter: what holds its ``value``. For a whole number, a box beside a slider.
    run, cancel, reset, copy : ipywidgets.Button
        ``run.click()`` starts a run, ``cancel.click()`` ends it, ``reset.click()`` brings the first values
        back, ``copy.click()`` copies the call that runs the same.
    keep : ipywidgets.ToggleButton
        While it is pressed, the last picture stays beside those that follow, with the same axes.
    numbers : ipywidgets.ToggleButton
        While it is pressed, the table is shown.
    run_on_release : ipywidgets.Checkbox
        While it is checked, a slider that is let go of starts a run; one that goes on is cancelled first.
    status, progress, table : ipywidgets.HTML
        What is going on, how far it is, and what came out in numbers.
    picture : anywidget.AnyWidget
        What came out, or has come out so far: its ``svg``, and its ``alt`` text.
    result : Result, Ladder or None
        What the last run measured, as a whole or up to where it was ended: what the experiment's ``run``
        returns.

    Raises
    ------
    TypeError
        When ``experiment`` is no experiment, or ``run_on_release`` no bool; for a role that the experiment
        has not, and a worker that is no function, or can't be called as its role is.
    ValueError
        When ``controls`` names no parameter, or one that the experiment has not; for a role that is not there
        with the experiment's values, and a worker that a child can't import.
    """

    _latest = threading.Event()  # cancels the run that any panel of this kernel started last
    _lock = threading.RLock()  # of all panels: a click comes in one thread, the end of a run in another
    _shown: ClassVar[dict[str, tuple[str, list[Panel]]]] = {}  # by their cell: which run of it made them

    def __init__(
        self,
        experiment: Runnable[Any],
        controls: Sequence[str] | None = None,
        run_on_release: bool = False,
        **workers: Callable[..., object],
    ) -> None:
        if not isinstance(experiment, Runnable):
            raise TypeError(f"experiment must be an experiment such as QueueFlow(), not {experiment!r}")
        if not isinstance(run_on_release, bool):
            raise TypeError(f"run_on_release must be True or False, not {run_on_release!r}")
        rules = experiment.rules()
        shown = list(rules) if controls is None else list(controls)
        if not shown or not set(shown) <= set(rules):
            raise ValueError(f"controls must name some of {', '.join(rules)}, not {controls!r}")
        experiment.check_workers(workers)
        self._take_place()
        with Panel._lock:
            Panel._latest.set()
        self.result: Any = None
        self._first = experiment
        self._workers: dict[str, Any] = dict(workers)
        self._rules = {name: rules[name] for name in shown}
        self._cancelled = threading.Event()
        self._run_again = False
        self._looks_at = math.inf  # when to draw a run that goes on, in seconds of perf_counter
        self._ran: Runnable[Any] | None = None  # what the result is of
        self._drawn: Any = None  # what the picture shows, or is about to
        self._kept: Any = None
        self._idle = threading.Event()  # no run is going on
        self._idle.set()
        self.controls = {
            name: self._control(rule, getattr(experiment, name)) for name, rule in self._rules.items()
        }
        self.run = button("Run", self._on_run, button_style="primary")
        self.cancel = button("Cancel", self._on_cancel, disabled=True)
        self.reset = button("Reset", self._on_reset)
        self.keep = widgets.ToggleButton(description="Keep", disabled=True)
        self.copy = button("Copy code", self._on_copy)
        self.numbers = widgets.ToggleButton(description="Numbers")
        self.run_on_release = widgets.Checkbox(
            value=run_on_release, description="Run when a slider is released", indent=False
        )
        self.status, self.progress = widgets.HTML(), widgets.HTML()
        self.table = widgets.HTML(tabbable=True)  # so that arrow keys scroll it where it is too wide
        self.picture = PictureView()
        self.keep.observe(self._on_keep, "value")
        traitlets.dlink(
            (self.numbers, "value"), (self.table.layout, "display"), lambda pressed: "" if pressed else "none"
        )
        self.picture.observe(self._redraw, ["width", "height", "text"])
        self.picture.on_msg(self._on_copied)
        buttons = [self.run, self.cancel, self.reset, self.keep, self.copy, self.numbers]
        above, below = [*self.controls.values(), self.run_on_release], [self.progress, self.status]
        column = widgets.VBox([*above, widgets.Box(buttons).add_class("ipc-buttons"), *below])
        parts = (column, "controls"), (self.picture, "picture"), (self.table, "numbers")
        super().__init__([part.add_class(f"ipc-{its}") for part, its in parts])
        self.add_class("ipc-panel")
        self._on_change()

    @property
    def experiment(self) -> Runnable[Any]:
        """The experiment with the values that the controls have now.

        Raises
        ------
        TypeError, ValueError
            For a value that is not allowed; the message names the parameter.
        """
        return replace(self._first, **{name: control.value for name, control in self.controls.items()})

    def close(self) -> None:
        """Cancel what the panel runs, and take it, with its pictures, out of the page and the kernel."""
        if self.comm is None:  # closed before, or refused as it was made
            return
        self._on_cancel(None)
        widgets_left: list[Any] = [*self.children, self.layout]
        while widgets_left:
            widget = widgets_left.pop()
            widgets_left += getattr(widget, "children", ())
            widgets_left += [part for name in ("layout", "style") if (part := getattr(widget, name, None))]
            widget.close()
        super().close()

    def _take_place(self) -> None:
        """Close what an earlier run of this cell made; those of one run stand side by side."""
        cell, run = worker_cells.running_cell(get_ipython())
        if not cell:
            return
        run_before, others = Panel._shown.get(cell, (run, []))
        if run != run_before:
            for panel in others:
                panel.close()
            others = []
        Panel._shown[cell] = run, [*others, self]

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
        # Not Thread.join: interrupted, it takes a running thread for ended (CPython issue 90882).
        return self._idle.wait(timeout)

    def _control(self, rule: WholeNumber | Choice, value: Any) -> Any:
        """Make the control of one parameter."""
        if isinstance(rule, Choice):
            control = widgets.Dropdown(
                options=list(zip(rule.names or rule.options, rule.options, strict=True)),
                value=value,
                description=rule.label,
                style={"description_width": "9em"},
                layout={"width": "auto"},
            )
        else:
            control = Number(label=rule.label, stops=stops(rule), value=value)
            control.observe(self._on_release, "released")
            control.observe(self._run_or_rerun, "entered")
        control.observe(self._on_change, "value")
        return control

    def _on_release(self, _: Any) -> None:
        if self.run_on_release.value:
            self._run_or_rerun()

    def _run_or_rerun(self, _: Any = None) -> None:
        """Run; when a run is going on, cancel it and run after it."""
        with Panel._lock:
            self._run_again = self.run.disabled
            if self._run_again:
                self._cancelled.set()
                return
        self.run.click()

    def _on_change(self, _: Any = None) -> None:
        """Say what Run would do, or why it can't."""
        if self.run.disabled:  # a run is going on
            return
        if (experiment := self._checked()) is not None:
            self._say(f"Run starts {experiment.description}{self._yours}.")

    def _checked(self) -> Runnable[Any] | None:
        """Return what to run, with the latest workers; None, and say why, where that is not allowed."""
        try:
            experiment = self.experiment
            self._workers = {role: latest(worker) for role, worker in self._workers.items()}
            experiment.check_workers(self._workers)
        except (TypeError, ValueError) as error:
            self._say_error(str(error))
            return None
        return experiment

    @property
    def _yours(self) -> str:
        return f", with your {' and your '.join(self._workers)}" if self._workers else ""

    def _on_run(self, _: Any) -> None:
        with Panel._lock:
            if self.run.disabled:  # a second click, on its way while the first started the run
                return
            experiment = self._begin()
            if experiment is not None:
                self._idle.clear()
                threading.Thread(target=self._run, args=(experiment,), daemon=True).start()

    def _on_cancel(self, _: Any) -> None:
        with Panel._lock:
            self._run_again = False
            self._cancelled.set()
            self.cancel.disabled = True

    def _on_reset(self, _: Any) -> None:
        for name, control in self.controls.items():
            control.value = getattr(self._first, name)

    def _on_keep(self, _: Any) -> None:
        self._kept = self.result if self.keep.value else None
        if self.keep.value:
            self._say("Kept. The next run is drawn beside it, with the same axes.")
        else:
            self._redraw()

    @property
    def _code(self) -> str:
        """The call of the last run; before the first one, of the run to come."""
        ran = self.experiment if self._ran is None else self._ran
        workers = ", ".join(f"{role}={worker.__name__}" for role, worker in self._workers.items())
        return f"{ran}.run({workers})"

    def _on_copy(self, _: Any) -> None:
        try:
            self.picture.send(self._code)
        except (TypeError, ValueError) as error:
            self._say_error(str(error))

    def _on_copied(self, _: Any, message: Any, __: Any) -> None:
        self._say("Copied:" if message.get("copied") else "Select and copy this:", self._code)

    def _begin(self) -> Runnable[Any] | None:
        """Return what to run now, with buttons and status set; None for a value that is not allowed."""
        if (experiment := self._checked()) is not None:
            Panel._latest.set()
            Panel._latest = self._cancelled = threading.Event()
            self.run.disabled, self.cancel.disabled = True, False
            does = f"Running {experiment.description}{self._yours}"
            self._say(f"{does}. Cancel ends it; interrupting the kernel does not.")
        return experiment

    def _end(self) -> Runnable[Any] | None:
        """Return what to run next, None with the buttons set back when there is nothing."""
        with Panel._lock:
            self.progress.value = ""
            # Unless another panel has started a run since: the last click counts.
            again = self._run_again and Panel._latest is self._cancelled
            self._run_again = False
            experiment = self._begin() if again else None
            if experiment is None:
                self.cancel.disabled, self.run.disabled = True, False
                self._idle.set()
            return experiment

    def _run(self, experiment: Runnable[Any] | None) -> None:
        """Run experiments, in a thread, until there is nothing to run."""
        while experiment is not None:
            before = self._drawn
            try:
                self._run_one(experiment)
            except Exception as error:  # whatever it is, the reader sees it and the panel stays usable
                is_old = before is not None and self._drawn is before
                old = " The figure is that of the run before." if is_old else ""
                self._say_error(f"{type(error).__name__}: {error}.{old}")
            experiment = self._end()

    def _run_one(self, experiment: Runnable[Any]) -> None:
        """Run an experiment and show what came out."""
        show = partial(self._show_progress, experiment.steps)
        self._looks_at = time.perf_counter() + _LOOKS_EVERY
        try:
            show(0)
            result = experiment.run(
                progress=show, look=self._look, cancelled=self._cancelled, **self._workers
            )
            self._show(experiment, result)
            self._say(view_of(result).summary(result))
        except Cancelled as error:
            self._say(self._show_end("Cancelled", experiment, error.result))
        except WorkerGroupError as error:
            summary, _, details = str(error).partition("\n")
            if isinstance(error, WorkerError):
                summary += line_that_raised(error, self._workers)
            self._say_error(self._show_end(summary, experiment, error.result), details.strip())

    def _show_end(self, how: str, experiment: Runnable[Any], result: Any) -> str:
        """Show what a run measured up to where it was ended; return how that was, and what is shown."""
        shown = " The figure shows it up to then." if self._show(experiment, result) else ""
        return f"{how}. Its processes are gone.{shown}"

    def _show(self, experiment: Runnable[Any], result: Any) -> bool:
        """Show what a run measured, up to where it was ended; say whether there was anything by then."""
        if result is None or not (view := view_of(result)).holds(result):
            return False
        self._drawn = result
        draw_soon(self._draw, self._show_picture).result()
        self._ran, self.result = experiment, result
        self.table.value, self.keep.disabled = view.table(result), False
        return True

    def _look(self, so_far: Callable[[], Any]) -> None:
        """Draw a run that goes on, again and again, and within bounds."""
        if (now := time.perf_counter()) < self._looks_at:
            return
        self._looks_at = math.inf  # until it is drawn
        begun = time.thread_time()
        self._drawn = so_far()
        copied = time.thread_time() - begun

        def show(picture: Picture, drawn: float) -> None:
            self._show_picture(picture)
            self._looks_at = now + max(_LOOKS_EVERY, (copied + drawn) / _MOST_DRAWING)

        draw_soon(self._draw, show)

    def _redraw(self, _: Any = None) -> None:
        """Draw the same again, in the size in which it is shown now, and with or without what is kept."""
        if self._drawn is not None:
            draw_soon(self._draw, self._show_picture)

    def _draw(self) -> Picture:
        """Draw what the picture is to show at the moment: whatever is drawn last is the latest."""
        drawn, shown = self._drawn, self.picture
        size = Size(int(shown.width), int(shown.height), shown.text)
        return view_of(drawn).draw(drawn, self._kept, size)

    def _show_picture(self, picture: Picture, _: float = 0) -> None:
        with self.picture.hold_sync():
            self.picture.svg, self.picture.alt = picture.svg, picture.alt

    def _show_progress(self, steps: int, done: int) -> None:
        self.progress.value = (
            f'<span style="white-space:nowrap"><progress aria-label="Progress" max="{steps}" value="{done}">'
            f"</progress> {done:,} of {steps:,}</span>"
        )

    def _say(self, words: str, code: str = "") -> None:
        code = f" <code>{html.escape(code)}</code>" if code else ""
        self.status.value = f'<div role="status">{html.escape(words)}{code}</div>'

    def _say_error(self, words: str, details: str = "") -> None:
        if details:
            details = f"<details><summary>Details</summary><pre>{html.escape(details)}</pre></details>"
        self.status.value = f'<div role="alert" style="{_ERROR}">{html.escape(words)}{details}</div>'

    def __repr__(self) -> str:
        return f"<Panel for {type(self._first).__name__}: {', '.join(self._rules)}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """Show the widget; where no kernel runs, say in words what would be there."""
        labels = ", ".join(html.escape(rule.label) for rule in self._rules.values())
        words = f"<p><em>Run this cell, and a panel stands here: {labels}; Run and Cancel.</em></p>"
        bundle: dict[str, Any] = super()._repr_mimebundle_()
        return bundle | {"text/plain": repr(self), "text/html": words}


if hasattr(os, "register_at_fork"):  # in a forked child nobody is left who would release what was held
    os.register_at_fork(after_in_child=Panel._lock._at_fork_reinit)  # type: ignore[attr-defined]
