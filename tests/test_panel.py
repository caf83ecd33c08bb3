"""A panel: what it runs, shows and says."""

from __future__ import annotations

import html
import re
import threading
import time
from typing import TYPE_CHECKING

import pytest
import reader_workers
from kernels import Kernel
from panels import SECONDS, Failing, run, start_long_run, wait_until

from ipc_helpers import (
    DeadlineError,
    Panel,
    ProcessStart,
    QueueFlow,
    QueuePlaces,
    WorkerError,
    draw,
)
from ipc_helpers.experiments.parameters import WholeNumber
from ipc_helpers.group.starting import start_methods
from ipc_helpers.ui.controls import stops
from ipc_helpers.ui.drawing import Size

if TYPE_CHECKING:
    from pathlib import Path


def test_a_cell_that_runs_again_closes_the_panels_of_its_run_before() -> None:
    with Kernel() as kernel:
        kernel.run(
            "from ipc_helpers import Panel, QueueFlow\nfrom ipywidgets.widgets.widget import _instances"
        )
        two = "panels = [Panel(QueueFlow()), Panel(QueueFlow())]\nprint(len(_instances))"
        counts = [int(kernel.show(two, "cell 1")) for _ in range(10)]
        assert counts == counts[:1] * 10
        assert kernel.run("print([panel.comm is None for panel in panels])") == "[False, False]\n"
        other = int(kernel.show("other = Panel(QueueFlow())\nprint(len(_instances))", "cell 2"))
        assert other == counts[0] // 2 * 3, "another cell's panels stay"
        kernel.run("other.close()")
        assert int(kernel.run("print(len(_instances))")) == counts[0]


def test_a_panel_that_is_closed_ends_its_run(panel: Panel) -> None:
    start_long_run(panel)
    panel.close()
    assert panel.wait(SECONDS)
    assert "Cancelled" in panel.status.value


def test_panels_take_their_clicks_one_at_a_time(panel: Panel) -> None:
    """Two that each started a run at the same moment would both be the latest."""
    other = Panel(QueueFlow(messages=100_000, maxsize=1))
    with Panel._lock:
        clicks = [threading.Thread(target=each.run.click) for each in (panel, other)]
        for click in clicks:
            click.start()
        time.sleep(0.2)
        assert [each.run.disabled for each in (panel, other)] == [False, False]
    for click in clicks:
        click.join(SECONDS)
    other.cancel.click()
    assert panel.wait(SECONDS)
    assert other.wait(SECONDS)


def test_each_parameter_has_a_labelled_control_with_the_first_value() -> None:
    panel = Panel(QueueFlow(messages=50, payload=8, start_method="spawn"))
    for name, rule in QueueFlow.rules().items():
        control = panel.controls[name]
        assert getattr(control, "label" if isinstance(rule, WholeNumber) else "description") == rule.label
        assert control.value == getattr(panel.experiment, name)
    assert panel.experiment == QueueFlow(messages=50, payload=8, start_method="spawn")
    assert panel.controls["messages"].stops == stops(QueueFlow.rules()["messages"])


def test_reset_brings_the_first_values_back_and_runs_nothing(panel: Panel) -> None:
    panel.run_on_release.value = True
    panel.controls["messages"].value = 37
    panel.controls["payload"].value = -1
    panel.controls["start_method"].value = start_methods()[-1]
    panel.reset.click()
    assert panel.experiment == QueueFlow(messages=50, payload=8)
    assert "Run starts 50 messages of 8 bytes" in panel.status.value
    assert panel.wait(0)
    assert panel.result is None


def test_what_is_kept_is_drawn_beside_the_next_run(panel: Panel) -> None:
    assert panel.keep.disabled, "nothing was run"
    run(panel)
    first = panel.result
    panel.keep.value = True
    panel.controls["maxsize"].value = 8
    run(panel)
    assert panel.picture.svg == draw(panel.result, beside=first).svg
    panel.keep.value = False
    wait_until(lambda: panel.picture.svg == draw(panel.result).svg)  # type: ignore[arg-type]


def test_picture_follows_the_size_in_which_it_is_shown(panel: Panel) -> None:
    size = Size(500, 400, 18.45)
    panel.picture.set_state(size._asdict())
    run(panel)
    assert panel.picture.svg == draw(panel.result, size=size).svg
    panel.picture.set_state({"width": 700})
    wait_until(lambda: panel.picture.svg == draw(panel.result, size=size._replace(width=700)).svg)  # type: ignore[arg-type]


def test_code_that_is_copied_is_the_call_of_the_last_run(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(panel.picture, "send", sent.append)
    panel.copy.click()
    run(panel)
    panel.controls["messages"].value = 51
    panel.copy.click()
    assert [eval(code).experiment for code in sent] == [QueueFlow(messages=50, payload=8)] * 2
    for copied, words in ((True, "Copied: <code>"), (False, "Select and copy this: <code>")):
        panel.picture._handle_custom_msg({"copied": copied}, [])
        assert f"{words}{html.escape(sent[1])}</code>" in panel.status.value
    own = Panel(QueueFlow(), producer=reader_workers.produce_in_another_way)
    assert own._code == f"{QueueFlow()}.run(producer=produce_in_another_way)"


def test_code_of_values_that_are_not_allowed_is_refused_in_words(panel: Panel) -> None:
    panel.controls["messages"].value = 0
    panel.copy.click()
    assert 'role="alert"' in panel.status.value
    assert "messages must be from 1" in panel.status.value


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (WholeNumber(1, 4, ""), [1, 2, 3, 4]),
        (WholeNumber(0, 20, "", "log2"), [0, 1, 2, 4, 8, 16, 20]),
        (WholeNumber(1, 16, "", "log2"), [1, 2, 4, 8, 16]),
        (WholeNumber(1, 100, "", "log10"), [1, 2, 5, 10, 20, 50, 100]),
        (WholeNumber(3, 30, "", "log10"), [3, 5, 10, 20, 30]),
    ],
)
def test_stops_are_round_numbers_and_both_ends(rule: WholeNumber, expected: list[int]) -> None:
    assert stops(rule) == expected


