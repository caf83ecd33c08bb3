"""Panels without a browser: their controls, a run, a cancel, and what they say."""

from __future__ import annotations

import html
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import reader_workers
from kernels import Kernel

from ipc_helpers import (
    DeadlineError,
    Panel,
    PipeExchange,
    ProcessStart,
    QueueFlow,
    QueuePlaces,
    WorkerError,
    WorkerPool,
    draw,
)
from ipc_helpers.experiments.experiment import Experiment
from ipc_helpers.experiments.parameters import Choice, WholeNumber, parameter
from ipc_helpers.group.starting import start_methods
from ipc_helpers.ui import result_figure, worker_cells
from ipc_helpers.ui.controls import stops
from ipc_helpers.ui.drawing import Size

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 60  # far more than any run here takes


@dataclass(frozen=True)
class Failing(Experiment):
    """An experiment that ends as a test wants it to."""

    amount: int = parameter(1, WholeNumber(0, 10, "Amount"))
    kind: str = parameter("a", Choice(("a", "b"), "Kind"))
    error = Exception("not set")

    start_method = "spawn"
    steps = 10
    description = "something that fails"

    def participants(self, context: Any) -> Any:
        raise self.error


@pytest.fixture
def panel(fonts: None, nothing_left: Path) -> Panel:
    return Panel(QueueFlow(messages=50, payload=8))


def start_long_run(panel: Panel) -> None:
    panel.controls["messages"].value = 100_000
    panel.controls["maxsize"].value = 1
    panel.run.click()
    wait_until(lambda: "100,000" in panel.progress.value and "> 0 of" not in panel.progress.value)


def run(panel: Panel) -> None:
    """Press Run, and wait for the end."""
    panel.run.click()
    assert panel.wait(SECONDS)


