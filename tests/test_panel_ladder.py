"""A panel whose experiment measures a ladder: one panel for it, as for those whose result is a run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from panels import SECONDS, run, wait_until

from ipc_helpers import Ladder, MessageCost, Panel, draw_ladder
from ipc_helpers.measuring.ladder import MeasureError
from ipc_helpers.ui.drawing import Size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHORT = MessageCost(messages=10)


@pytest.fixture
def panel(fonts: None, nothing_left: Path) -> Iterator[Panel]:
    panel = Panel(SHORT)
    yield panel
    panel.cancel.click()
    assert panel.wait(SECONDS)


def drawn(result: Any, beside: Any = None) -> str:
    return draw_ladder(result, "all", beside=beside, size=Size()).svg


def test_run_shows_figure_table_and_rate(panel: Panel) -> None:
    assert "Run starts 10 messages of 64 bytes by Queue, in 5 rounds, spawn." in panel.status.value
    pictures: list[str] = []
    seen: list[str] = []
    panel.picture.observe(lambda change: pictures.append(change["new"]), "alt")
    panel.progress.observe(lambda change: seen.append(change["new"]), "value")
    run(panel)
    assert isinstance(panel.result, Ladder)
    assert panel.picture.svg == drawn(panel.result)
    rate = panel.result["Queue"].rate.median
    assert f"Done: Queue, {rate:,.0f} messages a second, " in panel.status.value
    assert "of what " in panel.status.value
    assert "<caption>Messages of 64 bytes" in panel.table.value
    assert panel.progress.value == ""
    assert re.search(r'max="(\d+)" value="\1"', seen[-2])
    assert (panel.run.disabled, panel.cancel.disabled, panel.keep.disabled) == (False, True, False)
    rounds = [int(re.findall(r"medians of (\d+)", alt)[0]) for alt in pictures]
    assert rounds == sorted(rounds)
    assert rounds[-1] == panel.result.rounds


def test_what_is_kept_is_drawn_above_the_next_run_on_the_same_axis(panel: Panel) -> None:
    run(panel)
    first = panel.result
    panel.keep.value = True
    panel.controls["rung"].value = "Pipe, send_bytes"
    panel.controls["size"].value = 4_096
    panel.controls["batch"].value = 5
    run(panel)
    assert panel.picture.svg == drawn(panel.result, first)
    assert panel.picture.alt.startswith("Kept: Messages of 64 bytes, spawn, ")
    assert " Now: Messages of 4 KiB, in batches of 5, spawn, " in panel.picture.alt
    panel.keep.value = False
    wait_until(lambda: panel.picture.svg == drawn(panel.result))


def test_code_that_is_copied_is_the_call_of_the_last_run(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(panel.picture, "send", sent.append)
    panel.copy.click()
    run(panel)
    panel.controls["size"].value = 128
    panel.copy.click()
    assert sent == [f"{SHORT}.run()"] * 2
    assert isinstance(eval(sent[0]), Ladder)


def test_cancel_ends_the_run_and_leaves_what_was_measured(panel: Panel) -> None:
    run(panel)
    before = panel.picture.svg
    panel.controls["size"].value = 1024 * 1024
    panel.run.click()
    wait_until(lambda: "> 0 of" not in panel.progress.value)
    panel.cancel.click()
    assert panel.wait(5)
    assert "Cancelled. Its processes are gone." in panel.status.value
    shows_it = "The figure shows it up to then" in panel.status.value
    assert shows_it == (panel.picture.svg != before)
    assert (panel.run.disabled, panel.cancel.disabled) == (False, True)


def test_batch_of_a_way_that_sends_none_is_refused_in_words_and_starts_nothing(panel: Panel) -> None:
    panel.controls["rung"].value = "SimpleQueue"
    panel.controls["batch"].value = 10
    assert "batch must be 1 for SimpleQueue, not 10" in panel.status.value
    panel.run.click()
    assert panel.wait(0)
    assert 'role="alert"' in panel.status.value
    panel.reset.click()
    assert panel.experiment == SHORT


def test_slider_that_is_released_runs(panel: Panel) -> None:
    panel.run_on_release.value = True
    panel.controls["messages"].set_state({"value": 20, "released": 1})
    assert panel.wait(SECONDS)
    assert "Done: Queue, " in panel.status.value


def test_failure_of_a_rung_is_told_and_frees_the_panel(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MeasureError("Queue", "message 7 came twice")

    monkeypatch.setattr(MessageCost, "run", fail)
    run(panel)
    assert "Queue: message 7 came twice. Its processes are gone." in panel.status.value
    assert (panel.run.disabled, panel.cancel.disabled) == (False, True)


def test_worker_of_the_readers_own_is_refused() -> None:
    with pytest.raises(TypeError, match="MessageCost has no role 'producer'"):
        Panel(SHORT, producer=print)