def test_table_has_no_rate_for_a_single_start() -> None:
    """It would be the one over the time of one call: 11,237 processes a second."""
    panel = Panel(ProcessStart(processes=2))
    run(panel)
    rows = panel.table.value.split("<tr>")
    (parent,), (child,) = ([row for row in rows if f">{who}<" in row] for who in ("parent", "child 1"))
    assert [cell == "" for cell in re.findall("<td[^>]*>(.*?)</td>", child)] == [*[False] * 4, True, False]
    assert "" not in re.findall("<td[^>]*>(.*?)</td>", parent)


def test_run_shows_figure_table_and_counts(panel: Panel) -> None:
    run(panel)
    assert (panel.result.sent, panel.result.received) == (50, 50)
    assert "Done: 50 put, 50 got." in panel.status.value
    assert panel.picture.alt.startswith("50 messages of 8 bytes")
    assert "consumer 1" in panel.table.value
    assert panel.progress.value == ""
    assert (panel.run.disabled, panel.cancel.disabled) == (False, True)


def test_progress_goes_up_to_the_number_of_messages(panel: Panel) -> None:
    seen = []
    panel.progress.observe(lambda change: seen.append(change["new"]), "value")
    run(panel)
    assert 'value="50"' in seen[-2]
    assert seen[-1] == ""


def test_picture_grows_while_a_run_goes_on(fonts: None, nothing_left: Path) -> None:
    """And costs a tenth of a processor at most; the last picture is the one that draw() makes."""
    panel = Panel(QueuePlaces(messages=500, pause=20))  # ten seconds: a busy machine draws less often
    pictures: list[str] = []
    panel.picture.observe(lambda change: pictures.append(change["new"]), "alt")
    run(panel)
    *grown, last = pictures
    got = [int(re.findall(r"were put, ([\d,]+) got", page)[0]) for page in grown]
    assert len(got) >= 2
    assert got[0] < got[-1] <= 500
    assert last == draw(panel.result).alt
    assert panel.picture.svg == draw(panel.result).svg


def test_second_click_on_run_is_ignored_while_a_run_goes_on(panel: Panel) -> None:
    start_long_run(panel)
    before = threading.active_count()
    panel.run.click()
    assert threading.active_count() == before
    panel.cancel.click()
    assert panel.wait(SECONDS)


def test_cancel_ends_the_run_soon_says_so_draws_it_up_to_then_and_frees_the_panel(panel: Panel) -> None:
    start_long_run(panel)
    assert not panel.wait(0)
    panel.cancel.click()
    assert panel.wait(5)
    assert "Cancelled. Its processes are gone. The figure shows it up to then.<" in panel.status.value
    assert panel.result.stopped
    assert "It was ended after" in panel.picture.alt
    assert "consumer 1" in panel.table.value
    assert (panel.run.disabled, panel.cancel.disabled) == (False, True)
    panel.controls["messages"].value = 20
    run(panel)
    assert "Done: 20 put" in panel.status.value


def test_new_panel_cancels_the_run_of_an_older_one(panel: Panel) -> None:
    start_long_run(panel)
    Panel(QueueFlow())
    assert panel.wait(5)
    assert "Cancelled" in panel.status.value


def test_run_in_one_panel_cancels_the_run_of_another(panel: Panel) -> None:
    other = Panel(QueueFlow(messages=20))
    start_long_run(panel)
    other.run.click()
    assert panel.wait(SECONDS)
    assert other.wait(SECONDS)
    assert "Cancelled" in panel.status.value
    assert "Done: 20 put" in other.status.value


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name in ("messages", "payload", "maxsize") for value in (-1, 10**9)]
)
def test_value_out_of_range_is_refused_in_words_and_starts_nothing(
    panel: Panel, name: str, value: int
) -> None:
    panel.controls[name].value = value
    assert f"{name} must be from" in panel.status.value
    panel.run.click()
    assert panel.wait(0)
    assert f"{name} must be from" in panel.status.value
    assert f"not {value:,}" in panel.status.value
    assert not panel.run.disabled


def test_values_that_are_too_much_together_are_refused_in_words(panel: Panel) -> None:
    panel.controls["messages"].value = 100_000
    panel.controls["payload"].value = 1_000_000
    assert "messages × payload must be at most 256 MiB" in panel.status.value


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (WorkerError("producer 1", "KeyError", "<b>", "", 0), "producer 1 raised KeyError: &lt;b&gt;"),
        (DeadlineError(2.0, {"consumer 1": "main thread"}), "consumer 1 was still running after 2 s"),
        (RuntimeError("of 5 messages 1 were not received"), "of 5 messages 1 were not received"),
        (OSError(24, "Too many open files"), "Too many open files"),
    ],
)
def test_failure_is_shown_in_words_and_frees_the_panel(error: Exception, words: str) -> None:
    class ThisFailing(Failing):
        pass

    ThisFailing.error = error
    panel = Panel(ThisFailing())
    run(panel)
    assert words in panel.status.value
    assert "The figure" not in panel.status.value, "there is none"
    assert 'role="alert"' in panel.status.value
    assert (panel.run.disabled, panel.cancel.disabled) == (False, True)


def test_failure_before_anything_began_leaves_the_figure_of_the_run_before_and_says_so(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(panel)

    def fail(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(QueueFlow, "run", fail)
    run(panel)
    assert "Too many open files. The figure is that of the run before." in panel.status.value