def wait_until(condition: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < ends_at, "it did not happen in time"
        time.sleep(0.01)


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


def release(panel: Panel, name: str, value: int) -> None:
    """Do what the browser tells of a slider that is let go of."""
    control = panel.controls[name]
    control.set_state({"value": value, "released": control.released + 1})


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
    panel = Panel(QueuePlaces(messages=250, pause=20))  # five seconds
    pictures: list[str] = []
    panel.picture.observe(lambda change: pictures.append(change["new"]), "alt")
    run(panel)
    *grown, last = pictures
    got = [int(re.findall(r"were put, ([\d,]+) got", page)[0]) for page in grown]
    assert len(got) >= 2
    assert got[0] < got[-1] <= 250
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


# What is shown of the controls, and sliders that start a run.


def test_error_while_a_run_is_drawn_frees_the_panel(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("no room for a picture")

    monkeypatch.setattr(result_figure, "_draw", fail)
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


# Workers of the reader's own.


@pytest.mark.parametrize(
    ("experiment", "role", "worker"),
    [
        (QueueFlow(messages=20, producers=2), "producer", reader_workers.produce_in_another_way),
        (QueuePlaces(messages=20), "producer", reader_workers.produce_in_another_way),
        (PipeExchange(messages=20, duplex=True), "server", reader_workers.serve_in_another_way),
        (ProcessStart(processes=2), "worker", reader_workers.take_a_moment),
        (WorkerPool(tasks=4), "worker", reader_workers.take_tasks),
    ],
)
def test_panel_runs_and_draws_an_own_worker(
    fonts: None, nothing_left: Path, experiment: Experiment, role: str, worker: Any
) -> None:
    panel = Panel(experiment, **{role: worker})
    assert f", with your {role}." in panel.status.value
    run(panel)
    assert 'role="status">Done: ' in panel.status.value
    assert panel.picture.svg == draw(panel.result).svg


def test_exception_in_an_own_worker_is_shown_with_its_line(fonts: None, nothing_left: Path) -> None:
    panel = Panel(QueueFlow(messages=5), producer=reader_workers.fail)
    run(panel)
    source = Path(reader_workers.__file__).read_text(encoding="utf-8").splitlines()
    line = next(number for number, text in enumerate(source, start=1) if text.endswith("# the line"))
    words = (
        f"producer 1 raised KeyError: &#x27;apples&#x27;, at line {line} of reader_workers.py. Its processes"
    )
    assert words in panel.status.value
    assert "in fail" in panel.status.value
    assert not panel.run.disabled


def test_message_that_an_own_worker_loses_is_told(fonts: None, nothing_left: Path) -> None:
    panel = Panel(QueueFlow(messages=5), producer=reader_workers.lose_one)
    run(panel)
    assert "of 5 messages 1 were not sent" in panel.status.value
    assert "It was ended after" in panel.picture.alt
    assert 'role="alert"' in panel.status.value


@pytest.mark.parametrize(
    ("experiment", "role", "worker", "words", "line"),
    [
        (
            QueueFlow(messages=5),
            "producer",
            reader_workers.forget_sentinels,
            "consumer 1 waited for a message, and each producer had ended: a producer puts None for each",
            "message = queue.get()",
        ),
        (
            WorkerPool(tasks=4, length=5, workers=1),
            "producer",
            reader_workers.forget_sentinels,
            "worker 1 waited for a message, and each producer had ended",
            "for _, seconds in iter(queue.get, None):",
        ),
        (
            PipeExchange(messages=20, duplex=True),
            "client",
            reader_workers.hang,
            "nobody can go on: client waits in Event.wait, in the line  threading.Event().wait(); server",
            "while (request := connection.recv()) is not None:",
        ),
    ],
    ids=["queue", "pool", "pipe"],
)
def test_run_in_which_nobody_can_go_on_is_told_and_drawn(
    fonts: None, nothing_left: Path, experiment: Experiment, role: str, worker: Any, words: str, line: str
) -> None:
    panel = Panel(experiment, **{role: worker})
    panel.run.click()
    assert panel.wait(20)  # usual is a second
    assert words in panel.status.value
    assert f"in the line  {line}" in panel.picture.alt


def test_own_worker_that_does_not_fit_any_more_is_told_before_a_run(fonts: None, nothing_left: Path) -> None:
    panel = Panel(PipeExchange(messages=20), sender=reader_workers.send_in_another_way)
    panel.controls["duplex"].value = True
    for _ in range(2):
        assert "role must be &#x27;client&#x27; or &#x27;server&#x27;" in panel.status.value
        panel.run.click()  # starts nothing
        assert panel.wait(0)
    panel.controls["duplex"].value = False
    assert "Run starts 20 messages" in panel.status.value


def test_wrong_own_worker_is_refused_by_the_panel() -> None:
    with pytest.raises(TypeError, match="QueueFlow has no role 'baker' for a worker of yours"):
        Panel(QueueFlow(), baker=reader_workers.fail)
    with pytest.raises(ValueError, match="start its cell with %%worker"):
        Panel(QueueFlow(), producer=lambda queue, messages, consumers: None)
    with pytest.raises(TypeError, match=r"^Failing has no role 'producer' for a worker of yours$"):
        Panel(Failing(), producer=reader_workers.fail)


CELL = """
def produce_from_cell(queue, messages, consumers):
    for message in messages[{part}]:
        queue.put(message)
    queue.put(None)
"""


def test_panel_runs_what_a_cell_that_was_run_again_defines(
    fonts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_cells, "_cells", [])
    cell = worker_cells.define(CELL.format(part=":"))
    panel = Panel(QueueFlow(messages=5), producer=getattr(cell.module, "produce_from_cell"))  # noqa: B009
    said = []
    for text in (
        CELL.format(part=":"),
        CELL.format(part="1:"),
        "def produce_from_cell(:",
        CELL.format(part=0),
    ):
        worker_cells.define(text)
        run(panel)
        said.append(panel.status.value)
    assert "Done: 5 put, 5 got." in said[0]
    assert "of 5 messages 1 were not sent" in said[1]
    assert "the cell that defines produce_from_cell has an error: correct it, and run it again" in said[2]
    # "# %%worker" is line 1, and an empty line comes next.
    assert "ValueError" in said[3]
    assert "at line 5 of its cell. Its processes are gone." in said[3]
