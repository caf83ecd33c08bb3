"""A panel with workers of the reader's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import reader_workers
from panels import Failing, run

from ipc_helpers import (
    Panel,
    PipeExchange,
    ProcessStart,
    QueueFlow,
    QueuePlaces,
    StageChain,
    WorkerPool,
    draw,
)
from ipc_helpers.ui import worker_cells

if TYPE_CHECKING:
    from ipc_helpers.experiments.experiment import Experiment

    pass

# Workers of the reader's own.


@pytest.mark.parametrize(
    ("experiment", "role", "worker"),
    [
        (QueueFlow(messages=20, producers=2), "producer", reader_workers.produce_in_another_way),
        (QueuePlaces(messages=20), "producer", reader_workers.produce_in_another_way),
        (PipeExchange(messages=20, duplex=True), "server", reader_workers.serve_in_another_way),
        (ProcessStart(processes=2), "worker", reader_workers.take_a_moment),
        (WorkerPool(tasks=4), "worker", reader_workers.take_tasks),
        (StageChain(messages=4), "stage", reader_workers.pass_on_in_another_way),
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
            reader_workers.forget_workers,
            "worker 1 waited for a message, and each producer had ended",
            "for tasks in iter(queue.get, None):",
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
