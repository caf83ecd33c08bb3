"""What is shown of a panel's controls, and sliders that start a run."""

from __future__ import annotations

from typing import Any

import pytest
import reader_workers
from panels import SECONDS, run, start_long_run

from ipc_helpers import (
    Panel,
    PipeExchange,
    QueueFlow,
)
from ipc_helpers.ui import run_figure


def release(panel: Panel, name: str, value: int) -> None:
    """Do what the browser tells of a slider that is let go of."""
    control = panel.controls[name]
    control.set_state({"value": value, "released": control.released + 1})


# What is shown of the controls, and sliders that start a run.


def test_error_while_a_run_is_drawn_frees_the_panel(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("no room for a picture")

    monkeypatch.setattr(run_figure, "as_svg", fail)
    for worker in ({}, {"producer": reader_workers.lose_one}):
        failing = Panel(QueueFlow(messages=5), **worker)
        run(failing)
        assert "MemoryError: no room for a picture.<" in failing.status.value
        assert (failing.run.disabled, failing.cancel.disabled) == (False, True)


def test_only_the_controls_that_were_asked_for_are_there(panel: Panel) -> None:
    short = Panel(QueueFlow(messages=50, maxsize=3), controls=("maxsize", "start_method"))
    assert [*short.controls] == ["maxsize", "start_method"]
    short.controls["maxsize"].value = 5
    assert short.experiment == QueueFlow(messages=50, maxsize=5)
    assert repr(short) == "<Panel for QueueFlow: maxsize, start_method>"
    assert "Messages" not in short._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize("controls", [(), ("size",), ("messages", "size"), "messages"])
def test_controls_that_the_experiment_has_not_are_refused(controls: Any) -> None:
    with pytest.raises(ValueError, match="controls must name some of messages, payload, "):
        Panel(QueueFlow(), controls=controls)


@pytest.mark.parametrize("wrong", [1, None, "yes"])
def test_run_on_release_of_a_wrong_type_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="run_on_release must be True or False"):
        Panel(QueueFlow(), run_on_release=wrong)


def test_released_slider_runs_only_while_that_is_switched_on(panel: Panel) -> None:
    release(panel, "messages", 20)
    assert panel.result is None
    assert panel.wait(0)
    panel.run_on_release.value = True
    release(panel, "messages", 10)
    assert panel.wait(SECONDS)
    assert "Done: 10 put, 10 got." in panel.status.value
    panel.run_on_release.value = False
    release(panel, "messages", 5)
    assert panel.wait(0)
    assert "Run starts 5 messages" in panel.status.value


def test_number_typed_into_a_box_runs_with_enter_alone(panel: Panel) -> None:
    panel.run_on_release.value = True
    panel.controls["messages"].set_state({"value": 21})
    assert panel.wait(0)
    assert panel.result is None
    panel.controls["messages"].set_state({"value": 22, "entered": 1})
    assert panel.wait(SECONDS)
    assert "Done: 22 put, 22 got." in panel.status.value


def test_slider_released_during_a_run_cancels_it_and_runs_anew(panel: Panel) -> None:
    panel.run_on_release.value = True
    start_long_run(panel)
    release(panel, "messages", 20)
    release(panel, "messages", 10)
    assert panel.wait(SECONDS)
    assert "Done: 10 put, 10 got." in panel.status.value
    assert (panel.run.disabled, panel.cancel.disabled) == (False, True)


def test_cancel_also_cancels_the_run_that_was_to_follow(panel: Panel) -> None:
    panel.run_on_release.value = True
    start_long_run(panel)
    release(panel, "messages", 10)
    panel.cancel.click()
    assert panel.wait(SECONDS)
    assert "Cancelled" in panel.status.value or "Done: 10 put" in panel.status.value
    assert not panel.run.disabled


def test_run_in_another_panel_is_not_cancelled_by_the_run_that_was_to_follow(panel: Panel) -> None:
    panel.run_on_release.value = True
    other = Panel(QueueFlow(messages=30))
    start_long_run(panel)
    release(panel, "messages", 10)
    run(other)
    assert panel.wait(SECONDS)
    assert "Done: 30 put" in other.status.value


def test_choice_shows_its_names_and_holds_its_values() -> None:
    choice = Panel(PipeExchange(duplex=True)).controls["duplex"]
    assert choice.options == (("one-way", False), ("duplex", True))
    assert choice.value is True
    choice.value = False
    assert choice.label == "one-way"


def test_shows_a_widget_and_stands_in_words_where_no_kernel_runs() -> None:
    bundle = Panel(QueueFlow())._repr_mimebundle_()
    assert "model_id" in bundle["application/vnd.jupyter.widget-view+json"]
    assert "Messages" in bundle["text/html"]
    assert bundle["text/plain"].startswith("<Panel for QueueFlow: messages")
    assert bundle["text/plain"] == repr(Panel(QueueFlow(messages=7)))


@pytest.mark.parametrize("wrong", [QueueFlow, None, 5, "QueueFlow"])
def test_panel_of_something_else_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError, match="experiment must be an experiment"):
        Panel(wrong)  # type: ignore[arg-type]
